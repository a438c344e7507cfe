//! `ports`: short and long forms, and what older files wrote instead.

use std::ops::Range;

use crate::diagnostic::{Diagnostic, codes, quote};
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

/// `tcp` of older files, beside `ports`.
pub(crate) const TCP: Shape = Shape::Text(&Text {
    expected: "a pair of ports such as \"22:10022\" (container:tcp)",
    pattern: concat!("^", patterns::port!(), "(:", patterns::port!(), ")?$"),
    numbers: Numbers::Between(1, 65535),
});

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
    Some(Port { container: number(0)?, http: number(1), https: number(2), tcp: None, udp: None })
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
    Some(Port { container, http: public("http")?, https: public("https")?, tcp: None, udp: None })
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
    field.reading.keep_place(join(&field.path, name), &place);
    port
}

fn number(text: &str) -> Option<u16> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|port| digits && *port > 0)
}

/// Why a text is not a port, as precisely as can be told.
fn say_no_port(field: &Field<'_>, place: Range<usize>, text: &str) {
    let diagnostic = |code, message| Diagnostic::new(code, field.path.clone(), place, message);
    // In the long form nobody writes a colon that a tool could have misread.
    let short = matches!(field.shape, Shape::Either(_));
    let lone = short && field.scalar().is_some_and(|scalar| scalar.plain && scalar.text == text);
    let diagnostic = if let Some(meant) = base60(text).filter(|_| lone) {
        let message = format!("{text} is not a port; use 1 to 65535");
        diagnostic(&codes::PORT, message)
            .help(format!("if {meant} was meant, a tool read it in base 60 and wrote it back; write \"{meant}\""))
    } else if is_range(text) {
        diagnostic(&codes::PORT_LIST, format!("{} is a range; one entry holds one port", quote(text)))
            .help("write one entry for each port")
    } else if let Some((port, protocol)) = text.split_once('/') {
        let help = format!("write it in the long form: container: {port}, {}: {port}", protocol.to_ascii_lowercase());
        diagnostic(&codes::PORT, format!("{} is not a port", quote(text))).help(help)
    } else if text.contains(',') {
        let items: Vec<String> = text.split(',').take(10).map(|item| quote(item.trim())).collect();
        diagnostic(&codes::PORT_LIST, format!("{} is several ports in one", quote(text)))
            .help(format!("write [{}]", items.join(", ")))
    } else {
        diagnostic(&codes::PORT, format!("{} is not a port; use 1 to 65535", quote(text)))
    };
    field.reading.said.add(diagnostic);
}

fn is_range(text: &str) -> bool {
    text.split_once('-').is_some_and(|(from, to)| number(from.trim()).is_some() && number(to.trim()).is_some())
}

/// What a number above 65535 was before a YAML 1.1 reader took it for base 60.
fn base60(text: &str) -> Option<String> {
    let number: u64 = text.parse().ok().filter(|number| *number > 65535)?;
    let two = number / 60;
    if two <= 65535 {
        return Some(format!("{two}:{:02}", number % 60));
    }
    let three = number / 3600;
    (three <= 65535).then(|| format!("{three}:{:02}:{:02}", number / 60 % 60, number % 60))
}

/// Warns of a plain scalar that YAML 1.1 reads in base 60 (its type repository's `int`: every part behind the first is
/// below 60).
pub(crate) fn warn_base60(field: &Field<'_>) {
    let Some(scalar) = field.scalar().filter(|scalar| scalar.plain) else { return };
    let Some(number) = as_base60(scalar.text.as_str()) else { return };
    let text = scalar.text.as_str();
    let message = format!("{text} without quotes is the number {number} for many YAML readers");
    field.say_help(&codes::YAML_BASE60, message, format!("write \"{text}\""));
}

fn as_base60(text: &str) -> Option<u64> {
    let (first, rest) = text.split_once(':')?;
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    if !digits(first) || first.starts_with('0') {
        return None;
    }
    let mut number: u64 = first.parse().ok()?;
    for part in rest.split(':') {
        let part: u64 = part.parse().ok().filter(|value| digits(part) && part.len() <= 2 && *value < 60)?;
        number = number.checked_mul(60)?.checked_add(part)?;
    }
    Some(number)
}

/// `container`, `http`, `https`, `tcp`, `udp`.
fn long(field: &Field<'_>) -> Option<Port> {
    let fields = field.fields_of(&ENTRY)?;
    let read = |name| fields.get(name).map(|field| port(&field));
    let (container, http, https, tcp, udp) = (read("container"), read("http"), read("https"), read("tcp"), read("udp"));
    Some(Port {
        container: container??,
        http: http.flatten(),
        https: https.flatten(),
        tcp: tcp.flatten(),
        udp: udp.flatten(),
    })
}

