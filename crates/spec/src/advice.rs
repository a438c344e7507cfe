//! What to write instead of a key that nobody knows.

use crate::format::file::FILE;
use crate::grammar::{Section, Shape};
use crate::reader::{list, nearest_word};

/// Words of docker-compose, Kamal and Kubernetes, and what this format has for them.
const OTHER_WORDS: &[(&str, &str)] = &[
    ("args", "command"),
    ("build", "build_root"),
    ("container_port", "container"),
    ("containerPort", "container"),
    ("cpus", "constraints"),
    ("depends_on", "requires"),
    ("deploy", "constraints"),
    ("domain", "traffic_matches"),
    ("domains", "traffic_matches"),
    ("entrypoint", "command"),
    ("environment", "env_vars"),
    ("expose", "ports"),
    ("healthcheck", "health"),
    ("host", "traffic_matches"),
    ("hostname", "traffic_matches"),
    ("hosts", "traffic_matches"),
    ("instances", "replicas"),
    ("labels", "tags"),
    ("links", "requires"),
    ("mem_limit", "constraints"),
    ("origin", "origins"),
    ("ping_interval", "keepalive"),
    ("port", "ports"),
    ("proxy", "gateway"),
    ("scale", "replicas"),
    ("server_name", "traffic_matches"),
    ("ssl", "tls"),
    ("stop_grace_period", "stop_grace"),
    ("workdir", "work_dir"),
    ("working_dir", "work_dir"),
    ("ws", "http"),
    ("wss", "https"),
];

/// More keys than this are not listed in a message.
const FEW: usize = 12;

/// What to do about a key that a section does not have.
pub(crate) fn unknown_key(name: &str, section: &Section) -> String {
    let has = |key: &str| section.keys.iter().any(|known| known.name == key);
    if let Some(bare) = name.strip_prefix('-').filter(|bare| !bare.is_empty()) {
        return format!("a blank is missing behind the dash: write - {bare}");
    }
    if let Some((_, ours)) = OTHER_WORDS.iter().find(|(other, ours)| *other == name && has(ours)) {
        return format!("did you mean \"{ours}\"?");
    }
    if let Some(near) = nearest_word(name, section.keys.iter().map(|key| key.name)) {
        return format!("did you mean \"{near}\"?");
    }
    if let Some(home) = home(name, &FILE, 0) {
        return format!("\"{name}\" is a key of {home}");
    }
    if section.keys.len() > FEW {
        return format!("docs/service.yml.md lists the keys of {}", section.name);
    }
    format!("{} has {}", section.name, list(section.keys.iter().map(|key| key.name)))
}

/// The section that has this key, looking from the top of the file.
fn home(name: &str, section: &'static Section, depth: usize) -> Option<&'static str> {
    if section.keys.iter().any(|key| key.name == name) {
        return Some(section.name);
    }
    // The format has fewer levels; this keeps the search finite, whatever is declared.
    if depth == 8 {
        return None;
    }
    section.keys.iter().find_map(|key| inside(name, &key.shape, depth))
}

fn inside(name: &str, shape: &'static Shape, depth: usize) -> Option<&'static str> {
    match shape {
        Shape::Section(section) => home(name, section, depth + 1),
        Shape::List(shape) | Shape::ListOrOne(shape) | Shape::Table { values: shape, .. } => inside(name, shape, depth),
        Shape::Either(shapes) => shapes.iter().find_map(|shape| inside(name, shape, depth)),
        Shape::Text(_) | Shape::Integer { .. } | Shape::Flag | Shape::Choice(_) | Shape::Anything | Shape::Free => None,
    }
}
