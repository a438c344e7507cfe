//! The opening handshake over HTTP/1.1 (RFC 6455 4): what a client must ask, and what a service must answer.
//!
//! Both sides are judged here and nowhere else. It reads heads that an HTTP library has parsed; it refuses to send or
//! to route anything.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::header::{
    CONNECTION, CONTENT_LENGTH, HOST, HeaderMap, HeaderName, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_EXTENSIONS,
    SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_PROTOCOL, SEC_WEBSOCKET_VERSION, TRANSFER_ENCODING, UPGRADE,
};
use http::{Method, StatusCode, Version};
use sha1::{Digest, Sha1};

use crate::relay::Frames;

/// The version that RFC 6455 4.1 names.
pub const VERSION: &str = "13";

/// Hashed after the key (RFC 6455 1.3).
const GUID: &[u8] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/// What a client's valid handshake offers, and the answer that it must get.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Offer {
    /// The `Sec-WebSocket-Accept` that belongs to its key.
    pub accept: String,
    /// Subprotocols, in its order of preference.
    pub protocols: Vec<String>,
    /// Names of extensions, without their parameters.
    pub extensions: Vec<String>,
}

/// What a service's valid answer has chosen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chosen {
    /// The subprotocol, if any.
    pub protocol: Option<String>,
    /// What its extensions allow in frames.
    pub frames: Frames,
}

/// Why a client's request is no valid WebSocket handshake.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, reason = "the text of each is its documentation")]
pub enum BadRequest {
    Method,
    HttpVersion,
    Host,
    Connection,
    Key,
    Version,
    Body,
    Protocol,
    Extensions,
}

impl BadRequest {
    /// The status that refuses it: 426 asks for another version (RFC 6455 4.2.2), 405 for another method.
    pub fn status(self) -> StatusCode {
        match self {
            BadRequest::Version => StatusCode::UPGRADE_REQUIRED,
            BadRequest::Method => StatusCode::METHOD_NOT_ALLOWED,
            _ => StatusCode::BAD_REQUEST,
        }
    }
}

impl fmt::Display for BadRequest {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            BadRequest::Method => "a WebSocket handshake is a GET request",
            BadRequest::HttpVersion => "a WebSocket handshake needs HTTP/1.1",
            BadRequest::Host => "exactly one Host header is needed",
            BadRequest::Connection => "the Connection header does not say \"upgrade\"",
            BadRequest::Key => "Sec-WebSocket-Key must be there once, 16 bytes in base64",
            BadRequest::Version => "Sec-WebSocket-Version must be 13",
            BadRequest::Body => "a WebSocket handshake has no body",
            BadRequest::Protocol => "Sec-WebSocket-Protocol must list names, each once",
            BadRequest::Extensions => "Sec-WebSocket-Extensions cannot be read",
        })
    }
}

/// Why a service's 101 is no valid answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, reason = "the text of each is its documentation")]
pub enum BadAnswer {
    Upgrade,
    Connection,
    Accept,
    Protocol,
    Extension,
    Body,
}

impl fmt::Display for BadAnswer {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            BadAnswer::Upgrade => "its 101 does not say \"Upgrade: websocket\"",
            BadAnswer::Connection => "its 101 does not say \"Connection: Upgrade\"",
            BadAnswer::Accept => "its Sec-WebSocket-Accept does not belong to the key that was sent",
            BadAnswer::Protocol => "it chose a subprotocol that was not offered",
            BadAnswer::Extension => "it chose an extension that was not offered",
            BadAnswer::Body => "its 101 announces a body",
        })
    }
}

/// Whether a request asks for an upgrade to WebSocket, rightly or wrongly. Any other `Upgrade` is none (RFC 9110 7.8
/// lets a server ignore it).
pub fn asks(headers: &HeaderMap) -> bool {
    lists(headers, UPGRADE, "websocket")
}

/// Judges a client's request (RFC 6455 4.1, 4.2.1). Call it for requests that [`asks`] is true for.
pub fn read_request(method: &Method, version: Version, headers: &HeaderMap) -> Result<Offer, BadRequest> {
    if method != Method::GET {
        return Err(BadRequest::Method);
    }
    if version != Version::HTTP_11 {
        return Err(BadRequest::HttpVersion);
    }
    if only(headers, HOST).is_none() {
        return Err(BadRequest::Host);
    }
    if !lists(headers, CONNECTION, "upgrade") {
        return Err(BadRequest::Connection);
    }
    if only(headers, SEC_WEBSOCKET_VERSION) != Some(VERSION) {
        return Err(BadRequest::Version);
    }
    let key = only(headers, SEC_WEBSOCKET_KEY).filter(|key| is_key(key)).ok_or(BadRequest::Key)?;
    let empty = headers.get(CONTENT_LENGTH).is_none_or(|length| length == "0");
    if !empty || headers.contains_key(TRANSFER_ENCODING) {
        return Err(BadRequest::Body);
    }
    Ok(Offer { accept: accept(key), protocols: read_protocols(headers)?, extensions: read_extensions(headers)? })
}

