//! `ports`: short and long forms, and what older files wrote instead.

mod legacy;
mod number;

use std::ops::Range;

pub(crate) use legacy::TCP;
pub(crate) use number::{port, warn_base60};

use number::{number, say_no_port};

use crate::diagnostic::{codes, quote};
use crate::grammar::{Key, Numbers, Others, Section, Shape, Text};
use crate::model::Port;
use crate::reader::{Field, Fields, join};
use crate::tree::{Entry, Kind};

use super::patterns;
use super::values::PORT;

/// `ports`.
pub(crate) const PORTS: Shape = Shape::ListOrOne(&Shape::Either(&[SHORT, Shape::Section(&ENTRY)]));

const SHORT: Shape = Shape::Text(&Text {
    expected: "a port such as \"3000:80:443\" (container:http:https)",
    pattern: PORT_PATTERNS,
    numbers: Numbers::Between(1, 65535),
});

/// [`SHORT`] spelt out: every part is empty or from 1 to 65535, the first not empty.
const PORT_PATTERNS: &str = concat!("^", patterns::port!(), "(:(", patterns::port!(), ")?){0,2}$");

const ENTRY: Section = Section {
    name: "an entry of ports",
    keys: &[
        Key::new("container", PORT, "The port on which the service itself listens.", "container: 3000").required(),
        Key::new("http", PORT, "Public port for HTTP and ws://.", "http: 8080"),
        Key::new("https", PORT, "Public port for HTTPS and wss://.", "https: 8443"),
        Key::new(
            "tcp",
            PORT,
            "Public port whose TCP connections are carried to the container port as they are.",
            "tcp: 9000",
        ),
        Key::new(
            "udp",
            PORT,
            "Public port whose UDP datagrams are carried to the container port as they are.",
            "udp: 5353",
        ),
    ],
    old: &[],
    others: Others::Refused,
};

/// All ports of a service, however its file spells them.
pub(crate) fn read(fields: &Fields<'_>) -> Vec<Port> {
    let mut ports = Vec::new();
    if let Some(field) = fields.get("ports") {
        ports.extend(field.items().iter().filter_map(entry));
        if !matches!(field.node.kind, Kind::List(_)) && !ports.is_empty() {
            let help = "write a dash in front of it, or brackets around it";
            field.say_help(&codes::VALUE_LIST, "one port alone is usually written as a list", help);
        }
    }
    legacy::local_ports(fields, &mut ports);
    legacy::tcp(fields, &mut ports);
    ports
}

fn entry(field: &Field<'_>) -> Option<Port> {
    match &field.node.kind {
        Kind::Scalar(_) => short(field),
        Kind::Map(entries) => match entries.as_slice() {
            [alone] if looks_short(&alone.key.text) => mistaken(field, alone),
            _ => long(field),
        },
        Kind::List(_) => {
            field.expect();
            None
        }
    }
}

fn looks_short(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit() || byte == b':')
}

/// `3000:80:` and `3000: 80` without quotes: maps for YAML. What was meant is clear enough to check the rest.
fn mistaken(field: &Field<'_>, alone: &Entry) -> Option<Port> {
    let value = match &alone.value.kind {
        Kind::Scalar(scalar) if !scalar.is_null() => scalar.text.as_str(),
        _ => "",
    };
    let meant = format!("{}:{value}", alone.key.text);
    let message =
        format!("{meant} without quotes is a map for YAML, because of the colon at the end of {}", alone.key.text);
    let message = if value.is_empty() {
        message
    } else {
        format!("\"{}: {value}\" is a map for YAML, because of the blank behind the colon", alone.key.text)
    };
    field.say_help(&codes::PORT_MAP, message, format!("write \"{meant}\""));
    let parts: Vec<&str> = meant.split(':').collect();
    let number = |part: usize| parts.get(part).and_then(|part| part.parse::<u16>().ok()).filter(|port| *port > 0);
    Some(Port {
        container: number(0)?,
        websocket: None,
        http: number(1),
        https: number(2),
        tcp: None,
        udp: None,
        tls: None,
    })
}

/// `CONTAINER:HTTP:HTTPS`, each part behind the first optional.
fn short(field: &Field<'_>) -> Option<Port> {
    let text = field.text()?;
    warn_base60(field);
    if text.matches(':').count() > 2 {
        let message = format!("{} has too many parts", quote(text));
        field.say_help(&codes::PORT_PARTS, message, "the form is CONTAINER:HTTP:HTTPS; TCP and UDP need the long form");
        return None;
    }
    let mut parts = parts(text).into_iter();
    let container = parts.next()?;
    if text[container.clone()].is_empty() {
        let message = format!("{} names no container port", quote(text));
        field.say_help(
            &codes::PORT_CONTAINER,
            message,
            "the form is CONTAINER:HTTP:HTTPS; the container port is where the service listens",
        );
        return None;
    }
    let container = part(field, "container", text, container)?;
    let mut public = |name| match parts.next() {
        Some(range) if !range.is_empty() => part(field, name, text, range).map(Some),
        _ => Some(None),
    };
    Some(Port {
        container,
        websocket: None,
        http: public("http")?,
        https: public("https")?,
        tcp: None,
        udp: None,
        tls: None,
    })
}

/// The ranges between the colons.
fn parts(text: &str) -> Vec<Range<usize>> {
    let mut start = 0;
    let mut ranges = Vec::new();
    for part in text.split(':') {
        ranges.push(start..start + part.len());
        start += part.len() + 1;
    }
    ranges
}

fn part(field: &Field<'_>, name: &str, text: &str, range: Range<usize>) -> Option<u16> {
    let place = field.part(range.clone());
    let port = number(&text[range.clone()]);
    if port.is_none() {
        say_no_port(field, place.clone(), &text[range]);
    }
    field.reading.keep_place(join(&field.path, name), &place, &place);
    port
}

/// `container`, `http`, `https`, `tcp`, `udp`.
fn long(field: &Field<'_>) -> Option<Port> {
    let fields = field.fields_of(&ENTRY)?;
    let read = |name| fields.get(name).map(|field| port(&field));
    let (container, http, https, tcp, udp) = (read("container"), read("http"), read("https"), read("tcp"), read("udp"));
    Some(Port {
        websocket: None,
        container: container??,
        http: http.flatten(),
        https: https.flatten(),
        tcp: tcp.flatten(),
        udp: udp.flatten(),
        tls: None,
    })
}
