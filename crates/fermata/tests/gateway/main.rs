//! The gateway as clients and services see it: a real `fermata up` between a client and a service that the test itself
//! plays, byte by byte.

#[path = "../support/mod.rs"]
mod support;

mod frames;
mod http;
mod site;
mod talk;
