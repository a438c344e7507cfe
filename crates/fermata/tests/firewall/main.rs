//! `fermata firewall` against real nftables, in network namespaces with real traffic.

#[path = "../support/mod.rs"]
mod support;

mod beside;
mod lan;
mod loads;
mod plans;
mod takes_back;
