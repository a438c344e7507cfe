//! Another program's file as it is read: values that know their path and place, and what is said about them.

use std::cell::RefCell;
use std::collections::HashSet;
use std::ops::Range;

use fermata_spec::tree::{Kind, Node};
use fermata_spec::{Diagnostic, Place, Severity};

/// Everything said about one file while it is read.
#[derive(Debug, Default)]
pub(super) struct Remarks(RefCell<Vec<Diagnostic>>);

/// A value of the file.
#[derive(Debug, Clone)]
pub(super) struct Value<'a> {
    /// What is written.
    node: &'a Node,
    /// For example `services.web.ports[0]`.
    pub(super) path: String,
    /// Where to point: at the key, or at the item of a list.
    place: Range<usize>,
    remarks: &'a Remarks,
}

/// A name with a text, from a map or from `NAME=value` in a list. `None` where there is a name and nothing else.
pub(super) type Pair<'a> = (String, Option<String>, Value<'a>);

impl Remarks {
    /// Everything in the order of the file.
    pub(super) fn into_sorted(self) -> Vec<Diagnostic> {
        let mut said = self.0.into_inner();
        said.sort_by_key(|said| said.places[0].span.start);
        // What several services take from one place is said once.
        let mut known = HashSet::new();
        said.retain(|said| known.insert((said.places[0].span.clone(), said.message.clone())));
        said
    }

    fn add(&self, code: &'static str, severity: Severity, value: &Value<'_>, message: String, help: String) {
        let place = Place { span: value.place.clone(), label: String::new() };
        let (path, places) = (value.path.clone(), vec![place]);
        self.0.borrow_mut().push(Diagnostic { code, severity, path, message, help: Some(help), places });
    }
}

impl<'a> Value<'a> {
    /// The whole file.
    pub(super) fn root(node: &'a Node, remarks: &'a Remarks) -> Self {
        Value { node, path: String::new(), place: node.span.clone(), remarks }
    }

    /// Says that this is not carried over, and what to do instead.
    pub(super) fn left_out(&self, why: impl Into<String>, instead: impl Into<String>) {
        self.remarks.add("W-IMPORT", Severity::Warning, self, format!("left out: {}", why.into()), instead.into());
    }

    /// Says that this was carried over with another meaning than it had, and what to look at.
    pub(super) fn changed(&self, how: impl Into<String>, advice: impl Into<String>) {
        self.remarks.add("W-IMPORT", Severity::Warning, self, how.into(), advice.into());
    }

    /// Says something that needs no action.
    pub(super) fn note(&self, what: impl Into<String>, advice: impl Into<String>) {
        self.remarks.add("N-IMPORT", Severity::Note, self, what.into(), advice.into());
    }

    /// Says that this is not what the format has there.
    pub(super) fn unexpected(&self, expected: &str) {
        self.left_out(format!("{expected} is expected here"), "correct it and import again, or write it by hand");
    }

    pub(super) fn is_null(&self) -> bool {
        self.node.is_null()
    }

    pub(super) fn is_map(&self) -> bool {
        matches!(self.node.kind, Kind::Map(_))
    }

    pub(super) fn is_list(&self) -> bool {
        matches!(self.node.kind, Kind::List(_))
    }

    /// The text of a scalar; nothing for `null`, a list or a map.
    pub(super) fn text(&self) -> Option<&'a str> {
        match &self.node.kind {
            Kind::Scalar(scalar) if !scalar.is_null() => Some(&scalar.text),
            _ => None,
        }
    }

    /// The text of a scalar, or the complaint that it is none. `null` is nothing, and nothing to complain about.
    pub(super) fn expect_text(&self, expected: &str) -> Option<&'a str> {
        if self.text().is_none() && !self.is_null() {
            self.unexpected(expected);
        }
        self.text()
    }

    /// `true` or `false`, in YAML 1.1's words too.
    pub(super) fn is_true(&self) -> bool {
        self.text().is_some_and(|text| ["true", "yes", "on"].iter().any(|word| text.eq_ignore_ascii_case(word)))
    }

    /// `false`, in YAML 1.1's words too.
    pub(super) fn is_false(&self) -> bool {
        self.text().is_some_and(|text| ["false", "no", "off"].iter().any(|word| text.eq_ignore_ascii_case(word)))
    }

    /// The entries of a map; none for anything else.
    pub(super) fn entries(&self) -> impl Iterator<Item = (&'a str, Value<'a>)> + use<'a> {
        let (path, remarks) = (self.path.clone(), self.remarks);
        self.node.entries().iter().map(move |entry| {
            let path = if path.is_empty() { entry.key.text.clone() } else { format!("{path}.{}", entry.key.text) };
            (entry.key.text.as_str(), Value { node: &entry.value, path, place: entry.key_span.clone(), remarks })
        })
    }

    /// The value of a key.
    pub(super) fn get(&self, key: &str) -> Option<Value<'a>> {
        self.entries().find(|(name, _)| *name == key).map(|(_, value)| value)
    }

    /// The text of a key's value.
    pub(super) fn get_text(&self, key: &str) -> Option<&'a str> {
        self.get(key)?.text()
    }

    /// The items of a list; a scalar or a map alone counts as a list of one, `null` as none.
    pub(super) fn items(&self) -> Vec<Value<'a>> {
        match &self.node.kind {
            Kind::List(items) => {
                let item = |(number, node): (usize, &'a Node)| Value {
                    node,
                    path: format!("{}[{number}]", self.path),
                    place: if node.span.is_empty() { self.place.clone() } else { node.span.clone() },
                    remarks: self.remarks,
                };
                items.iter().enumerate().map(item).collect()
            }
            _ if self.is_null() => Vec::new(),
            _ => vec![self.clone()],
        }
    }

    /// The texts of a list, or of one scalar.
    pub(super) fn texts(&self) -> Vec<&'a str> {
        self.items().iter().filter_map(Value::text).collect()
    }

    /// Names and texts of a map, or of a list of `NAME=value`.
    pub(super) fn pairs(&self) -> Vec<Pair<'a>> {
        if self.is_map() {
            let pair = |(name, value): (&str, Value<'a>)| (name.to_owned(), value.text().map(str::to_owned), value);
            return self.entries().map(pair).collect();
        }
        let pair = |item: Value<'a>| {
            let text = item.expect_text("NAME=value")?;
            let (name, value) = text.split_once('=').map_or((text, None), |(name, value)| (name, Some(value)));
            Some((name.to_owned(), value.map(str::to_owned), item))
        };
        self.items().into_iter().filter_map(pair).collect()
    }
}
