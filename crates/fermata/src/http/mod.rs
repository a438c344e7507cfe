//! Ordinary HTTP: requests to the services, with what a proxy adds to them and takes away, and the answers that Fermata
//! itself gives.

mod forwarded;
mod headers;
mod reply;
mod upstream;

pub use forwarded::{Visitor, believe};
pub use headers::{keep_end_to_end, request_for_service};
pub use reply::{Body, Refusal, empty, whole};
pub use upstream::{Patience, Upstreams, connect_any, exchange, passed_on};
