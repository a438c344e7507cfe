//! One port number, and why a text is none.

use std::ops::Range;

use crate::diagnostic::{Diagnostic, codes, quote};
use crate::grammar::Shape;
use crate::reader::Field;
use crate::tree::Kind;

pub(super) fn number(text: &str) -> Option<u16> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|port| digits && *port > 0)
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

/// Why a text is not a port, as precisely as can be told.
pub(super) fn say_no_port(field: &Field<'_>, place: Range<usize>, text: &str) {
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
