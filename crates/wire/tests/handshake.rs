//! Each rule of the opening handshake, kept and broken.

use fermata_wire::Frames;
use fermata_wire::handshake::{
    BadAnswer, BadRequest, CONNECT_PROTOCOL, Chosen, Offer, accept, asks, key, read_answer, read_connect,
    read_connect_answer, read_request,
};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri, Version};

/// RFC 6455 1.2's own example.
const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";
const ACCEPT: &str = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

type Lines<'a> = Vec<(&'a str, &'a [u8])>;

fn headers(lines: &[(&str, &[u8])]) -> HeaderMap {
    lines
        .iter()
        .map(|(name, value)| (name.parse::<HeaderName>().unwrap(), HeaderValue::from_bytes(value).unwrap()))
        .collect()
}

fn request<'a>() -> Lines<'a> {
    vec![
        ("host", b"server.example.com"),
        ("upgrade", b"websocket"),
        ("connection", b"Upgrade"),
        ("sec-websocket-key", KEY.as_bytes()),
        ("sec-websocket-version", b"13"),
    ]
}

/// The same head with `name` in these lines and no others.
fn with<'a>(mut head: Lines<'a>, name: &'a str, values: &[&'a [u8]]) -> Lines<'a> {
    head.retain(|(known, _)| *known != name);
    head.extend(values.iter().map(|value| (name, *value)));
    head
}

fn judge(name: &str, values: &[&[u8]]) -> Result<Offer, BadRequest> {
    read_request(&Method::GET, Version::HTTP_11, &headers(&with(request(), name, values)))
}

#[test]
fn the_example_of_the_rfc_gets_its_accept() {
    let expected = Offer { accept: ACCEPT.into(), protocols: vec![], extensions: vec![] };
    assert_eq!(read_request(&Method::GET, Version::HTTP_11, &headers(&request())), Ok(expected));
}

#[test]
fn what_the_rfc_allows_is_taken() {
    let cases: &[(&str, &[&[u8]])] = &[
        ("connection", &[b"keep-alive, UPGRADE"]),
        ("connection", &[b"keep-alive", b"upgrade"]),
        ("connection", &[b"\xff", b",, upgrade ,"]),
        ("host", &[b"a_b:8080"]),
        ("host", &[b"[::1]:8080"]),
        ("host", &[b"192.0.2.1"]),
        ("sec-websocket-key", &[b"\tdGhlIHNhbXBsZSBub25jZQ== "]),
        ("sec-websocket-key", &[b"AAAAAAAAAAAAAAAAAAAAAB=="]),
        ("sec-websocket-key", &[b"++++++++++++++++//////=="]),
        ("sec-websocket-version", &[b" 13\t"]),
        ("content-length", &[b"0"]),
        ("sec-websocket-protocol", &[b"a, A"]),
        ("sec-websocket-protocol", &[b"", b"a"]),
        ("sec-websocket-extensions", &[b"a; b=1, a; b=2", b"c; d=\"e\""]),
        ("cookie", &[b"\xff"]),
        ("x-unknown", &[b"anything"]),
    ];
    for (name, values) in cases {
        assert!(judge(name, values).is_ok(), "{name}: {values:?}");
    }
}

