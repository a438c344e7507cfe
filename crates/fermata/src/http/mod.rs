//! Ordinary HTTP: requests to the services, with what a proxy adds to them and takes away, and the answers that Fermata
//! itself gives.

mod attempts;
mod exchange;
mod forwarded;
mod headers;
mod hops;
mod reply;
mod upload;
mod upstream;

pub use attempts::Attempts;
pub use exchange::{Exchanged, exchange};
pub use forwarded::{REQUEST_ID, Visitor};
pub use headers::{keep_end_to_end, request_for_service, response_for_client, settle_host};
pub use hops::{has_been_here, mark};
pub use reply::{Body, Refusal, empty, whole};
pub use upstream::{Patience, Upstreams, passed_on};
