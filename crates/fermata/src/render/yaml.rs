//! YAML text for people: block style, comments above what they are about, quotes where any reader would misread.
//!
//! Only what can be said in it is known here, not what any format means.

use std::borrow::Cow;
use std::fmt::{Display, Write};

/// Widest line of a comment.
const WIDTH: usize = 100;

/// A value to be written.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// A text, quoted where it has to be.
    Text(String),
    /// A number, `true` or `false`: written as it is.
    Bare(String),
    /// Lines, as they are.
    Block(String),
    /// A list in one line.
    Flow(Vec<Value>),
    /// A list with a line for each item.
    List(Vec<Item>),
    /// A map.
    Map(Map),
}

/// An item of a list.
#[derive(Debug, Clone, PartialEq)]
pub struct Item {
    /// Comments above it.
    pub above: Vec<String>,
    /// The item.
    pub value: Value,
}

/// A map whose entries keep their order.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Map {
    entries: Vec<Entry>,
    /// Comments for the entry that comes next.
    pending: Vec<String>,
}

#[derive(Debug, Clone, PartialEq)]
struct Entry {
    above: Vec<String>,
    key: String,
    value: Value,
}

impl Value {
    /// A text.
    pub fn text(text: impl Into<String>) -> Value {
        Value::Text(text.into())
    }

    /// Anything that prints as a number, or a boolean.
    pub fn bare(value: impl Display) -> Value {
        Value::Bare(value.to_string())
    }

    /// Texts in one line.
    pub fn words<T: Into<String>>(words: impl IntoIterator<Item = T>) -> Value {
        Value::Flow(words.into_iter().map(Value::text).collect())
    }

    /// Texts with a line for each.
    pub fn lines<T: Into<String>>(lines: impl IntoIterator<Item = T>) -> Value {
        Value::List(lines.into_iter().map(|line| Value::text(line).into()).collect())
    }

    /// Names and texts.
    pub fn table(pairs: &[(String, String)]) -> Value {
        let mut map = Map::default();
        for (name, value) in pairs {
            map.put(name, Value::text(value));
        }
        Value::Map(map)
    }
}

impl Value {
    /// What a reader of JSON would have read, as it is.
    pub fn json(value: &serde_json::Value) -> Value {
        match value {
            serde_json::Value::Object(map) => {
                let mut made = Map::default();
                for (key, value) in map {
                    made.put(key, Value::json(value));
                }
                made.into()
            }
            serde_json::Value::Array(list) => Value::List(list.iter().map(|item| Value::json(item).into()).collect()),
            serde_json::Value::String(text) => Value::text(text),
            bare => Value::bare(bare),
        }
    }

    /// Maps, a line or more each.
    pub fn maps(maps: impl IntoIterator<Item = Map>) -> Value {
        Value::List(maps.into_iter().map(|map| Value::from(map).into()).collect())
    }
}

impl From<Map> for Value {
    fn from(map: Map) -> Value {
        Value::Map(map)
    }
}

impl From<Value> for Item {
    fn from(value: Value) -> Item {
        Item { above: Vec::new(), value }
    }
}

impl Map {
    /// A map of these entries.
    pub fn of<const N: usize>(entries: [(&str, Value); N]) -> Map {
        let mut map = Map::default();
        for (key, value) in entries {
            map.put(key, value);
        }
        map
    }

    /// Writes a comment above the entry that comes next.
    pub fn comment(&mut self, comment: impl Into<String>) {
        self.pending.push(comment.into());
    }

    /// Leaves a line empty above the entry that comes next.
    pub fn gap(&mut self) {
        self.pending.push(String::new());
    }

    /// Adds an entry.
    pub fn put(&mut self, key: impl Into<String>, value: impl Into<Value>) {
        let above = std::mem::take(&mut self.pending);
        self.entries.push(Entry { above, key: key.into(), value: value.into() });
    }

    /// Adds an entry where there is a value.
    pub fn put_some(&mut self, key: &str, value: Option<impl Into<Value>>) {
        if let Some(value) = value {
            self.put(key, value);
        }
    }

