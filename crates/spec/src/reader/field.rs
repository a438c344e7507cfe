//! One value, read as what it should be.

use std::ops::Range;

use super::{Fields, Reading, join, nearest_word, segment};
use crate::diagnostic::codes::Code;
use crate::diagnostic::{Diagnostic, codes, quote};
use crate::format::values::meant;
use crate::grammar::{Numbers, Section, Shape, Text};
use crate::tree::{Entry, Kind, Node, Scalar};

/// A value with the shape that it should have.
#[derive(Clone)]
pub(crate) struct Field<'a> {
    pub(crate) node: &'a Node,
    pub(crate) path: String,
    /// Where to point.
    pub(crate) place: Range<usize>,
    /// Where its key stands, or the value itself in a list.
    pub(crate) key_place: Range<usize>,
    pub(crate) shape: &'static Shape,
    pub(crate) reading: &'a Reading,
}

impl<'a> Field<'a> {
    /// The field of a map's entry.
    pub(crate) fn of_entry(entry: &'a Entry, path: String, shape: &'static Shape, reading: &'a Reading) -> Self {
        Field { node: &entry.value, path, place: entry.place(), key_place: entry.key_span.clone(), shape, reading }
    }

    /// Says something about this value.
    pub(crate) fn say(&self, code: &Code, message: impl Into<String>) {
        self.reading.said.add(self.diagnostic(code, message));
    }

    /// Says something about this value, and what to do.
    pub(crate) fn say_help(&self, code: &Code, message: impl Into<String>, help: impl Into<String>) {
        self.reading.said.add(self.diagnostic(code, message).help(help));
    }

    pub(crate) fn diagnostic(&self, code: &Code, message: impl Into<String>) -> Diagnostic {
        Diagnostic::new(code, self.path.clone(), self.place.clone(), message)
    }

