//! The first bytes of a connection, and the first head: judged before an HTTP library sees them, so that a stranger gets
//! words instead of silence.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use rustls::ServerConfig;
use tokio::time::{Instant, timeout_at};

use crate::http::Refusal;
use crate::net::Leg;

/// The first byte of a TLS record that carries a handshake (RFC 8446 5.1).
const TLS_HANDSHAKE: u8 = 0x16;
/// The beginning of HTTP/2's preface (RFC 9113 3.4).
const HTTP2_PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n";
/// As many as hyper takes.
const MAX_HEADERS: usize = 100;

/// What a connection began with.
pub enum Seen {
    /// A whole head of HTTP/1, unread on this leg.
    Http1(Leg),
    /// Something else; the leg may be told so.
    Refused(Leg, Refusal),
    /// The client left before it had said anything whole.
    Gone,
}

/// Does TLS where the port has it, and waits for the first head.
pub async fn greet(leg: Leg, tls: Option<Arc<ServerConfig>>, port: u16, max_head: usize, limit: Duration) -> Seen {
    let deadline = Instant::now() + limit;
    // An error of the socket, or of TLS (which has told the peer by its alert).
    first(leg, tls, port, max_head, deadline).await.unwrap_or(Seen::Gone)
}

async fn first(
    mut leg: Leg,
    tls: Option<Arc<ServerConfig>>,
    port: u16,
    max_head: usize,
    deadline: Instant,
) -> io::Result<Seen> {
    let limit = deadline - Instant::now();
    if timeout_at(deadline, leg.fill()).await?? == 0 {
        return Ok(Seen::Gone);
    }
    let is_tls = leg.unread().first() == Some(&TLS_HANDSHAKE);
    let mut leg = match tls {
        Some(config) if is_tls => timeout_at(deadline, leg.accept_tls(config)).await??,
        Some(_) => return Ok(Seen::Refused(leg, Refusal::HttpOnTls(port))),
        None if is_tls => return Ok(Seen::Refused(leg, Refusal::TlsOnHttp(port))),
        None => leg,
    };
    loop {
        match judge(leg.unread(), max_head) {
            Ok(Whole::Yes) => return Ok(Seen::Http1(leg)),
            Ok(Whole::NotYet) => {}
            Err(refusal) => return Ok(Seen::Refused(leg, refusal)),
        }
        match timeout_at(deadline, leg.fill()).await {
            Err(_) => return Ok(Seen::Refused(leg, Refusal::HeadTimeout(limit))),
            Ok(Ok(0)) => return Ok(Seen::Gone),
            Ok(read) => drop(read?),
        }
    }
}

enum Whole {
    Yes,
    NotYet,
}

fn judge(bytes: &[u8], max_head: usize) -> Result<Whole, Refusal> {
    if bytes.starts_with(HTTP2_PREFACE) {
        return Err(Refusal::Http2);
    }
    let mut headers = [httparse::EMPTY_HEADER; MAX_HEADERS];
    let mut request = httparse::Request::new(&mut headers);
    match request.parse(bytes) {
        Ok(httparse::Status::Complete(size)) if size <= max_head => Ok(Whole::Yes),
        Ok(httparse::Status::Partial) if bytes.len() < max_head => Ok(Whole::NotYet),
        Ok(_) | Err(httparse::Error::TooManyHeaders) => Err(Refusal::HeadTooLarge(max_head)),
        Err(error) => Err(Refusal::Malformed(match error {
            httparse::Error::HeaderName => "a header's name has a character that may not be there",
            httparse::Error::HeaderValue => "a header's value has a character that may not be there",
            httparse::Error::NewLine => "a line does not end as it must",
            httparse::Error::Version => "the version is not HTTP/1.0 or HTTP/1.1",
            _ => "the request line has a character that may not be there",
        })),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(bytes: &[u8]) -> String {
        match judge(bytes, 64) {
            Ok(Whole::Yes) => "whole".into(),
            Ok(Whole::NotYet) => "not yet".into(),
            Err(refusal) => refusal.body(),
        }
    }

    #[test]
    fn a_head_is_whole_at_its_empty_line() {
        assert_eq!(said(b"GET / HTTP/1.1\r\nHost: a\r\n"), "not yet");
        assert_eq!(said(b"GET / HTTP/1.1\r\nHost: a\r\n\r\nbody"), "whole");
    }

    #[test]
    fn what_is_no_request_gets_words() {
        assert_eq!(
            said(b"GET / HTTP/1.1\r\nHo st: a\r\n\r\n"),
            "400 Bad Request\n\nThis is no HTTP/1.1 request: a header's name has a character that may not be there.\n\
             Check what the client sends.\n"
        );
        assert_eq!(
            said(&[b'A'; 65]),
            "431 Request Header Fields Too Large\n\nThe head of the request is larger than 64 bytes.\n\
             Send fewer or smaller headers (cookies, mostly), or raise gateway.max_head in service.yml.\n"
        );
        assert_eq!(
            said(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
            "505 HTTP Version Not Supported\n\nHTTP/2 is not spoken on this port.\nUse HTTP/1.1.\n"
        );
    }
}
