//! A real nginx, misconfigured in the classic ways.

use std::time::Duration;

use fermata::probe::Question;

use crate::proxies::{PASSES_ON, insist, nginx, nginx_with, nobody, service};
use crate::support::Peer;

/// What has to be written into the location.
const SNIPPET: &str = "proxy_set_header Upgrade $http_upgrade;";

#[tokio::test]
async fn without_the_upgrade_s_headers() {
    let proxy = nginx("listen 127.0.0.1:PORT; location / { proxy_pass http://BACKEND; }", service().await);
    insist(proxy.clear("/"), &["Upgrade breaks: upgrade-ignored"], SNIPPET).await;
}

#[tokio::test]
async fn without_the_upgrade_s_headers_before_a_service_that_says_so() {
    let peer = Peer::serve("websockets/service.py");
    let proxy = nginx(
        "listen 127.0.0.1:PORT; location / { proxy_pass http://BACKEND; proxy_http_version 1.1; }",
        ([127, 0, 0, 1], peer.port).into(),
    );
    insist(proxy.clear("/"), &["Upgrade breaks: upgrade-lost"], SNIPPET).await;
}

#[tokio::test]
async fn before_a_service_that_insists_on_a_subprotocol() {
    let peer = Peer::serve("websockets/service.py");
    let server = format!("listen 127.0.0.1:PORT; location / {{ {PASSES_ON} }}");
    let proxy = nginx(&server, ([127, 0, 0, 1], peer.port).into());
    insist(proxy.clear("/"), &["Upgrade breaks: subprotocol-missing"], "--subprotocol NAME").await;
}

#[tokio::test]
async fn with_http_1_0_to_the_service() {
    let server = format!(
        "listen 127.0.0.1:PORT; location / {{ {} }}",
        PASSES_ON.replace("proxy_http_version 1.1", "proxy_http_version 1.0")
    );
    let proxy = nginx(&server, service().await);
    insist(proxy.clear("/"), &["Upgrade breaks: upgrade-lost"], "proxy_http_version 1.1;").await;
}

#[tokio::test]
async fn with_a_connection_header_of_close() {
    let server = format!("listen 127.0.0.1:PORT; location / {{ {} }}", PASSES_ON.replace("\"upgrade\"", "close"));
    let proxy = nginx(&server, service().await);
    insist(proxy.clear("/"), &["Upgrade breaks: upgrade-lost"], SNIPPET).await;
}

#[tokio::test]
async fn that_sends_everybody_to_https() {
    let proxy = nginx("listen 127.0.0.1:PORT; return 301 https://$host$request_uri;", nobody());
    insist(
        proxy.clear("/chat?room=1"),
        &["Upgrade breaks: redirect"],
        "Connect to where it leads: wss://app.example/chat?room=1",
    )
    .await;
}

#[tokio::test]
async fn that_wants_a_password() {
    let server = format!(
        "listen 127.0.0.1:PORT; location / {{ auth_basic who; auth_basic_user_file FOLDER/app.crt; {PASSES_ON} }}"
    );
    let proxy = nginx(&server, service().await);
    insist(proxy.clear("/"), &["Upgrade breaks: unauthorized"], "Authorization: Bearer").await;
}

#[tokio::test]
async fn that_denies() {
    let proxy = nginx(&format!("listen 127.0.0.1:PORT; location / {{ deny all; {PASSES_ON} }}"), service().await);
    insist(proxy.clear("/"), &["Upgrade breaks: forbidden"], "websocket.origins").await;
}

#[tokio::test]
async fn with_nobody_behind_it() {
    let proxy = nginx(&format!("listen 127.0.0.1:PORT; location / {{ {PASSES_ON} }}"), nobody());
    insist(proxy.clear("/"), &["Upgrade breaks: bad-gateway"], "Check that the service runs").await;
}

#[tokio::test]
async fn with_its_socket_under_another_path() {
    let server = format!("listen 127.0.0.1:PORT; location / {{ return 404; }} location /ws {{ {PASSES_ON} }}");
    let proxy = nginx(&server, service().await);
    insist(proxy.clear("/"), &["Upgrade breaks: not-found"], "/ws").await;
}

