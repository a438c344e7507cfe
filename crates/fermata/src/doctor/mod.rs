//! `fermata doctor`: what on a server is in the way of a file's WebSockets, and what to do about each thing.
//!
//! One file a topic: it looks at the machine and says what it found as a value. It changes nothing: a port is bound for a
//! moment to learn whether it can be. What clients see is not known here; that is what the probe is for.

mod addresses;
mod certificates;
mod clock;
mod conntrack;
mod descriptors;
mod docker;
mod file;
mod firewall;
mod names;
mod ports;
mod services;
mod topic;

use std::path::PathBuf;

use fermata_spec::{Outcome, Spec};
use rustls_pki_types::CertificateDer;

use crate::admin::{self, Reply, Request, Status};
use crate::app::Place;
use crate::firewall::{State, observe::observe};

pub use topic::{Finding, Report, Topic};

/// All that a doctor is told.
#[derive(Debug)]
pub struct Question {
    /// The file, as it was named.
    pub file: PathBuf,
    /// What its check said.
    pub checked: Outcome,
    /// The file's folder and the state folder.
    pub place: Place,
    /// Who is trusted to sign certificates.
    pub roots: Vec<CertificateDer<'static>>,
}

/// Looks at everything.
pub async fn examine(question: &Question) -> Report {
    let running = running(&question.place);
    let running = running.as_ref();
    let name = question.file.display().to_string();
    let mut findings = vec![file::look(&name, &question.checked, running)];
    match &question.checked.spec {
        Some(spec) => findings.extend(of_spec(spec, question, running).await),
        None => findings.extend([Topic::Services, Topic::Ports, Topic::Firewall].map(Finding::skipped)),
    }
    findings.extend([conntrack::look(question.checked.spec.as_ref()), clock::look(&question.file)]);
    match &question.checked.spec {
        Some(spec) => {
            findings.push(certificates::look(spec, &question.place, &question.roots));
            findings.push(names::look(spec).await);
        }
        None => findings.extend([Topic::Certificates, Topic::Names].map(Finding::skipped)),
    }
    findings.sort_by_key(|finding| finding.name);
    Report::new(name, findings)
}

async fn of_spec(spec: &Spec, question: &Question, running: Option<&Status>) -> Vec<Finding> {
    let observed = observe();
    let remembered = crate::firewall::peek(&question.place.state).unwrap_or_else(|_| State::default());
    vec![
        services::look(spec, &question.place, running).await,
        ports::look(spec, running),
        firewall::look(spec, &remembered, &observed),
        docker::look(spec, &observed),
        descriptors::look(spec, running),
    ]
}

/// What a Fermata that runs with this state folder says of itself.
fn running(place: &Place) -> Option<Status> {
    let mut status = None;
    let called = admin::call(&place.state, &Request::Status, |reply| {
        if let Reply::Status(said) = reply {
            status = Some(said);
        }
        false
    });
    called.ok().and(status)
}

/// `1 port`, `3 ports`.
fn several(count: usize, word: &str) -> String {
    if count == 1 { format!("1 {word}") } else { format!("{count} {word}s") }
}
