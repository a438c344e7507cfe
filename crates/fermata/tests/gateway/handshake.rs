//! The WebSocket handshake: strict to both sides (RFC 6455 4.1, 4.2), and a tunnel only where both have said so.

use std::sync::Arc;

use crate::frames::{HANDSHAKE, SWITCH, close, frame, masked};
use crate::site::{Service, Site, service_yml};
use crate::support::{Fermata, Folder, free_port, trusting};
use crate::talk::{End, Talk};

/// Plays the service's part of a handshake.
pub fn switch(service: &mut Talk) {
    service.head();
    service.say(SWITCH);
}

/// The handshake with one of its headers changed (`Name: value`) or, where only its name is given, left out.
fn with(header: &str) -> String {
    let name = header.split(':').next().expect("a name");
    let mut lines: Vec<&str> = HANDSHAKE.trim_end().lines().collect();
    lines.retain(|line| !line.starts_with(&format!("{name}:")));
    lines.extend(header.contains(':').then_some(header));
    format!("{}\n\n", lines.join("\n"))
}

const SEEN: &str = "GET /chat HTTP/1.1
connection: Upgrade
forwarded: for=127.0.0.1;host=\"app\";proto=http
host: app
sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==
sec-websocket-version: 13
upgrade: websocket
x-forwarded-for: 127.0.0.1
x-forwarded-host: app
x-forwarded-proto: http
x-request-id: (fresh)";

const SWITCHED: &str = "HTTP/1.1 101 Switching Protocols
connection: Upgrade
sec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=
upgrade: websocket
x-request-id: (fresh)";

#[test]
fn a_handshake_passes_and_opens_a_tunnel() {
    let site = Site::new();
    let mut client = site.connect();
    client.say(HANDSHAKE);
    let mut service = site.service.accept();
    assert_eq!(service.head(), SEEN);
    service.say(SWITCH);
    assert_eq!(client.head(), SWITCHED);
    client.send(masked(1, "hold it"));
    assert_eq!(service.frame(), (1, b"hold it".to_vec()));
    service.send(frame(2, [0, 255]));
    assert_eq!(client.frame(), (2, vec![0, 255]));
    client.send(masked(8, close(4000, "enough")));
    assert_eq!(service.closed(), (4000, "enough".into()));
    service.send(frame(8, close(4000, "enough")));
    assert_eq!(client.closed(), (4000, "enough".into()));
    // The service ends its side first (RFC 6455 7.1.1).
    service.finish();
    assert_eq!(client.end(), End::Closed);
    drop(client);
    assert_eq!(service.end(), End::Closed);
}

#[test]
fn what_is_chosen_from_the_offers_reaches_the_client() {
    let site = Site::new();
    let mut client = site.connect();
    let offers =
        "Sec-WebSocket-Protocol: chat, mqtt\nSec-WebSocket-Extensions: permessage-deflate; client_max_window_bits, x\n";
    client.say(&HANDSHAKE.replace("Upgrade: websocket\n", &format!("{offers}UPGRADE: h2c, WebSocket\n")));
    let mut service = site.service.accept();
    let seen = service.head();
    assert!(seen.contains("\nsec-websocket-protocol: chat, mqtt\n"), "{seen}");
    assert!(seen.contains("\nsec-websocket-extensions: permessage-deflate; client_max_window_bits, x\n"), "{seen}");
    assert!(seen.contains("\nupgrade: websocket\n"), "{seen}");
    let chosen = "Sec-WebSocket-Protocol: mqtt\nSec-WebSocket-Extensions: permessage-deflate\nSet-Cookie: a=b\n\n";
    service.say(
        &SWITCH
            .replace("Connection: Upgrade", "connection: keep-alive, UPGRADE")
            .replace("\n\n", &format!("\n{chosen}")),
    );
    let expected = "HTTP/1.1 101 Switching Protocols
connection: Upgrade
sec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=
sec-websocket-extensions: permessage-deflate
sec-websocket-protocol: mqtt
set-cookie: a=b
upgrade: websocket
x-request-id: (fresh)";
    assert_eq!(client.head(), expected);
}

