//! The file as a whole: its top level, and the dialects of other files that look like it.

use std::ops::Range;

use crate::diagnostic::{Diagnostic, codes, quote};
use crate::grammar::{Key, Now, OldKey, Others, Section, Shape, Word};
use crate::model::{Cluster, Database, Firewall, Gateway, LoadBalancer, Places, Service, Spec, Tls};
use crate::reader::{self, Field, Fields, Reading};
use crate::tree::{Entry, Kind, Node};

use super::dialects::Dialect;
use super::firewall::FIREWALL;
use super::gateway::GATEWAY;
use super::kubernetes::KUBERNETES;
use super::load_balancer::LOAD_BALANCER;
use super::services::SERVICES;
use super::tls::TLS;
use super::{firewall, gateway, kubernetes, load_balancer, services, tls};

/// The top level.
pub(crate) const FILE: Section = Section {
    name: "the top level",
    keys: &[
        Key::new("version", Shape::Integer { min: 2, max: 2 }, "Version of the format.", "version: 2").default("2"),
        Key::new(
            "services",
            SERVICES,
            "The services by name. Where two match one request, the first in the file gets it.",
            "services: {chat: {ports: [\"3000:8080\"]}}",
        )
        .required_unless("load_balancer"),
        Key::new("databases", DATABASES, "Databases beside the services; run only on request.", "databases: [redis]")
            .default("[]"),
        Key::new("tls", Shape::Section(&TLS), "Certificates.", "tls: {certificates: [{cert: app.pem, key: app.key}]}")
            .own(),
        Key::new(
            "gateway",
            Shape::Section(&GATEWAY),
            "What holds for all public ports.",
            "gateway: {trusted_proxies: [10.0.0.0/8]}",
        )
        .own(),
        Key::new(
            "load_balancer",
            Shape::Section(&LOAD_BALANCER),
            "The tier in front of several servers.",
            "load_balancer: {servers: [{name: web1, address: 10.0.0.11}]}",
        )
        .own(),
        Key::new("firewall", Shape::Section(&FIREWALL), "Further ports to open.", "firewall: {rules: [{port: 9000}]}")
            .own(),
        Key::new(
            "kubernetes",
            Shape::Section(&KUBERNETES),
            "The cluster in which services with endpoints: kubernetes are found.",
            "kubernetes: {namespace: shop}",
        )
        .own(),
    ],
    old: &[OldKey {
        name: "repositories",
        shape: Shape::Free,
        now: Now::Ended("log in with docker login; the credentials that Docker keeps are used"),
    }],
    others: Others::RefusedButExtensions,
};

const DATABASES: Shape = Shape::List(&Shape::Choice(&[
    Word { word: "postgresql", about: "PostgreSQL." },
    Word { word: "mysql", about: "MySQL." },
    Word { word: "redis", about: "Redis." },
    Word { word: "mongodb", about: "MongoDB." },
    Word { word: "elasticsearch", about: "Elasticsearch." },
    Word { word: "rabbitmq", about: "RabbitMQ." },
    Word { word: "glusterfs", about: "GlusterFS." },
]));

/// What the sections of a file say.
#[derive(Debug, Default)]
pub(crate) struct Sections {
    pub(crate) services: Vec<Service>,
    pub(crate) databases: Vec<Database>,
    pub(crate) tls: Tls,
    pub(crate) gateway: Gateway,
    pub(crate) load_balancer: Option<LoadBalancer>,
    pub(crate) firewall: Firewall,
    pub(crate) kubernetes: Cluster,
}

impl Sections {
    pub(crate) fn into_spec(self, places: Places) -> Spec {
        let Sections { services, databases, tls, gateway, load_balancer, firewall, kubernetes } = self;
        Spec { services, databases, tls, gateway, load_balancer, firewall, kubernetes, places }
    }
}

/// A text without a document. Where its syntax was refused, enough has been said.
pub(crate) fn none(reading: &Reading) -> Sections {
    if !reading.partial {
        let help = "write services: and the services below it";
        say(reading, Diagnostic::new(&codes::FILE_EMPTY, "", 0..0, "the file defines no services").help(help));
    }
    Sections::default()
}

/// Reads a document, whichever dialect it is in.
pub(crate) fn read(root: &Node, reading: &Reading) -> Sections {
    if root.is_null() {
        return none(reading);
    }
    let Kind::Map(entries) = &root.kind else {
        let message = "a service.yml is a map with services at its top level";
        say(
            reading,
            Diagnostic::new(&codes::FILE_EMPTY, "", root.span.clone(), message)
                .help("write services: and the services below it"),
        );
        return Sections::default();
    };
    match Dialect::of(entries) {
        Dialect::Ours => sections(&top(root, 0..0, reading)),
        Dialect::Foreign(diagnostic) => {
            say(reading, *diagnostic);
            Sections::default()
        }
        Dialect::Environment(alone) => {
            let name = &alone.key.text;
            let message = format!("environment {} at the top level; services stand there now", quote(name));
            let help = format!("remove the line \"{name}:\" and move what is below it two columns to the left");
            say(reading, Diagnostic::new(&codes::FILE_ENVIRONMENT, "", alone.key_span.clone(), message).help(help));
            beside(alone, entries, reading);
            sections(&top(&alone.value, alone.key_span.clone(), reading))
        }
        Dialect::Environments(environments) => {
            say_several(&environments, reading);
            // Each is looked at for its own faults; none is chosen.
            for environment in environments {
                sections(&top(&environment.value, environment.key_span.clone(), reading));
            }
            Sections::default()
        }
    }
}

