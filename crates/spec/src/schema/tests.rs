//! The schema against the reader: on every key with values of many kinds, on the cases of the diagnostics, on the corpus.

use std::path::Path;

use jsonschema::Validator;
use serde_json::json;

use super::{range_pattern, schema};
use crate::diagnostic::{Diagnostics, Severity, codes};
use crate::format::file::FILE;
use crate::grammar::{Key, Required, Section, Shape};
use crate::{Diagnostic, read, tree};

/// Codes whose errors show in one value alone, so that the schema has to refuse it as well.
const STRUCTURAL: &[&str] = &[
    codes::FILE_COMPOSE.name,
    codes::FILE_EMPTY.name,
    codes::FILE_ENVIRONMENTS.name,
    codes::FILE_KAMAL.name,
    codes::FILE_KUBERNETES.name,
    codes::FILE_SERVICES.name,
    codes::FILE_VERSION.name,
    codes::KEY_MISSING.name,
    codes::KEY_PLACE.name,
    codes::KEY_UNKNOWN.name,
    codes::MATCH.name,
    codes::PORT.name,
    codes::PORT_CONTAINER.name,
    codes::PORT_LIST.name,
    codes::PORT_MAP.name,
    codes::PORT_PARTS.name,
    codes::SERVICE_EMPTY.name,
    codes::SERVICE_NAME_BAD.name,
    codes::VALUE.name,
    codes::VALUE_CHOICE.name,
    codes::VALUE_TYPE.name,
];

/// Codes of errors that only the reader can see.
const SEMANTIC: &[&str] = &[
    codes::ACME_PORT.name,
    codes::COUNT.name,
    codes::FLOATING.name,
    codes::HEALTH_COMMAND.name,
    codes::HEALTH_PORT.name,
    codes::KEY_TWICE.name,
    codes::MEMORY_SMALL.name,
    codes::PASS_THROUGH_ALL.name,
    codes::PORT_TAKEN.name,
    codes::REFERENCE.name,
    codes::REFERENCE_SERVICE.name,
    codes::REQUIRES_CYCLE.name,
    codes::REQUIRES_UNKNOWN.name,
    codes::RESOURCES.name,
    codes::SERVER_NONE.name,
    codes::SERVER_TWICE.name,
    codes::VOLUME.name,
    codes::VOLUME_PATH.name,
];

fn validator() -> Validator {
    jsonschema::draft202012::new(&schema()).expect("the schema is a schema")
}

/// Why schema and reader disagree about a text, if they do.
fn disagreement(text: &str, validator: &Validator) -> Option<String> {
    let root = tree::load(text, &Diagnostics::default()).root?;
    let accepted = validator.is_valid(&tree::json(&root));
    let diagnostics = read(text).diagnostics;
    let errors: Vec<&Diagnostic> = diagnostics.iter().filter(|said| said.severity == Severity::Error).collect();
    if errors.iter().any(|error| error.code.starts_with("E-YAML")) {
        return None;
    }
    let structural = errors.iter().any(|error| STRUCTURAL.contains(&error.code));
    let unknown = errors.iter().find(|error| !STRUCTURAL.contains(&error.code) && !SEMANTIC.contains(&error.code));
    if let Some(unknown) = unknown {
        return Some(format!("{} is in neither list of this test", unknown.code));
    }
    match (errors.first(), accepted) {
        (None, false) => Some("check accepts it, the schema does not".to_owned()),
        (Some(error), true) if structural => Some(format!("the schema accepts it, check says {}", error.message)),
        _ => None,
    }
}

#[test]
fn the_schema_is_valid_and_whole() {
    let schema = schema();
    jsonschema::meta::validate(&schema).expect("the schema fits its own draft");
    let definitions = schema["$defs"].as_object().expect("definitions");
    assert!(definitions.values().all(serde_json::Value::is_object), "every section is defined");
}

#[test]
fn a_range_of_numbers_becomes_a_pattern_that_matches_just_these() {
    for (min, max) in [(1, 65535), (0, 9), (1, 256), (2, 2), (0, 4_294_967_295), (17, 23), (99, 100), (1, 1000)] {
        let validator =
            jsonschema::draft202012::new(&json!({ "pattern": range_pattern(min, max) })).expect("a pattern");
        let near = |number: i64| (number - 30).max(0)..number + 30;
        for number in near(min).chain(near(max)).chain((0..18).map(|digits| 10_i64.pow(digits))).chain(near(1000)) {
            let matches = validator.is_valid(&json!(number.to_string()));
            assert_eq!(matches, (min..=max).contains(&number), "{number} in {min} to {max}");
        }
    }
}

