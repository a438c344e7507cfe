//! Load balancers of cloud providers: what stands in front of the machines that run `fermata up`.
//!
//! `front` says what a balancer has to do for a file, out of the table in `balancers`; a file for each provider writes
//! that down in its words; `terraform` and `readme` know how such files are written. What a balancer cannot do is refused
//! before anything is written, by the same rules as `fermata check --behind`.

pub(super) mod aws;
pub(super) mod azure;
pub(super) mod cloudflare;
pub(super) mod cloudformation;
pub(super) mod digitalocean;
pub(super) mod fly;
mod front;
mod gates;
pub(super) mod gcp;
pub(super) mod groups;
pub(super) mod hetzner;
pub(super) mod linode;
pub(super) mod octavia;
mod readme;
pub(super) mod scaleway;
mod terraform;
pub(super) mod vultr;

use fermata_spec::{Severity, Spec};

use super::{File, Gaps, Rendered};
use fermata_spec::balancers;
use front::Front;
pub(super) use front::seconds;
use readme::Guide;

/// What a provider's file makes: the configuration, and what to tell about it.
struct Made {
    /// Its name, `main.tf.json`.
    name: &'static str,
    text: String,
    guide: Guide,
}

/// Judges, and writes if nothing stands against it.
fn render(spec: &Spec, balancer: &str, make: impl FnOnce(&Front<'_>) -> Made) -> Rendered {
    let balancer = balancers::balancer(balancer).expect("every target has a row in the table");
    let mut said = balancers::judge(balancer, spec);
    let mut gaps = Gaps::new(spec);
    let front = Front::new(balancer, spec, &mut gaps, &mut said);
    let Some(front) = front.filter(|_| said.iter().all(|one| one.severity != Severity::Error)) else {
        return Rendered { files: Vec::new(), said };
    };
    said.extend(gaps.said);
    said.sort_by_key(|one| one.places[0].span.start);
    let Made { name, text, guide } = make(&front);
    let readme = readme::write(&front, name, &guide);
    Rendered { files: vec![File::new(name, text), File::beside("README.md", readme)], said }
}