/// A handshake that breaks a rule is refused by the gateway itself, with words, and the connection goes on.
#[test]
fn each_rule_that_a_client_breaks_is_named() {
    let site = Site::new();
    let mut client = site.connect();
    let key = "Sec-WebSocket-Key must be there once, 16 bytes in base64";
    let version = "Sec-WebSocket-Version must be 13";
    for (request, status, problem) in [
        (HANDSHAKE.replace("GET", "PUT"), "405 Method Not Allowed", "a WebSocket handshake is a GET request"),
        (with("Connection"), "400 Bad Request", "the Connection header does not say \"upgrade\""),
        (with("Connection: keep-alive"), "400 Bad Request", "the Connection header does not say \"upgrade\""),
        (with("Sec-WebSocket-Key"), "400 Bad Request", key),
        (with("Sec-WebSocket-Key: c2hvcnQ="), "400 Bad Request", key),
        (with("Sec-WebSocket-Key: not base64"), "400 Bad Request", key),
        (with("Sec-WebSocket-Version"), "426 Upgrade Required", version),
        (with("Sec-WebSocket-Version: 8"), "426 Upgrade Required", version),
        (with("Sec-WebSocket-Version: 13, 8"), "426 Upgrade Required", version),
        (
            with("Sec-WebSocket-Protocol: chat, chat"),
            "400 Bad Request",
            "Sec-WebSocket-Protocol must list names, each once",
        ),
    ] {
        client.say(&request);
        let response = client.response();
        let words = format!(
            "{status}\n\nThis WebSocket handshake is not valid: {problem}.\nRFC 6455, section 4.1, has the rules.\n"
        );
        assert_eq!(response.body, words, "{request}");
        if status.starts_with("426") {
            let head = "HTTP/1.1 426 Upgrade Required\ncache-control: no-store\nconnection: upgrade\ncontent-length: 133\n\
                        content-type: text/plain; charset=utf-8\nsec-websocket-version: 13\nupgrade: websocket\n\
                        x-request-id: (fresh)";
            assert_eq!(response.head, head);
        }
    }
    // The same connection may try again, and rightly now.
    client.say(HANDSHAKE);
    switch(&mut site.service.accept());
    assert_eq!(client.head(), SWITCHED);
}

#[test]
fn a_handshake_of_http_1_0_or_with_a_body_is_refused() {
    let site = Site::new();
    let refused = |request: &str| {
        let mut client = site.connect();
        client.say(request);
        client.response().body
    };
    let words = |problem| {
        format!(
            "400 Bad Request\n\nThis WebSocket handshake is not valid: {problem}.\nRFC 6455, section 4.1, has the rules.\n"
        )
    };
    assert_eq!(refused(&HANDSHAKE.replace("1.1", "1.0")), words("a WebSocket handshake needs HTTP/1.1"));
    let body = words("a WebSocket handshake has no body");
    assert_eq!(refused(&format!("{}hello", with("Content-Length: 5"))), body);
    assert_eq!(refused(&format!("{}5\nhello\n0\n\n", with("Transfer-Encoding: chunked"))), body);
}

#[test]
fn nothing_can_be_smuggled_behind_a_refused_handshake() {
    let site = Site::new();
    let mut client = site.connect();
    // Who takes the first for a handshake that was accepted would take the second for frames.
    client.say(&with("Sec-WebSocket-Version: 7").replace("\n\n", "\n\nGET /second HTTP/1.1\nHost: app\n\n"));
    assert!(client.response().head.starts_with("HTTP/1.1 426 Upgrade Required\n"));
    let mut service = site.service.accept();
    assert!(service.head().starts_with("GET /second HTTP/1.1\n"));
    service.say("HTTP/1.1 204 No Content\n\n");
    assert!(client.response().head.starts_with("HTTP/1.1 204 No Content\n"));
}

#[test]
fn what_hides_in_the_body_of_a_refused_handshake_is_no_request() {
    let site = Site::new();
    let mut client = site.connect();
    let hidden = "GET /hidden HTTP/1.1\r\nHost: app\r\n\r\n";
    client.say(&with(&format!("Content-Length: {}", hidden.len())));
    client.send(hidden);
    assert!(client.response().head.starts_with("HTTP/1.1 400 Bad Request\n"));
    client.say("GET /open HTTP/1.1\nHost: app\n\n");
    let mut service = site.service.accept();
    assert!(service.head().starts_with("GET /open HTTP/1.1\n"));
}

