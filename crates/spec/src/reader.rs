//! Typed reading: a tree and the grammar in, values out, and everything that does not fit said at its place.
//!
//! A reader asks for each key by name and gets a [`Field`]; unknown keys, near misses, older spellings and empty values are
//! dealt with here, once. In debug builds a section that forgets to ask for one of its declared keys panics: no key that
//! the grammar has is ever silently ignored.

use std::borrow::Cow;
use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::ops::Range;

use crate::advice;
use crate::diagnostic::codes::Code;
use crate::diagnostic::{Diagnostic, Diagnostics, codes, quote};
use crate::grammar::{Actor, Key, Now, Numbers, Others, Required, Section, Shape, Text};
use crate::tree::{Entry, Kind, Node, Scalar};

/// One pass over one file.
#[derive(Debug, Default)]
pub(crate) struct Reading {
    pub(crate) said: Diagnostics,
    /// Where each value stands, by its path.
    pub(crate) places: RefCell<HashMap<String, Range<usize>>>,
    /// Where the keys of those values stand.
    pub(crate) key_places: RefCell<HashMap<String, Range<usize>>>,
    /// Services that references name, each with the path and place of the reference.
    pub(crate) references: RefCell<Vec<(String, String, Range<usize>)>>,
    /// Keys that only others act on, in the order in which they are first met.
    pub(crate) elsewhere: RefCell<Vec<(&'static Key, Range<usize>)>>,
    /// Whether parts of the text had to be left out.
    pub(crate) partial: bool,
}

/// A map whose keys are known.
pub(crate) struct Fields<'a> {
    section: &'static Section,
    path: String,
    place: Range<usize>,
    /// What the map has, each with its key's number in the section.
    found: Vec<(usize, &'a Entry)>,
    old: Vec<(&'static str, &'static Shape, &'a Entry)>,
    reading: &'a Reading,
    asked: Cell<u64>,
}

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
            self.say(&codes::VALUE, format!("{} is not {}", quote(text), self.shape.expected()));
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
            if let Some(near) = nearest(text, words.iter().map(|word| word.word)).filter(|_| !full) {
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
            item.reading.keep_place(item.path.clone(), &item.place);
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
            self.reading.keep_place(path.clone(), &entry.place());
            self.reading.keep_key_place(path.clone(), &entry.key_span);
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
        self.expect();
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

impl<'a> Fields<'a> {
    /// Sorts a map's entries by the keys of a section and says what does not belong.
    fn sort(entries: &'a [Entry], section: &'static Section, field: &Field<'a>) -> Self {
        let mut fields = Fields {
            section,
            path: field.path.clone(),
            place: field.key_place.clone(),
            found: Vec::with_capacity(entries.len()),
            old: Vec::new(),
            reading: field.reading,
            asked: Cell::new(0),
        };
        for entry in entries {
            fields.put(entry);
        }
        fields.say_missing();
        fields
    }

    fn put(&mut self, entry: &'a Entry) {
        let name = entry.key.text.as_str();
        if let Some(at) = self.section.keys.iter().position(|key| key.name == name) {
            self.put_key(at, entry);
            return;
        }
        let Some(old) = self.section.old.iter().find(|old| old.name == name) else {
            self.say_unknown(entry);
            return;
        };
        match old.now {
            Now::Renamed(now) => {
                self.say_at_key(entry, &codes::KEY_OLD, format!("\"{name}\" is now \"{now}\""));
                if let Some(at) = self.section.keys.iter().position(|key| key.name == now) {
                    self.put_key(at, entry);
                }
            }
            Now::Reshaped if entry.value.is_null() => {
                self.say_at_key(entry, &codes::KEY_EMPTY, format!("\"{name}\" has no value and is left out"));
            }
            Now::Reshaped => self.old.push((old.name, &old.shape, entry)),
            Now::Ended(instead) => {
                self.say_at_key(entry, &codes::KEY_ENDED, format!("\"{name}\" has no effect; {instead}"));
            }
        }
    }

    fn put_key(&mut self, at: usize, entry: &'a Entry) {
        let key = &self.section.keys[at];
        if let Some((_, other)) = self.found.iter().find(|(other, _)| *other == at) {
            let message = format!("\"{}\" and \"{}\" are the same key", other.key.text, entry.key.text);
            let path = self.path_of(key.name);
            let diagnostic = Diagnostic::new(&codes::KEY_TWICE, path, entry.key_span.clone(), message)
                .also(other.key_span.clone(), "the other one")
                .help(format!("keep \"{}\"", key.name));
            self.reading.said.add(diagnostic);
            return;
        }
        if matches!(key.shape, Shape::Section(_) | Shape::Either(_)) {
            self.reading.keep_key_place(self.path_of(key.name), &entry.key_span);
        }
        self.reading.keep_place(self.path_of(key.name), &entry.place());
        if entry.value.is_null() && key.required == Required::No && !matches!(key.shape, Shape::Free) {
            if !self.reading.partial {
                let message = format!("\"{}\" has no value and is left out", entry.key.text);
                self.say_at_key(entry, &codes::KEY_EMPTY, message);
            }
            return;
        }
        if key.actor != Actor::Fermata {
            self.reading.keep_elsewhere(key, &entry.key_span);
        }
        self.found.push((at, entry));
    }

    fn say_unknown(&self, entry: &Entry) {
        let name = entry.key.text.as_str();
        let code = match self.section.others {
            Others::RefusedButExtensions if name.starts_with("x-") => return,
            Others::Ignored => &codes::KEY_IGNORED,
            Others::Refused | Others::RefusedButExtensions => &codes::KEY_UNKNOWN,
        };
        let mut diagnostic =
            Diagnostic::new(code, self.path.clone(), entry.key_span.clone(), format!("unknown key {}", quote(name)));
        if !self.reading.said.is_full() {
            diagnostic = diagnostic.help(advice::unknown_key(name, self.section));
        }
        self.reading.said.add(diagnostic);
    }

    fn say_at_key(&self, entry: &Entry, code: &Code, message: String) {
        self.reading.said.add(Diagnostic::new(code, self.path.clone(), entry.key_span.clone(), message));
    }

    /// Says which keys are missing that must be there. In a file that is read in part they may be in the other part.
    fn say_missing(&self) {
        if self.reading.partial {
            return;
        }
        let has = |name: &str| self.found.iter().any(|(at, _)| self.section.keys[*at].name == name);
        for key in self.section.keys {
            let needed = match key.required {
                Required::No => false,
                Required::Yes => true,
                Required::Unless(other) => !has(other),
            };
            if needed && !has(key.name) {
                let message = format!("{} is missing", key.name);
                let diagnostic = Diagnostic::new(&codes::KEY_MISSING, self.path.clone(), self.place.clone(), message)
                    .help(format!("write {}", key.example));
                self.reading.said.add(diagnostic);
            }
        }
    }

    /// The value of a key, where the map has it.
    pub(crate) fn get(&self, name: &str) -> Option<Field<'a>> {
        self.note_asked(name);
        let (at, entry) = self.found.iter().find(|(at, _)| self.section.keys[*at].name == name)?;
        Some(Field::of_entry(entry, self.path_of(name), &self.section.keys[*at].shape, self.reading))
    }

    /// In debug builds: a key that is read has to be declared, and a declared one has to be read.
    fn note_asked(&self, name: &str) {
        if cfg!(debug_assertions) {
            let at = self.section.keys.iter().position(|key| key.name == name);
            let at = at.unwrap_or_else(|| panic!("{name} is not declared for {}", self.section.name));
            self.asked.set(self.asked.get() | 1 << at);
        }
    }

    /// The value of an old key whose reader says what to write.
    pub(crate) fn old(&self, name: &str) -> Option<Field<'a>> {
        let (name, shape, entry) = self.old.iter().find(|(old, _, _)| *old == name)?;
        Some(Field::of_entry(entry, self.path_of(name), shape, self.reading))
    }

    pub(crate) fn path_of(&self, name: &str) -> String {
        join(&self.path, name)
    }
}

#[cfg(debug_assertions)]
impl Drop for Fields<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            return;
        }
        for (at, key) in self.section.keys.iter().enumerate() {
            assert!(
                self.asked.get() & (1 << at) != 0,
                "{} of {} is declared but never read",
                key.name,
                self.section.name
            );
        }
    }
}

