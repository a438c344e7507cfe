//! `env_vars`, commands, and the references that may stand in both.

use std::ops::Range;

use crate::diagnostic::{Diagnostic, codes, quote};
use crate::grammar::Shape;
use crate::reader::Field;
use crate::tree::{Kind, Node};

/// `env_vars`.
pub(crate) const ENV_VARS: Shape = Shape::Table { names: "^[^=]+$", least: 0, values: &Shape::Anything };

/// Names and values, references as they are written.
pub(crate) fn read(field: &Field<'_>) -> Vec<(String, String)> {
    if let Kind::List(items) = &field.node.kind {
        say_list(field, items);
        return Vec::new();
    }
    let mut variables = Vec::new();
    let mut empty: Vec<(String, Range<usize>)> = Vec::new();
    for (entry, value) in field.table() {
        let name = entry.key.text.clone();
        if name.is_empty() || name.contains(['=', '\0']) {
            let message = format!("{} is not the name of a variable", quote(&name));
            let diagnostic = Diagnostic::new(&codes::VALUE, value.path.clone(), entry.key_span.clone(), message);
            field.reading.said.add(diagnostic);
            continue;
        }
        if entry.value.is_null() {
            empty.push((name.clone(), entry.key_span.clone()));
            variables.push((name, String::new()));
            continue;
        }
        if let Some(text) = value.text() {
            warn_retyped(&value, text);
            references(&value);
            variables.push((name, text.to_owned()));
        }
    }
    say_empty(field, &empty);
    variables
}

/// `- NAME=value`, as docker-compose has it.
fn say_list(field: &Field<'_>, items: &[Node]) {
    let pair = items.iter().find_map(|item| match &item.kind {
        Kind::Scalar(scalar) => scalar.text.split_once('='),
        _ => None,
    });
    let (name, value) = pair.unwrap_or(("NAME", "value"));
    field.say_help(
        &codes::VALUE_TYPE,
        "must be a map of names and values, not a list",
        format!("write {name}: {value}, without a dash"),
    );
}

fn say_empty(field: &Field<'_>, empty: &[(String, Range<usize>)]) {
    let Some((first, place)) = empty.first() else { return };
    let names = crate::reader::list(empty.iter().take(5).map(|(name, _)| name.as_str()));
    let more = if empty.len() > 5 { format!(" and {} more", empty.len() - 5) } else { String::new() };
    let message = match empty.len() {
        1 => format!("{names} has no value; the service gets an empty text"),
        _ => format!("{names}{more} have no value; the service gets empty texts"),
    };
    let help = format!("write {first}: _env({first}) to take the value from the environment of Fermata");
    let diagnostic = Diagnostic::new(&codes::ENV_EMPTY, field.path.clone(), place.clone(), message).help(help);
    field.reading.said.add(diagnostic);
}

/// Warns of plain scalars that YAML 1.1 makes something else of.
fn warn_retyped(field: &Field<'_>, text: &str) {
    let Some(scalar) = field.scalar().filter(|scalar| scalar.plain) else { return };
    super::ports::warn_base60(field);
    let boolean = matches!(scalar.text.to_ascii_lowercase().as_str(), "yes" | "no" | "on" | "off" | "y" | "n");
    let octal =
        (2..20).contains(&text.len()) && text.starts_with('0') && text.bytes().all(|byte| byte.is_ascii_digit());
    let what = if boolean && text.len() > 1 {
        "a boolean"
    } else if octal {
        "an octal number"
    } else {
        return;
    };
    let message =
        format!("{text} without quotes is {what} for many YAML readers; it is taken as the text {}", quote(text));
    field.say_help(&codes::YAML_BOOLEAN, message, format!("write {}", quote(text)));
}

/// A command line, references as they are written.
pub(crate) fn command(field: &Field<'_>) -> Option<String> {
    let text = field.parse(|text| (!text.contains('\0')).then(|| text.to_owned()))?;
    references(field);
    Some(text)
}

/// A parenthesis that is open: of a reference that starts at a byte, or one inside a default.
enum Open {
    Reference(usize),
    Other,
}

