//! The doctor and a gallery of servers: one for each culprit, and healthy ones about which nothing must be said.
//!
//! The expected reports are whole texts in `reports/`; `INSTA_UPDATE=always cargo test -p fermata --test probe` writes
//! them anew.

mod command;
mod gallery;
mod healthy;
mod http;
mod idle;
mod junit;
mod reach;
#[path = "../support/mod.rs"]
mod support;
mod talk;
mod tls;
mod upgrade;
