//! Real files of public repositories, where the environment variable `FERMATA_CORPUS` names the folder that holds them and
//! their `MANIFEST.tsv` (file, repository, path, status, notes, …). None of them is part of this repository.

use std::fs;
use std::path::{Path, PathBuf};

use fermata_spec::{Outcome, Severity, SourceText, read};

/// Where the files that are invalid have their first mistake, by a part of their names.
const MISTAKES: &[(&str, usize)] = &[("@71aa821e", 7), ("@b324b62a", 3), ("@da76a3ee", 7), ("@262143be", 10)];

#[test]
fn real_files_are_answered_as_their_manifest_says() {
    let Some(folder) = std::env::var_os("FERMATA_CORPUS").map(PathBuf::from) else { return };
    let manifest = fs::read_to_string(folder.join("MANIFEST.tsv")).expect("the manifest");
    let mut seen = 0;
    for row in manifest.lines().skip(1) {
        let mut cells = row.split('\t');
        let (Some(name), Some(status)) = (cells.next(), cells.nth(2)) else { panic!("{row}") };
        if Path::new(name).extension().is_none_or(|extension| extension != "yml") {
            continue;
        }
        seen += 1;
        let text = fs::read_to_string(folder.join(name)).expect(name);
        check(name, status, &text);
    }
    assert!(seen > 40, "only {seen} files");
}

fn check(name: &str, status: &str, text: &str) {
    let Outcome { spec, diagnostics } = read(text);
    let source = SourceText::new(name, text);
    let shown: String = diagnostics.iter().map(|said| source.render(said, false)).collect();
    let errors: Vec<_> = diagnostics.iter().filter(|said| said.severity == Severity::Error).collect();
    match status {
        "valid" => assert!(spec.is_some(), "{name} is valid:\n{shown}"),
        "invalid" => {
            let line = source
                .position(errors.first().unwrap_or_else(|| panic!("{name} is invalid")).places[0].span.start)
                .line;
            let expected = MISTAKES.iter().find(|(part, _)| name.contains(part));
            let (_, expected) = expected.unwrap_or_else(|| panic!("{name} is not in the list of this test"));
            assert_eq!(line, *expected, "{name}:\n{shown}");
        }
        // Old files get advice, whether they can still be read or not.
        "legacy" => assert!(!diagnostics.is_empty(), "{name} is answered with nothing"),
        "other" => assert_eq!(errors[0].code, "E-FILE-COMPOSE", "{name}:\n{shown}"),
        other => panic!("{name} has the unknown status {other}"),
    }
}
