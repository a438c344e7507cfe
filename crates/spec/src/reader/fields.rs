//! A map with known keys: sorted, and what does not belong into it said.

use std::cell::Cell;
use std::ops::Range;

use super::{Field, Reading, join};
use crate::advice;
use crate::diagnostic::codes::Code;
use crate::diagnostic::{Diagnostic, codes, quote};
use crate::grammar::{Actor, Now, Others, Required, Section, Shape};
use crate::tree::Entry;

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

impl<'a> Fields<'a> {
    /// Sorts a map's entries by the keys of a section and says what does not belong.
    pub(super) fn sort(entries: &'a [Entry], section: &'static Section, field: &Field<'a>) -> Self {
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
        self.reading.keep_place(self.path_of(key.name), &entry.place(), &entry.key_span);
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
