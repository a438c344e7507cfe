//! Real WebSocket clients reach real services through the gateway, and see what they see without it.

mod support;

use support::{Folder, Peer, free_port};

const WS: (&str, &str) = ("ws/service.js", "ws/client.js");
const WEBSOCKETS: (&str, &str) = ("websockets/service.py", "websockets/client.py");

/// What every client prints with every service; only the extension differs.
fn transcript(extension: &str) -> String {
    format!(
        "\
open: subprotocol fermata.v1, extension {extension}
text: hold it 𝄐 — until the conductor lets go
binary: true 256 came back whole
sent in 5 fragments: piece 0;piece 1;piece 2;piece 3;piece 4;
received in 4 fragments: part 0;part 1;part 2;part 3;
empty: 0
10 MiB: 10485760 came back whole
pong: are you there
closed by the client: 4001 the client is done
the service saw: 4001 the client is done
closed by the service: 4002 the service is done
the service saw: 4002 the service is done
closed without a code: 1005
the service saw: 1005
gone without a Close, the service saw: 1006
"
    )
}

#[test]
fn the_peers_agree_with_each_other_without_a_gateway() {
    for service in [WS.0, WEBSOCKETS.0] {
        let service = Peer::serve(service);
        let url = format!("ws://127.0.0.1:{}/", service.port);
        for client in [WS.1, WEBSOCKETS.1] {
            assert_eq!(Peer::run(client, &[&url], &[]), transcript("permessage-deflate"), "{client}");
        }
    }
}

#[test]
fn node_clients_talk_to_a_node_service() {
    converse(WS.1, WS.0);
}

#[test]
fn node_clients_talk_to_a_python_service() {
    converse(WS.1, WEBSOCKETS.0);
}

#[test]
fn python_clients_talk_to_a_node_service() {
    converse(WEBSOCKETS.1, WS.0);
}

#[test]
fn python_clients_talk_to_a_python_service() {
    converse(WEBSOCKETS.1, WEBSOCKETS.0);
}

/// The whole scenario over ws and wss, compressed and not, with the service run by Fermata itself.
fn converse(client: &str, service: &str) {
    let (container, http, https) = (free_port(), free_port(), free_port());
    let folder = Folder::new(&format!(
        r#"version: 2
services:
  ws-app:
    command: {command}
    ports:
    - container: {container}
      http: {http}
      https: {https}
gateway: {{bind: ["127.0.0.1"]}}
tls:
  certificates: [{{cert: app.pem, key: app.key}}]
"#,
        command = Peer::service_command(service),
    ));
    let certificate = folder.write_certificate("app", &["localhost"]);
    let fermata = folder.up();

    for url in [format!("ws://localhost:{http}/"), format!("wss://localhost:{https}/")] {
        for (compress, extension) in [("on", "permessage-deflate"), ("off", "none")] {
            let ca = certificate.to_str().expect("temporary folders have plain names");
            let seen = Peer::run(client, &[&url], &[("COMPRESS", compress), ("CA", ca)]);
            assert_eq!(
                seen,
                transcript(extension),
                "{client}, {url}, compression {compress}\n{}",
                fermata.process.transcript()
            );
        }
    }
    assert_eq!(fermata.stop().code, Some(0));
}
