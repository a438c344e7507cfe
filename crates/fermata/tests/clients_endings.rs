//! How connections of real clients end, and what both sides learn of it.

mod support;

use support::{Fermata, Peer, free_port};

/// A gateway in front of a service that already runs.
fn before(service: &Peer) -> (Fermata, u16) {
    let http = free_port();
    let fermata = Fermata::up(&format!(
        r#"version: 2
services:
  ws-app:
    ports:
    - container: {}
      http: {http}
gateway: {{bind: ["127.0.0.1"]}}
"#,
        service.port
    ));
    (fermata, http)
}

/// What the service saw of the end of a connection, asked for without the gateway.
fn seen_by(service: &Peer, id: &str) -> String {
    let url = format!("ws://127.0.0.1:{}/?id=asks-about-{id}", service.port);
    let said = Peer::run("ws/say.js", &[&url, &format!("ending {id}"), "close 1000"], &[]);
    said.lines().next().expect("an answer").to_owned()
}

#[test]
fn a_service_learns_where_its_client_comes_from() {
    let service = Peer::serve("ws/service.js");
    let (fermata, http) = before(&service);
    let url = format!("ws://localhost:{http}/room/7?id=visitor&x=%20");
    let said = Peer::run("ws/say.js", &[&url, "describe", "close 4000 enough"], &[]);
    assert_eq!(
        said,
        format!(
            "\
GET /room/7?id=visitor&x=%20
host: localhost:{http}
origin: -
cookie: -
x-forwarded-for: 127.0.0.1
x-forwarded-proto: http
x-forwarded-host: localhost:{http}
ended: 4000 enough
"
        )
    );
    assert_eq!(fermata.stop().code, Some(0));
}

#[test]
fn when_fermata_stops_both_sides_get_1001() {
    for script in ["ws/service.js", "websockets/service.py"] {
        let service = Peer::serve(script);
        let (fermata, http) = before(&service);
        let url = format!("ws://localhost:{http}/?id=held");
        let mut client = Peer::start("ws/say.js", &[&url, "hold it"]);
        client.wait_for("what it heard", |line| line == "hold it");

        assert_eq!(fermata.stop().code, Some(0));
        assert!(client.wait().success());
        let (heard, service_saw) = (client.stdout.whole(), seen_by(&service, "held"));
        assert_eq!(
            (heard.as_str(), service_saw.as_str()),
            ("hold it\nended: 1001 the gateway is stopping\n", "1001 the gateway is stopping")
        );
    }
}

#[test]
fn a_client_of_a_service_that_dies_is_told_so() {
    let service = Peer::serve("ws/service.js");
    let (fermata, http) = before(&service);
    let url = format!("ws://localhost:{http}/?id=unlucky");
    assert_eq!(Peer::run("ws/say.js", &[&url, "vanish"], &[]), "ended: 1011 the service ended the connection\n");
    assert_eq!(fermata.stop().code, Some(0));
}

#[test]
fn a_client_without_a_service_gets_words() {
    let service = Peer::serve("ws/service.js");
    let (fermata, http) = before(&service);
    let port = service.port;
    drop(service);
    let url = format!("ws://localhost:{http}/");
    assert_eq!(
        Peer::run("ws/say.js", &[&url], &[]),
        format!(
            "\
refused: 502 502 Bad Gateway

The service \"ws-app\" cannot be reached: ws-app.1 at 127.0.0.1:{port}: nothing listens there.
Check that it runs and listens on the container port that service.yml names.
ended: 1006
"
        )
    );
    assert_eq!(fermata.stop().code, Some(0));
}
