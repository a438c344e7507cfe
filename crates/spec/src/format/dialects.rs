//! Files that are not quite ours: of the oldest dialect, or of another program.

use crate::diagnostic::Diagnostic;
use crate::diagnostic::codes::{self, Code};
use crate::tree::{Entry, Kind};

use super::service::SERVICE;

/// Which format a file is in, as its keys show it.
pub(crate) enum Dialect<'n> {
    /// service.yml as it is today, whatever is wrong with it.
    Ours,
    /// The oldest one (2014 to 2017): an environment around everything.
    Environment(&'n Entry),
    /// The oldest one with several environments.
    Environments(Vec<&'n Entry>),
    /// Another program's, and what to say about it.
    Foreign(Box<Diagnostic>),
}

/// Keys of a docker-compose service that no service.yml ever had.
const COMPOSE_KEYS: &[&str] =
    &["build", "depends_on", "environment", "env_file", "container_name", "links", "networks", "expose", "restart"];

/// Keys that both formats have.
const SHARED_KEYS: &[&str] = &["image", "command", "ports", "volumes"];

impl<'n> Dialect<'n> {
    /// The dialect of a file with these entries at its top level.
    pub(crate) fn of(entries: &'n [Entry]) -> Self {
        if let Some(diagnostic) = foreign(entries) {
            return Dialect::Foreign(Box::new(diagnostic));
        }
        let mut environments = environments(entries);
        match environments.as_slice() {
            [] => Dialect::Ours,
            [_] => Dialect::Environment(environments.remove(0)),
            _ => Dialect::Environments(environments),
        }
    }
}

fn foreign(entries: &[Entry]) -> Option<Diagnostic> {
    let say = |code: &Code, entry: &Entry, what: &str, help: &str| {
        let message = format!("this looks like {what}");
        Diagnostic::new(code, "", entry.key_span.clone(), message).help(help)
    };
    let at_top = |name: &str| entries.iter().find(|entry| entry.key.text == name);
    if let Some(entry) = compose(entries) {
        return Some(say(
            &codes::FILE_COMPOSE,
            entry,
            "a docker-compose file",
            "convert it first: fermata import compose.yml",
        ));
    }
    if let (Some(service), Some(_)) = (at_top("service"), at_top("servers"))
        && let Kind::Scalar(_) = service.value.kind
    {
        return Some(say(
            &codes::FILE_KAMAL,
            service,
            "Kamal's deploy.yml",
            "convert it first: fermata import deploy.yml",
        ));
    }
    if let (Some(version), Some(_)) = (at_top("apiVersion"), at_top("kind")) {
        let help = "fermata reads service.yml, and writes Kubernetes manifests: fermata render kubernetes";
        return Some(say(&codes::FILE_KUBERNETES, version, "a Kubernetes manifest", help));
    }
    None
}

/// A key that only docker-compose has, in a file without one that only this format has.
fn compose(entries: &[Entry]) -> Option<&Entry> {
    let is_compose = |entry: &&Entry| COMPOSE_KEYS.contains(&entry.key.text.as_str());
    let is_ours = |entry: &Entry| {
        let name = entry.key.text.as_str();
        !SHARED_KEYS.contains(&name) && SERVICE.keys.iter().any(|key| key.name == name)
    };
    // The first compose format has its services at the top level.
    let services =
        entries.iter().find(|entry| entry.key.text == "services").map_or(entries, |entry| entry.value.entries());
    let keys = || services.iter().flat_map(|service| service.value.entries());
    if keys().any(is_ours) { None } else { keys().find(is_compose) }
}

/// The environments of a file of the oldest dialect: maps at the top level with services in them.
fn environments(entries: &[Entry]) -> Vec<&Entry> {
    let has_services = |entry: &&Entry| entry.value.entries().iter().any(|entry| entry.key.text == "services");
    if entries.iter().any(|entry| entry.key.text == "services") {
        return Vec::new();
    }
    entries.iter().filter(has_services).collect()
}
