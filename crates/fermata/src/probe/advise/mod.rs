//! What a trouble means and what to change: all words of the report that tell somebody to do something.
//!
//! One file a hop, each a pure function of what was seen. A `code` stays the same when the words change.

mod bad101;
mod burst;
mod idle;
mod polling;
mod products;
mod reach;
mod sizes;
mod talk;
mod tls;
mod upgrade;
mod web;

pub(super) use burst::burst;
pub(super) use idle::idle;
pub(super) use polling::polling;
pub(super) use reach::{dns, lame_address, tcp, tcp_outcome};
pub(super) use talk::{leaving, messages, nothing_comes, parting, ping};
pub(super) use tls::{certificate, certificate_ends, certificate_words, tls};
pub(super) use upgrade::upgrade;
pub(super) use web::http;

use std::time::Duration;

use super::dialect::Dialect;
use crate::report::Advice;

/// `10 s`, `2.5 s`, `500 ms`.
fn lasting(limit: Duration) -> String {
    match (limit.as_secs(), limit.subsec_millis()) {
        (0, millis) => format!("{millis} ms"),
        (whole, 0) => format!("{whole} s"),
        _ => format!("{:.1} s", limit.as_secs_f64()),
    }
}

/// What a port speaks instead of what was hoped for.
fn speaks(dialect: Dialect, shown: &str) -> String {
    match dialect {
        Dialect::Http => "HTTP without TLS".to_owned(),
        Dialect::Tls => "TLS".to_owned(),
        Dialect::Http2 => "HTTP/2 only".to_owned(),
        Dialect::Named(name) => format!("{name} (\"{shown}\")"),
        Dialect::Unknown => format!("something else (\"{shown}\")"),
    }
}

/// Both ends of a PROXY protocol have to agree.
fn proxy_protocol() -> Advice {
    Advice::new(
        "wants-proxy-protocol",
        "The server waits for a PROXY protocol line before anything else: with one it answered. Only a load balancer \
         sends that, so this port is for a balancer and not for clients.",
    )
    .then("Connect to the balancer's address, not to this one.")
    .then(
        "Or switch PROXY protocol off where nothing in front sends it: accept-proxy in HAProxy's bind line, \
         proxy_protocol in nginx's listen, proxy_protocol of the target group or load balancer.",
    )
}
