//! The status address: a page, metrics, health, and what becomes of it over reloads and at the end.

mod support;

use std::io::{Read, Write};
use std::net::TcpStream;

use rustix::process::Signal;
use support::{Fermata, PATIENCE, free_port, until};

fn file(service: u16, http: u16, status: u16) -> String {
    format!(
        "version: 2\nservices:\n  echo:\n    command: $(FERMATA) echo\n    ports: [{{container: {service}, http: {http}}}]\n\
         gateway: {{bind: [127.0.0.1], status: \"127.0.0.1:{status}\"}}\n"
    )
}

/// The head's first line and the body of an answer, or `None` where nobody answers.
fn get(port: u16, path: &str) -> Option<(String, String)> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).ok()?;
    stream.set_read_timeout(Some(PATIENCE)).ok()?;
    stream.write_all(format!("GET {path} HTTP/1.1\r\nHost: status\r\n\r\n").as_bytes()).ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    let (head, body) = answer.split_once("\r\n\r\n")?;
    Some((head.lines().next()?.to_owned(), body.to_owned()))
}

fn ok(port: u16, path: &str) -> String {
    let (status, body) = get(port, path).unwrap_or_else(|| panic!("nobody answers {path}"));
    assert_eq!(status, "HTTP/1.1 200 OK", "{path}: {body}");
    body
}

#[test]
fn the_state_of_everything_is_told_to_people_and_programs() {
    let (service, http, status) = (free_port(), free_port(), free_port());
    let fermata = Fermata::up(&file(service, http, status));
    assert_eq!(ok(status, "/healthz"), "ok\n");
    let socket = open(http);
    let metrics = ok(status, "/metrics");
    assert!(metrics.contains("\nfermata_tunnels 1\n"), "{metrics}");
    assert!(metrics.contains("\nfermata_instance_ready{service=\"echo\",instance=\"echo.1\"} 1\n"), "{metrics}");
    assert!(ok(status, "/").contains("<td>echo.1</td><td>ready</td>"));
    let json: serde_json::Value = serde_json::from_str(&ok(status, "/status.json")).expect("JSON");
    assert_eq!((&json["ready"], &json["tunnels"]["live"]), (&true.into(), &1.into()));
    let (nothing, body) = get(status, "/else").expect("an answer");
    assert_eq!(
        (nothing.as_str(), body.as_str()),
        ("HTTP/1.1 404 Not Found", "Here are /, /metrics, /healthz and /status.json.\n")
    );
    drop(socket);
    assert_eq!(fermata.stop().code, Some(0));
}

#[test]
fn a_reload_moves_the_address_and_the_end_is_told_before_it_comes() {
    let (service, http, [first, second]) = (free_port(), free_port(), [free_port(), free_port()]);
    let mut fermata = Fermata::up(&file(service, http, first));
    assert_eq!(ok(first, "/healthz"), "ok\n");
    fermata.folder.write("service.yml", &file(service, http, second));
    until("the new address is served", || get(second, "/healthz").is_some());
    until("the old one is not", || get(first, "/healthz").is_none());
    // A client that doesn't answer its Close keeps the gateway from ending for a while.
    let _socket = open(http);
    fermata.process.signal(Signal::TERM);
    until("the health check tells of the end", || {
        get(second, "/healthz").is_some_and(|(status, _)| status == "HTTP/1.1 503 Service Unavailable")
    });
    assert_eq!(fermata.process.wait().code(), Some(0));
}

/// The client's end of an open WebSocket.
fn open(port: u16) -> TcpStream {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).expect("it listens");
    let handshake = "GET / HTTP/1.1\r\nHost: app\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
                     Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
    stream.write_all(handshake.as_bytes()).expect("it reads");
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).expect("an answer");
        head.push(byte[0]);
    }
    stream
}