impl Reading {
    /// Whether the file has a value of this path.
    pub(crate) fn has(&self, path: &str) -> bool {
        self.places.borrow().contains_key(path)
    }

    /// Where the value of a path stands, or the nearest value around it.
    pub(crate) fn place(&self, path: &str) -> Range<usize> {
        nearest_place(&self.places.borrow(), path)
    }

    /// Where the key of a path stands, or the nearest value around it.
    pub(crate) fn key_place(&self, path: &str) -> Range<usize> {
        self.key_places.borrow().get(path).cloned().unwrap_or_else(|| self.place(path))
    }

    pub(crate) fn keep_place(&self, path: String, place: &Range<usize>) {
        self.places.borrow_mut().entry(path).or_insert_with(|| place.clone());
    }

    fn keep_key_place(&self, path: String, place: &Range<usize>) {
        self.key_places.borrow_mut().entry(path).or_insert_with(|| place.clone());
    }

    fn keep_elsewhere(&self, key: &'static Key, place: &Range<usize>) {
        let mut elsewhere = self.elsewhere.borrow_mut();
        if !elsewhere.iter().any(|(known, _)| known.name == key.name) {
            elsewhere.push((key, place.clone()));
        }
    }
}

fn nearest_place(places: &HashMap<String, Range<usize>>, path: &str) -> Range<usize> {
    let mut path = path;
    loop {
        if let Some(place) = places.get(path) {
            return place.clone();
        }
        match path.rfind(['.', '[']) {
            Some(end) => path = &path[..end],
            None => return 0..0,
        }
    }
}