#[test]
fn each_broken_rule_of_a_request_has_its_name() {
    let cases: &[(&str, &[&[u8]], BadRequest)] = &[
        ("host", &[], BadRequest::Host),
        ("host", &[b""], BadRequest::Host),
        ("host", &[b"a", b"b"], BadRequest::Host),
        ("host", &[b"a", b"a"], BadRequest::Host),
        ("host", &[b"a, b"], BadRequest::Host),
        ("host", &[b"a/b"], BadRequest::Host),
        ("host", &[b"user@a"], BadRequest::Host),
        ("host", &[b":80"], BadRequest::Host),
        ("host", &[b"m\xc3\xbcnchen"], BadRequest::Host),
        ("connection", &[], BadRequest::Connection),
        ("connection", &[b"keep-alive"], BadRequest::Connection),
        ("connection", &[b"upgrades"], BadRequest::Connection),
        ("connection", &[b"up grade"], BadRequest::Connection),
        ("connection", &[b"upgrade;q=1"], BadRequest::Connection),
        ("sec-websocket-version", &[], BadRequest::Version),
        ("sec-websocket-version", &[b"8"], BadRequest::Version),
        ("sec-websocket-version", &[b"013"], BadRequest::Version),
        ("sec-websocket-version", &[b"13, 8"], BadRequest::Version),
        ("sec-websocket-version", &[b"13", b"13"], BadRequest::Version),
        ("sec-websocket-key", &[], BadRequest::Key),
        ("sec-websocket-key", &[b""], BadRequest::Key),
        ("sec-websocket-key", &[KEY.as_bytes(), KEY.as_bytes()], BadRequest::Key),
        ("sec-websocket-key", &[b"c2hvcnQ="], BadRequest::Key),
        ("sec-websocket-key", &[b"dGhlIHNhbXBsZSBub25jZQ"], BadRequest::Key),
        ("sec-websocket-key", &[b"dGhlIHNhbXBsZSBub2=="], BadRequest::Key),
        ("sec-websocket-key", &[b"dGhlIHNhbXBsZSBub25jZXNzAA=="], BadRequest::Key),
        ("sec-websocket-key", &[b"dGhlIHNhbXBsZSBub25jZTEy"], BadRequest::Key),
        ("sec-websocket-key", &[b"dGhlIHNhbXBsZSBub25jZTE="], BadRequest::Key),
        ("sec-websocket-key", &[b"dGhlIHNhbXBsZSBub2 5jZQ=="], BadRequest::Key),
        ("sec-websocket-key", &[b"dGhlIHNhbXBsZSBub25j_Q=="], BadRequest::Key),
        ("sec-websocket-key", &[b"dGhlIHNhbXBsZSBub25jZ==="], BadRequest::Key),
        ("sec-websocket-key", &[b"dGhlIHNhbXBsZSBub25j\xc3\xbc=="], BadRequest::Key),
        ("content-length", &[b"5"], BadRequest::Body),
        ("content-length", &[b"0", b"5"], BadRequest::Body),
        ("transfer-encoding", &[b"chunked"], BadRequest::Body),
        ("sec-websocket-protocol", &[b""], BadRequest::Protocol),
        ("sec-websocket-protocol", &[b" , "], BadRequest::Protocol),
        ("sec-websocket-protocol", &[b"chat, chat"], BadRequest::Protocol),
        ("sec-websocket-protocol", &[b"chat", b"chat"], BadRequest::Protocol),
        ("sec-websocket-protocol", &[b"a b"], BadRequest::Protocol),
        ("sec-websocket-protocol", &[b"a", b"\xff"], BadRequest::Protocol),
        ("sec-websocket-extensions", &[b""], BadRequest::Extensions),
        ("sec-websocket-extensions", &[b"a b; c"], BadRequest::Extensions),
        ("sec-websocket-extensions", &[b"a; b=\"c, d\""], BadRequest::Extensions),
        ("sec-websocket-extensions", &[b"a", b"b; \xff"], BadRequest::Extensions),
    ];
    for (name, values, expected) in cases {
        assert_eq!(judge(name, values), Err(*expected), "{name}: {values:?}");
    }
    let map = headers(&request());
    assert_eq!(read_request(&Method::POST, Version::HTTP_11, &map), Err(BadRequest::Method));
    assert_eq!(read_request(&Method::GET, Version::HTTP_10, &map), Err(BadRequest::HttpVersion));
    assert_eq!(read_request(&Method::GET, Version::HTTP_2, &map), Err(BadRequest::HttpVersion));
}

#[test]
fn a_refusal_has_the_status_that_the_rfcs_name() {
    assert_eq!(BadRequest::Version.status(), StatusCode::UPGRADE_REQUIRED);
    assert_eq!(BadRequest::Method.status(), StatusCode::METHOD_NOT_ALLOWED);
    assert_eq!(BadRequest::ConnectProtocol.status(), StatusCode::NOT_IMPLEMENTED);
    assert_eq!(BadRequest::Key.status(), StatusCode::BAD_REQUEST);
}

