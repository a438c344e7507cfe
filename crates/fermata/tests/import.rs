//! `fermata import`: whole files of docker compose and Kamal, what is said about them, and the service.yml that comes out.
//!
//! Each file of `tests/import` is an input, what was said, the exit code and the output, with lines of equals signs between
//! them; behind a compose file's output stands what `fermata render compose` makes of it again.
//! `FERMATA_BLESS=1 cargo test -p fermata --test import` writes them anew; look at what changed before you commit it.

mod support;

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use fermata_spec::Severity;
use support::golden::{self, Golden, SEPARATOR};
use support::{Ended, Folder};

fn cases() -> Vec<PathBuf> {
    let paths = golden::cases("import", "txt");
    assert!(paths.len() > 10, "only {} cases", paths.len());
    paths
}

/// What a program said and wrote, with `/srv/app` for the folder that it ran in.
fn shown(folder: &Folder, ended: &Ended) -> String {
    let path = folder.path().display().to_string();
    let code = ended.code.map_or("no exit code".to_owned(), |code| format!("exit code {code}"));
    format!("{}{code}\n{SEPARATOR}{}", ended.stderr, ended.stdout).replace(&path, "/srv/app")
}

/// The whole case, from its input.
fn case(name: &str, input: &str) -> String {
    let folder = Folder::new("services: {}\n");
    let file = if name.starts_with("kamal") { "config/deploy.yml" } else { "compose.yml" };
    fs::create_dir(folder.path().join("config")).expect("a folder can be made");
    folder.write(file, input);
    let imported = folder.run(&["import", file]);
    let mut case = format!("{input}{SEPARATOR}{}", shown(&folder, &imported));
    if imported.code != Some(0) {
        return case;
    }
    let said = fermata_spec::read(&imported.stdout).diagnostics;
    let errors: Vec<String> = said
        .iter()
        .filter(|one| one.severity != Severity::Note)
        .map(|one| one.render("service.yml", &imported.stdout, false))
        .collect();
    assert!(said.iter().all(|one| one.severity != Severity::Error), "{name}\n{}", errors.concat());
    if name.starts_with("compose") {
        folder.write("made.yml", &imported.stdout);
        let rendered = folder.run(&["render", "compose", "made.yml"]);
        case.push_str(SEPARATOR);
        case.push_str(&shown(&folder, &rendered));
    }
    case
}

#[test]
fn every_file_becomes_exactly_what_is_written_beside_it() {
    let mut golden = Golden::default();
    for path in cases() {
        let kept = fs::read_to_string(&path).expect("a case can be read");
        let input = kept.split(SEPARATOR).next().unwrap_or_default();
        golden.expect(&path, &case(&golden::title(&path), input));
    }
    golden.done();
}

const SMALL: &str = "services:\n  web:\n    image: nginx\n    ports: [\"8080:80\"]\n";

#[test]
fn a_file_that_is_there_is_not_replaced() {
    let folder = Folder::new("mine: true\n");
    folder.write("compose.yml", SMALL);
    let ended = folder.run(&["import", "compose.yml", "-o", "service.yml"]);
    assert_eq!(ended.code, Some(2));
    assert_eq!(ended.stderr, "error: service.yml is there already; remove it, or name another file\n");
    assert_eq!(fs::read_to_string(folder.path().join("service.yml")).expect("it is there"), "mine: true\n");
}

#[test]
fn a_written_file_passes_its_check() {
    let folder = Folder::new("services: {}\n");
    folder.write("compose.yml", SMALL);
    let ended = folder.run(&["import", "compose.yml", "-o", "made.yml"]);
    let next = "compose.yml: written to made.yml (0 left out or changed, 0 notes); next: fermata check made.yml\n";
    assert_eq!((ended.code, ended.stderr.as_str(), ended.stdout.as_str()), (Some(0), next, ""));
    let checked = folder.run(&["check", "made.yml"]);
    assert_eq!((checked.code, checked.stdout.as_str()), (Some(0), "made.yml ok\n"));
}

#[test]
fn a_file_that_is_not_there_is_wrong_usage() {
    let folder = Folder::new("services: {}\n");
    let ended = folder.run(&["import", "nowhere.yml"]);
    assert_eq!(ended.code, Some(2));
    assert_eq!(ended.stderr, "error: nowhere.yml: there is no such file\n");
}

/// Values that a file may have anywhere, and that fit hardly anywhere.
const ODD: &[&str] = &["[]", "-1", "\"a b\"", "99999999999", "[{a: {b: c}}]"];

#[test]
fn whatever_stands_in_a_file_the_result_passes_its_check() {
    let mut failed = BTreeMap::new();
    let whole = |path: &PathBuf| {
        ["forms.txt", "chat.txt", "roles.txt"].iter().any(|end| path.display().to_string().ends_with(end))
    };
    for path in cases().into_iter().filter(whole) {
        let text = fs::read_to_string(&path).expect("a case can be read");
        let input = text.split(SEPARATOR).next().unwrap_or_default();
        let lines: Vec<&str> = input.lines().collect();
        for at in 0..lines.len() {
            let (before, line, after) = (lines[..at].join("\n"), lines[at], lines[at + 1..].join("\n"));
            passes(&format!("{before}\n{after}\n"), &mut failed);
            // The value behind a key or a dash becomes something else.
            let Some(end) = line.find(": ").map(|at| at + 1).or(line.find("- ").map(|at| at + 1)) else { continue };
            for odd in ODD {
                passes(&format!("{before}\n{} {odd}\n{after}\n", &line[..end]), &mut failed);
            }
        }
    }
    let failed: Vec<String> = failed.into_values().collect();
    assert!(failed.is_empty(), "{}", failed.join("\n----------\n"));
}

/// Keeps one example of each error.
fn passes(input: &str, failed: &mut BTreeMap<String, String>) {
    let Ok(imported) = fermata::import::import(input, "/srv/app") else { return };
    let said = fermata_spec::read(&imported.text).diagnostics;
    for one in said.iter().filter(|one| one.severity == Severity::Error) {
        let shown = one.render("service.yml", &imported.text, false);
        failed.entry(one.message.clone()).or_insert_with(|| format!("{input}\n{shown}"));
    }
}
