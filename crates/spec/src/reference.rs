//! `docs/service.yml.md`: its tables are made from the tables of the format, and everything that it shows is checked.
//!
//! `FERMATA_BLESS=1 cargo test -p fermata-spec reference` writes the tables anew. Each stands between a comment that names
//! its section and the comment `<!-- end -->`.

use std::fmt::Write;
use std::path::PathBuf;

use crate::diagnostic::{Severity, codes};
use crate::format::file::FILE;
use crate::grammar::{Actor, Key, Now, Origin, Required, Section, Shape};
use crate::read;

const END: &str = "<!-- end -->";

fn path() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../docs/service.yml.md")
}

/// Every section of the format, from the top.
fn sections() -> Vec<&'static Section> {
    let mut sections = Vec::new();
    visit(&FILE, &mut sections);
    sections
}

fn visit(section: &'static Section, seen: &mut Vec<&'static Section>) {
    if seen.iter().any(|known| known.name == section.name) {
        return;
    }
    seen.push(section);
    section.keys.iter().for_each(|key| visit_shape(&key.shape, seen));
}

fn visit_shape(shape: &'static Shape, seen: &mut Vec<&'static Section>) {
    match shape {
        Shape::Section(section) => visit(section, seen),
        Shape::List(shape) | Shape::ListOrOne(shape) | Shape::Table { values: shape, .. } => visit_shape(shape, seen),
        Shape::Either(shapes) => shapes.iter().for_each(|shape| visit_shape(shape, seen)),
        _ => {}
    }
}

/// The table of a section's keys, their choices, and the keys of older files.
fn table(section: &Section) -> String {
    let mut text = "\n| Key | What it is | Left out | Example |\n|---|---|---|---|\n".to_owned();
    for key in section.keys {
        let left_out = match key.required {
            Required::Yes => "an error".to_owned(),
            Required::Unless(other) => format!("an error, except beside {other}"),
            Required::No => cell(key.default),
        };
        let _ = writeln!(text, "| `{}` | {} | {left_out} | `{}` |", key.name, cell(&about(key)), cell(key.example));
    }
    for key in section.keys {
        if let Some(words) = words(&key.shape) {
            let _ = writeln!(text, "\n`{}`:\n", key.name);
            for word in words {
                let _ = writeln!(text, "- `{}`: {}", word.word, word.about);
            }
        }
    }
    if !section.old.is_empty() {
        text.push_str("\n| Older files | Today |\n|---|---|\n");
        for old in section.old {
            let now = match old.now {
                Now::Renamed(now) => format!("`{now}`"),
                Now::Reshaped => "read; `fermata check` shows what to write".to_owned(),
                Now::Ended(instead) => format!("without effect: {instead}"),
            };
            let _ = writeln!(text, "| `{}` | {} |", old.name, cell(&now));
        }
    }
    text.push('\n');
    text
}

fn about(key: &Key) -> String {
    let mut text = key.about.to_owned();
    if let Some(taken) = taken(&key.shape) {
        let _ = write!(text, " Takes {taken}.");
    }
    match (key.actor, key.origin) {
        (Actor::Render, _) => text.push_str(" For rendered files."),
        (Actor::Original, _) => text.push_str(" For the original platform; without effect in Fermata."),
        (Actor::Fermata, Origin::Fermata) => text.push_str(" Fermata's own."),
        (Actor::Fermata, Origin::Original) => {}
    }
    text
}

/// What a value looks like, where the example does not show all of it.
fn taken(shape: &Shape) -> Option<String> {
    match shape {
        Shape::Text(text) if text.pattern.is_empty() => None,
        Shape::Text(_) | Shape::Integer { .. } | Shape::ListOrOne(Shape::Text(_)) => Some(shape.expected()),
        Shape::List(item) => taken(item).map(|item| format!("a list; each is {item}")),
        _ => None,
    }
}

