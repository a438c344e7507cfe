//! `fermata doctor` on servers that exist only for it: network namespaces with real nftables, real files, and a resolver
//! that knows only what it is told.
//!
//! The expected reports are whole texts in `reports/`; `INSTA_UPDATE=always cargo test -p fermata --test doctor` writes
//! them anew.

mod broken;
mod healthy;
#[allow(dead_code, reason = "the firewall's tests use all of it")]
#[path = "../firewall/lan.rs"]
mod lan;
#[path = "../support/mod.rs"]
mod support;
mod ward;
