//! What Fermata comes as: an image, a compose file, a unit of systemd. Needs root, as a Docker Engine and systemd do.

#[path = "../support/mod.rs"]
mod support;

#[path = "../docker/engine.rs"]
mod engine;

mod image;
mod unit;