    /// Adds the entries of another map behind its own.
    pub fn extend(&mut self, other: Map) {
        self.entries.extend(other.entries);
    }

    /// Whether there is an entry of this key.
    pub fn has(&self, key: &str) -> bool {
        self.entries.iter().any(|entry| entry.key == key)
    }

    /// Whether nothing was added.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The whole document.
    pub fn write(&self) -> String {
        let mut out = String::new();
        write_map(&mut out, self, 0);
        out
    }
}

fn write_map(out: &mut String, map: &Map, indent: usize) {
    for entry in &map.entries {
        write_above(out, &entry.above, indent);
        let _ = write!(out, "{:indent$}{}:", "", scalar(&entry.key, Within::Block));
        write_value(out, &entry.value, indent);
    }
}

/// A value behind its key.
fn write_value(out: &mut String, value: &Value, indent: usize) {
    match value {
        Value::Map(map) if !map.is_empty() => {
            out.push('\n');
            write_map(out, map, indent + 2);
        }
        Value::List(items) if !items.is_empty() => {
            out.push('\n');
            for item in items {
                write_item(out, item, indent + 2);
            }
        }
        Value::Block(text) => {
            let _ = writeln!(out, " |");
            for line in text.lines() {
                let _ = if line.is_empty() { writeln!(out) } else { writeln!(out, "{:1$}{line}", "", indent + 2) };
            }
        }
        value => {
            let _ = writeln!(out, " {}", inline(value, Within::Block));
        }
    }
}

fn write_item(out: &mut String, item: &Item, indent: usize) {
    write_above(out, &item.above, indent);
    match &item.value {
        Value::Map(map) if !map.is_empty() => {
            let mut text = String::new();
            write_map(&mut text, map, indent + 2);
            let _ = write!(out, "{:indent$}- {}", "", text.trim_start());
        }
        value => {
            let _ = writeln!(out, "{:indent$}- {}", "", inline(value, Within::Block));
        }
    }
}

fn write_above(out: &mut String, comments: &[String], indent: usize) {
    for comment in comments {
        if comment.is_empty() {
            out.push('\n');
        }
        for line in wrapped(comment, WIDTH.saturating_sub(indent + 2)) {
            let _ = writeln!(out, "{:indent$}# {line}", "");
        }
    }
}

/// A text in lines of at most so many characters, control characters made harmless.
fn wrapped(text: &str, width: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        let word: String = word.chars().map(|letter| if is_control(letter) { '\u{fffd}' } else { letter }).collect();
        match lines.last_mut() {
            Some(line) if line.chars().count() + 1 + word.chars().count() <= width => {
                line.push(' ');
                line.push_str(&word);
            }
            _ => lines.push(word),
        }
    }
    lines
}

fn inline(value: &Value, within: Within) -> String {
    match value {
        Value::Text(text) | Value::Block(text) => scalar(text, within).into_owned(),
        Value::Bare(text) => text.clone(),
        Value::Flow(values) => {
            let values: Vec<String> = values.iter().map(|value| inline(value, Within::Flow)).collect();
            format!("[{}]", values.join(", "))
        }
        Value::List(items) => {
            let values: Vec<String> = items.iter().map(|item| inline(&item.value, Within::Flow)).collect();
            format!("[{}]", values.join(", "))
        }
        Value::Map(map) => {
            let entry =
                |entry: &Entry| format!("{}: {}", scalar(&entry.key, Within::Flow), inline(&entry.value, Within::Flow));
            let entries: Vec<String> = map.entries.iter().map(entry).collect();
            format!("{{{}}}", entries.join(", "))
        }
    }
}

/// Where a scalar stands: between brackets more has to be quoted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Within {
    Block,
    Flow,
}

/// A text as a scalar that every reader of YAML 1.1 and 1.2 takes for that text.
fn scalar(text: &str, within: Within) -> Cow<'_, str> {
    if is_plain(text, within) { Cow::Borrowed(text) } else { Cow::Owned(quoted(text)) }
}

