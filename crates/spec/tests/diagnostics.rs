//! Every diagnostic, as it is printed: files of an input, a line of equals signs and the exact output.
//!
//! `FERMATA_BLESS=1 cargo test -p fermata-spec --test diagnostics` writes the outputs anew; look at what changed before you
//! commit it.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use fermata_spec::diagnostic::codes;
use fermata_spec::{Outcome, SourceText, read};

const SEPARATOR: &str = "\n=====\n";

fn cases() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases");
    let mut paths: Vec<PathBuf> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths
}

/// Input, with its last line break, and output.
fn parts(case: &str) -> (&str, &str) {
    match case.find(SEPARATOR) {
        Some(at) => (&case[..=at], &case[at + SEPARATOR.len()..]),
        None => (case, ""),
    }
}

fn print(text: &str) -> String {
    let Outcome { spec, diagnostics } = read(text);
    let source = SourceText::new("service.yml", text);
    let mut output: String = diagnostics.iter().map(|diagnostic| source.render(diagnostic, false)).collect();
    output.push_str(if spec.is_some() { "accepted\n" } else { "refused\n" });
    output
}

#[test]
fn every_case_is_answered_exactly_as_written() {
    let bless = std::env::var_os("FERMATA_BLESS").is_some();
    let mut wrong = Vec::new();
    for path in cases() {
        let case = fs::read_to_string(&path).unwrap();
        let (input, expected) = parts(&case);
        let output = print(input);
        if output == expected {
            continue;
        }
        if bless {
            fs::write(&path, format!("{input}{}{output}", &SEPARATOR[1..])).unwrap();
        } else {
            wrong.push(format!("{}\n--- expected\n{expected}--- printed\n{output}", path.display()));
        }
    }
    assert!(wrong.is_empty(), "{} cases differ:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn every_code_has_a_case() {
    let mut seen = BTreeSet::new();
    for path in cases() {
        let case = fs::read_to_string(&path).unwrap();
        let (input, _) = parts(&case);
        seen.extend(read(input).diagnostics.iter().map(|diagnostic| diagnostic.code));
    }
    // The first two need more than 500 diagnostics; tests/limits.rs has them. The others are said by other programs' parts.
    let rest: Vec<&str> = codes::all().map(|code| code.name).filter(|name| !seen.contains(name)).collect();
    assert_eq!(rest, ["E-MORE", "W-MORE", "E-BALANCER", "W-BALANCER", "E-RENDER", "W-RENDER"]);
}

#[test]
fn every_code_explains_itself_with_an_example_that_has_the_problem_and_one_that_has_not() {
    for code in codes::all().filter(|code| !code.wrong.is_empty()) {
        let wrong: Vec<&str> = read(code.wrong).diagnostics.iter().map(|diagnostic| diagnostic.code).collect();
        assert!(wrong.contains(&code.name), "{}: the wrong example says {wrong:?}", code.name);
        let right = read(code.right);
        let says: Vec<&str> = right.diagnostics.iter().map(|diagnostic| diagnostic.code).collect();
        assert!(!says.contains(&code.name), "{}: the right example has it too", code.name);
        assert!(right.spec.is_some(), "{}: the right example is refused: {says:?}", code.name);
    }
}

#[test]
fn codes_are_unique_and_begin_with_their_severity() {
    let mut names = BTreeSet::new();
    for code in codes::all() {
        assert!(names.insert(code.name), "{} is there twice", code.name);
        let letter = code.severity.to_string().to_uppercase().remove(0);
        assert!(code.name.starts_with(&format!("{letter}-")), "{} is of severity {}", code.name, code.severity);
        assert_eq!(codes::find(&code.name.to_lowercase()), Some(code));
    }
}

#[test]
fn a_place_has_the_line_and_the_column_in_characters_from_one() {
    let text = "# é\nservices:\n  wéb: {image: x y}\n";
    let outcome = read(text);
    let place = outcome.diagnostics.iter().find(|said| said.code == "E-VALUE").unwrap().places[0].span.start;
    let position = SourceText::new("service.yml", text).position(place);
    assert_eq!((position.line, position.column), (3, 16));
}
