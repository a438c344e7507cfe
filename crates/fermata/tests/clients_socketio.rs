//! Socket.IO through the gateway: long polling, the upgrade from it, and WebSocket from the start.

mod support;

use support::{Fermata, Folder, Peer, free_port};

/// What two visitors of the room see, who came by `first` and stay on `now`.
fn transcript(first: &str, now: &str) -> String {
    format!(
        "\
one: came by {first}, stays on {now}, the service says {now}
two: came by {first}, stays on {now}, the service says {now}
one: heard hold it 𝄐
two: hold it 𝄐
two: 2097152 bytes came back whole
one: io server disconnect
two: still gone
"
    )
}

#[test]
fn the_socket_io_peers_agree_with_each_other_without_a_gateway() {
    let service = Peer::serve("socketio/service.js");
    let url = format!("http://127.0.0.1:{}/", service.port);
    assert_eq!(Peer::run("socketio/client.js", &[&url, "upgrade"], &[]), transcript("polling", "websocket"));
}

#[test]
fn socket_io_polls_first_and_then_upgrades() {
    visit("upgrade", &transcript("polling", "websocket"));
}

#[test]
fn socket_io_starts_with_websocket() {
    visit("websocket", &transcript("websocket", "websocket"));
}

#[test]
fn socket_io_stays_with_long_polling() {
    visit("polling", &transcript("polling", "polling"));
}

fn visit(how: &str, expected: &str) {
    let (container, http, https) = (free_port(), free_port(), free_port());
    let folder = Folder::new(&format!(
        r#"version: 2
services:
  room:
    command: {command}
    ports:
    - container: {container}
      http: {http}
      https: {https}
gateway: {{bind: ["127.0.0.1"]}}
tls:
  certificates: [{{cert: app.pem, key: app.key}}]
"#,
        command = Peer::service_command("socketio/service.js"),
    ));
    let certificate = folder.write_certificate("app", &["localhost"]);
    let fermata: Fermata = folder.up();
    for url in [format!("http://localhost:{http}/"), format!("https://localhost:{https}/")] {
        let ca = certificate.to_str().expect("temporary folders have plain names");
        let seen = Peer::run("socketio/client.js", &[&url, how], &[("CA", ca)]);
        assert_eq!(seen, expected, "{url} {how}\n{}", fermata.process.transcript());
    }
    assert_eq!(fermata.stop().code, Some(0));
}
