//! Services as running instances: planned, started, watched, restarted, stopped.
//!
//! ```text
//! Spec ── planner ──▶ Plan ──▶ Supervisor ── one Life per instance ──▶ Process
//!                      │                        │        └─ Tender (health checks)
//!                      └─ show (--dry-run)      └─▶ Event, Line
//! ```
//!
//! It gives events and lines of output, prints nothing, and knows nothing of routes and tunnels: [`crate::app`] feeds
//! the pools from [`Event::Ready`] and its opposites. What touches a process is in [`process`], [`group`] and [`locate`]
//! alone, so that something else that runs instances can stand beside them under the same supervisor.

mod backoff;
mod body;
mod conflicts;
pub mod databases;
mod docker;
mod drawn;
mod elsewhere;
mod event;
mod group;
mod handed;
pub mod health;
mod herald;
mod inherit;
mod life;
mod lines;
mod locate;
pub mod plan;
mod planner;
mod ports;
mod preflight;
mod presence;
mod process;
mod procs;
mod projects;
mod reference;
mod show;
pub mod state;
mod supervise;
mod sweep;
mod tend;
mod usage;
mod variables;
mod voices;

pub use docker::{Fate, Reconciliation, WhyReplaced};
pub use drawn::Keepsake;
pub use event::{Addresses, Cause, Event, InstanceName, Line, Progress, Share, Stream};
pub use handed::{Handed, Handing};
pub use inherit::Inheritance;
pub use lines::LONGEST as LONGEST_LINE;
pub use plan::{Plan, Problem};
pub use planner::{Caller, Drawn};
pub use process::Exit;
pub use state::{LockError, Roster, StateLock};
pub use supervise::{Keep, Supervisor, foresee};
pub use usage::Usage;

/// What would keep a plan from being started on this machine now.
pub fn obstacles(plan: &Plan) -> Vec<Problem> {
    plan.services.iter().flat_map(preflight::problems).collect()
}

/// Whether some of its instances are containers.
pub fn needs_engine(plan: &Plan) -> bool {
    plan.services.iter().any(|service| matches!(service.housing, plan::Housing::Container(_)))
}

/// Whether the Docker Engine answers that would run them. An error says what to do.
pub async fn engine_answers() -> Result<(), String> {
    docker::Engine::connect().await.map(drop)
}
