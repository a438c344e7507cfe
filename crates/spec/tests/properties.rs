//! Whatever the text, it is answered: no panic, places inside the text, the same answer each time.

use fermata_spec::diagnostic::render::{Checked, github, json, sarif};
use fermata_spec::{Severity, SourceText, read};
use proptest::prelude::*;

/// Checks what holds for every text.
fn answer(text: &str) {
    let outcome = read(text);
    let refused = outcome.diagnostics.iter().any(|said| said.severity == Severity::Error);
    assert_eq!(outcome.spec.is_none(), refused);
    assert_eq!(outcome, read(text), "the same text has the same answer");
    let source = SourceText::new("service.yml", text);
    for said in &outcome.diagnostics {
        assert!(!said.places.is_empty(), "{} has a place", said.code);
        for place in &said.places {
            assert!(
                text.get(place.span.clone()).is_some(),
                "{} at {:?} of {} bytes",
                said.code,
                place.span,
                text.len()
            );
        }
        assert!(source.render(said, false).contains(said.code));
        assert!(source.render(said, true).contains(said.code));
    }
    let checked = [Checked { source: &source, diagnostics: &outcome.diagnostics }];
    assert_eq!(github(&checked).lines().count(), outcome.diagnostics.len());
    assert!(json(&checked).is_object() && sarif(&checked, "0").is_object());
    if let Some(spec) = outcome.spec {
        assert_eq!(
            spec.services.len(),
            spec.services.iter().map(|service| &service.name).collect::<std::collections::BTreeSet<_>>().len()
        );
    }
}

/// A file with a bit of everything, to be damaged.
const FILE: &str = include_str!("cases/all-keys-of-the-original-are-accepted.txt");

/// Pieces that mean something in YAML or in the format.
fn piece() -> impl Strategy<Value = String> {
    let words = vec![
        "\n",
        "\n  ",
        "\n    ",
        "\n      ",
        "\n- ",
        "\t",
        ": ",
        ":",
        "- ",
        "-",
        "? ",
        "#",
        "'",
        "\"",
        "[",
        "]",
        "{",
        "}",
        "{{",
        "}}",
        ",",
        "&a ",
        "*a",
        "!!str ",
        "!x ",
        "|\n",
        ">\n",
        "<<: ",
        "---\n",
        "...\n",
        "%",
        "@",
        "`",
        "\\",
        "é",
        "\u{feff}",
        "\r\n",
        "\0",
        "~",
        "null",
        "yes",
        "22:22",
        "3000:80:443",
        "70000",
        "_env(",
        "_env:A",
        "SERVICE[a].B)",
        ")",
        "services",
        "version: 2",
        "web:",
        "ports",
        "container",
        "http",
        "health",
        "ready",
        "requires: [web]",
        "traffic_matches",
        "env_vars",
        "volumes",
        "constraints",
        "production",
        "local_ports",
        "public_port",
        "<<<<<<< ",
        "=======",
        "x-a",
    ];
    prop_oneof![3 => prop::sample::select(words).prop_map(str::to_owned), 1 => any::<String>()]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    #[test]
    fn any_text_is_answered(text in any::<String>()) {
        answer(&text);
    }

    #[test]
    fn any_pieces_of_yaml_are_answered(pieces in prop::collection::vec(piece(), 0..60)) {
        answer(&pieces.concat());
    }

    #[test]
    fn a_damaged_file_is_answered(cuts in prop::collection::vec((any::<prop::sample::Index>(), 0_usize..20, piece()), 1..6)) {
        let mut text: Vec<char> = FILE.split("\n=====\n").next().unwrap_or_default().chars().collect();
        for (at, length, piece) in cuts {
            let start = at.index(text.len() + 1);
            let end = (start + length).min(text.len());
            text.splice(start..end, piece.chars());
        }
        answer(&text.into_iter().collect::<String>());
    }

    #[test]
    fn every_value_of_a_key_is_answered(key in "[a-z_]{1,12}", value in piece()) {
        answer(&format!("services:\n  web:\n    {key}: {value}\n"));
    }
}
