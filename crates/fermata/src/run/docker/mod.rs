//! Instances as containers of a Docker Engine, beside [`super::process`] and under the same supervisor.
//!
//! ```text
//! Engine ── image (there, pulled or built) ── recipe (pure: what a container is made of) ──▶ Container
//!    └───── reconcile: what an earlier run left is adopted, or removed
//! ```
//!
//! A container is known by its labels: project, service, number, and a digest of everything that it is made of. It is
//! restarted by our supervisor and never by the engine, so that one place alone decides. It publishes no port: it is
//! reached at its own address, and only where that cannot be (another machine's engine, Docker Desktop) at a free port of
//! 127.0.0.1. Fermata's end does not end it; the next Fermata finds it and goes on.

mod build;
mod clock;
mod container;
mod context;
mod credentials;
mod engine;
mod exec;
mod hearing;
mod ignore;
mod image;
mod recipe;
mod reconcile;
mod settled;

pub(super) use container::{Begun, Container, Origin};
pub(super) use engine::Engine;
pub(super) use exec::Inside;
pub(super) use hearing::HeardRecord;
pub use reconcile::{Cause as WhyReplaced, Fate, Reconciliation};
pub(super) use reconcile::{clear, reconcile};