#[tokio::test]
async fn with_a_page_where_the_socket_should_be() {
    let proxy = nginx("listen 127.0.0.1:PORT; location / { return 200 \"a page\"; }", nobody());
    insist(proxy.clear("/"), &["Upgrade breaks: upgrade-ignored"], "Check the path").await;
}

#[tokio::test]
async fn with_a_limit_for_each_address() {
    let server = format!("listen 127.0.0.1:PORT; location / {{ limit_conn each 6; {PASSES_ON} }}");
    let proxy = nginx_with("limit_conn_zone $binary_remote_addr zone=each:1m;", &server, service().await);
    insist(proxy.clear("/"), &["Burst works: burst-limited"], "limit_conn").await;
}

#[tokio::test]
async fn that_forgets_silent_connections() {
    let server = format!("listen 127.0.0.1:PORT; location / {{ proxy_read_timeout 3s; {PASSES_ON} }}");
    let proxy = nginx(&server, service().await);
    let question = Question { idle: Some(Duration::from_secs(5)), ..proxy.clear("/silent") };
    insist(question, &["Idle works: idle-limit"], "Pings do").await;
}

#[tokio::test]
async fn that_waits_for_a_proxy_protocol_line() {
    let proxy = nginx(&format!("listen 127.0.0.1:PORT proxy_protocol; location / {{ {PASSES_ON} }}"), service().await);
    insist(proxy.clear("/"), &["HTTP breaks: wants-proxy-protocol"], "proxy_protocol in nginx's listen").await;
}

const TLS: &str = "ssl_certificate FOLDER/app.crt; ssl_certificate_key FOLDER/app.key;";

#[tokio::test]
async fn with_tls_on_a_port_that_is_taken_for_a_clear_one() {
    let proxy = nginx(&format!("listen 127.0.0.1:PORT ssl; {TLS} location / {{ {PASSES_ON} }}"), service().await);
    insist(proxy.clear("/"), &["HTTP breaks: tls-here"], "wss://app.example").await;
}

#[tokio::test]
async fn without_tls_on_a_port_that_is_taken_for_a_secure_one() {
    let proxy = nginx(&format!("listen 127.0.0.1:PORT; location / {{ {PASSES_ON} }}"), service().await);
    insist(proxy.secure("/"), &["TLS breaks: no-tls-here"], "ws://app.example").await;
}

#[tokio::test]
async fn that_wants_certificates_of_its_clients() {
    let server = format!(
        "listen 127.0.0.1:PORT ssl; {TLS} ssl_verify_client on; ssl_client_certificate FOLDER/app.crt;
         location / {{ {PASSES_ON} }}"
    );
    let proxy = nginx(&server, service().await);
    insist(proxy.secure("/"), &["HTTP breaks: client-certificate"], "ssl_verify_client off; in nginx").await;
}

#[tokio::test]
async fn that_speaks_only_old_tls() {
    let server = format!(
        "listen 127.0.0.1:PORT ssl; {TLS} ssl_protocols TLSv1.1; ssl_ciphers ALL:@SECLEVEL=0; location / {{ {PASSES_ON} }}"
    );
    let proxy = nginx(&server, service().await);
    insist(proxy.secure("/"), &["TLS breaks: tls-too-old"], "ssl_protocols TLSv1.2 TLSv1.3; in nginx").await;
}

#[tokio::test]
async fn that_spreads_the_polls_of_one_socket_io_session() {
    let (one, two) = (Peer::serve("socketio/service.js"), Peer::serve("socketio/service.js"));
    let upstream = format!("upstream both {{ server 127.0.0.1:{}; server 127.0.0.1:{}; }}", one.port, two.port);
    let server = format!("listen 127.0.0.1:PORT; location / {{ {} }}", PASSES_ON.replace("BACKEND", "both"));
    let proxy = nginx_with(&upstream, &server, nobody());
    let question = proxy.clear("/socket.io/?EIO=4&transport=websocket");
    insist(question, &["Polling works: polling-not-sticky"], "ip_hash;").await;
}
