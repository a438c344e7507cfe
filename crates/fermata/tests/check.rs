//! `fermata check` and `fermata schema`, as somebody at a terminal and a CI run use them.

mod support;

use serde_json::{Value, json};
use support::{Ended, Folder};

const SOUND: &str = "services:\n  web:\n    image: nginx\n    ports: [\"80:8080\"]\n";
const FAULTY: &str = "services:\n  web:\n    image: nginx\n    prots: [80]\n    env_vars: {A: yes}\n";

/// What checking [`FAULTY`] says for people.
const FAULTS: &str = "\
error[E-KEY-UNKNOWN]: services.web: unknown key \"prots\"
 --> service.yml:4:5
  |
4 |     prots: [80]
  |     ^^^^^
  |
  = help: did you mean \"ports\"?

warning[W-YAML-BOOLEAN]: services.web.env_vars.A: yes without quotes is a boolean for many YAML readers; it is taken as the text \"yes\"
 --> service.yml:5:19
  |
5 |     env_vars: {A: yes}
  |                   ^^^
  |
  = help: write \"yes\"

service.yml refused: 1 error, 1 warning
";

fn ended(code: i32, stdout: &str, stderr: &str) -> Ended {
    Ended { code: Some(code), stdout: stdout.to_owned(), stderr: stderr.to_owned() }
}

fn value(ended: &Ended) -> Value {
    serde_json::from_str(&ended.stdout).unwrap_or_else(|error| panic!("{error}: {ended:?}"))
}

#[test]
fn a_sound_file_is_answered_with_one_line_and_exit_code_0() {
    let folder = Folder::new(SOUND);
    assert_eq!(folder.run(&["check"]), ended(0, "service.yml ok\n", ""));
    folder.write("other.yaml", SOUND);
    assert_eq!(folder.run(&["check", "other.yaml"]), ended(0, "other.yaml ok\n", ""));
}

#[test]
fn every_problem_is_shown_in_one_run_and_the_exit_code_is_1() {
    assert_eq!(Folder::new(FAULTY).run(&["check"]), ended(1, FAULTS, ""));
}

#[test]
fn several_files_are_checked_and_one_that_is_refused_decides() {
    let folder = Folder::new(FAULTY);
    folder.write("sound.yml", SOUND);
    let said = folder.run(&["check", "sound.yml", "service.yml"]);
    assert_eq!(said, ended(1, &format!("sound.yml ok\n{FAULTS}"), ""));
}

#[test]
fn strict_makes_warnings_errors() {
    let folder = Folder::new("services:\n  web:\n    image: nginx\n    use_habitus: yes\n");
    assert_eq!(folder.run(&["check"]).code, Some(0));
    let strict = folder.run(&["check", "--strict"]);
    assert_eq!(strict.code, Some(1));
    assert!(strict.stdout.contains("error[W-YAML-BOOLEAN]"), "{strict:?}");
    assert!(strict.stdout.ends_with("service.yml refused: 1 error, 1 note\n"), "{strict:?}");
}

#[test]
fn programs_get_json() {
    let said = Folder::new(FAULTY).run(&["check", "--format", "json"]);
    let place = |label: &str, line: u32, columns: (u32, u32), bytes: (u32, u32)| {
        json!([{
            "label": label,
            "start": { "line": line, "column": columns.0, "byte": bytes.0 },
            "end": { "line": line, "column": columns.1, "byte": bytes.1 },
        }])
    };
    let expected = json!({ "files": [{ "file": "service.yml", "accepted": false, "diagnostics": [
        {
            "code": "E-KEY-UNKNOWN",
            "severity": "error",
            "path": "services.web",
            "message": "unknown key \"prots\"",
            "help": "did you mean \"ports\"?",
            "places": place("", 4, (5, 10), (38, 43)),
        },
        {
            "code": "W-YAML-BOOLEAN",
            "severity": "warning",
            "path": "services.web.env_vars.A",
            "message": "yes without quotes is a boolean for many YAML readers; it is taken as the text \"yes\"",
            "help": "write \"yes\"",
            "places": place("", 5, (19, 22), (68, 71)),
        },
    ] }] });
    assert_eq!((said.code, value(&said)), (Some(1), expected));
}

