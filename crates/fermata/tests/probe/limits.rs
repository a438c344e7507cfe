//! Idle limits of real proxies, found by waiting: within 5 % of the truth.

use std::time::Duration;

use fermata::probe::{Name, Question, probe};

use crate::proxies::{PASSES_ON, Proxy, haproxy, insist, nginx, service};

/// What `--idle` finds; both sides of the limit are looked at.
async fn found(proxy: &Proxy, limit: u64) {
    let question = Question { idle: Some(Duration::from_secs(limit * 5 / 4 + 1)), ..proxy.clear("/silent") };
    let report = probe(&question).await;
    let hop = report.findings.iter().find(|hop| hop.name == Name::Idle).expect("it was waited");
    let found = hop.took.expect("a time").as_secs_f64();
    assert!((found / limit as f64 - 1.0).abs() <= 0.05, "{limit} s is the truth, and {found} s was found");
    assert_eq!(hop.advice.first().map(|advice| advice.code), Some("idle-limit"), "{}", hop.says);
}

async fn behind_haproxy(limit: u64) {
    let config = format!("listen web\n  bind 127.0.0.1:PORT\n  timeout tunnel {limit}s\n  server one BACKEND");
    found(&haproxy(&config, service().await), limit).await;
}

async fn behind_nginx(limit: u64) {
    let server = format!("listen 127.0.0.1:PORT; location / {{ {PASSES_ON} proxy_read_timeout {limit}s; }}");
    found(&nginx(&server, service().await), limit).await;
}

#[tokio::test]
async fn haproxy_s_of_six_seconds() {
    behind_haproxy(6).await;
}

#[tokio::test]
async fn nginx_s_of_six_seconds() {
    behind_nginx(6).await;
}

/// By `cargo nextest run --workspace --run-ignored only -E 'test(long_limits)'`: two minutes.
#[tokio::test]
#[ignore = "takes more than a minute"]
async fn long_limits_of_both() {
    for limits in [[5, 10], [20, 30], [50, 60]] {
        let [short, long] = limits;
        tokio::join!(behind_haproxy(short), behind_nginx(short), behind_haproxy(long), behind_nginx(long));
    }
}

#[tokio::test]
#[ignore = "takes more than a minute"]
async fn long_limits_are_named_by_whose_they_are() {
    let server = format!("listen 127.0.0.1:PORT; location / {{ {PASSES_ON} }}");
    let proxy = nginx(&server, service().await);
    let question = Question { idle: Some(Duration::from_secs(70)), ..proxy.clear("/silent") };
    insist(question, &["Idle works: idle-limit"], "60 s is usual for: proxy_read_timeout in nginx").await;
}
