//! Hostile files: whatever they hold, they are answered, and briefly.

use std::fmt::Write;

use fermata_spec::{Outcome, SourceText, read};

/// The codes that a text is answered with. Rendering is tried as well, since it looks at the text again.
fn codes(text: &str) -> Vec<&'static str> {
    let Outcome { diagnostics, .. } = read(text);
    let source = SourceText::new("service.yml", text);
    for diagnostic in &diagnostics {
        let shown = source.render(diagnostic, false);
        assert!(shown.len() < 100_000, "{} is shown in {} bytes", diagnostic.code, shown.len());
    }
    diagnostics.iter().map(|diagnostic| diagnostic.code).collect()
}

#[test]
fn a_file_of_a_hundred_megabytes_is_refused_for_its_size() {
    let outcome = read(&"a: b\n".repeat(20_000_000));
    assert_eq!(outcome.diagnostics.iter().map(|said| said.code).collect::<Vec<_>>(), ["E-YAML-LIMIT"]);
}

#[test]
fn aliases_that_would_become_billions_of_values_are_refused() {
    let mut text = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
    for level in 1..12 {
        let aliases = vec![format!("*a{}", level - 1); 10].join(", ");
        writeln!(text, "a{level}: &a{level} [{aliases}]").unwrap();
    }
    assert_eq!(codes(&text), ["E-YAML-LIMIT"]);
}

#[test]
fn copies_of_a_long_text_are_refused_before_they_fill_the_memory() {
    let text = format!("x-text: &text {}\nx-copies: [{}]\n", "long ".repeat(200_000), vec!["*text"; 50_000].join(", "));
    assert_eq!(codes(&text), ["E-YAML-LIMIT"]);
}

#[test]
fn nesting_too_deep_is_refused_in_every_style() {
    assert_eq!(codes(&"- ".repeat(100_000)), ["E-YAML-LIMIT"]);
    let block: Vec<String> = (0..1000).map(|level| format!("{}a:\n", " ".repeat(level))).collect();
    assert_eq!(codes(&block.concat()), ["E-YAML-LIMIT"]);
    assert_eq!(codes(&format!("a: {}", "[".repeat(65))), ["E-YAML-LIMIT"]);
    // Deeper brackets than the parser itself follows are a syntax error for it.
    assert_eq!(codes(&"[".repeat(1_000_000)).len(), 1);
    assert_eq!(codes(&"{a: ".repeat(1_000_000)).len(), 1);
}

#[test]
fn too_many_values_are_refused() {
    assert_eq!(codes(&"- x\n".repeat(600_000)), ["E-YAML-LIMIT"]);
}

#[test]
fn beyond_five_hundred_diagnostics_the_rest_is_counted() {
    let mut text = "services:\n  web:\n".to_owned();
    (0..800).for_each(|number| writeln!(text, "    unknown{number}: 1").unwrap());
    let outcome = read(&text);
    let last = outcome.diagnostics.last().unwrap();
    assert_eq!(outcome.diagnostics.len(), 501);
    assert_eq!((last.code, last.message.as_str()), ("E-MORE", "and 300 more, 300 of them errors"));

    let mut text = "services:\n".to_owned();
    (0..600).for_each(|number| writeln!(text, "  web{number}:\n    git: x").unwrap());
    let last = read(&text).diagnostics.pop().unwrap();
    assert_eq!((last.code, last.message.as_str()), ("W-MORE", "and 101 more, none of them an error"));
}

#[test]
fn errors_behind_the_five_hundredth_diagnostic_still_refuse_the_file() {
    let mut text = "services:\n".to_owned();
    (0..600).for_each(|number| writeln!(text, "  web{number}:\n    git: x").unwrap());
    text.push_str("  last:\n    unknown: 1\n");
    let outcome = read(&text);
    assert!(outcome.spec.is_none());
    assert_eq!(outcome.diagnostics.last().unwrap().code, "E-MORE");
}

#[test]
fn a_line_of_a_megabyte_is_named_but_not_printed() {
    let text = format!("services: {{web: {{image: nginx, prots: [{}]}}}}", "80, ".repeat(250_000));
    assert_eq!(codes(&text), ["E-KEY-UNKNOWN"]);
    let outcome = read(&text);
    let shown = outcome.diagnostics[0].render("service.yml", &text, false);
    assert_eq!(
        shown,
        "error[E-KEY-UNKNOWN]: services.web: unknown key \"prots\"\n--> service.yml:1:32\n = help: did you mean \"ports\"?\n"
    );
}

#[test]
fn a_chain_of_services_as_long_as_the_file_is_followed_to_its_end() {
    let mut text = "services:\n".to_owned();
    for number in 0..5_000 {
        writeln!(text, "  s{number}: {{image: x, requires: [s{}]}}", (number + 1) % 5_000).unwrap();
    }
    let outcome = read(&text);
    let codes: Vec<&str> = outcome.diagnostics.iter().map(|diagnostic| diagnostic.code).collect();
    assert_eq!(codes, ["E-REQUIRES-CYCLE"]);
}

#[test]
fn circles_without_number_are_named_until_it_is_enough() {
    let mut text = "services:\n".to_owned();
    for number in 0..5_000 {
        writeln!(text, "  s{number}: {{image: x, requires: [s{}, s0]}}", (number + 1) % 5_000).unwrap();
    }
    assert_eq!(codes(&text), ["E-REQUIRES-CYCLE"; 20]);
}

#[test]
fn as_many_names_on_as_many_ports_are_not_all_compared() {
    let ports: Vec<String> = (1..5_000).map(|port| format!("\"1:{port}\"")).collect();
    let names: Vec<String> = (1..5_000).map(|name| format!("s{name}.example.com")).collect();
    let text = format!(
        "services:\n  a:\n    image: x\n    ports: [{}]\n    traffic_matches: [{}]\n",
        ports.join(", "),
        names.join(", ")
    );
    assert_eq!(codes(&text), ["N-PORT-FIREWALL"; 100]);
}

#[test]
fn control_characters_of_the_file_do_not_reach_the_terminal() {
    let text = "services:\n  web:\n    image: nginx\n    \"a\\e[31mb\": 1\n    load_balancing: \"x\u{1b}[2Jy\"\n    ports: [*\u{1b}[2J]\n    requires: \"\\e[2J\"\n    stop_grace: \"\\e[2J\"\n  \"\\e[2J\": \"\\e[2J\"\n";
    for diagnostic in read(text).diagnostics {
        let shown = diagnostic.render("service.yml", text, false);
        assert!(!shown.contains('\u{1b}'), "{shown}");
    }
}
