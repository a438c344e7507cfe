//! The firewall of this machine: one table of our own, `inet fermata`, and nobody else's rules touched.
//!
//! [`observe`] looks, [`plan`] compares with what should be (pure), [`apply`] loads it all at once and takes it back
//! unless somebody confirms. Nothing here can lock its user out: 22 and the port of the present SSH session are open
//! whatever the file says, what is established is not looked at, and until `confirm` the kernel itself stops closing
//! ports when the time is over. docs/firewall.md is the long form.

pub mod apply;
mod loaded;
pub mod observe;
pub mod openings;
pub mod others;
mod passage;
pub mod plan;
mod rules;
mod ruleset;
mod state;
pub mod unit;

pub use loaded::Loaded;
pub use openings::{Opening, openings};
pub use passage::{Closed, Ruleset, Version};
pub use plan::Plan;
pub use rules::{Door, Gate, Rules, Transport, span};
pub use state::{Allowed, Base, ByHand, Pending, State, StateError, Store, now, peek};
