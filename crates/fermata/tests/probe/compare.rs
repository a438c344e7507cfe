//! Several addresses of one service, along a chain.

use std::net::SocketAddr;

use fermata::probe::{Comparison, Report, probe};
use fermata::report::Outcome;

use crate::gallery::{ask, refusing, steady};
use crate::proxies::service;

/// What a proxy says that has taken the upgrade out.
const LOST: &str = "HTTP/1.1 426 Upgrade Required\r\nServer: nginx\r\nContent-Length: 16\r\n\r\nUpgrade Required";
const DOWN: &str = "HTTP/1.1 502 Bad Gateway\r\nServer: awselb/2.0\r\nContent-Length: 0\r\n\r\n";

/// Reports on addresses, from the clients' end, which are called by letters instead of ports.
async fn chain(addresses: &[SocketAddr]) -> Comparison {
    let mut reports: Vec<Report> = Vec::new();
    for (letter, address) in ('a'..).zip(addresses) {
        let report = steady(probe(&ask(&format!("ws://{address}/"))).await);
        reports.push(Report { subject: format!("ws://{letter}.example/"), ..report });
    }
    Comparison::new(reports)
}

fn text(comparison: &Comparison) -> String {
    let text = anstream::adapter::strip_str(&comparison.to_string()).to_string();
    for line in text.lines() {
        assert!(line.chars().count() <= 80 || line.starts_with("      "), "more than 80 columns: {line}");
    }
    text
}

macro_rules! assert_compared {
    ($name:literal, $text:expr) => {
        insta::with_settings!({
            snapshot_path => concat!(env!("CARGO_MANIFEST_DIR"), "/tests/probe/reports"),
            prepend_module_to_snapshot => false,
            omit_expression => true,
        }, { insta::assert_snapshot!($name, $text) })
    };
}

#[tokio::test]
async fn the_first_that_breaks_seen_from_the_service_is_named() {
    let compared = chain(&[refusing(DOWN).await, refusing(LOST).await, service().await]).await;
    assert_eq!(compared.outcome, Outcome::Broken);
    assert_compared!("compare-breaks", text(&compared));
}

#[tokio::test]
async fn a_service_that_is_broken_itself_is_named() {
    let compared = chain(&[refusing(DOWN).await, refusing(LOST).await]).await;
    let address = compared.reports[1].subject.clone();
    assert_eq!(
        compared.says,
        [format!(
            "It breaks at {address} already (Upgrade: 426 Upgrade Required instead of 101, by nginx), nearest to the service: begin there."
        )]
    );
}

#[tokio::test]
async fn a_chain_without_a_fault_works_and_one_in_disorder_is_doubted() {
    let compared = chain(&[service().await, service().await]).await;
    assert_eq!((compared.outcome, compared.says), (Outcome::Works, vec!["It works at all 2.".to_owned()]));
    let compared = chain(&[service().await, refusing(LOST).await, service().await]).await;
    assert!(compared.says[1].starts_with("Something farther from the service works all the same"), "{compared:?}");
}
