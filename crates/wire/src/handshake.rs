//! The opening handshake: what a client must ask, and what a service must answer, over HTTP/1.1 (RFC 6455 4) and as an
//! extended CONNECT over HTTP/2 and HTTP/3 (RFC 8441, RFC 9220).
//!
//! Both sides are judged here and nowhere else. It reads heads that an HTTP library has parsed; it refuses to send or
//! to route anything.

mod answer;
mod lists;
mod request;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::header::{CONTENT_LENGTH, HeaderMap, TRANSFER_ENCODING};
use sha1::{Digest, Sha1};

pub use answer::{BadAnswer, Chosen, read_answer, read_connect_answer};
pub use request::{BadRequest, Offer, asks, read_connect, read_request};

/// The version that RFC 6455 4.1 names.
pub const VERSION: &str = "13";

/// What the `:protocol` of an extended CONNECT says (RFC 8441 5).
pub const CONNECT_PROTOCOL: &str = "websocket";

/// Hashed after the key (RFC 6455 1.3).
const GUID: &[u8] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/// The answer to a key (RFC 6455 4.2.2, item 5.4).
pub fn accept(key: &str) -> String {
    let hash = Sha1::new().chain_update(key.as_bytes()).chain_update(GUID).finalize();
    STANDARD.encode(hash)
}

/// A key for a handshake of our own, from 16 random bytes (RFC 6455 4.1, item 7).
pub fn key(random: [u8; 16]) -> String {
    STANDARD.encode(random)
}

/// Whether a head announces a body: what follows a handshake is frames and nothing else.
fn has_body(headers: &HeaderMap) -> bool {
    headers.contains_key(TRANSFER_ENCODING) || headers.get_all(CONTENT_LENGTH).iter().any(|length| length != "0")
}
