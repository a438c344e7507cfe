//! One request head, judged before an HTTP library sees it: so that a stranger gets words instead of silence, and so that
//! no two readers on the way can disagree about where a request ends (request smuggling, RFC 9112 11.2).
//!
//! It is as strict as RFC 9112 lets a server be: line ends are CR LF, a length is said once, a coding is `chunked`, and
//! there is exactly one Host.

use std::mem::MaybeUninit;

use httparse::{Error, Header, Request, Status};

use super::extent::Extent;
use crate::http::Refusal;

/// The beginning of HTTP/2's preface (RFC 9113 3.4).
const HTTP2_PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n";
/// As many as hyper takes.
pub(super) const MAX_HEADERS: usize = 100;

/// A whole head.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Head {
    /// How many bytes it has.
    pub(super) size: usize,
    /// The body that follows, if one does.
    pub(super) body: Option<Extent>,
}

/// Judges what has come of a head; `None` while more must come.
pub(super) fn judge(bytes: &[u8], max_head: usize) -> Result<Option<Head>, Refusal> {
    if bytes.starts_with(HTTP2_PREFACE) {
        return Err(Refusal::Http2);
    }
    let mut headers = [const { MaybeUninit::uninit() }; MAX_HEADERS];
    let mut request = Request::new(&mut []);
    let parsed = request.parse_with_uninit_headers(bytes, &mut headers).map_err(malformed)?;
    let size = match parsed {
        Status::Complete(size) => size,
        Status::Partial => bytes.len(),
    };
    if size > max_head || (parsed.is_partial() && size == max_head) {
        return Err(Refusal::HeadTooLarge(max_head));
    }
    if has_bare_line_feed(&bytes[..size]) {
        return Err(Refusal::Malformed("a line ends with LF alone, not with CR LF"));
    }
    if parsed.is_partial() {
        return Ok(None);
    }
    check_target(&request)?;
    check_host(&request)?;
    Ok(Some(Head { size, body: body(&request)? }))
}

fn malformed(error: Error) -> Refusal {
    Refusal::Malformed(match error {
        Error::TooManyHeaders => return Refusal::TooManyHeaders(MAX_HEADERS),
        Error::HeaderName => "a header's name has a character that may not be there",
        Error::HeaderValue => "a header's value has a character that may not be there",
        Error::NewLine => "a line does not end as it must",
        Error::Version => "the version is not HTTP/1.0 or HTTP/1.1",
        _ => "the request line has a character that may not be there",
    })
}

fn has_bare_line_feed(head: &[u8]) -> bool {
    // Line by line: every head is looked at, and most of its bytes are none of these.
    head.split_inclusive(|byte| *byte == b'\n').any(|line| line.ends_with(b"\n") && !line.ends_with(b"\r\n"))
}

/// The forms of a target (RFC 9112 3.2) that are answered here: a path, a whole URL, and `*` for OPTIONS.
fn check_target(request: &Request<'_, '_>) -> Result<(), Refusal> {
    let bad = Err(Refusal::Malformed("its target is no path and no http URL"));
    if request.method == Some("CONNECT") {
        return Err(Refusal::NotImplemented("A request to connect elsewhere (CONNECT)"));
    }
    let Some(Ok(uri)) = request.path.map(http::Uri::try_from) else { return bad };
    match (uri.scheme_str(), uri.authority()) {
        (None, None) if uri.path().starts_with('/') => Ok(()),
        (None, None) if uri.path() == "*" && request.method == Some("OPTIONS") => Ok(()),
        (Some("http" | "https" | "ws" | "wss"), Some(authority)) if !authority.as_str().contains('@') => Ok(()),
        _ => bad,
    }
}

/// RFC 9112 3.2: one Host, and a valid one; only HTTP/1.0 may do without.
fn check_host(request: &Request<'_, '_>) -> Result<(), Refusal> {
    let mut hosts = values(request, "host");
    match (hosts.next(), hosts.next()) {
        (None, _) if request.version == Some(0) => Ok(()),
        (None, _) => Err(Refusal::Malformed("the Host header is missing")),
        (Some(_), Some(_)) => Err(Refusal::Malformed("there is more than one Host header")),
        // An empty one stands for a target without an authority.
        (Some(host), None) if host.is_empty() || is_authority(host) => Ok(()),
        (Some(_), None) => Err(Refusal::Malformed("the Host header is no name and no address")),
    }
}