/// Judges a service's 101 (RFC 6455 4.1, second list).
pub fn read_answer(offer: &Offer, headers: &HeaderMap) -> Result<Chosen, BadAnswer> {
    if !only(headers, UPGRADE).is_some_and(|token| token.eq_ignore_ascii_case("websocket")) {
        return Err(BadAnswer::Upgrade);
    }
    if !lists(headers, CONNECTION, "upgrade") {
        return Err(BadAnswer::Connection);
    }
    if only(headers, SEC_WEBSOCKET_ACCEPT) != Some(&offer.accept) {
        return Err(BadAnswer::Accept);
    }
    if headers.contains_key(TRANSFER_ENCODING) || headers.get(CONTENT_LENGTH).is_some_and(|length| length != "0") {
        return Err(BadAnswer::Body);
    }
    let protocol = match headers.contains_key(SEC_WEBSOCKET_PROTOCOL) {
        false => None,
        true => {
            let chosen = only(headers, SEC_WEBSOCKET_PROTOCOL).ok_or(BadAnswer::Protocol)?;
            if !offer.protocols.iter().any(|offered| offered == chosen) {
                return Err(BadAnswer::Protocol);
            }
            Some(chosen.to_owned())
        }
    };
    let chosen = read_extensions(headers).map_err(|_| BadAnswer::Extension)?;
    if chosen.iter().any(|name| !offer.extensions.contains(name)) {
        return Err(BadAnswer::Extension);
    }
    Ok(Chosen { protocol, frames: frames(&chosen) })
}

/// The answer to a key (RFC 6455 4.2.2, item 5.4).
pub fn accept(key: &str) -> String {
    let hash = Sha1::new().chain_update(key.as_bytes()).chain_update(GUID).finalize();
    STANDARD.encode(hash)
}

/// A key for a handshake of our own, from 16 random bytes (RFC 6455 4.1, item 7).
pub fn key(random: [u8; 16]) -> String {
    STANDARD.encode(random)
}

fn frames(extensions: &[String]) -> Frames {
    match extensions {
        [] => Frames::Plain,
        [one] if one == "permessage-deflate" => Frames::Deflate,
        _ => Frames::Extended,
    }
}

fn is_key(key: &str) -> bool {
    STANDARD.decode(key).is_ok_and(|bytes| bytes.len() == 16)
}

/// A header that is there exactly once, as text without blanks around it.
fn only(headers: &HeaderMap, name: HeaderName) -> Option<&str> {
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (Some(value), None) => value.to_str().ok().map(str::trim),
        _ => None,
    }
}

/// The members of a header that is a comma-separated list, over all its lines (RFC 9110 5.6.1).
fn members(headers: &HeaderMap, name: HeaderName) -> impl Iterator<Item = &str> {
    headers
        .get_all(name)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|line| line.split(','))
        .map(str::trim)
        .filter(|member| !member.is_empty())
}

fn lists(headers: &HeaderMap, name: HeaderName, token: &str) -> bool {
    members(headers, name).any(|member| member.eq_ignore_ascii_case(token))
}

fn read_protocols(headers: &HeaderMap) -> Result<Vec<String>, BadRequest> {
    let mut protocols: Vec<String> = Vec::new();
    for name in members(headers, SEC_WEBSOCKET_PROTOCOL) {
        if !is_token(name) || protocols.iter().any(|known| known == name) {
            return Err(BadRequest::Protocol);
        }
        protocols.push(name.to_owned());
    }
    Ok(protocols)
}

/// The names of the extensions (RFC 6455 9.1). A comma inside a quoted parameter is not a separator.
fn read_extensions(headers: &HeaderMap) -> Result<Vec<String>, BadRequest> {
    let mut names: Vec<String> = Vec::new();
    for value in headers.get_all(SEC_WEBSOCKET_EXTENSIONS) {
        let line = value.to_str().map_err(|_| BadRequest::Extensions)?;
        for member in split_outside_quotes(line) {
            let name = member.split(';').next().unwrap_or_default().trim();
            if name.is_empty() && member.trim().is_empty() {
                continue;
            }
            if !is_token(name) {
                return Err(BadRequest::Extensions);
            }
            let name = name.to_ascii_lowercase();
            if !names.contains(&name) {
                names.push(name);
            }
        }
    }
    Ok(names)
}

fn split_outside_quotes(line: &str) -> impl Iterator<Item = &str> {
    let mut quoted = false;
    line.split(move |char| {
        if char == '"' {
            quoted = !quoted;
        }
        char == ',' && !quoted
    })
}

