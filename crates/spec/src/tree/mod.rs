//! A YAML document as a tree in which every key and every value knows its bytes.
//!
//! The tree keeps what was written: `22:22` stays `22:22`, `yes` stays `yes`. What a scalar means is decided by whoever
//! reads it, who knows what is expected there. Nothing here knows the format, only YAML.

mod json;
mod load;
mod maps;
mod offsets;
mod syntax;

pub use json::json;
pub use load::MAX_BYTES;
pub(crate) use load::load;

use std::ops::Range;

/// One value and where it stands.
#[derive(Debug, Clone)]
pub struct Node {
    /// What it is.
    pub kind: Kind,
    /// Bytes of the value; empty where nothing was written.
    pub span: Range<usize>,
}

/// What a node is.
#[derive(Debug, Clone)]
pub enum Kind {
    /// A text, a number, a boolean, or nothing.
    Scalar(Scalar),
    /// Items in their order.
    List(Vec<Node>),
    /// Entries in their order, no two with one key.
    Map(Vec<Entry>),
}

/// A scalar, quotes and escapes undone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scalar {
    /// What is written.
    pub text: String,
    /// Written without quotes, so that YAML readers may see a number, a boolean or null in it.
    pub plain: bool,
}

/// A key with its value.
#[derive(Debug, Clone)]
pub struct Entry {
    /// The key.
    pub key: Scalar,
    /// Bytes of the key.
    pub key_span: Range<usize>,
    /// Its value.
    pub value: Node,
}

impl Entry {
    /// Where to point for the value: at the key where no value is written.
    pub fn place(&self) -> Range<usize> {
        if self.value.span.is_empty() { self.key_span.clone() } else { self.value.span.clone() }
    }
}

impl Node {
    /// Whether nothing stands there, or `null`.
    pub fn is_null(&self) -> bool {
        matches!(&self.kind, Kind::Scalar(scalar) if scalar.is_null())
    }

    /// The entries of a map; none for anything else.
    pub fn entries(&self) -> &[Entry] {
        match &self.kind {
            Kind::Map(entries) => entries,
            _ => &[],
        }
    }

    /// Whether two values are the same, wherever they stand.
    pub(crate) fn same(&self, other: &Node) -> bool {
        match (&self.kind, &other.kind) {
            (Kind::Scalar(one), Kind::Scalar(two)) => one.text == two.text,
            (Kind::List(one), Kind::List(two)) => {
                one.len() == two.len() && one.iter().zip(two).all(|(one, two)| one.same(two))
            }
            (Kind::Map(one), Kind::Map(two)) => {
                one.len() == two.len()
                    && one.iter().zip(two).all(|(one, two)| one.key.text == two.key.text && one.value.same(&two.value))
            }
            _ => false,
        }
    }
}

impl Scalar {
    /// Nothing, `~` or `null` (YAML 1.2.2, 10.3.2).
    pub fn is_null(&self) -> bool {
        self.plain && matches!(self.text.as_str(), "" | "~" | "null" | "Null" | "NULL")
    }
}
