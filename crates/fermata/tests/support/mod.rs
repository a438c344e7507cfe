//! The end-to-end harness: a real `fermata up` in a temporary folder, and the real peers of `tests/peers`.
//!
//! It starts processes, waits for what they say, and ends what it started, whatever becomes of the test. It asserts
//! nothing about Fermata: that is for the tests.
#![allow(dead_code, unused_imports, unreachable_pub, reason = "each test binary uses its own part of the harness")]

mod fermata;
pub mod golden;
mod peer;
mod ports;
mod process;
mod proxies;
mod systemd;
mod tls;
mod tunnels;

pub use fermata::{Ended, Fermata, Folder};
pub use peer::Peer;
pub use ports::free_port;
pub use process::{PATIENCE, Process, until};
pub use proxies::{caddy, haproxy, nginx, program};
pub use systemd::{Network, Systemd, UNIT};
pub use tls::{TlsFront, trusting};
pub use tunnels::hold;
