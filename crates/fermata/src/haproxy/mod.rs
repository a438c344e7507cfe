//! A real `HAProxy` as the load balancer: configured from the file, checked, started, supervised, and changed while it runs.
//!
//! What it is to do stands in its configuration, which `render` writes; here is only how that comes to a process. A
//! configuration that `HAProxy` does not take never replaces one that works. If Fermata dies, `HAProxy` goes on, and the next
//! `fermata lb` takes it over.

mod change;
mod engine;
mod figures;
mod folder;
mod master;
mod program;
mod serve;
mod socket;

pub use program::{Missing, Program, Version};
pub use serve::{Notice, Outside, Reread, Watch, configuration, run};
