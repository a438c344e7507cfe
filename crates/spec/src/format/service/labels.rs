//! `tags` and `annotations`.

use crate::diagnostic::{codes, quote};
use crate::format::values::TEXT;
use crate::grammar::Shape;
use crate::reader::Field;
use crate::tree::Kind;

pub(super) const TAGS: Shape = Shape::Either(&[Shape::List(&TAG), TAG_TABLE]);

const TAG: Shape = Shape::Either(&[TEXT, TAG_TABLE]);

const TAG_TABLE: Shape = Shape::Table { names: "", least: 0, values: &Shape::Anything };

/// `k=v`, `k:v` or `k` in a list; a map in files that an old converter wrote.
pub(super) fn tags(field: &Field<'_>) -> Vec<(String, String)> {
    if let Kind::Map(_) = field.node.kind {
        let tags = tag_table(field);
        let written: Vec<String> = tags.iter().take(5).map(|(key, value)| quote(&format!("{key}={value}"))).collect();
        field.say_help(&codes::VALUE_OLD, "tags are a list now", format!("write tags: [{}]", written.join(", ")));
        return tags;
    }
    let list = Field { shape: &Shape::List(&TAG), ..field.clone() };
    list.items().iter().flat_map(tag).collect()
}

fn tag(field: &Field<'_>) -> Vec<(String, String)> {
    // `- key: value` without quotes is a map of one entry, and clear enough.
    if let Kind::Map(_) = field.node.kind {
        return tag_table(field);
    }
    let Some(text) = field.text() else { return Vec::new() };
    let (key, value) = text.split_once(['=', ':']).unwrap_or((text, ""));
    vec![(key.trim().to_owned(), value.trim().to_owned())]
}

fn tag_table(field: &Field<'_>) -> Vec<(String, String)> {
    let table = Field { shape: &TAG_TABLE, ..field.clone() };
    let value = |value: &Field<'_>| if value.node.is_null() { "" } else { value.text().unwrap_or_default() }.to_owned();
    table.table().iter().map(|(entry, field)| (entry.key.text.clone(), value(field))).collect()
}

pub(super) fn annotations(field: &Field<'_>) -> Vec<(String, String)> {
    field.table().iter().filter_map(|(entry, value)| Some((entry.key.text.clone(), value.text()?.to_owned()))).collect()
}
