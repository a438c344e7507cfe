//! Typed reading: a tree and the grammar in, values out, and everything that does not fit said at its place.
//!
//! A reader asks for each key by name and gets a [`Field`]; unknown keys, near misses, older spellings and empty values are
//! dealt with here, once. In debug builds a section that forgets to ask for one of its declared keys panics: no key that
//! the grammar has is ever silently ignored.

mod field;
mod fields;
mod names;

use std::cell::RefCell;
use std::collections::HashMap;
use std::ops::Range;

pub(crate) use field::Field;
pub(crate) use fields::Fields;
pub use names::nearest_word;
pub(crate) use names::{join, list, segment};

use crate::diagnostic::Diagnostics;
use crate::grammar::Key;
use crate::model::Spot;

/// One pass over one file.
#[derive(Debug, Default)]
pub(crate) struct Reading {
    pub(crate) said: Diagnostics,
    /// Where each value stands, by its path.
    pub(crate) places: RefCell<HashMap<String, Spot>>,
    /// Services that references name, each with the path and place of the reference.
    pub(crate) references: RefCell<Vec<(String, String, Range<usize>)>>,
    /// Keys that only others act on, in the order in which they are first met.
    pub(crate) elsewhere: RefCell<Vec<(&'static Key, Range<usize>)>>,
    /// Whether parts of the text had to be left out.
    pub(crate) partial: bool,
}

impl Reading {
    /// Whether the file has a value of this path.
    pub(crate) fn has(&self, path: &str) -> bool {
        self.places.borrow().contains_key(path)
    }

    /// Where the value of a path stands, or the nearest value around it.
    pub(crate) fn place(&self, path: &str) -> Range<usize> {
        nearest(&self.places.borrow(), path).map_or(0..0, |spot| spot.value.clone())
    }

    /// Where the key of a path stands, or the nearest value around it.
    pub(crate) fn key_place(&self, path: &str) -> Range<usize> {
        nearest(&self.places.borrow(), path).map_or(0..0, |spot| spot.key.clone())
    }

    pub(crate) fn keep_place(&self, path: String, value: &Range<usize>, key: &Range<usize>) {
        let spot = || Spot { value: value.clone(), key: key.clone() };
        self.places.borrow_mut().entry(path).or_insert_with(spot);
    }

    fn keep_elsewhere(&self, key: &'static Key, place: &Range<usize>) {
        let mut elsewhere = self.elsewhere.borrow_mut();
        if !elsewhere.iter().any(|(known, _)| known.name == key.name) {
            elsewhere.push((key, place.clone()));
        }
    }
}

/// The spot of a path, or of the nearest value around it.
fn nearest<'p>(places: &'p HashMap<String, Spot>, path: &str) -> Option<&'p Spot> {
    let mut path = path;
    loop {
        if let Some(spot) = places.get(path) {
            return Some(spot);
        }
        path = &path[..path.rfind(['.', '['])?];
    }
}