#[test]
fn any_other_upgrade_is_an_ordinary_request() {
    let site = Site::new();
    let mut client = site.connect();
    for upgrade in ["h2c", "TLS/1.0", "websocket2", "web socket"] {
        client.say(&format!(
            "GET / HTTP/1.1\nHost: app\nUpgrade: {upgrade}\nConnection: Upgrade, HTTP2-Settings\nHTTP2-Settings: AAMAAABkAAQAAP__\n\n"
        ));
    }
    let mut service = site.service.accept();
    for _ in 0..4 {
        let expected = "GET / HTTP/1.1
forwarded: for=127.0.0.1;host=\"app\";proto=http
host: app
x-forwarded-for: 127.0.0.1
x-forwarded-host: app
x-forwarded-proto: http
x-request-id: (fresh)";
        assert_eq!(service.head(), expected);
        service.say("HTTP/1.1 200 OK\nContent-Length: 2\n\nok");
        assert_eq!(client.response().body, "ok");
    }
}

#[test]
fn a_service_that_switches_protocols_unasked_is_refused() {
    let site = Site::new();
    let mut client = site.connect();
    client.say("GET / HTTP/1.1\nHost: app\nConnection: Upgrade\nUpgrade: h2c\n\n");
    let mut service = site.service.accept();
    service.head();
    service.say("HTTP/1.1 101 Switching Protocols\nConnection: Upgrade\nUpgrade: h2c\n\n");
    let words = "502 Bad Gateway\n\nThe answer of the service \"app\" cannot be used: it switches protocols, which nobody asked \
                 for.\nLook at its log; does it speak HTTP/1.1 on this port?\n";
    assert_eq!(client.response().body, words);
    assert_ne!(service.try_end(), None);
}

/// A 101 that breaks a rule opens nothing: the client gets a real status, and the service its connection back.
#[test]
fn each_rule_that_a_service_breaks_is_named_and_opens_no_tunnel() {
    let site = Site::new();
    let upgrade = "its 101 does not say \"Upgrade: websocket\"";
    for (answer, problem) in [
        (SWITCH.replace("Upgrade: websocket\n", ""), upgrade),
        (SWITCH.replace("websocket", "h2c"), upgrade),
        (SWITCH.replace("websocket", "websocket, h2c"), upgrade),
        (SWITCH.replace("Connection: Upgrade\n", ""), "its 101 does not say \"Connection: Upgrade\""),
        (SWITCH.replace("s3pP", "AAAA"), "its Sec-WebSocket-Accept does not belong to the key that was sent"),
        (
            SWITCH.replace("Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\n", ""),
            "its Sec-WebSocket-Accept does not belong to the key that was sent",
        ),
        (SWITCH.replace("\n\n", "\nSec-WebSocket-Protocol: soap\n\n"), "it chose a subprotocol that was not offered"),
        (
            SWITCH.replace("\n\n", "\nSec-WebSocket-Extensions: x-shout\n\n"),
            "it chose an extension that was not offered",
        ),
        (SWITCH.replace("\n\n", "\nTransfer-Encoding: chunked\n\n"), "its answer announces a body"),
    ] {
        let mut client = site.connect();
        client.say(&with("Sec-WebSocket-Protocol: chat"));
        let mut service = site.service.accept();
        service.head();
        service.say(&answer);
        let words = format!(
            "502 Bad Gateway\n\nThe service \"app\" did not accept the WebSocket properly: {problem}.\n\
             Its answer breaks RFC 6455, section 4.1; check its WebSocket library.\n"
        );
        assert_eq!(client.response().body, words);
        assert_ne!(service.try_end(), None, "{problem}");
    }
}

