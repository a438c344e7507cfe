//! A service.yml from another program's file: docker compose's compose.yml, or Kamal's config/deploy.yml.
//!
//! Text in, text out: no file is opened here, and what a relative path means is told by an argument. Whatever has no
//! meaning in service.yml is said with its place and with what to do instead; whatever was decided on the way stands as
//! a comment in the result. It is no interpreter of either program: what only their tools know stays with them.

mod amounts;
mod compose;
mod draft;
mod health;
mod kamal;
mod known;
mod mounts;
mod ports;
mod source;
mod variables;

use fermata_spec::tree::{Kind, Node};
use fermata_spec::{Diagnostic, Place, Severity};

use source::{Remarks, Value};

/// A service.yml that was made of another file.
#[derive(Debug, Clone, PartialEq)]
pub struct Imported {
    /// Whose file it was.
    pub dialect: Dialect,
    /// The service.yml.
    pub text: String,
    /// What could not be carried over, and what was decided, in the order of the file that was read.
    pub said: Vec<Diagnostic>,
}

/// Whose file it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    /// docker compose.
    Compose,
    /// Kamal.
    Kamal,
}

/// Makes a service.yml of a text. `folder` is the absolute path of the folder that its relative paths start at.
///
/// # Errors
///
/// What is wrong with the text, where it is no file of either program.
pub fn import(text: &str, folder: &str) -> Result<Imported, Vec<Diagnostic>> {
    let (root, mut said) = fermata_spec::read_tree(text);
    if said.iter().any(|said| said.severity == Severity::Error) {
        if text.contains("<%") {
            said.push(refusal(
                0..0,
                "the file is a template (<% %>)",
                "import what kamal config prints, or write the values in",
            ));
        }
        return Err(said);
    }
    let Some(root) = root.filter(|root| !root.is_null()) else {
        said.push(refusal(0..0, "the file is empty", WAY_OUT));
        return Err(said);
    };
    let Some(dialect) = dialect(&root) else {
        said.push(stranger(&root));
        return Err(said);
    };
    let remarks = Remarks::default();
    let file = match dialect {
        Dialect::Compose => compose::read(&Value::root(&root, &remarks), folder),
        Dialect::Kamal => kamal::read(&Value::root(&root, &remarks), folder),
    };
    let Some(file) = file else {
        said.push(refusal(root.span.start..root.span.start, "the file defines no services", WAY_OUT));
        return Err(said);
    };
    let text = file.write();
    said.extend(remarks.into_sorted());
    Ok(Imported { dialect, text, said })
}

const WAY_OUT: &str = "name a compose.yml of docker compose, or a config/deploy.yml of Kamal";

fn refusal(span: std::ops::Range<usize>, message: &str, help: &str) -> Diagnostic {
    Diagnostic {
        code: "E-IMPORT",
        severity: Severity::Error,
        path: String::new(),
        message: message.to_owned(),
        help: Some(help.to_owned()),
        places: vec![Place { span, label: String::new() }],
    }
}

/// Tells the two apart by the keys at the top.
fn dialect(root: &Node) -> Option<Dialect> {
    let value = |key: &str| root.entries().iter().find(|entry| entry.key.text == key).map(|entry| &entry.value);
    let is_text = |node: &Node| matches!(&node.kind, Kind::Scalar(scalar) if !scalar.is_null());
    if value("services").is_none() && value("service").is_some_and(is_text) {
        return Some(Dialect::Kamal);
    }
    let is_service = |node: &Node| {
        node.entries().iter().any(|entry| matches!(entry.key.text.as_str(), "image" | "build") && is_text(&entry.value))
    };
    let Some(services) = value("services") else {
        // The first format of compose had its services at the top level.
        let all = root.entries().iter().all(|entry| is_service(&entry.value));
        return (all && !root.entries().is_empty()).then_some(Dialect::Compose);
    };
    let keys = services.entries().iter().flat_map(|service| service.value.entries());
    let ours = |key: &str| matches!(key, "env_vars" | "git_url" | "traffic_matches" | "constraints" | "requires");
    let is_map = services.is_null() || matches!(services.kind, Kind::Map(_));
    (is_map && !keys.map(|entry| entry.key.text.as_str()).any(ours)).then_some(Dialect::Compose)
}

/// A file of somebody else.
fn stranger(root: &Node) -> Diagnostic {
    let place = root.entries().first().map_or(root.span.start..root.span.start, |entry| entry.key_span.clone());
    let has = |key: &str| root.entries().iter().any(|entry| entry.key.text == key);
    let (message, help) = if has("services") {
        ("this is a service.yml already", "check it: fermata check")
    } else if has("apiVersion") {
        ("this is a file of Kubernetes", WAY_OUT)
    } else {
        ("this is neither a compose file nor Kamal's deploy.yml", WAY_OUT)
    };
    refusal(place, message, help)
}