fn is_authority(host: &[u8]) -> bool {
    let Ok(authority) = http::uri::Authority::try_from(host) else { return false };
    let port = authority.as_str().strip_prefix(authority.host());
    port.is_some_and(|port| port.is_empty() || port == ":" || authority.port_u16().is_some())
}

/// RFC 9112 6.3, without its leniences.
fn body(request: &Request<'_, '_>) -> Result<Option<Extent>, Refusal> {
    let (mut lengths, mut codings) = (values(request, "content-length"), values(request, "transfer-encoding"));
    match ((lengths.next(), lengths.next()), (codings.next(), codings.next())) {
        ((None, _), (None, _)) => Ok(None),
        ((Some(length), None), (None, _)) => {
            let length = read_length(length).ok_or(Refusal::Malformed("its Content-Length is no number"))?;
            Ok((length > 0).then_some(Extent::Length(length)))
        }
        ((Some(_), Some(_)), (None, _)) => Err(Refusal::Malformed("there is more than one Content-Length")),
        ((Some(_), _), (Some(_), _)) => {
            Err(Refusal::Malformed("it has a Content-Length and a Transfer-Encoding, and only one can be right"))
        }
        ((None, _), (Some(_), _)) if request.version == Some(0) => {
            Err(Refusal::Malformed("HTTP/1.0 has no Transfer-Encoding"))
        }
        ((None, _), (Some(coding), None)) if coding.eq_ignore_ascii_case(b"chunked") => Ok(Some(Extent::chunked())),
        ((None, _), (Some(_), _)) => Err(Refusal::NotImplemented("A Transfer-Encoding other than chunked")),
    }
}

/// Digits alone: no sign, no list. hyper's own limit is a little below 2^64.
fn read_length(value: &[u8]) -> Option<u64> {
    let digits = std::str::from_utf8(value).ok().filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()))?;
    digits.parse().ok().filter(|length| *length <= i64::MAX.unsigned_abs())
}