#[test]
fn only_websocket_is_an_upgrade_that_is_asked_for() {
    let upgrade = |values: &[&'static [u8]]| asks(&headers(&with(vec![], "upgrade", values)));
    assert!(upgrade(&[b"h2c, WebSocket"]));
    assert!(upgrade(&[b"h2c", b"websocket"]));
    assert!(!upgrade(&[b"h2c"]));
    assert!(!upgrade(&[b"websocket/13"]));
    assert!(!upgrade(&[b"web socket"]));
    assert!(!upgrade(&[]));
    assert!(!asks(&headers(&[("connection", b"upgrade")])));
}

#[test]
fn offers_are_read_from_every_line_in_their_order() {
    let mut lines = request();
    lines.extend([
        ("sec-websocket-protocol", &b"superchat, chat"[..]),
        ("sec-websocket-protocol", b"mqtt"),
        ("sec-websocket-extensions", b"permessage-deflate; client_max_window_bits=10, Permessage-Deflate"),
        ("sec-websocket-extensions", b"x"),
    ]);
    let offer = read_request(&Method::GET, Version::HTTP_11, &headers(&lines)).expect("valid");
    assert_eq!(offer.protocols, ["superchat", "chat", "mqtt"]);
    assert_eq!(offer.extensions, ["permessage-deflate", "permessage-deflate", "x"]);
}

fn offer() -> Offer {
    let names = |names: &[&str]| names.iter().map(ToString::to_string).collect();
    Offer {
        accept: ACCEPT.into(),
        protocols: names(&["chat", "mqtt"]),
        extensions: names(&["permessage-deflate", "x"]),
    }
}

fn answer(name: &str, values: &[&[u8]]) -> Result<Chosen, BadAnswer> {
    let good: Lines =
        vec![("upgrade", b"WebSocket"), ("connection", b"upgrade"), ("sec-websocket-accept", ACCEPT.as_bytes())];
    read_answer(&offer(), &headers(&with(good, name, values)))
}

#[test]
fn an_answer_may_choose_from_what_was_offered() {
    let chosen = |protocol: Option<&str>, frames| Ok(Chosen { protocol: protocol.map(str::to_owned), frames });
    assert_eq!(answer("server", &[b"any"]), chosen(None, Frames::Plain));
    assert_eq!(answer("connection", &[b"keep-alive, Upgrade"]), chosen(None, Frames::Plain));
    assert_eq!(answer("sec-websocket-accept", &[&[b" ", ACCEPT.as_bytes()].concat()]), chosen(None, Frames::Plain));
    assert_eq!(answer("content-length", &[b"0"]), chosen(None, Frames::Plain));
    assert_eq!(answer("sec-websocket-protocol", &[b"mqtt"]), chosen(Some("mqtt"), Frames::Plain));
    let deflate: &[u8] = b"permessage-deflate; server_max_window_bits=\"10\"";
    assert_eq!(answer("sec-websocket-extensions", &[deflate]), chosen(None, Frames::Deflate));
    assert_eq!(answer("sec-websocket-extensions", &[deflate, b"x"]), chosen(None, Frames::Extended));
    assert_eq!(answer("sec-websocket-extensions", &[b"x"]), chosen(None, Frames::Extended));
}

#[test]
fn each_broken_rule_of_an_answer_has_its_name() {
    let cases: &[(&str, &[&[u8]], BadAnswer)] = &[
        ("upgrade", &[], BadAnswer::Upgrade),
        ("upgrade", &[b"h2c"], BadAnswer::Upgrade),
        ("upgrade", &[b"websocket, h2c"], BadAnswer::Upgrade),
        ("upgrade", &[b"websocket", b"websocket"], BadAnswer::Upgrade),
        ("connection", &[], BadAnswer::Connection),
        ("connection", &[b"close"], BadAnswer::Connection),
        ("sec-websocket-accept", &[], BadAnswer::Accept),
        ("sec-websocket-accept", &[b"AAAA"], BadAnswer::Accept),
        ("sec-websocket-accept", &[b"S3PPLMBITXAQ9KYGZZHZRBK+XOO="], BadAnswer::Accept),
        ("sec-websocket-accept", &[ACCEPT.as_bytes(), ACCEPT.as_bytes()], BadAnswer::Accept),
        ("sec-websocket-protocol", &[b""], BadAnswer::Protocol),
        ("sec-websocket-protocol", &[b"other"], BadAnswer::Protocol),
        ("sec-websocket-protocol", &[b"Chat"], BadAnswer::Protocol),
        ("sec-websocket-protocol", &[b"chat, mqtt"], BadAnswer::Protocol),
        ("sec-websocket-protocol", &[b"chat", b"mqtt"], BadAnswer::Protocol),
        ("sec-websocket-protocol", &[b"chat\xff"], BadAnswer::Protocol),
        ("sec-websocket-extensions", &[b""], BadAnswer::Extension),
        ("sec-websocket-extensions", &[b"x-webkit"], BadAnswer::Extension),
        ("sec-websocket-extensions", &[b"x, y"], BadAnswer::Extension),
        ("sec-websocket-extensions", &[b"x; y=\"1"], BadAnswer::Extension),
        ("transfer-encoding", &[b"chunked"], BadAnswer::Body),
        ("content-length", &[b"0", b"7"], BadAnswer::Body),
    ];
    for (name, values, expected) in cases {
        assert_eq!(answer(name, values), Err(*expected), "{name}: {values:?}");
    }
}

#[test]
fn an_extended_connect_is_judged_without_a_key_of_its_own() {
    let target = Uri::from_static("https://server.example.com/chat");
    let head: Lines = vec![
        ("sec-websocket-version", b"13"),
        ("sec-websocket-protocol", b"chat, mqtt"),
        ("sec-websocket-extensions", b"permessage-deflate, x"),
        ("origin", b"https://server.example.com"),
    ];
    let connect = |name, values: &[&'static [u8]]| {
        read_connect(CONNECT_PROTOCOL, &target, &headers(&with(head.clone(), name, values)), KEY)
    };
    assert_eq!(connect("cookie", &[]), Ok(offer()));
    assert_eq!(connect("connection", &[b"Upgrade"]), Err(BadRequest::ConnectUpgrade));
    assert_eq!(connect("upgrade", &[b"websocket"]), Err(BadRequest::ConnectUpgrade));
    assert_eq!(connect("sec-websocket-version", &[]), Err(BadRequest::Version));
    assert_eq!(connect("sec-websocket-protocol", &[b"a, a"]), Err(BadRequest::Protocol));
    assert_eq!(connect("sec-websocket-extensions", &[b";"]), Err(BadRequest::Extensions));
    assert_eq!(connect("content-length", &[b"5"]), Err(BadRequest::Body));

    let map = headers(&head);
    assert_eq!(read_connect("connect-udp", &target, &map, KEY), Err(BadRequest::ConnectProtocol));
    for target in ["/chat", "server.example.com:443", "ftp://server.example.com/", "https://user@server.example.com/"] {
        assert_eq!(
            read_connect(CONNECT_PROTOCOL, &target.parse().unwrap(), &map, KEY),
            Err(BadRequest::ConnectTarget),
            "{target}"
        );
    }
}

#[test]
fn an_answer_to_an_extended_connect_needs_no_accept() {
    let answer = |lines: &[(&str, &[u8])]| read_connect_answer(&offer(), &headers(lines));
    let chosen = Chosen { protocol: Some("chat".into()), frames: Frames::Deflate };
    let lines: Lines = vec![("sec-websocket-protocol", b"chat"), ("sec-websocket-extensions", b"permessage-deflate")];
    assert_eq!(answer(&lines), Ok(chosen));
    assert_eq!(answer(&[]), Ok(Chosen { protocol: None, frames: Frames::Plain }));
    assert_eq!(answer(&[("sec-websocket-protocol", b"other")]), Err(BadAnswer::Protocol));
    assert_eq!(answer(&[("sec-websocket-extensions", b"other")]), Err(BadAnswer::Extension));
    assert_eq!(answer(&[("content-length", b"1")]), Err(BadAnswer::Body));
}

#[test]
fn a_key_of_our_own_is_one_that_is_taken() {
    let key = key(*b"the sample nonce");
    assert_eq!(key, KEY);
    assert_eq!(accept(&key), ACCEPT);
    assert!(judge("sec-websocket-key", &[key.as_bytes()]).is_ok());
}
