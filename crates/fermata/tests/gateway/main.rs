//! The gateway as clients and services see it: a real `fermata up` between a client and a service that the test itself
//! plays, byte by byte.
#![allow(unreachable_pub, reason = "the modules of a test are its own")]

#[path = "../support/mod.rs"]
mod support;

mod announced;
mod bad_input;
mod errors;
mod forwarded;
mod frames;
mod handshake;
mod http;
mod limits;
mod raw;
mod routes;
mod shutdown;
mod site;
mod talk;
mod tls;
