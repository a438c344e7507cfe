//! `firewall`: ports to open beside the default ones.

use crate::grammar::{Key, Others, Section, Shape, Word};
use crate::model::{Firewall, Protocol, Rule, Whence};
use crate::reader::Field;

use super::values::{self, PORT, WHENCE};

/// `firewall`.
pub(crate) const FIREWALL: Section = Section {
    name: "firewall",
    keys: &[Key::new(
        "rules",
        Shape::List(&Shape::Section(&RULE)),
        "Ports to open beside the default ones.",
        "rules: [{port: 9000, protocol: tcp, from: 203.0.113.0/24}]",
    )
    .own()],
    old: &[],
    others: Others::Refused,
};

const RULE: Section = Section {
    name: "a rule",
    keys: &[
        Key::new("port", PORT, "The port to open.", "port: 9000").own().required(),
        Key::new("protocol", PROTOCOL, "tcp or udp.", "protocol: tcp").own().default("tcp"),
        Key::new(
            "from",
            WHENCE,
            "Whose connections are let in; load_balancer is what gateway.trusted_proxies names.",
            "from: 203.0.113.0/24",
        )
        .own()
        .default("everybody's"),
    ],
    old: &[],
    others: Others::Refused,
};

const PROTOCOL: Shape = Shape::Choice(&[Word { word: "tcp", about: "TCP." }, Word { word: "udp", about: "UDP." }]);

/// The whole of `firewall`.
pub(crate) fn read(field: &Field<'_>) -> Firewall {
    let Some(fields) = field.fields() else { return Firewall::default() };
    let rules = fields.get("rules").map(|field| field.items()).unwrap_or_default();
    Firewall { rules: rules.iter().filter_map(rule).collect() }
}

fn rule(field: &Field<'_>) -> Option<Rule> {
    let fields = field.fields()?;
    let port = fields.get("port").and_then(|field| super::ports::port(&field));
    let protocol = match fields.get("protocol").and_then(|field| field.choice()) {
        Some("udp") => Protocol::Udp,
        _ => Protocol::Tcp,
    };
    let from = fields.get("from").map_or(Some(Whence::Anywhere), |field| field.parse(values::whence));
    Some(Rule { port: port?, protocol, from: from? })
}
