//! Ordinary HTTP: requests to the services, with what a proxy adds to them and takes away, and the answers that Fermata
//! itself gives.

mod forwarded;
mod headers;
mod reply;
mod upload;
mod upstream;

pub use forwarded::{REQUEST_ID, Visitor};
pub use headers::{keep_end_to_end, request_for_service, response_for_client, settle_host};
pub use reply::{Body, Refusal, empty, whole};
pub use upstream::{Exchanged, Patience, Upstreams, connect_any, exchange, passed_on};
