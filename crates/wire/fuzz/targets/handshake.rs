//! Any head: nobody panics, and what is understood can be written down and is understood again.
//!
//! An input is lines of `name: value`, names being single letters of [`NAMES`] or written out.
#![no_main]

use fermata_wire::handshake::{
    CONNECT_PROTOCOL, Offer, accept, asks, read_answer, read_connect, read_connect_answer, read_request,
};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Uri, Version};
use libfuzzer_sys::fuzz_target;

/// A line that begins with one of these letters is about this header.
const NAMES: [(u8, &str); 8] = [
    (b'h', "host"),
    (b'u', "upgrade"),
    (b'c', "connection"),
    (b'k', "sec-websocket-key"),
    (b'v', "sec-websocket-version"),
    (b'p', "sec-websocket-protocol"),
    (b'e', "sec-websocket-extensions"),
    (b'a', "sec-websocket-accept"),
];

fuzz_target!(|input: &[u8]| {
    let headers: HeaderMap = input.split(|byte| *byte == b'\n').filter_map(line).collect();
    asks(&headers);
    if let Ok(offer) = read_request(&Method::GET, Version::HTTP_11, &headers) {
        check(&offer);
        answer(&offer, &headers);
    }
    let target = Uri::from_static("https://example.com/");
    if let Ok(offer) = read_connect(CONNECT_PROTOCOL, &target, &headers, "any") {
        assert_eq!(offer.accept, accept("any"));
        check(&offer);
        answer(&offer, &headers);
    }
});

fn line(line: &[u8]) -> Option<(HeaderName, HeaderValue)> {
    let colon = line.iter().position(|byte| *byte == b':')?;
    let (name, value) = (&line[..colon], &line[colon + 1..]);
    let known = NAMES.iter().find(|(letter, _)| name == [*letter]);
    let name = known.map_or(name, |(_, name)| name.as_bytes());
    Some((HeaderName::from_bytes(name).ok()?, HeaderValue::from_bytes(value).ok()?))
}

/// What is offered, written down, is the same offer.
fn check(offer: &Offer) {
    assert_eq!(offer.accept.len(), 28);
    let mut again: HeaderMap = [("sec-websocket-version", "13")]
        .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)))
        .into_iter()
        .collect();
    for (name, list) in [("sec-websocket-protocol", &offer.protocols), ("sec-websocket-extensions", &offer.extensions)]
    {
        for token in list {
            assert!(!token.is_empty() && !token.contains([' ', '\t', ',', ';', '=', '"']), "{token:?}");
        }
        if !list.is_empty() {
            again.insert(name, list.join(", ").parse().expect("tokens"));
        }
    }
    let target = Uri::from_static("https://example.com/");
    let read = read_connect(CONNECT_PROTOCOL, &target, &again, "any").expect("it was read before");
    assert_eq!((&read.protocols, &read.extensions), (&offer.protocols, &offer.extensions));
}

/// The same head as an answer chooses nothing that isn't in it.
fn answer(offer: &Offer, headers: &HeaderMap) {
    for chosen in [read_answer(offer, headers), read_connect_answer(offer, headers)].into_iter().flatten() {
        assert!(chosen.protocol.is_none_or(|protocol| offer.protocols == [protocol]));
    }
}
