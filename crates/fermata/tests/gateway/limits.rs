//! Limits: of the gateway, of a service, of an address, of a message, of a page's origin.

use crate::frames::{HANDSHAKE, SWITCH, close, frame, masked};
use crate::site::Site;
use crate::support::until;
use crate::talk::{End, Talk};

/// A tunnel: the client's end and the service's.
fn open(site: &Site, client: Talk) -> (Talk, Talk) {
    try_open(site, client).unwrap_or_else(|refusal| panic!("{refusal}"))
}

fn try_open(site: &Site, mut client: Talk) -> Result<(Talk, Talk), String> {
    client.say(HANDSHAKE);
    // Whoever is refused is told so before the service is asked.
    let Some(mut service) = site.service.accept_before(&client) else { return Err(client.response().body) };
    service.head();
    service.say(SWITCH);
    let head = client.head();
    assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
    Ok((client, service))
}

/// Opens a tunnel as soon as there is a place: the end of another is seen at its own time.
fn open_at_last(site: &Site) -> (Talk, Talk) {
    std::iter::repeat_with(|| try_open(site, site.connect())).find_map(Result::ok).expect("there is a place at last")
}

fn refused(mut client: Talk, request: &str) -> String {
    client.say(request);
    let response = client.response();
    if response.head.starts_with("HTTP/1.1 503") || response.head.starts_with("HTTP/1.1 429") {
        assert!(response.head.contains("\nretry-after: "), "{}", response.head);
    }
    response.body
}

#[test]
fn pages_of_other_origins_may_not_open_tunnels() {
    let site = Site::with("websocket: {origins: [\"https://app.test\", \"https://*.any.test\"]}", "");
    let from = |origin: &str| HANDSHAKE.replace("Upgrade: websocket", &format!("Upgrade: websocket\nOrigin: {origin}"));
    for origin in ["http://app.test", "https://app.test:8443", "https://any.test", "https://any.test.evil", "null"] {
        let words = format!(
            "403 Forbidden\n\nThe service \"app\" takes no WebSocket from pages of {origin}.\n\
             Add the origin to websocket.origins of the service in service.yml.\n"
        );
        assert_eq!(refused(site.connect(), &from(origin)), words);
    }
    for good in [from("https://app.test"), from("https://APP.test"), from("https://a.any.test"), HANDSHAKE.to_owned()] {
        let mut client = site.connect();
        client.say(&good);
        let mut service = site.service.accept();
        service.head();
        service.say(SWITCH);
        assert!(client.head().starts_with("HTTP/1.1 101 "));
    }
    // Only tunnels: an ordinary request is the service's own affair.
    let mut client = site.connect();
    client.say("GET / HTTP/1.1\nHost: app\nOrigin: https://evil.test\n\n");
    assert!(site.service.accept().head().contains("\norigin: https://evil.test\n"));
}

#[test]
fn a_service_has_as_many_tunnels_as_it_takes() {
    let site = Site::with("websocket: {max_connections: 2}", "");
    let (first, _second) = (open(&site, site.connect()), open(&site, site.connect()));
    let words =
        "503 Service Unavailable\n\nThe service \"app\" has as many connections as it takes.\nTry again later.\n";
    assert_eq!(refused(site.connect(), HANDSHAKE), words);
    drop(first);
    let _third = open_at_last(&site);
    assert_eq!(refused(site.connect(), HANDSHAKE), words);
}

#[test]
fn an_address_has_as_many_tunnels_as_one_may() {
    let site = Site::with("websocket: {max_connections_per_ip: 1}", "");
    let first = open(&site, site.connect());
    let words = "429 Too Many Requests\n\nYour address has as many connections to the service \"app\" as it may.\n\
                 Close some; websocket.max_connections_per_ip in service.yml is the limit.\n";
    assert_eq!(refused(site.connect(), HANDSHAKE), words);
    let _other = open(&site, site.connect_from([127, 0, 0, 2]));
    drop(first);
    let _again = open_at_last(&site);
}

