//! A real HAProxy, misconfigured in the classic ways.

use std::time::Duration;

use fermata::probe::Question;

use crate::proxies::{haproxy, insist, nobody, service};

#[tokio::test]
async fn without_a_timeout_for_tunnels() {
    let config = "listen web\n  bind 127.0.0.1:PORT\n  timeout client 3s\n  timeout server 3s\n  server one BACKEND";
    let proxy = haproxy(config, service().await);
    let question = Question { idle: Some(Duration::from_secs(5)), ..proxy.clear("/silent") };
    insist(question, &["Idle works: idle-limit"], "Pings do").await;
}

#[tokio::test]
async fn whose_server_is_down_to_its_health_check() {
    let config = "listen web\n  bind 127.0.0.1:PORT\n  server one BACKEND check inter 100ms fall 1\n  http-request wait-for-body time 500ms if FALSE";
    let proxy = haproxy(config, nobody());
    insist(proxy.clear("/"), &["Upgrade breaks: unavailable"], "health check").await;
}

#[tokio::test]
async fn without_any_server() {
    let proxy = haproxy("frontend web\n  bind 127.0.0.1:PORT\n  default_backend none\nbackend none", nobody());
    insist(proxy.clear("/"), &["Upgrade breaks: unavailable"], "Check that the service runs").await;
}

#[tokio::test]
async fn that_denies() {
    let proxy =
        haproxy("listen web\n  bind 127.0.0.1:PORT\n  http-request deny\n  server one BACKEND", service().await);
    insist(proxy.clear("/"), &["Upgrade breaks: forbidden"], "websocket.origins").await;
}

#[tokio::test]
async fn that_wants_a_password() {
    let config = "userlist who\n  user ann insecure-password x\nlisten web\n  bind 127.0.0.1:PORT\n  http-request auth unless { http_auth(who) }\n  server one BACKEND";
    let proxy = haproxy(config, service().await);
    insist(proxy.clear("/"), &["Upgrade breaks: unauthorized"], "Authorization: Bearer").await;
}

#[tokio::test]
async fn that_sends_everybody_to_https() {
    let proxy = haproxy("frontend web\n  bind 127.0.0.1:PORT\n  http-request redirect scheme https code 301", nobody());
    insist(proxy.clear("/chat"), &["Upgrade breaks: redirect"], "Connect to where it leads: wss://app.example").await;
}

#[tokio::test]
async fn that_takes_the_upgrade_out() {
    let config = "listen web\n  bind 127.0.0.1:PORT\n  http-request del-header Upgrade\n  http-request del-header Connection\n  server one BACKEND";
    let proxy = haproxy(config, service().await);
    insist(proxy.clear("/"), &["Upgrade breaks: upgrade-ignored"], "Check the path").await;
}

#[tokio::test]
async fn that_speaks_http_2_to_the_service() {
    let config = "listen web\n  bind 127.0.0.1:PORT\n  timeout server 2s\n  server one BACKEND proto h2";
    let proxy = haproxy(config, service().await);
    let question = Question { hop_timeout: Duration::from_secs(3), ..proxy.clear("/") };
    insist(question, &["HTTP breaks: silent"], "waits for something else than HTTP").await;
}

#[tokio::test]
async fn that_passes_bytes_to_nobody() {
    let proxy = haproxy("listen web\n  mode tcp\n  bind 127.0.0.1:PORT\n  server one BACKEND", nobody());
    insist(proxy.clear("/"), &["HTTP breaks: hung-up"], "check that the service behind it runs").await;
}

#[tokio::test]
async fn that_waits_for_a_proxy_protocol_line() {
    let config = "listen web\n  bind 127.0.0.1:PORT accept-proxy\n  server one BACKEND";
    let proxy = haproxy(config, service().await);
    insist(proxy.clear("/"), &["HTTP breaks: wants-proxy-protocol"], "accept-proxy in HAProxy's bind line").await;
}

#[tokio::test]
async fn that_waits_for_a_proxy_protocol_line_before_tls() {
    let config = "listen web\n  bind 127.0.0.1:PORT ssl crt FOLDER/app.pem accept-proxy\n  server one BACKEND";
    let proxy = haproxy(config, service().await);
    insist(proxy.secure("/"), &["TLS breaks: wants-proxy-protocol"], "accept-proxy in HAProxy's bind line").await;
}

#[tokio::test]
async fn that_speaks_http_2_alone() {
    let config = "listen web\n  bind 127.0.0.1:PORT ssl crt FOLDER/app.pem alpn h2 proto h2\n  server one BACKEND";
    let proxy = haproxy(config, service().await);
    insist(proxy.secure("/"), &["HTTP breaks: http2-only"], "http/1.1 in ALPN").await;
}

#[tokio::test]
async fn without_a_certificate_for_the_name() {
    let config = "listen web\n  bind 127.0.0.1:PORT ssl crt FOLDER/app.pem strict-sni\n  server one BACKEND";
    let proxy = haproxy(config, service().await);
    let mut question = proxy.secure("/");
    let url = format!("wss://www.example:{}/", proxy.port);
    question.target = fermata::probe::Target::read(&url).expect("a URL");
    insist(question, &["TLS breaks: tls-unknown-name"], "Give it a certificate for www.example").await;
}

#[tokio::test]
async fn that_sends_a_proxy_protocol_line_to_a_service_that_expects_none() {
    let config = "listen web\n  bind 127.0.0.1:PORT\n  server one BACKEND send-proxy";
    let proxy = haproxy(config, service().await);
    insist(proxy.clear("/"), &["Upgrade breaks: bad-request"], "").await;
}