/// One port number, quoted or not.
pub(crate) fn port(field: &Field<'_>) -> Option<u16> {
    if let Kind::List(_) = field.node.kind {
        field.say_help(&codes::PORT_LIST, "one entry holds one port", "write one entry of ports for each");
        return None;
    }
    let text = field.text()?;
    let port = number(text);
    if port.is_none() {
        say_no_port(field, field.place.clone(), text);
    }
    port
}

mod legacy {
    //! `local_ports` with `public_port`, and `tcp` beside `ports`: spellings of 2014 to 2016.

    use super::{Field, Fields, Port, codes, number, quote};

    /// Pairs `local_ports: [3000]` with `public_port: "80:443"`.
    pub(super) fn local_ports(fields: &Fields<'_>, ports: &mut Vec<Port>) {
        let public = fields.old("public_port").or_else(|| fields.old("public_ports"));
        let Some(local) = fields.old("local_ports") else {
            public_texts(public.as_ref());
            if let Some(public) = public {
                public.say_help(
                    &codes::KEY_OLD,
                    "\"public_port\" is now part of \"ports\"",
                    "write ports: [\"CONTAINER:HTTP:HTTPS\"]",
                );
            }
            return;
        };
        if !ports.is_empty() {
            local.say_help(
                &codes::KEY_OLD,
                "\"local_ports\" is now part of \"ports\"",
                "remove it; ports says it already",
            );
            return;
        }
        let publics: Vec<(Field<'_>, &str)> = public_texts(public.as_ref());
        let mut written = Vec::new();
        for (at, field) in local.items().iter().enumerate() {
            let Some(container) = super::port(field) else { continue };
            let (public_field, public) = publics.get(at).map_or((None, ""), |(field, text)| (Some(field), *text));
            let mut numbers = public.split(':').map(|part| number(part.trim()));
            let (http, https) = (numbers.next().flatten(), numbers.next().flatten());
            written.push(quote(format!("{container}:{public}").trim_end_matches(':')));
            if let Some(field) = public_field {
                keep_place(fields, ports.len(), &["http", "https"], field);
            }
            ports.push(Port { container, http, https, tcp: None, udp: None });
        }
        let mut diagnostic = local
            .diagnostic(&codes::KEY_OLD, "\"local_ports\" and \"public_port\" are now \"ports\"")
            .help(format!("write ports: [{}]", written.join(", ")));
        if let Some(public) = public {
            diagnostic = diagnostic.also(public.place, "");
        }
        local.reading.said.add(diagnostic);
    }

    /// `"80:443"` of each entry.
    fn public_texts<'a>(public: Option<&Field<'a>>) -> Vec<(Field<'a>, &'a str)> {
        let items = public.map(Field::items).unwrap_or_default();
        items.into_iter().filter_map(|field| field.text().map(|text| (field, text))).collect()
    }

    /// Where the public ports of entry `at` are written.
    fn keep_place(fields: &Fields<'_>, at: usize, names: &[&str], field: &Field<'_>) {
        for name in names {
            field.reading.keep_place(format!("{}[{at}].{name}", fields.path_of("ports")), &field.place);
        }
    }

    /// `tcp: ["22:10022"]`: container port and public port.
    pub(super) fn tcp(fields: &Fields<'_>, ports: &mut Vec<Port>) {
        let Some(field) = fields.old("tcp") else { return };
        let items = field.items();
        let mut written = Vec::new();
        for item in &items {
            super::warn_base60(item);
            let Some(text) = item.text() else { continue };
            let (container, public) = text.split_once(':').unwrap_or((text, text));
            let (Some(container), Some(public)) = (number(container.trim()), number(public.trim())) else {
                item.say(&codes::PORT, format!("{} is not CONTAINER:TCP", quote(text)));
                continue;
            };
            written.push(format!("- {{container: {container}, tcp: {public}}}"));
            let same = ports.iter().position(|port| port.container == container && port.tcp.is_none());
            keep_place(fields, same.unwrap_or(ports.len()), &["tcp"], item);
            match same {
                Some(at) => ports[at].tcp = Some(public),
                None => ports.push(Port { container, http: None, https: None, tcp: Some(public), udp: None }),
            }
        }
        field.say_help(
            &codes::KEY_OLD,
            "\"tcp\" is now part of \"ports\"",
            format!("write under ports: {}", written.join(" ")),
        );
    }
}