/// A path with another step behind it.
pub(crate) fn join(path: &str, step: &str) -> String {
    if path.is_empty() {
        return step.to_owned();
    }
    let mut joined = String::with_capacity(path.len() + 1 + step.len());
    joined.push_str(path);
    joined.push('.');
    joined.push_str(step);
    joined
}

/// One step of a path: a name as it is where it is a plain word, else in quotes.
pub(crate) fn segment(name: &str) -> Cow<'_, str> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
    if !name.is_empty() && name.len() <= 64 && name.bytes().all(plain) { name.into() } else { quote(name).into() }
}

/// The word that was probably meant.
pub(crate) fn nearest<'w>(written: &str, words: impl Iterator<Item = &'w str>) -> Option<&'w str> {
    if written.len() > 64 {
        return None;
    }
    let written = written.to_ascii_lowercase().replace('-', "_");
    let most = |word: &str| written.len().max(word.len()) / 3;
    let words = words.filter(|word| written.len().abs_diff(word.len()) <= most(word));
    let distances = words.map(|word| (strsim::damerau_levenshtein(&written, word), word));
    let (_, near) =
        distances.filter(|(distance, word)| *distance <= most(word)).min_by_key(|(distance, _)| *distance)?;
    Some(near)
}

/// `a, b and c`.
pub(crate) fn list<'w>(words: impl Iterator<Item = &'w str>) -> String {
    let words: Vec<&str> = words.collect();
    match words.split_last() {
        Some((last, others)) if !others.is_empty() => format!("{} and {last}", others.join(", ")),
        Some((last, _)) => (*last).to_owned(),
        None => String::new(),
    }
}
