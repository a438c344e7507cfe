//! The doctor and a gallery of servers: one for each culprit, and healthy ones about which nothing must be said.
//!
//! The expected reports are whole texts in `reports/`; `INSTA_UPDATE=always cargo test -p fermata --test probe` writes
//! them anew.

mod caddy;
mod command;
mod compare;
mod gallery;
mod haproxy;
mod healthy;
mod http;
mod idle;
mod in_front;
mod junit;
#[allow(dead_code, reason = "the firewall's tests use all of it")]
#[path = "../firewall/lan.rs"]
mod lan;
mod limits;
mod nginx;
mod nowhere;
mod page;
mod proxies;
mod reach;
#[path = "../support/mod.rs"]
mod support;
mod talk;
mod tls;
mod upgrade;