#[test]
fn a_workflow_gets_annotations_one_a_line() {
    let folder = Folder::new("services:\n  web:\n    image: nginx\n    tags: 50%\n");
    folder.write("a,b:c.yml", "services:\n  web:\n    image: nginx\n    prots: [80]\n");
    let said = folder.run(&["check", "--format", "github", "service.yml", "a,b:c.yml"]);
    let expected = "\
::error file=service.yml,line=4,endLine=4,title=E-VALUE-TYPE,col=11,endColumn=14::services.web.tags: must be a list%0Awrite [\"50%25\"]
::error file=a%2Cb%3Ac.yml,line=4,endLine=4,title=E-KEY-UNKNOWN,col=5,endColumn=10::services.web: unknown key \"prots\"%0Adid you mean \"ports\"?
";
    assert_eq!(said, ended(1, expected, ""));
}

#[test]
fn code_scanners_get_sarif_with_a_rule_for_each_result() {
    let folder = Folder::new("services: {}\n");
    folder.write("my file.yml", "services:\n  a: {image: x, requires: [b]}\n  b: {image: x, requires: [a]}\n");
    let said = folder.run(&["check", "--format", "sarif", "my file.yml"]);
    let log = value(&said);
    let run = &log["runs"][0];
    assert_eq!((said.code, log["version"].as_str()), (Some(1), Some("2.1.0")));
    assert_eq!(run["tool"]["driver"]["name"], "fermata");
    let region = |line: u32| json!({ "startLine": line, "startColumn": 28, "endLine": line, "endColumn": 29 });
    let location = |line| json!({ "physicalLocation": { "artifactLocation": { "uri": "my%20file.yml" }, "region": region(line) } });
    let result = &run["results"][0];
    let rule = usize::try_from(result["ruleIndex"].as_u64().expect("an index")).expect("a small one");
    assert_eq!(run["tool"]["driver"]["rules"][rule]["id"], "E-REQUIRES-CYCLE");
    assert_eq!((&result["ruleId"], &result["level"]), (&json!("E-REQUIRES-CYCLE"), &json!("error")));
    assert_eq!((&result["locations"], &result["relatedLocations"]), (&json!([location(3)]), &json!([location(2)])));
}

#[test]
fn a_code_is_explained_with_a_wrong_and_a_right_file() {
    let said = Folder::new(SOUND).run(&["check", "--explain", "e-service-empty"]);
    let expected = "\
E-SERVICE-EMPTY (error): a service without keys

A service has at least a port, an image or a command. Often its keys are not
indented far enough.

Wrong

    services:
      web:

    error[E-SERVICE-EMPTY]: services.web: the service has no keys
     --> service.yml:2:3
      |
    2 |   web:
      |   ^^^
      |
      = help: write its keys below it, or remove the line

Right

    services:
      web:
        image: nginx
";
    assert_eq!(said, ended(0, expected, ""));
}

#[test]
fn what_cannot_be_read_is_said_with_exit_code_2() {
    let folder = Folder::new(SOUND);
    assert_eq!(folder.run(&["check", "missing.yml"]), ended(2, "", "error: missing.yml: there is no such file\n"));
    std::fs::write(folder.path().join("latin1.yml"), b"# caf\xe9\n").expect("a file");
    assert_eq!(folder.run(&["check", "latin1.yml"]), ended(2, "", "error: latin1.yml: is not UTF-8 text\n"));
    let unknown = folder.run(&["check", "--explain", "E-NOTHING"]);
    assert_eq!((unknown.code, unknown.stdout.as_str()), (Some(2), ""));
    assert!(unknown.stderr.starts_with("error: there is no code E-NOTHING; the codes are E-YAML, "), "{unknown:?}");
}

#[test]
fn a_file_that_is_too_large_is_refused_without_reading_all_of_it() {
    let folder = Folder::new(&"# é\n".repeat(2 << 20));
    let said = folder.run(&["check"]);
    assert_eq!(said.code, Some(1));
    assert!(said.stdout.starts_with("error[E-YAML-LIMIT]: the file is larger than 4 MiB"), "{said:?}");
}

#[test]
fn the_schema_is_printed() {
    let said = Folder::new(SOUND).run(&["schema"]);
    assert_eq!((said.code, value(&said)), (Some(0), fermata_spec::schema()));
}
