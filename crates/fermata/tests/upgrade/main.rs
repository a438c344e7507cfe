//! `fermata upgrade`: another program takes over, and nobody notices; or it cannot, and nobody notices either.

#[path = "../support/mod.rs"]
mod support;

mod actor;
mod clients;
mod everything;
mod guard;
mod junk;
mod manager;
mod processes;
mod refused;
mod staying;
mod systemd;
mod tunnels;
