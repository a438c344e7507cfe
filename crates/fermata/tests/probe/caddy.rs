//! A real Caddy, misconfigured in the classic ways.

use crate::proxies::{caddy, insist, nobody, service};

#[tokio::test]
async fn with_nobody_behind_it() {
    let proxy = caddy("http://:PORT\nreverse_proxy BACKEND", nobody());
    insist(proxy.clear("/"), &["Upgrade breaks: bad-gateway"], "Check that the service runs").await;
}

#[tokio::test]
async fn with_files_where_the_socket_should_be() {
    let proxy = caddy("http://:PORT\nroot * FOLDER\nfile_server browse", nobody());
    insist(proxy.clear("/"), &["Upgrade breaks: upgrade-ignored"], "Check the path").await;
}

#[tokio::test]
async fn without_such_a_path() {
    let proxy = caddy("http://:PORT\nroot * FOLDER\nfile_server", nobody());
    insist(proxy.clear("/chat"), &["Upgrade breaks: not-found"], "Check the path").await;
}

#[tokio::test]
async fn that_takes_the_upgrade_out() {
    let proxy =
        caddy("http://:PORT\nreverse_proxy BACKEND {\nheader_up -Upgrade\nheader_up -Connection\n}", service().await);
    insist(proxy.clear("/"), &["Upgrade breaks: upgrade-ignored"], "Check the path").await;
}

#[tokio::test]
async fn that_sends_everybody_to_https() {
    let proxy = caddy("http://:PORT\nredir https://{host}{uri}", nobody());
    insist(proxy.clear("/chat"), &["Upgrade breaks: redirect"], "wss://app.example/chat").await;
}

#[tokio::test]
async fn that_speaks_http_2_to_the_service() {
    let proxy = caddy("http://:PORT\nreverse_proxy h2c://BACKEND", service().await);
    insist(proxy.clear("/"), &["Upgrade breaks: bad-gateway"], "Check that the service runs").await;
}