#[test]
fn schema_and_reader_agree_on_every_key_with_values_of_every_kind() {
    let validator = validator();
    let mut wrong = Vec::new();
    let mut tried = 0;
    visit(&FILE, &|body| body, &mut |text| {
        tried += 1;
        if let Some(why) = disagreement(&text, &validator) {
            wrong.push(format!("{text}\n    {why}"));
        }
    });
    assert!(tried > 10_000, "only {tried} texts were tried");
    assert!(wrong.is_empty(), "{} of {tried} texts:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn schema_and_reader_agree_on_the_example_of_every_key_and_code() {
    let validator = validator();
    let examples = codes::all().flat_map(|code| [code.wrong, code.right]);
    for text in examples {
        assert_eq!(disagreement(text, &validator), None, "{text}");
    }
}

#[test]
fn schema_and_reader_agree_on_the_cases_of_the_diagnostics() {
    let validator = validator();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases");
    for entry in std::fs::read_dir(folder).expect("the cases") {
        let path = entry.expect("a case").path();
        let text = std::fs::read_to_string(&path).expect("a readable case");
        let input = text.split("\n=====\n").next().unwrap_or_default();
        assert_eq!(disagreement(input, &validator), None, "{}", path.display());
    }
}

#[test]
fn schema_and_reader_agree_on_the_corpus() {
    let Some(folder) = std::env::var_os("FERMATA_CORPUS") else { return };
    let validator = validator();
    for entry in std::fs::read_dir(folder).expect("the corpus") {
        let path = entry.expect("an entry").path();
        if path.extension().is_some_and(|extension| extension == "yml") {
            let text = std::fs::read_to_string(&path).expect("a readable file");
            assert_eq!(disagreement(&text, &validator), None, "{}", path.display());
        }
    }
}

/// Values of every kind that some key takes, and of some that none does, as flow YAML.
const VALUES: &[&str] = &[
    "null",
    "true",
    "yes",
    "'true'",
    "'no'",
    "off",
    "0",
    "1",
    "2",
    "-1",
    "80",
    "65535",
    "65536",
    "'65536'",
    "'080'",
    "1.5",
    "'1.5'",
    "''",
    "x",
    "'80'",
    "30s",
    "1m30s",
    "500ms",
    "30 s",
    "' 30s'",
    "1y",
    "16MiB",
    "0B",
    "100m",
    "100M",
    "200/s",
    "0/s",
    "50%",
    "101%",
    "leastconn",
    "cookie",
    "none",
    "default",
    "postgresql",
    "daemon_set",
    "/a",
    "/a:/b",
    "/a:/b:ro",
    "/a:/b:xx",
    "a:b",
    "'*.example.com'",
    "'*.*.com'",
    "_",
    "a_b.com",
    "https://a.b",
    "https://*.a.b:8443/x",
    "10.0.0.1",
    "10.0.0.0/8",
    "10.0.0.0/99",
    "'::1'",
    "'[::1]:80'",
    "unix:/x",
    "'3000:80:443'",
    "'3000::8443'",
    "'1:2:3:4'",
    "':80'",
    "'3000:80:'",
    "GET /x",
    "get /x",
    "a=b",
    "_env(A)",
    "https",
    "exec",
    "[]",
    "[x]",
    "[80]",
    "['80:80']",
    "[a.b]",
    "['/a:/b']",
    "[null]",
    "[{}]",
    "[[1]]",
    "[{a: b}]",
    "{}",
    "{a: b}",
    "{a: null}",
    "{x: {}}",
    "{type: http}",
    "{type: exec}",
    "{path: /a}",
    "{path: a}",
    "{container: 80}",
    "[{container: 80, http: 80}]",
    "[{container: 80, tcp: [1, 2]}]",
    "[{container: '80', http: null}]",
    "[{http: 80}]",
    "[{container: null}]",
    "[3000: 80]",
    "[{name: a, value: b}]",
    "[{name: a b, value: b}]",
    "[{name: a, address: b}]",
    "[{port: 80}]",
    "[{cert: a, key: b}]",
    "[{mount_path: /a, host_path: {path: /b}}]",
    "[{mount_path: /a, nfs: {server: x}}]",
    "[{mount_path: 'a:b'}]",
    "{ready: {}}",
    "{ready: {type: tcp, surprise: 1}}",
    "{ready: x}",
    "{limits: {memory: 100M}}",
    "{memory: 100M}",
    "{web: {image: x}}",
    "{'a b': {image: x}}",
    "{web: null}",
    "{web: x}",
    "{servers: [{name: a, address: b}]}",
    "{domains: [a.b]}",
    "[redis, mysql]",
    "[mongo]",
];

/// Builds texts in which each key of each section has each of [`VALUES`]. `wrap` puts the body of a section into a file.
fn visit(section: &'static Section, wrap: &dyn Fn(String) -> String, try_text: &mut dyn FnMut(String)) {
    for key in section.keys {
        let others = required_beside(section, key);
        for value in VALUES {
            try_text(wrap(format!("{{{others}{}: {value}}}", key.name)));
        }
        try_text(wrap(format!("{{{others}surprise: 1}}")));
        inside(&key.shape, &|value| wrap(format!("{{{others}{}: {value}}}", key.name)), try_text);
    }
    for old in section.old {
        for value in VALUES {
            let others: Vec<String> = required(section).map(|key| format!("{}, ", key.example)).collect();
            let others = others.concat();
            try_text(wrap(format!("{{{others}{}: {value}}}", old.name)));
        }
    }
}

fn required(section: &'static Section) -> impl Iterator<Item = &'static Key> {
    section.keys.iter().filter(|key| key.required != Required::No)
}

fn required_beside(section: &'static Section, key: &Key) -> String {
    let others = required(section).filter(|other| other.name != key.name);
    others.map(|key| format!("{}, ", key.example)).collect::<Vec<String>>().concat()
}

fn inside(shape: &'static Shape, wrap: &dyn Fn(String) -> String, try_text: &mut dyn FnMut(String)) {
    match shape {
        Shape::Section(section) => visit(section, wrap, try_text),
        Shape::List(item) => inside(item, &|value| wrap(format!("[{value}]")), try_text),
        Shape::ListOrOne(item) => {
            inside(item, &|value| wrap(format!("[{value}]")), try_text);
            inside(item, wrap, try_text);
        }
        Shape::Table { values, .. } => inside(values, &|value| wrap(format!("{{web: {value}}}")), try_text),
        Shape::Either(shapes) => shapes.iter().for_each(|shape| inside(shape, wrap, try_text)),
        Shape::Text(_) | Shape::Integer { .. } | Shape::Flag | Shape::Choice(_) | Shape::Anything | Shape::Free => {}
    }
}