#[test]
fn handshakes_beyond_the_rate_wait_and_beyond_that_are_told_to_come_back() {
    let site = Site::with("websocket: {max_handshake_rate: 1/s}", "");
    let mut clients: Vec<Talk> = (0..8).map(|_| site.connect()).collect();
    for client in &mut clients {
        client.say(HANDSHAKE);
    }
    // One at once, five that wait for one to five seconds, and two for whom that would be too long.
    let told = |line: &String| line.contains("More handshakes come to the service");
    assert!(site.fermata.process.stderr.wait_until(|lines| lines.iter().filter(|line| told(line)).count() == 2));
    // The service has answered nobody: whoever has an answer was refused.
    let mut refused: Vec<&mut Talk> = clients.iter_mut().filter(|client| client.has_answer()).collect();
    let response = refused[0].response();
    assert!(response.head.contains("\nretry-after: "), "{}", response.head);
    assert_eq!(
        response.body,
        "503 Service Unavailable\n\nMore handshakes come to the service \"app\" than it takes.\n\
         Come back after the time in Retry-After; websocket.max_handshake_rate in service.yml is the limit.\n"
    );
    for _ in 0..2 {
        let mut service = site.service.accept();
        service.head();
        service.say(SWITCH);
    }
    until("two have their tunnels", || clients.iter().filter(|client| client.has_answer()).count() >= 3);
}

#[test]
fn a_handshake_that_comes_to_nothing_takes_no_place() {
    let site = Site::with("websocket: {max_connections: 1}", "max_connections: 1");
    for _ in 0..3 {
        let mut client = site.connect();
        client.say(HANDSHAKE);
        let mut service = site.service.accept();
        service.head();
        service.say("HTTP/1.1 401 Unauthorized\nContent-Length: 2\n\nno");
        assert_eq!(client.response().body, "no");
    }
    let _tunnel = open(&site, site.connect());
}

#[test]
fn the_gateway_counts_tunnels_and_requests_together() {
    let site = Site::with("", "max_connections: 2");
    let words = "503 Service Unavailable\n\nThis gateway has as many connections as it takes.\nTry again later.\n";
    let tunnel = open(&site, site.connect());
    let get = "GET / HTTP/1.1\nHost: app\n\n";
    let mut client = site.connect();
    client.say(get);
    let mut service = site.service.accept();
    service.head();
    assert_eq!(refused(site.connect(), get), words);
    assert_eq!(refused(site.connect(), HANDSHAKE), words);
    // The place of a request is free when its answer has ended.
    service.say("HTTP/1.1 200 OK\nContent-Length: 2\n\no");
    client.head();
    assert_eq!(refused(site.connect(), get), words);
    service.send("k");
    assert_eq!(client.text(2), "ok");
    client.say(get);
    service.head();
    service.say("HTTP/1.1 204 No Content\n\n");
    client.response();
    let second = open(&site, site.connect());
    assert_eq!(refused(site.connect(), get), words);
    drop((tunnel, second));
    let _last = open_at_last(&site);
    client.say(get);
    service.head();
}

#[test]
fn a_message_that_is_too_long_ends_its_tunnel_with_1009() {
    let site = Site::with("websocket: {max_message: 10}", "");
    let (mut client, mut service) = open(&site, site.connect());
    client.send(masked(1, "ten bytes."));
    assert_eq!(service.frame(), (1, b"ten bytes.".to_vec()));
    client.send(masked(1, "eleven byte"));
    let (code, _) = service.closed();
    assert_eq!(code, 1009);
    service.send(frame(8, close(1009, "")));
    service.finish();
    assert_eq!(client.closed().0, 1009);
    let (mut client, mut service) = open(&site, site.connect());
    service.send(frame(2, [0; 11]));
    assert_eq!(client.closed().0, 1009);
    client.send(masked(8, close(1009, "")));
    assert_eq!(service.closed().0, 1009);
}

#[test]
fn too_many_messages_end_their_tunnel_with_1008() {
    let site = Site::with("websocket: {max_message_rate: 3/s}", "");
    let (mut client, mut service) = open(&site, site.connect());
    client.send(masked(1, "again").repeat(20));
    let mut passed = 0;
    let closed = loop {
        match service.frame() {
            (1, payload) => {
                assert_eq!(payload, b"again");
                passed += 1;
            }
            (opcode, payload) => break (opcode, payload),
        }
    };
    assert_eq!(closed.0, 8);
    assert_eq!(closed.1[..2], 1008u16.to_be_bytes());
    assert!(passed <= 20, "{passed}");
    service.send(frame(8, close(1008, "")));
    assert_eq!(client.closed().0, 1008);
    service.finish();
    assert_ne!(client.end(), End::Reset);
}