#[test]
fn an_answer_that_is_no_101_is_passed_on() {
    let site = Site::new();
    let mut client = site.connect();
    for (status, header, body) in [
        ("401 Unauthorized", "www-authenticate: Bearer", "who are you"),
        ("404 Not Found", "vary: origin", "no such room"),
        ("426 Upgrade Required", "sec-websocket-version: 13", "newer, please"),
        ("200 OK", "server: none", "no tunnel here"),
    ] {
        client.say(HANDSHAKE);
        let mut service = site.service.accept();
        service.head();
        service
            .say(&format!("HTTP/1.1 {status}\n{header}\nConnection: close\nContent-Length: {}\n\n{body}", body.len()));
        let response = client.response();
        let head = format!("HTTP/1.1 {status}\ncontent-length: {}\n{header}\nx-request-id: (fresh)", body.len());
        let mut lines: Vec<&str> = head.lines().skip(1).collect();
        lines.sort_unstable();
        assert_eq!(response.head, format!("HTTP/1.1 {status}\n{}", lines.join("\n")));
        assert_eq!(response.body, body);
    }
}

#[test]
fn a_service_may_speak_in_the_packet_of_its_101() {
    let site = Site::new();
    let mut client = site.connect();
    client.say(HANDSHAKE);
    let mut service = site.service.accept();
    service.head();
    service.send([crate::talk::crlf(SWITCH).into_bytes(), frame(1, "welcome")].concat());
    assert_eq!(client.head(), SWITCHED);
    assert_eq!(client.frame(), (1, b"welcome".to_vec()));
}

#[test]
fn a_client_may_speak_in_the_packet_of_its_handshake() {
    let site = Site::new();
    let mut client = site.connect();
    let long = vec![b'x'; 40_000];
    client.send([crate::talk::crlf(HANDSHAKE).into_bytes(), masked(1, "hello"), masked(2, &long)].concat());
    let mut service = site.service.accept();
    switch(&mut service);
    assert_eq!(client.head(), SWITCHED);
    assert_eq!(service.frame(), (1, b"hello".to_vec()));
    assert_eq!(service.frame(), (2, long));
}

#[test]
fn a_connection_may_become_a_tunnel_at_its_second_request() {
    let site = Site::new();
    let mut client = site.connect();
    client.say("GET /page HTTP/1.1\nHost: app\n\n");
    let mut page = site.service.accept();
    page.head();
    page.say("HTTP/1.1 200 OK\nContent-Length: 4\n\npage");
    assert_eq!(client.response().body, "page");
    client.say(HANDSHAKE);
    let mut service = site.service.accept();
    assert_eq!(service.head(), SEEN);
    service.say(SWITCH);
    assert_eq!(client.head(), SWITCHED);
    client.send(masked(1, "hold it"));
    assert_eq!(service.frame(), (1, b"hold it".to_vec()));
}

#[test]
fn a_client_that_leaves_during_the_handshake_leaves_nothing_behind() {
    let site = Site::new();
    let mut client = site.connect();
    client.say(HANDSHAKE);
    let mut service = site.service.accept();
    service.head();
    drop(client);
    assert_ne!(service.try_end(), None);
}

#[test]
fn a_handshake_passes_through_tls() {
    let (service, https) = (Service::new(), free_port());
    let yml = service_yml(service.port, &format!("https: {https}"), "", "");
    let folder = Folder::new(&format!("{yml}tls:\n  certificates: [{{cert: app.pem, key: app.key}}]\n"));
    let certificate = folder.write_certificate("app", &["app.test"]);
    let _fermata: Fermata = folder.up();
    let mut client = Talk::to(https).tls(&Arc::clone(&trusting(&certificate)), "app.test");
    client.send([crate::talk::crlf(HANDSHAKE).into_bytes(), masked(1, "hello")].concat());
    let mut far = service.accept();
    assert_eq!(far.head(), SEEN.replace("proto=http", "proto=https").replace("proto: http", "proto: https"));
    far.send([crate::talk::crlf(SWITCH).into_bytes(), frame(1, "welcome")].concat());
    assert_eq!(client.head(), SWITCHED);
    assert_eq!(client.frame(), (1, b"welcome".to_vec()));
    assert_eq!(far.frame(), (1, b"hello".to_vec()));
}