fn values<'a>(request: &'a Request<'_, '_>, name: &'static str) -> impl Iterator<Item = &'a [u8]> {
    let named = move |header: &&Header<'_>| header.name.eq_ignore_ascii_case(name);
    request.headers.iter().filter(named).map(|header| header.value)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAX: usize = 200;

    fn said(bytes: &[u8]) -> String {
        match judge(bytes, MAX) {
            Ok(Some(Head { size, body })) => format!("whole: {size}, {body:?}"),
            Ok(None) => "not yet".into(),
            Err(refusal) => refusal.body(),
        }
    }

    /// What a head is blamed for, without the words that all have in common.
    fn blamed(head: &str) -> String {
        let said = said(head.replace('\n', "\r\n").as_bytes());
        let problem = said.strip_prefix("400 Bad Request\n\nThis is no HTTP/1.1 request: ");
        let problem = problem.and_then(|rest| rest.strip_suffix(".\nCheck what the client sends.\n"));
        problem.map_or_else(|| said.clone(), str::to_owned)
    }

    #[test]
    fn a_head_is_whole_at_its_empty_line() {
        assert_eq!(said(b"GET / HTTP/1.1\r\nHost: a\r\n"), "not yet");
        assert_eq!(said(b"GET / HTTP/1.1\r\nHost: a\r\n\r\nGET"), "whole: 27, None");
        assert_eq!(said(b"\r\nGET / HTTP/1.0\r\n\r\n"), "whole: 20, None");
    }

    #[test]
    fn a_body_is_announced_by_its_length_or_by_its_coding() {
        assert_eq!(blamed("PUT / HTTP/1.1\nHost: a\nContent-Length: 5\n\n"), "whole: 46, Some(Length(5))");
        assert_eq!(blamed("PUT / HTTP/1.1\nHost: a\nContent-Length: 0\n\n"), "whole: 46, None");
        assert!(
            blamed("PUT / HTTP/1.1\nHost: a\nTransfer-Encoding: Chunked\n\n").starts_with("whole: 55, Some(Chunked")
        );
    }

    #[test]
    fn a_target_is_a_path_or_a_url() {
        for good in ["GET /a?b=c", "GET http://b.example:81/a", "OPTIONS *", "GET //a"] {
            assert!(blamed(&format!("{good} HTTP/1.1\nHost: a\n\n")).starts_with("whole"), "{good}");
        }
        for bad in ["GET a", "GET *", "GET ftp://b.example/", "GET http://u:p@b.example/", "GET http:///", "GET a.b:80"]
        {
            let problem = blamed(&format!("{bad} HTTP/1.1\nHost: a\n\n"));
            assert_eq!(problem, "its target is no path and no http URL", "{bad}");
        }
    }

    #[test]
    fn there_is_exactly_one_host() {
        for good in ["a", "A.example:8080", "127.0.0.1", "[::1]:80", ""] {
            assert!(blamed(&format!("GET / HTTP/1.1\nHost: {good}\n\n")).starts_with("whole"), "{good}");
        }
        for bad in ["a b", "u@a", "a/b", "a:b", "a, b", "\u{e4}"] {
            let problem = blamed(&format!("GET / HTTP/1.1\nHost: {bad}\n\n"));
            assert_eq!(problem, "the Host header is no name and no address", "{bad}");
        }
        assert_eq!(blamed("GET / HTTP/1.1\n\n"), "the Host header is missing");
        assert_eq!(blamed("GET / HTTP/1.0\nHost: a\nHost: a\n\n"), "there is more than one Host header");
    }

    #[test]
    fn a_body_that_could_end_in_two_places_is_refused() {
        let cases = [
            ("Content-Length: 5\nContent-Length: 5", "there is more than one Content-Length"),
            ("Content-Length: 5, 5", "its Content-Length is no number"),
            ("Content-Length: +5", "its Content-Length is no number"),
            ("Content-Length: ", "its Content-Length is no number"),
            ("Content-Length: 99999999999999999999", "its Content-Length is no number"),
            (
                "Content-Length: 5\nTransfer-Encoding: chunked",
                "it has a Content-Length and a Transfer-Encoding, and only one can be right",
            ),
            ("Content-Length : 5", "a header's name has a character that may not be there"),
            ("A: b\n Content-Length: 5", "a header's name has a character that may not be there"),
            ("A: b\rContent-Length: 5", "a header's value has a character that may not be there"),
        ];
        for (lines, problem) in cases {
            assert_eq!(blamed(&format!("PUT / HTTP/1.1\nHost: a\n{lines}\n\n")), problem, "{lines:?}");
        }
        assert_eq!(
            blamed("PUT / HTTP/1.0\nHost: a\nTransfer-Encoding: chunked\n\n"),
            "HTTP/1.0 has no Transfer-Encoding"
        );
        for coding in
            ["gzip, chunked", "identity", "chunked, chunked", "xchunked", "chunked\nTransfer-Encoding: chunked"]
        {
            assert_eq!(
                blamed(&format!("PUT / HTTP/1.1\nHost: a\nTransfer-Encoding: {coding}\n\n")),
                "501 Not Implemented\n\nA Transfer-Encoding other than chunked is not known here.\n\
                 Do without it.\n"
            );
        }
    }

    #[test]
    fn a_line_ends_with_both_its_characters() {
        for bare in ["GET / HTTP/1.1\nHost: a\n\n", "GET / HTTP/1.1\r\nHost: a\n\r\n", "\nGET /", "GET / HTTP/1.1\n"] {
            let problem = "This is no HTTP/1.1 request: a line ends with LF alone, not with CR LF.";
            assert!(said(bare.as_bytes()).contains(problem), "{bare:?}");
        }
    }

    #[test]
    fn what_is_no_request_gets_words() {
        assert_eq!(
            said(b"GET / HTTP/1.1\r\nHo st: a\r\n\r\n"),
            "400 Bad Request\n\nThis is no HTTP/1.1 request: a header's name has a character that may not be there.\n\
             Check what the client sends.\n"
        );
        assert_eq!(
            said(&[b'A'; MAX]),
            "431 Request Header Fields Too Large\n\nThe head of the request is larger than 200 bytes.\n\
             Send fewer or smaller headers (cookies, mostly), or raise gateway.max_head in service.yml.\n"
        );
        assert_eq!(
            judge(format!("GET / HTTP/1.1\r\n{}\r\n", "a: b\r\n".repeat(101)).as_bytes(), 10_000)
                .map_err(|refusal| refusal.body()),
            Err("431 Request Header Fields Too Large\n\nThe request has more than 100 headers.\nSend fewer.\n".into())
        );
        assert_eq!(
            said(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
            "505 HTTP Version Not Supported\n\nHTTP/2 is not spoken on this port.\nUse HTTP/1.1.\n"
        );
        assert_eq!(
            said(b"CONNECT a:443 HTTP/1.1\r\nHost: a\r\n\r\n"),
            "501 Not Implemented\n\nA request to connect elsewhere (CONNECT) is not known here.\nDo without it.\n"
        );
    }
}