/// The top level; `place` is where to point for it.
fn top<'a>(node: &'a Node, place: Range<usize>, reading: &'a Reading) -> Field<'a> {
    Field { node, path: String::new(), place: place.clone(), key_place: place, shape: &FILE_SHAPE, reading }
}

fn say_several(environments: &[&Entry], reading: &Reading) {
    let names = reader::list(environments.iter().take(10).map(|entry| entry.key.text.as_str()));
    let mut places = environments.iter().take(10).map(|entry| entry.key_span.clone());
    let first = places.next().unwrap_or_default();
    let message = format!("which environment is meant: {names}?");
    let diagnostic = Diagnostic::new(&codes::FILE_ENVIRONMENTS, "", first, message);
    let diagnostic = places.fold(diagnostic, |diagnostic, place| diagnostic.also(place, ""));
    say(reading, diagnostic.help("keep one file for each, with services at its top level"));
}

/// What stands beside an environment belongs to none.
fn beside(environment: &Entry, entries: &[Entry], reading: &Reading) {
    let name = &environment.key.text;
    for entry in
        entries.iter().filter(|entry| entry.key_span != environment.key_span && !entry.key.text.starts_with("x-"))
    {
        let message = format!("{} stands beside environment {}, not in it", quote(&entry.key.text), quote(name));
        let diagnostic = Diagnostic::new(&codes::KEY_PLACE, "", entry.key_span.clone(), message);
        say(reading, diagnostic.help(format!("indent it below {name}, or remove it")));
    }
}

const FILE_SHAPE: Shape = Shape::Section(&FILE);

fn say(reading: &Reading, diagnostic: Diagnostic) {
    reading.said.add(diagnostic);
}

/// The sections, `services` even where its name is misspelt.
fn sections(field: &Field<'_>) -> Sections {
    let entries = field.node.entries();
    let right = |entry: &Entry| FILE.keys.iter().any(|key| key.name == entry.key.text);
    let near = |entry: &&Entry| {
        !right(entry)
            && matches!(entry.value.kind, Kind::Map(_))
            && reader::nearest_word(&entry.key.text, ["services"].into_iter()).is_some()
    };
    let misspelt =
        if entries.iter().any(|entry| entry.key.text == "services") { None } else { entries.iter().find(near) };
    let Some(misspelt) = misspelt else { return read_sections(field) };
    let message = format!("services is missing; did you mean to rename {}?", quote(&misspelt.key.text));
    say(
        field.reading,
        Diagnostic::new(&codes::FILE_SERVICES, "", misspelt.key_span.clone(), message).help("write services:"),
    );
    let rename = |entry: &Entry| {
        let mut entry = entry.clone();
        if entry.key_span == misspelt.key_span {
            "services".clone_into(&mut entry.key.text);
        }
        entry
    };
    let node = Node { kind: Kind::Map(entries.iter().map(rename).collect()), span: field.node.span.clone() };
    read_sections(&Field { node: &node, ..field.clone() })
}

fn read_sections(field: &Field<'_>) -> Sections {
    let Some(fields) = field.fields() else { return Sections::default() };
    if let Some(version) = fields.get("version") {
        read_version(&version);
    }
    Sections {
        services: fields.get("services").map(|field| services::read(&field)).unwrap_or_default(),
        databases: databases(&fields),
        tls: fields.get("tls").map(|field| tls::read(&field)).unwrap_or_default(),
        gateway: fields.get("gateway").map(|field| gateway::read(&field)).unwrap_or_default(),
        load_balancer: fields.get("load_balancer").and_then(|field| load_balancer::read(&field)),
        firewall: fields.get("firewall").map(|field| firewall::read(&field)).unwrap_or_default(),
        kubernetes: fields.get("kubernetes").map(|field| kubernetes::read(&field)).unwrap_or_default(),
    }
}

fn read_version(field: &Field<'_>) {
    let Some(text) = field.text() else { return };
    if text.parse() != Ok(2) {
        field.say_help(
            &codes::FILE_VERSION,
            format!("must be 2, not {}", quote(text)),
            "write version: 2, or leave it out",
        );
    }
}

fn databases(fields: &Fields<'_>) -> Vec<Database> {
    let items = fields.get("databases").map(|field| field.items()).unwrap_or_default();
    let database = |field: &Field<'_>| {
        Some(match field.choice()? {
            "postgresql" => Database::Postgresql,
            "mysql" => Database::Mysql,
            "redis" => Database::Redis,
            "mongodb" => Database::Mongodb,
            "elasticsearch" => Database::Elasticsearch,
            "rabbitmq" => Database::Rabbitmq,
            _ => Database::Glusterfs,
        })
    };
    items.iter().filter_map(database).collect()
}