fn words(shape: &'static Shape) -> Option<&'static [crate::grammar::Word]> {
    match shape {
        Shape::Choice(words) => Some(words),
        Shape::List(shape) => words(shape),
        Shape::Either(shapes) => shapes.iter().find_map(words),
        _ => None,
    }
}

/// Text in a cell of a Markdown table.
fn cell(text: &str) -> String {
    text.replace('|', "\\|")
}

/// The table of all codes.
fn code_table() -> String {
    let mut text = "\n| Code | Says |\n|---|---|\n".to_owned();
    for code in codes::all() {
        let _ = writeln!(text, "| `{}` | {} |", code.name, cell(code.title));
    }
    text.push('\n');
    text
}

/// The page with its tables made anew.
fn made(page: &str) -> String {
    let mut made = String::new();
    let mut rest = page;
    let tables = sections().into_iter().map(|section| (section.name, table(section)));
    let tables: Vec<(&str, String)> = tables.chain([("codes", code_table())]).collect();
    while let Some((before, mark, after)) = next_mark(rest, &tables) {
        let (_, behind) = after.split_once(END).expect("every table ends");
        let (name, table) = mark;
        let _ = write!(made, "{before}<!-- {name} -->\n{table}{END}");
        rest = behind;
    }
    made + rest
}

fn next_mark<'t, 'p>(
    page: &'p str,
    tables: &'t [(&'t str, String)],
) -> Option<(&'p str, &'t (&'t str, String), &'p str)> {
    let marks = tables.iter().filter_map(|table| {
        let (before, after) = page.split_once(&format!("<!-- {} -->\n", table.0))?;
        Some((before, table, after))
    });
    marks.min_by_key(|(before, _, _)| before.len())
}

#[test]
fn the_reference_has_the_tables_of_the_format() {
    let page = std::fs::read_to_string(path()).expect("the reference");
    let made = made(&page);
    if std::env::var_os("FERMATA_BLESS").is_some() {
        std::fs::write(path(), &made).expect("the reference can be written");
        return;
    }
    assert!(
        page == made,
        "docs/service.yml.md is out of date; run FERMATA_BLESS=1 cargo test -p fermata-spec reference"
    );
}

#[test]
fn the_reference_has_every_section() {
    let page = std::fs::read_to_string(path()).expect("the reference");
    for section in sections() {
        assert!(page.contains(&format!("<!-- {} -->\n", section.name)), "{} is missing", section.name);
    }
}

#[test]
fn every_file_that_the_reference_shows_is_accepted() {
    let page = std::fs::read_to_string(path()).expect("the reference");
    let files: Vec<&str> = page.split("```yaml\n").skip(1).filter_map(|rest| rest.split("```").next()).collect();
    assert!(files.len() > 5, "only {} files", files.len());
    for file in files {
        let said = read(file).diagnostics;
        let bad: Vec<String> = said
            .iter()
            .filter(|said| said.severity == Severity::Error)
            .map(|said| said.render("service.yml", file, false))
            .collect();
        assert!(bad.is_empty(), "{file}\n{}", bad.concat());
    }
}

#[test]
fn the_example_of_every_key_is_accepted_without_a_warning() {
    let mut tried = 0;
    example_of(&FILE, &|body| body, &mut |text| {
        tried += 1;
        let said = read(&text).diagnostics;
        // Rules between values (a service that requires wants to exist) are not what an example of one key is about.
        let about_more = [
            "E-REQUIRES-UNKNOWN",
            "W-MATCH-UNUSED",
            "W-WEBSOCKET-UNUSED",
            "E-HEALTH-PORT",
            "W-HEALTH-UNUSED",
            "E-HEALTH-COMMAND",
            "E-COUNT",
            "W-PROXY-ONE-SIDED",
            "W-PROXY-PORT",
            "W-PROXY-UNTRUSTED",
        ];
        let bad: Vec<String> = said
            .iter()
            .filter(|said| said.severity != Severity::Note && !about_more.contains(&said.code))
            .map(|said| said.render("service.yml", &text, false))
            .collect();
        assert!(bad.is_empty(), "{text}\n{}", bad.concat());
    });
    assert!(tried > 150, "only {tried} examples");
}

/// Builds a text for the example of each key. `wrap` puts the body of a section into a file.
fn example_of(section: &'static Section, wrap: &dyn Fn(String) -> String, try_text: &mut dyn FnMut(String)) {
    for key in section.keys {
        let beside = section.keys.iter().filter(|other| other.required != Required::No && other.name != key.name);
        let beside: Vec<String> = beside.map(|other| format!("{}, ", other.example)).collect();
        let beside = beside.concat();
        // A volume has one source, and its settings need one.
        let source =
            matches!(key.name, "mount_path" | "read_only" | "mount_propagation" | "sub_path" | "sub_path_expr");
        let source = if section.name == "a volume" && source { ", host_path: {path: /data}" } else { "" };
        try_text(wrap(format!("{{{beside}{}{source}}}", key.example)));
        let inside = |value: String| wrap(format!("{{{beside}{}: {value}}}", key.name));
        inside_of(&key.shape, &inside, try_text);
    }
}

fn inside_of(shape: &'static Shape, wrap: &dyn Fn(String) -> String, try_text: &mut dyn FnMut(String)) {
    match shape {
        Shape::Section(section) => example_of(section, wrap, try_text),
        Shape::List(item) | Shape::ListOrOne(item) => inside_of(item, &|value| wrap(format!("[{value}]")), try_text),
        Shape::Table { values, .. } => inside_of(values, &|value| wrap(format!("{{web: {value}}}")), try_text),
        Shape::Either(shapes) => shapes.iter().for_each(|shape| inside_of(shape, wrap, try_text)),
        _ => {}
    }
}
