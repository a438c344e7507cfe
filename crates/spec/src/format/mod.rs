//! The format: one file for each section, with the table of its keys and the reader that makes values of them.

pub(crate) mod constraints;
mod dialects;
pub(crate) mod environment;
pub(crate) mod file;
pub(crate) mod firewall;
pub(crate) mod floating;
pub(crate) mod gateway;
pub(crate) mod haproxy;
pub(crate) mod health;
pub(crate) mod kubernetes;
pub(crate) mod load_balancer;
pub(crate) mod matches;
pub(crate) mod patterns;
pub(crate) mod ports;
pub(crate) mod service;
pub(crate) mod services;
pub(crate) mod tls;
pub(crate) mod values;
pub(crate) mod volumes;
pub(crate) mod websocket;
