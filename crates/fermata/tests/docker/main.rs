//! Services as containers of a real Docker Engine, which each test starts for itself and stops again. Needs root, as the
//! engine does.

#[path = "../support/mod.rs"]
mod support;

mod adoption;
mod bounds;
mod build;
mod databases;
mod engine;
mod obstacles;
mod registry;
mod story;
mod upgrade;
