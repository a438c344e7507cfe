//! The format: one file for each section, with the table of its keys and the reader that makes values of them.

pub(crate) mod constraints;
mod dialects;
pub(crate) mod edge;
pub(crate) mod environment;
pub(crate) mod file;
pub(crate) mod health;
pub(crate) mod matches;
pub(crate) mod patterns;
pub(crate) mod ports;
pub(crate) mod service;
pub(crate) mod values;
pub(crate) mod volumes;
pub(crate) mod websocket;