    pub(crate) fn scalar(&self) -> Option<&'a Scalar> {
        match &self.node.kind {
            Kind::Scalar(scalar) => Some(scalar),
            _ => None,
        }
    }

    /// The bytes of a part of a scalar's text; of the whole where escapes or folded lines are in between.
    pub(crate) fn part(&self, part: Range<usize>) -> Range<usize> {
        let Some(scalar) = self.scalar() else { return self.place.clone() };
        let quotes = usize::from(!scalar.plain);
        if self.node.span.len() != scalar.text.len() + 2 * quotes {
            return self.place.clone();
        }
        let start = self.node.span.start + quotes;
        start + part.start..start + part.end
    }

    /// A scalar's text, or the complaint that it is none.
    pub(crate) fn text(&self) -> Option<&'a str> {
        let Some(scalar) = self.scalar().filter(|scalar| !scalar.is_null()) else {
            self.expect();
            return None;
        };
        let text = &scalar.text;
        if self.is_stray_number() {
            let message =
                format!("{text} is a number or a boolean for YAML, where {} is expected", self.shape.expected());
            self.say_help(&codes::VALUE_TYPE, message, format!("write {}, if that is meant", quote(text)));
            return None;
        }
        Some(text)
    }

    /// A scalar's text as something else.
    pub(crate) fn parse<T>(&self, parse: impl FnOnce(&str) -> Option<T>) -> Option<T> {
        let text = self.text()?;
        let value = parse(text);
        if value.is_none() {
            let message = format!("{} is not {}", quote(text), self.shape.expected());
            match meant(self.shape, text) {
                Some(meant) => self.say_help(&codes::VALUE, message, format!("write {meant}")),
                None => self.say(&codes::VALUE, message),
            }
        }
        value
    }

    /// Whether a plain number or boolean stands where only text makes sense.
    fn is_stray_number(&self) -> bool {
        let Shape::Text(Text { numbers: Numbers::None, .. }) = self.shape else { return false };
        self.scalar().is_some_and(|scalar| scalar.plain) && !self.json().is_string()
    }

    /// A whole number within the bounds of the shape.
    pub(crate) fn integer<T: TryFrom<i64>>(&self) -> Option<T> {
        let Shape::Integer { min, max } = *self.shape else { unreachable!("{} is declared as an integer", self.path) };
        self.parse(|text| {
            let digits = text.strip_prefix('-').unwrap_or(text);
            if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
                return None;
            }
            let number: i64 = text.parse().ok()?;
            if (min..=max).contains(&number) { T::try_from(number).ok() } else { None }
        })
    }

    /// `true` or `false`; the words that only YAML 1.1 takes for it get a warning.
    pub(crate) fn flag(&self) -> Option<bool> {
        let flag = self.parse(|text| match text {
            "true" | "True" | "TRUE" | "yes" | "Yes" | "YES" | "on" | "On" | "ON" => Some(true),
            "false" | "False" | "FALSE" | "no" | "No" | "NO" | "off" | "Off" | "OFF" => Some(false),
            _ => None,
        })?;
        let text = self.text()?;
        if !text.eq_ignore_ascii_case(if flag { "true" } else { "false" }) {
            self.say(&codes::YAML_BOOLEAN, format!("{} is read as {flag}; write {flag}", quote(text)));
        }
        Some(flag)
    }

    /// The word of a choice.
    pub(crate) fn choice(&self) -> Option<&'static str> {
        let Shape::Choice(words) = self.shape else { unreachable!("{} is declared as a choice", self.path) };
        let text = self.text()?;
        let found = words.iter().find(|word| word.word == text);
        if found.is_none() {
            let message = format!("{} is not {}", quote(text), self.shape.expected());
            let mut diagnostic = self.diagnostic(&codes::VALUE_CHOICE, message);
            let full = self.reading.said.is_full();
            if let Some(near) = nearest_word(text, words.iter().map(|word| word.word)).filter(|_| !full) {
                diagnostic = diagnostic.help(format!("did you mean {}?", quote(near)));
            }
            self.reading.said.add(diagnostic);
        }
        found.map(|word| word.word)
    }

    /// The items of a list; one alone counts as a list where the shape says so.
    pub(crate) fn items(&self) -> Vec<Field<'a>> {
        let (shape, or_one) = match self.shape {
            Shape::List(shape) => (*shape, false),
            Shape::ListOrOne(shape) => (*shape, true),
            _ => unreachable!("{} is declared as a list", self.path),
        };
        let Kind::List(items) = &self.node.kind else {
            if or_one {
                return vec![Field { shape, ..self.clone() }];
            }
            self.expect_list();
            return Vec::new();
        };
        let item = |(number, node): (usize, &'a Node)| Field {
            node,
            path: format!("{}[{number}]", self.path),
            place: if node.span.is_empty() { self.key_place.clone() } else { node.span.clone() },
            key_place: if node.span.is_empty() { self.key_place.clone() } else { node.span.clone() },
            shape,
            reading: self.reading,
        };
        let items: Vec<Field<'a>> = items.iter().enumerate().map(item).collect();
        for item in &items {
            item.reading.keep_place(item.path.clone(), &item.place, &item.key_place);
        }
        items
    }

    /// The entries of a map with names of the user's own.
    pub(crate) fn table(&self) -> Vec<(&'a Entry, Field<'a>)> {
        let Shape::Table { values: shape, .. } = self.shape else {
            unreachable!("{} is declared as a table", self.path)
        };
        let Kind::Map(entries) = &self.node.kind else {
            self.expect();
            return Vec::new();
        };
        let field = |entry: &'a Entry| {
            let path = join(&self.path, &segment(&entry.key.text));
            self.reading.keep_place(path.clone(), &entry.place(), &entry.key_span);
            (entry, Field::of_entry(entry, path, shape, self.reading))
        };
        entries.iter().map(field).collect()
    }

    /// A map with known keys.
    pub(crate) fn fields(&self) -> Option<Fields<'a>> {
        let Shape::Section(section) = self.shape else { unreachable!("{} is declared as a section", self.path) };
        self.fields_of(section)
    }

    /// A map with the keys of a section.
    pub(crate) fn fields_of(&self, section: &'static Section) -> Option<Fields<'a>> {
        let Kind::Map(entries) = &self.node.kind else {
            self.expect_fields(section);
            return None;
        };
        Some(Fields::sort(entries, section, self))
    }

    /// Any YAML as JSON.
    pub(crate) fn json(&self) -> serde_json::Value {
        crate::tree::json(self.node)
    }

    /// Says that something else belongs here.
    pub(crate) fn expect(&self) {
        if self.reading.partial && self.node.is_null() {
            return;
        }
        let found = match &self.node.kind {
            Kind::Scalar(scalar) if scalar.is_null() => "nothing".to_owned(),
            Kind::Scalar(scalar) => quote(&scalar.text),
            Kind::List(_) => "a list".to_owned(),
            Kind::Map(_) => "a map".to_owned(),
        };
        self.say(&codes::VALUE_TYPE, format!("expected {}, found {found}", self.shape.expected()));
    }

    /// Says that a map with these keys belongs here. `image nginx` is one without its colon.
    fn expect_fields(&self, section: &Section) {
        let text = self.scalar().filter(|scalar| scalar.plain).map_or("", |scalar| &scalar.text);
        let word = text.split([' ', ':']).next().unwrap_or_default();
        if section.keys.iter().any(|key| key.name == word) {
            let rest = text[word.len()..].trim_start_matches(':').trim_start();
            let help = if rest.starts_with('-') { format!("write {word}:") } else { format!("write {word}: {rest}") };
            self.say_help(&codes::YAML_COLON, format!("a colon and a blank are missing after {word}"), help.trim_end());
            return;
        }
        match &self.node.kind {
            Kind::List(items) if items.iter().all(|item| matches!(item.kind, Kind::Map(_))) => {
                let message = format!("expected {}, found a list", self.shape.expected());
                self.say_help(&codes::VALUE_TYPE, message, "remove the dashes in front of the keys");
            }
            _ => self.expect(),
        }
    }

    fn expect_list(&self) {
        let Some(scalar) = self.scalar().filter(|scalar| !scalar.is_null()) else {
            self.say(&codes::VALUE_TYPE, "must be a list");
            return;
        };
        let items: Vec<String> = scalar.text.split(',').take(10).map(|item| quote(item.trim())).collect();
        self.say_help(&codes::VALUE_TYPE, "must be a list", format!("write [{}]", items.join(", ")));
    }
}
