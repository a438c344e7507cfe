//! Fermata holds WebSockets. This is the map of the house; ARCHITECTURE.md is the long form.
//!
//! The data plane is [`net`], [`tls`], [`front`], [`route`], [`tunnel`], [`http`] and [`serve`], which tells the life of
//! one connection: read that file first. [`run`] starts services, [`probe`] looks from outside, [`app`] is the one place
//! where everything meets, and [`cmd`] is what people call.

pub mod acme;
pub mod admin;
pub mod app;
pub mod cli;
pub mod cmd;
pub mod discovery;
pub mod doctor;
pub mod echo;
pub mod firewall;
pub mod front;
pub mod handover;
pub mod haproxy;
pub mod http;
pub mod import;
pub mod lb;
pub mod limits;
pub mod listening;
pub mod net;
pub mod os;
pub mod page;
pub mod probe;
pub mod public;
pub mod rebalance;
pub mod reload;
pub mod render;
pub mod report;
pub mod rollout;
pub mod route;
pub mod run;
pub mod running;
pub mod serve;
pub mod systemd;
pub mod tls;
pub mod tunnel;
pub mod workers;