fn is_plain(text: &str, within: Within) -> bool {
    // YAML 1.2.2, 7.3.3: indicators, and what ends a plain scalar.
    let starts_well = |first: char| !"-?:,[]{}#&*!|>'\"%@`=<~".contains(first) && !first.is_whitespace();
    let flow = |letter: char| within == Within::Flow && ",[]{}".contains(letter);
    text.starts_with(starts_well)
        && !text.ends_with([' ', ':'])
        && !text.contains(": ")
        && !text.contains(" #")
        && !text.starts_with("...")
        && !text.chars().any(|letter| is_control(letter) || flow(letter))
        && !is_word(text)
        && !is_number(text)
}

/// What does not print, and what YAML counts as a line break.
fn is_control(letter: char) -> bool {
    letter.is_control() || matches!(letter, '\u{2028}' | '\u{2029}' | '\u{feff}' | '\u{fffe}' | '\u{ffff}')
}

/// Words that YAML 1.1 has for null and for booleans (yaml.org/type/bool, yaml.org/type/null).
fn is_word(text: &str) -> bool {
    const WORDS: [&str; 9] = ["null", "true", "false", "yes", "no", "on", "off", "y", "n"];
    WORDS.iter().any(|word| text.eq_ignore_ascii_case(word)) || text == "<<"
}

/// Whether it begins like a number and has nothing but what numbers, times of day (base 60) and dates have. An IPv4
/// address or a version with three parts is none.
fn is_number(text: &str) -> bool {
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    let digits = unsigned.strip_prefix('.').unwrap_or(unsigned);
    let lower = digits.to_ascii_lowercase();
    if lower == "inf" || lower == "nan" {
        return true;
    }
    if !lower.starts_with(|first: char| first.is_ascii_digit()) || lower.matches('.').count() > 1 {
        return false;
    }
    if ["0x", "0o", "0b"].iter().any(|base| lower.starts_with(base)) {
        return lower[2..].bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'_');
    }
    lower.bytes().all(|byte| byte.is_ascii_digit() || b"_.,:+-e tz".contains(&byte))
}

fn quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for letter in text.chars() {
        match letter {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            letter if is_control(letter) => {
                let _ = match u32::from(letter) {
                    code @ ..=0xff => write!(out, "\\x{code:02x}"),
                    code @ ..=0xffff => write!(out, "\\u{code:04x}"),
                    code => write!(out, "\\U{code:08x}"),
                };
            }
            letter => out.push(letter),
        }
    }
    out.push('"');
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(text: &str) -> String {
        scalar(text, Within::Block).into_owned()
    }

    #[test]
    fn what_yaml_1_1_would_misread_is_quoted() {
        for text in [
            "",
            "~",
            "null",
            "Yes",
            "no",
            "ON",
            "off",
            "y",
            "22:22",
            "8080:53",
            "0700",
            "0x1f",
            "1_000",
            "1e3",
            ".5",
            "1.5",
            "+1",
            ".inf",
            "2024-01-31",
            "3000:80:",
            "a: b",
            "a #b",
            "#a",
            "- a",
            "{{X}}",
            "[a]",
            "*a",
            "&a",
            "!a",
            "@a",
            "`a",
            "%a",
            "a:",
            " a",
            "a ",
            "...",
            "=",
            "<<",
            "\"a\"",
            "'a'",
        ] {
            assert_eq!(written(text), format!("\"{}\"", text.replace('"', "\\\"")), "{text:?}");
        }
    }

    #[test]
    fn what_no_reader_misreads_stays_plain() {
        for text in [
            "example/web:1.4",
            "10.0.0.5",
            "a:b",
            "a#b",
            "node server.js --port 3000",
            "/data:/data:ro",
            "_env(A:b)",
            "3.12.1",
            "$HOME",
            "http://localhost:80/",
            "x,y",
            "it's",
            "1.4-alpine",
            "30%",
            "500m",
            "512Mi",
        ] {
            assert_eq!(written(text), text);
        }
        assert_eq!(scalar("x,y", Within::Flow), "\"x,y\"");
    }

    #[test]
    fn control_characters_are_escaped() {
        assert_eq!(written("a\nb\t\u{1b}[0m\u{2028}"), "\"a\\nb\\t\\x1b[0m\\u2028\"");
    }
}