/// Checks every reference in a text, in one pass over it; says whether all can be understood.
pub(crate) fn references(field: &Field<'_>) -> bool {
    let Some(text) = field.text() else { return false };
    let mut open = Vec::new();
    let mut names = Vec::new();
    let mut at = 0;
    while at < text.len() {
        let rest = &text.as_bytes()[at..];
        if rest.starts_with(b"_env(") {
            open.push(Open::Reference(at));
            at += "_env(".len();
            names.push(at);
            continue;
        }
        match rest[0] {
            b'_' if rest.starts_with(b"_env:") => colon(field, text, at),
            b'(' if !open.is_empty() => open.push(Open::Other),
            b')' => drop(open.pop()),
            _ => {}
        }
        at += 1;
    }
    braces(field, text);
    let unclosed = open.iter().find_map(|open| if let Open::Reference(start) = open { Some(*start) } else { None });
    if let Some(start) = unclosed {
        let message = format!("{} is not closed", quote(&text[start..]));
        say(field, start..text.len(), message, "write ) behind the name");
        return false;
    }
    // Not `all`, which would stop at the first: every bad name is said.
    names.iter().filter(|at| !name(field, text, **at)).count() == 0
}

/// Whether a variable is named in `_env(VAR:default)`, from the byte behind the parenthesis.
fn name(field: &Field<'_>, text: &str, at: usize) -> bool {
    let end = text[at..].find([':', ')', '(']).map_or(text.len(), |length| at + length);
    if !is_path(&text[at..end]) {
        let (start, end) = (at - "_env(".len(), (end + 1).min(text.len()));
        let message = format!("{} does not name a variable", quote(&text[start..end]));
        say(field, start..end, message, "write _env(VAR), _env(VAR:default) or _env(SERVICE[name].VAR)");
        return false;
    }
    if let Some(service) = text[at..end].strip_prefix("SERVICE[").and_then(|rest| rest.split(']').next()) {
        let place = field.part(at..end);
        field.reading.references.borrow_mut().push((service.to_owned(), field.path.clone(), place));
    }
    true
}

/// `_env:VAR`, from `start`.
fn colon(field: &Field<'_>, text: &str, start: usize) {
    let name = start + "_env:".len();
    let length = text[name..].find(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).unwrap_or(text.len() - name);
    if length > 0 {
        old(field, start..name + length, &text[start..name + length], &text[name..name + length]);
    }
}

/// `{{VAR}}`. What else stands in double braces is some template's own business.
fn braces(field: &Field<'_>, text: &str) {
    let mut at = 0;
    while let Some(start) = text[at..].find("{{").map(|found| at + found) {
        let Some(length) = text[start..].find("}}") else { return };
        let path = text[start + 2..start + length].trim();
        at = start + length + 2;
        // Without quotes it is an error of its own.
        let said = start == 0 && field.scalar().is_some_and(|scalar| scalar.plain);
        if is_path(path) && !said {
            old(field, start..at, &text[start..at], path);
        }
    }
}

fn old(field: &Field<'_>, part: Range<usize>, written: &str, path: &str) {
    let message = format!("{} is an older spelling", quote(written));
    let diagnostic = Diagnostic::new(&codes::REFERENCE_OLD, field.path.clone(), field.part(part), message);
    field.reading.said.add(diagnostic.help(format!("write _env({path})")));
}

fn say(field: &Field<'_>, part: Range<usize>, message: String, help: &str) {
    let diagnostic = Diagnostic::new(&codes::REFERENCE, field.path.clone(), field.part(part), message);
    field.reading.said.add(diagnostic.help(help));
}

/// `VAR`, `SERVICE[name].VAR`, `STACK[uid].VAR` or `STACK[uid].SERVICE[name].VAR`.
fn is_path(path: &str) -> bool {
    let behind = |path: &str, word: &str| -> Option<String> {
        let rest = path.strip_prefix(word)?.strip_prefix('[')?;
        let (name, rest) = rest.split_once(']')?;
        (!name.is_empty()).then(|| rest.strip_prefix('.').map(str::to_owned)).flatten()
    };
    let path = behind(path, "STACK").unwrap_or_else(|| path.to_owned());
    let path = behind(&path, "SERVICE").unwrap_or(path);
    let mut letters = path.chars();
    letters.next().is_some_and(|first| first.is_ascii_alphabetic() || first == '_')
        && letters.all(|letter| letter.is_ascii_alphanumeric() || letter == '_')
}
