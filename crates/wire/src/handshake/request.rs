//! What a client asks.

use std::fmt;

use http::header::{
    CONNECTION, HOST, HeaderMap, SEC_WEBSOCKET_EXTENSIONS, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_PROTOCOL,
    SEC_WEBSOCKET_VERSION, UPGRADE,
};
use http::uri::{Authority, Scheme, Uri};
use http::{Method, StatusCode, Version};

use super::lists::{extensions, lists, only, tokens};
use super::{CONNECT_PROTOCOL, VERSION, accept, has_body};

/// What a client's valid handshake offers, and the answer that it must get.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Offer {
    /// The `Sec-WebSocket-Accept` that belongs to the key.
    pub accept: String,
    /// Subprotocols, in its order of preference.
    pub protocols: Vec<String>,
    /// Names of extensions in its order of preference, in lower case and without their parameters; one that is offered
    /// with several sets of parameters is there several times.
    pub extensions: Vec<String>,
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
    ConnectProtocol,
    ConnectTarget,
    ConnectUpgrade,
}

impl BadRequest {
    /// The status that refuses it: 426 asks for another version (RFC 6455 4.2.2), 405 for another method, and 501 is for
    /// a `:protocol` that isn't known (RFC 9220 3).
    pub fn status(self) -> StatusCode {
        match self {
            BadRequest::Version => StatusCode::UPGRADE_REQUIRED,
            BadRequest::Method => StatusCode::METHOD_NOT_ALLOWED,
            BadRequest::ConnectProtocol => StatusCode::NOT_IMPLEMENTED,
            _ => StatusCode::BAD_REQUEST,
        }
    }
}

impl fmt::Display for BadRequest {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            BadRequest::Method => "a WebSocket handshake is a GET request",
            BadRequest::HttpVersion => "a WebSocket handshake needs HTTP/1.1",
            BadRequest::Host => "exactly one Host header is needed, with the name of a host",
            BadRequest::Connection => "the Connection header does not say \"upgrade\"",
            BadRequest::Key => "Sec-WebSocket-Key must be there once, 16 bytes in base64",
            BadRequest::Version => "Sec-WebSocket-Version must be 13",
            BadRequest::Body => "a WebSocket handshake has no body",
            BadRequest::Protocol => "Sec-WebSocket-Protocol must list names, each once",
            BadRequest::Extensions => "Sec-WebSocket-Extensions cannot be read",
            BadRequest::ConnectProtocol => "the :protocol of an extended CONNECT must be \"websocket\"",
            BadRequest::ConnectTarget => "an extended CONNECT needs an :authority, and http or https as its :scheme",
            BadRequest::ConnectUpgrade => "an extended CONNECT has no Connection and no Upgrade header",
        })
    }
}

/// Whether a request asks for an upgrade to WebSocket, rightly or wrongly. Any other `Upgrade` is none (RFC 9110 7.8
/// lets a server ignore it).
pub fn asks(headers: &HeaderMap) -> bool {
    lists(headers, &UPGRADE, "websocket")
}

/// Judges a client's request (RFC 6455 4.1, 4.2.1). Call it for requests that [`asks`] is true for.
pub fn read_request(method: &Method, version: Version, headers: &HeaderMap) -> Result<Offer, BadRequest> {
    if method != Method::GET {
        return Err(BadRequest::Method);
    }
    if version != Version::HTTP_11 {
        return Err(BadRequest::HttpVersion);
    }
    if !only(headers, &HOST).is_some_and(is_host) {
        return Err(BadRequest::Host);
    }
    if !lists(headers, &CONNECTION, "upgrade") {
        return Err(BadRequest::Connection);
    }
    read_version(headers)?;
    let key = only(headers, &SEC_WEBSOCKET_KEY).filter(|key| is_key(key)).ok_or(BadRequest::Key)?;
    read_offer(key, headers)
}

/// Judges a client's extended CONNECT (RFC 8441 4, 5; the same in RFC 9220): method CONNECT with a `:protocol`, which HTTP
/// libraries keep beside the request.
///
/// It brings no key. `key` is the one that the handshake with the service carries, where that is over HTTP/1.1.
pub fn read_connect(protocol: &str, target: &Uri, headers: &HeaderMap, key: &str) -> Result<Offer, BadRequest> {
    if protocol != CONNECT_PROTOCOL {
        return Err(BadRequest::ConnectProtocol);
    }
    let web = target.scheme() == Some(&Scheme::HTTP) || target.scheme() == Some(&Scheme::HTTPS);
    if !web || !target.authority().is_some_and(|authority| is_host(authority.as_str())) {
        return Err(BadRequest::ConnectTarget);
    }
    if headers.contains_key(CONNECTION) || headers.contains_key(UPGRADE) {
        return Err(BadRequest::ConnectUpgrade);
    }
    read_version(headers)?;
    read_offer(key, headers)
}

fn read_version(headers: &HeaderMap) -> Result<(), BadRequest> {
    if only(headers, &SEC_WEBSOCKET_VERSION) == Some(VERSION) { Ok(()) } else { Err(BadRequest::Version) }
}

/// What any way to ask has in common.
fn read_offer(key: &str, headers: &HeaderMap) -> Result<Offer, BadRequest> {
    if has_body(headers) {
        return Err(BadRequest::Body);
    }
    let protocols = tokens(headers, &SEC_WEBSOCKET_PROTOCOL).map_err(|_| BadRequest::Protocol)?;
    if protocols.iter().enumerate().any(|(at, name)| protocols[..at].contains(name)) {
        return Err(BadRequest::Protocol);
    }
    let extensions = extensions(headers, &SEC_WEBSOCKET_EXTENSIONS).map_err(|_| BadRequest::Extensions)?;
    Ok(Offer { accept: accept(key), protocols, extensions })
}

/// `uri-host [ ":" port ]` (RFC 9110 7.2), which for a WebSocket can't be empty (RFC 6455 3).
fn is_host(text: &str) -> bool {
    text.parse::<Authority>().is_ok_and(|authority| !authority.host().is_empty() && !text.contains('@'))
}

/// 16 bytes in base64: 22 characters and two to fill up (RFC 4648 4). Bits of the last that matter to no byte may be
/// set: RFC 4648 3.5 leaves that to the reader, and the answer is made from the characters.
fn is_key(key: &str) -> bool {
    let is_base64 = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'+' || byte == b'/';
    key.len() == 24 && key.strip_suffix("==").is_some_and(|digits| digits.bytes().all(is_base64))
}
