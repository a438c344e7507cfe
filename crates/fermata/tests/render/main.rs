//! `fermata render`: whole files for every target, and what real tools and other people's schemas say to them.
//!
//! A folder for each family of targets has service.yml files, and for each target a `TARGET.txt` with what becomes of all of
//! them. `FERMATA_BLESS=1 cargo test -p fermata --test render` writes the latter anew; look at what changed before you
//! commit it.

#[path = "../support/mod.rs"]
mod support;

mod cloud;
mod cloudformation;
mod compose;
mod goldens;
mod haproxy;
mod keepalived;
mod kubernetes;
mod kustomize;
mod mistakes;
mod readmes;
mod refused;
mod terraform;
mod variables;