/// A token of RFC 9110 5.6.2.
fn is_token(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    /// RFC 6455 1.2's own example.
    const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";
    const ACCEPT: &str = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

    fn headers(lines: &[(&str, &str)]) -> HeaderMap {
        lines
            .iter()
            .map(|(name, value)| (name.parse::<HeaderName>().unwrap(), HeaderValue::from_str(value).unwrap()))
            .collect()
    }

    fn request() -> Vec<(&'static str, &'static str)> {
        vec![
            ("host", "server.example.com"),
            ("upgrade", "websocket"),
            ("connection", "keep-alive, Upgrade"),
            ("sec-websocket-key", KEY),
            ("sec-websocket-version", "13"),
        ]
    }

    fn with(name: &'static str, value: &'static str) -> Vec<(&'static str, &'static str)> {
        let mut lines: Vec<_> = request().into_iter().filter(|(known, _)| *known != name).collect();
        lines.push((name, value));
        lines
    }

    fn judge(lines: &[(&str, &str)]) -> Result<Offer, BadRequest> {
        read_request(&Method::GET, Version::HTTP_11, &headers(lines))
    }

    #[test]
    fn the_example_of_the_rfc_gets_its_accept() {
        assert_eq!(judge(&request()).expect("valid").accept, ACCEPT);
    }

    #[test]
    fn each_broken_rule_of_a_request_has_its_name() {
        let cases = [
            (with("connection", "keep-alive"), BadRequest::Connection),
            (with("sec-websocket-version", "8"), BadRequest::Version),
            (with("sec-websocket-version", "13, 8"), BadRequest::Version),
            (with("sec-websocket-key", "c2hvcnQ="), BadRequest::Key),
            (with("sec-websocket-key", "not base64"), BadRequest::Key),
            (with("content-length", "5"), BadRequest::Body),
            (with("transfer-encoding", "chunked"), BadRequest::Body),
            (with("sec-websocket-protocol", "chat, chat"), BadRequest::Protocol),
            (with("sec-websocket-protocol", "a b"), BadRequest::Protocol),
            (with("sec-websocket-extensions", "a b; c"), BadRequest::Extensions),
        ];
        for (lines, expected) in cases {
            assert_eq!(judge(&lines), Err(expected), "{lines:?}");
        }
        let mut twice = request();
        twice.push(("sec-websocket-key", KEY));
        assert_eq!(judge(&twice), Err(BadRequest::Key));
        let mut hosts = request();
        hosts.push(("host", "other.example.com"));
        assert_eq!(judge(&hosts), Err(BadRequest::Host));
        let map = headers(&request());
        assert_eq!(read_request(&Method::POST, Version::HTTP_11, &map), Err(BadRequest::Method));
        assert_eq!(read_request(&Method::GET, Version::HTTP_10, &map), Err(BadRequest::HttpVersion));
    }

    #[test]
    fn only_websocket_is_an_upgrade_that_is_asked_for() {
        assert!(asks(&headers(&[("upgrade", "h2c, WebSocket")])));
        assert!(!asks(&headers(&[("upgrade", "h2c")])));
        assert!(!asks(&headers(&[("connection", "upgrade")])));
    }

    #[test]
    fn offers_are_read_from_every_line_and_extension_names_lose_their_parameters() {
        let mut lines = request();
        lines.extend([
            ("sec-websocket-protocol", "chat, superchat"),
            ("sec-websocket-protocol", "mqtt"),
            ("sec-websocket-extensions", "permessage-deflate; client_max_window_bits, x; y=\"a,b\""),
        ]);
        let offer = judge(&lines).expect("valid");
        assert_eq!(offer.protocols, ["chat", "superchat", "mqtt"]);
        assert_eq!(offer.extensions, ["permessage-deflate", "x"]);
    }

    #[test]
    fn each_broken_rule_of_an_answer_has_its_name() {
        let mut lines = request();
        lines.extend([("sec-websocket-protocol", "chat"), ("sec-websocket-extensions", "permessage-deflate")]);
        let offer = judge(&lines).expect("valid");
        let good = [("upgrade", "WebSocket"), ("connection", "upgrade"), ("sec-websocket-accept", ACCEPT)];
        let answer = |name: &str, value: &str| {
            let mut lines: Vec<_> = good.iter().copied().filter(|(known, _)| *known != name).collect();
            lines.push((name, value));
            read_answer(&offer, &headers(&lines))
        };
        assert_eq!(read_answer(&offer, &headers(&good)), Ok(Chosen { protocol: None, frames: Frames::Plain }));
        assert_eq!(answer("upgrade", "h2c"), Err(BadAnswer::Upgrade));
        assert_eq!(answer("connection", "close"), Err(BadAnswer::Connection));
        assert_eq!(answer("sec-websocket-accept", "AAAA"), Err(BadAnswer::Accept));
        assert_eq!(answer("sec-websocket-protocol", "mqtt"), Err(BadAnswer::Protocol));
        assert_eq!(answer("sec-websocket-protocol", "Chat"), Err(BadAnswer::Protocol));
        assert_eq!(answer("sec-websocket-extensions", "x-webkit"), Err(BadAnswer::Extension));
        assert_eq!(answer("transfer-encoding", "chunked"), Err(BadAnswer::Body));
        assert_eq!(
            answer("sec-websocket-extensions", "permessage-deflate; server_no_context_takeover"),
            Ok(Chosen { protocol: None, frames: Frames::Deflate })
        );
        assert_eq!(
            answer("sec-websocket-protocol", "chat"),
            Ok(Chosen { protocol: Some("chat".into()), frames: Frames::Plain })
        );
    }
}
