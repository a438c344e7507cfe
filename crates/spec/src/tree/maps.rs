//! What YAML says about maps beyond their syntax: unique keys, merge keys, keys that are scalars.

use std::collections::HashSet;

use super::{Entry, Kind, Node, Scalar};
use crate::diagnostic::{Diagnostic, codes, quote};

/// An entry from its two halves. A key that is a list or a map is refused.
pub(super) fn entry(key: Node, value: Node, said: &mut Vec<Diagnostic>) -> Option<Entry> {
    let Kind::Scalar(scalar) = key.kind else {
        let diagnostic =
            Diagnostic::new(&codes::YAML_KEY, "", key.span, "a list or a map stands where a key is expected")
                .help("write the key as a word; a value that begins with { or [ has to be quoted");
        said.push(diagnostic);
        return None;
    };
    Some(Entry { key: scalar, key_span: key.span, value })
}

/// A finished map: duplicates said and removed, merge keys filled in.
pub(super) fn settle(entries: Vec<Entry>, said: &mut Vec<Diagnostic>) -> Vec<Entry> {
    merge(unique(entries, said), said)
}

/// Of several entries with one key the first stays (YAML 1.2.2, 3.2.1.1: keys are unique).
fn unique(mut entries: Vec<Entry>, said: &mut Vec<Diagnostic>) -> Vec<Entry> {
    let mut order: Vec<usize> = (0..entries.len()).collect();
    order.sort_by(|one, two| entries[*one].key.text.cmp(&entries[*two].key.text));
    let mut doubled = HashSet::new();
    for group in order.chunk_by(|one, two| entries[*one].key.text == entries[*two].key.text) {
        let first = &entries[group[0]];
        for again in &group[1..] {
            said.push(duplicate(first, &entries[*again]));
            doubled.insert(*again);
        }
    }
    if !doubled.is_empty() {
        let mut at = 0;
        entries.retain(|_| {
            at += 1;
            !doubled.contains(&(at - 1))
        });
    }
    entries
}

fn duplicate(first: &Entry, again: &Entry) -> Diagnostic {
    let key = quote(&first.key.text);
    let (code, message) = if first.value.same(&again.value) {
        (&codes::YAML_REPEATED_KEY, format!("{key} is given twice with the same value"))
    } else {
        (&codes::YAML_DUPLICATE_KEY, format!("{key} is given twice with different values"))
    };
    Diagnostic::new(code, "", again.key_span.clone(), message)
        .label("given again")
        .also(first.key_span.clone(), "first given here")
        .help("keep one of the two; many YAML readers silently take the last one")
}

/// Fills in `<<: *base` (the merge key of YAML 1.1, which Ruby's reader knows): what the map says itself goes first.
fn merge(mut entries: Vec<Entry>, said: &mut Vec<Diagnostic>) -> Vec<Entry> {
    let is_merge = |entry: &Entry| entry.key.plain && entry.key.text == "<<";
    let Some(at) = entries.iter().position(is_merge) else { return entries };
    let merged = entries.remove(at);
    let bases = match merged.value.kind {
        Kind::List(items) => items,
        kind => vec![Node { kind, span: merged.value.span }],
    };
    let mut known: HashSet<String> = entries.iter().map(|entry| entry.key.text.clone()).collect();
    for base in bases {
        let Kind::Map(base) = base.kind else {
            let diagnostic = Diagnostic::new(&codes::YAML_KEY, "", base.span, "<< merges a map, and this is not one")
                .help("write <<: *name, where &name stands before a map");
            said.push(diagnostic);
            continue;
        };
        entries.extend(base.into_iter().filter(|entry| known.insert(entry.key.text.clone())));
    }
    entries
}

/// `{{VAR}}` without quotes is a map in a map for YAML; it is taken as the text that was meant.
pub(super) fn braces(text: &str, node: Node, said: &mut Vec<Diagnostic>) -> Node {
    let written = text.get(node.span.clone()).unwrap_or_default();
    if !(written.starts_with("{{") && written.ends_with("}}") && written.len() > 4) {
        return node;
    }
    let name = written.trim_matches(['{', '}']).trim();
    // The inner map's complaint about a map as a key stands at the same place and says less.
    said.pop_if(|last| last.code == codes::YAML_KEY.name && last.places[0].span.start == node.span.start + 1);
    let diagnostic = Diagnostic::new(
        &codes::YAML_BRACES,
        "",
        node.span.clone(),
        format!("{} is a map for YAML unless it is quoted", quote(written)),
    )
    .help(format!("write \"{written}\", or the modern _env({name})"));
    said.push(diagnostic);
    Node { kind: Kind::Scalar(Scalar { text: written.to_owned(), plain: true }), span: node.span }
}
