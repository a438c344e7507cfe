//! `constraints`: resources, bounds for the number of instances, where they may run.

use crate::diagnostic::{codes, quote};
use crate::grammar::{Actor, Key, Now, Numbers, OldKey, Others, Section, Shape, Text};
use crate::model::{Constraints, Resources, Share};
use crate::reader::Field;

use super::values::{self, COUNT, COUNT_OR_NONE, CPU, MEMORY, SHARE, TEXT};

/// Docker refuses less (its "Minimum memory limit allowed" was 4 MB), and so does the original.
const MIN_MEMORY: u64 = 4_000_000;

/// `constraints`.
pub(crate) const CONSTRAINTS: Section = Section {
    name: "constraints",
    keys: &[
        Key::new(
            "resources",
            Shape::Section(&RESOURCES),
            "Memory and CPU of one instance.",
            "resources: {limits: {memory: 500M, cpu: 1000m}}",
        ),
        Key::new("min_count", COUNT_OR_NONE, "Fewest instances.", "min_count: 2"),
        Key::new("max_count", COUNT, "Most instances.", "max_count: 7"),
        Key::new("max_unavailable", SHARE, "How many may be missing during a redeploy.", "max_unavailable: 30%")
            .default("50%"),
        Key::new("max_surge", SHARE, "How many more than wanted may run during a redeploy.", "max_surge: 20%")
            .default("50%"),
        Key::new(
            "servers",
            Shape::Section(&SERVERS),
            "Servers that instances may run on.",
            "servers: {names: [alpha]}",
        )
        .actor(Actor::Render),
        Key::new("tolerations", Shape::Free, "Kubernetes' tolerations as they are.", "tolerations: []")
            .actor(Actor::Render),
    ],
    old: &[],
    others: Others::Refused,
};

const RESOURCES: Section = Section {
    name: "resources",
    keys: &[
        Key::new(
            "requests",
            Shape::Section(&AMOUNTS),
            "What an instance is promised.",
            "requests: {memory: 100M, cpu: 500m}",
        )
        .actor(Actor::Render),
        Key::new(
            "limits",
            Shape::Section(&AMOUNTS),
            "What an instance may use at most.",
            "limits: {memory: 500M, cpu: 1000m}",
        ),
    ],
    old: &[
        OldKey { name: "memory", shape: MEMORY, now: Now::Reshaped },
        OldKey { name: "cpu", shape: CPU, now: Now::Reshaped },
    ],
    others: Others::Refused,
};

const AMOUNTS: Section = Section {
    name: "an amount of resources",
    keys: &[
        Key::new("memory", MEMORY, "Bytes, with K, M, G or Ki, Mi, Gi.", "memory: 100M"),
        Key::new("cpu", CPU, "Thousandths of a CPU.", "cpu: 500m"),
    ],
    old: &[],
    others: Others::Refused,
};

const SERVERS: Section = Section {
    name: "servers",
    keys: &[
        Key::new("names", Shape::List(&TEXT), "Names of servers; one of them.", "names: [alpha, zeta]"),
        Key::new("tags", Shape::List(&TAG), "Tags of servers, key=value; one of them.", "tags: [\"priority=high\"]"),
    ],
    old: &[],
    others: Others::Refused,
};

const TAG: Shape =
    Shape::Text(&Text { expected: "a tag such as priority=high", pattern: "^[^=]+=.*$", numbers: Numbers::None });

/// The whole section.
pub(crate) fn read(field: &Field<'_>) -> Constraints {
    let Some(fields) = field.fields() else { return Constraints::default() };
    let (requests, limits) = fields.get("resources").map(|field| resources(&field)).unwrap_or_default();
    let count = |name| fields.get(name).and_then(|field| field.integer());
    let share = |name| fields.get(name).and_then(|field| field.parse(values::share)).unwrap_or_else(Share::default);
    let (server_names, server_tags) = fields.get("servers").and_then(|field| servers(&field)).unwrap_or_default();
    Constraints {
        requests,
        limits,
        min_count: count("min_count"),
        max_count: count("max_count"),
        max_unavailable: share("max_unavailable"),
        max_surge: share("max_surge"),
        server_names,
        server_tags,
        tolerations: fields.get("tolerations").map(|field| field.json()),
    }
}

fn resources(field: &Field<'_>) -> (Resources, Resources) {
    let Some(fields) = field.fields() else { return Default::default() };
    let read = |name| fields.get(name).map(|field| amounts(&field)).unwrap_or_default();
    let (requests, mut limits) = (read("requests"), read("limits"));
    for name in ["memory", "cpu"] {
        let Some(old) = fields.old(name) else { continue };
        let text = old.text().unwrap_or_default();
        old.say_help(
            &codes::KEY_OLD,
            format!("\"{name}\" is now part of \"limits\""),
            format!("write limits: {{{name}: {text}}}"),
        );
        match name {
            "memory" => limits.memory = limits.memory.or_else(|| memory(&old)),
            _ => limits.cpu = limits.cpu.or_else(|| old.parse(values::cpu)),
        }
    }
    (requests, limits)
}

fn amounts(field: &Field<'_>) -> Resources {
    let Some(fields) = field.fields() else { return Resources::default() };
    Resources {
        memory: fields.get("memory").and_then(|field| memory(&field)),
        cpu: fields.get("cpu").and_then(|field| field.parse(values::cpu)),
    }
}

fn memory(field: &Field<'_>) -> Option<u64> {
    let bytes = field.parse(values::memory)?;
    let text = field.text()?;
    if let Some(number) = text.strip_suffix('m') {
        let message =
            format!("{} is {} byte in Kubernetes, where a small m means thousandths", quote(text), thousandth(number));
        field.say_help(&codes::MEMORY_MILLI, message, format!("write {number}M"));
    }
    if bytes < MIN_MEMORY {
        let help = if text.bytes().all(|byte| byte.is_ascii_digit()) {
            format!("write {text}M, if megabytes are meant")
        } else {
            "write 4M or more".to_owned()
        };
        field.say_help(
            &codes::MEMORY_SMALL,
            format!("{} is less than 4M, and no container starts with that", quote(text)),
            help,
        );
    }
    Some(bytes)
}

/// A number divided by 1000, without needless zeros.
fn thousandth(number: &str) -> String {
    let thousandth = number.parse::<f64>().unwrap_or_default() / 1000.0;
    thousandth.to_string()
}

fn servers(field: &Field<'_>) -> Option<(Vec<String>, Vec<String>)> {
    let fields = field.fields()?;
    let texts = |name: &str| -> Vec<Field<'_>> { fields.get(name).map(|field| field.items()).unwrap_or_default() };
    let (names, tags) = (texts("names"), texts("tags"));
    let names = names.iter().filter_map(|field| field.text().map(str::to_owned)).collect();
    let tag = |text: &str| text.find('=').filter(|at| *at > 0).map(|_| text.to_owned());
    let tags = tags.iter().filter_map(|field| field.parse(tag)).collect();
    Some((names, tags))
}
