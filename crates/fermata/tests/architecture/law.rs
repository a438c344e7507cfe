//! ARCHITECTURE.md, as far as a program can read it: two tables of rules, and the map.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

/// What ARCHITECTURE.md lays down.
pub(crate) struct Law {
    /// Who never imports what.
    pub(crate) never: Vec<Rule>,
    /// Who alone may have what.
    pub(crate) only: Vec<Rule>,
    /// Every folder and file, by its path from the top of the repository.
    pub(crate) map: BTreeSet<String>,
}

/// One row of a table.
pub(crate) struct Rule {
    /// Crates, or modules at the top of the `fermata` crate.
    pub(crate) who: Vec<String>,
    /// Modules, paths, or words.
    pub(crate) what: Vec<String>,
    /// The reason, as it is written.
    pub(crate) because: String,
}

impl Law {
    /// Reads it, and insists that it is there: an empty table would forbid nothing.
    pub(crate) fn read(repository: &Path) -> Law {
        let text = fs::read_to_string(repository.join("ARCHITECTURE.md")).expect("ARCHITECTURE.md can be read");
        let law = Law {
            never: rules(&text, "| these | never import | because |"),
            only: rules(&text, "| only these | have | because |"),
            map: map(&text),
        };
        assert!(
            !law.never.is_empty() && !law.only.is_empty() && !law.map.is_empty(),
            "ARCHITECTURE.md has lost a table"
        );
        law
    }
}

fn rules(text: &str, head: &str) -> Vec<Rule> {
    text.lines()
        .skip_while(|line| *line != head)
        .skip(2) // the head, and the line under it
        .take_while(|line| line.starts_with('|'))
        .map(|row| {
            let cells: Vec<&str> = row.trim_matches('|').splitn(3, '|').map(str::trim).collect();
            let [who, what, because] = cells[..] else { panic!("a row of three cells was expected: {row}") };
            Rule { who: quoted(who), what: quoted(what), because: because.to_owned() }
        })
        .collect()
}

/// The words between backticks.
fn quoted(cell: &str) -> Vec<String> {
    cell.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

/// The folders and files of every tree in a code block that starts with a line like `crates/wire/src/`: two spaces a
/// level, a folder ends with a slash, and what follows the name is for people.
fn map(text: &str) -> BTreeSet<String> {
    let mut files = BTreeSet::new();
    let mut folders: Vec<&str> = Vec::new();
    for line in text.lines() {
        let name = line.split_whitespace().next().unwrap_or_default();
        if line.starts_with(name) && name.ends_with("/src/") {
            folders = vec![name];
        } else if line.starts_with("```") {
            folders.clear();
        } else if !folders.is_empty() && !name.is_empty() {
            let depth = (line.len() - line.trim_start().len()) / 2;
            assert!((1..=folders.len()).contains(&depth), "the map's indentation is two spaces a level: {line:?}");
            folders.truncate(depth);
            files.insert(folders.concat() + name);
            if name.ends_with('/') {
                folders.push(name);
            }
        }
    }
    files
}
