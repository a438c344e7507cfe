//! Real software about which nothing is to be said.

use fermata::probe::Question;

use crate::gallery::ask;
use crate::proxies::{PASSES_ON, caddy, haproxy, insist_on_health, nginx, service};
use crate::support::{Fermata, Peer, free_port};

const TLS: &str = "ssl_certificate FOLDER/app.crt; ssl_certificate_key FOLDER/app.key;";

#[tokio::test]
async fn nginx_as_it_should_be() {
    let server = format!("listen 127.0.0.1:PORT; location / {{ proxy_read_timeout 1h; {PASSES_ON} }}");
    insist_on_health(nginx(&server, service().await).clear("/")).await;
}

#[tokio::test]
async fn nginx_with_tls_and_http_2_beside() {
    let server = format!("listen 127.0.0.1:PORT ssl http2; {TLS} location / {{ {PASSES_ON} }}");
    insist_on_health(nginx(&server, service().await).secure("/")).await;
}

#[tokio::test]
async fn haproxy_as_it_should_be() {
    let config = "listen web\n  bind 127.0.0.1:PORT\n  timeout tunnel 1h\n  server one BACKEND";
    insist_on_health(haproxy(config, service().await).clear("/")).await;
}

#[tokio::test]
async fn haproxy_with_tls_and_http_2_beside() {
    let config = "listen web\n  bind 127.0.0.1:PORT ssl crt FOLDER/app.pem alpn h2,http/1.1\n  timeout tunnel 1h\n  server one BACKEND";
    insist_on_health(haproxy(config, service().await).secure("/")).await;
}

#[tokio::test]
async fn haproxy_that_passes_bytes() {
    let config = "listen web\n  mode tcp\n  bind 127.0.0.1:PORT\n  server one BACKEND";
    insist_on_health(haproxy(config, service().await).clear("/")).await;
}

#[tokio::test]
async fn caddy_as_it_is() {
    insist_on_health(caddy("http://:PORT\nreverse_proxy BACKEND", service().await).clear("/")).await;
}

#[tokio::test]
async fn caddy_with_tls_and_http_2_beside() {
    let site = "https://app.example:PORT\ntls FOLDER/app.crt FOLDER/app.key\nreverse_proxy BACKEND";
    insist_on_health(caddy(site, service().await).secure("/")).await;
}

#[tokio::test]
async fn node_s_ws() {
    let peer = Peer::serve("ws/service.js");
    insist_on_health(ask(&format!("ws://127.0.0.1:{}/", peer.port))).await;
}

#[tokio::test]
async fn python_s_websockets() {
    let peer = Peer::serve("websockets/service.py");
    // It insists on a subprotocol.
    let protocols = vec!["fermata.v1".to_owned()];
    insist_on_health(Question { protocols, ..ask(&format!("ws://127.0.0.1:{}/", peer.port)) }).await;
}

#[tokio::test]
async fn socket_io_with_its_polling() {
    let peer = Peer::serve("socketio/service.js");
    insist_on_health(ask(&format!("ws://127.0.0.1:{}/socket.io/?EIO=4&transport=websocket", peer.port))).await;
}

#[tokio::test]
async fn fermata_itself() {
    let (service, http) = (free_port(), free_port());
    let fermata = Fermata::up(&format!(
        "version: 2\nservices:\n  echo:\n    command: {} echo\n    ports: [{{container: {service}, http: {http}}}]\n\
         gateway: {{bind: [127.0.0.1]}}\n",
        env!("CARGO_BIN_EXE_fermata")
    ));
    insist_on_health(ask(&format!("ws://127.0.0.1:{http}/"))).await;
    assert_eq!(fermata.stop().code, Some(0));
}
