//! What a service answers.

use std::fmt;

use http::header::{
    CONNECTION, HeaderMap, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_EXTENSIONS, SEC_WEBSOCKET_PROTOCOL, UPGRADE,
};

use super::lists::{extensions, lists, only};
use super::{Offer, has_body};
use crate::relay::Frames;

/// What a service's valid answer has chosen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chosen {
    /// The subprotocol, if any.
    pub protocol: Option<String>,
    /// What its extensions allow in frames.
    pub frames: Frames,
}

/// Why a service's 101, or its 2xx to an extended CONNECT, is no valid answer.
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
            BadAnswer::Body => "its answer announces a body",
        })
    }
}

/// Judges a service's 101 (RFC 6455 4.1, second list).
pub fn read_answer(offer: &Offer, headers: &HeaderMap) -> Result<Chosen, BadAnswer> {
    if !only(headers, &UPGRADE).is_some_and(|token| token.eq_ignore_ascii_case("websocket")) {
        return Err(BadAnswer::Upgrade);
    }
    if !lists(headers, &CONNECTION, "upgrade") {
        return Err(BadAnswer::Connection);
    }
    if only(headers, &SEC_WEBSOCKET_ACCEPT) != Some(&offer.accept) {
        return Err(BadAnswer::Accept);
    }
    read_chosen(offer, headers)
}

/// Judges a service's 2xx to an extended CONNECT (RFC 8441 5), which has no accept, as there was no key.
pub fn read_connect_answer(offer: &Offer, headers: &HeaderMap) -> Result<Chosen, BadAnswer> {
    read_chosen(offer, headers)
}

fn read_chosen(offer: &Offer, headers: &HeaderMap) -> Result<Chosen, BadAnswer> {
    if has_body(headers) {
        return Err(BadAnswer::Body);
    }
    let chosen = extensions(headers, &SEC_WEBSOCKET_EXTENSIONS).map_err(|_| BadAnswer::Extension)?;
    if chosen.iter().any(|name| !offer.extensions.contains(name)) {
        return Err(BadAnswer::Extension);
    }
    Ok(Chosen { protocol: read_protocol(offer, headers)?, frames: frames(&chosen) })
}

/// One of those that were offered, in the same case; RFC 6455 11.3.4 lets it stand once.
fn read_protocol(offer: &Offer, headers: &HeaderMap) -> Result<Option<String>, BadAnswer> {
    if !headers.contains_key(SEC_WEBSOCKET_PROTOCOL) {
        return Ok(None);
    }
    let chosen = only(headers, &SEC_WEBSOCKET_PROTOCOL).ok_or(BadAnswer::Protocol)?;
    let offered = offer.protocols.iter().find(|offered| *offered == chosen);
    offered.cloned().map(Some).ok_or(BadAnswer::Protocol)
}

fn frames(extensions: &[String]) -> Frames {
    match extensions {
        [] => Frames::Plain,
        [one] if one == "permessage-deflate" => Frames::Deflate,
        _ => Frames::Extended,
    }
}
