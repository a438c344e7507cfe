//! `fermata render`: whole files, what cannot be said for the target, and the command around it.
//!
//! Each file of `tests/render_compose` is a service.yml, what was said, the exit code and the output, with lines of equals
//! signs between them. `FERMATA_BLESS=1 cargo test -p fermata --test render_compose` writes them anew; look at what
//! changed before you commit it. Where Docker's client has its compose plugin, that has to accept every output.

mod support;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use support::Folder;

const SEPARATOR: &str = "=====\n";
const SMALL: &str = "services:\n  web:\n    image: nginx\n    ports: [\"80:8080\"]\n";
const SMALL_RENDERED: &str = "# Written by fermata render; change service.yml and render again.
services:
  web:
    image: nginx
    ports:
      - \"8080:80\"
    restart: unless-stopped
";

/// The cases of a folder beside this file.
fn cases(folder: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests").join(folder);
    let entries = fs::read_dir(folder).expect("the cases are there");
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.expect("a folder can be listed").path()).collect();
    paths.sort();
    paths
}

#[test]
fn every_file_becomes_exactly_what_is_written_beside_it() {
    let mut wrong = Vec::new();
    for path in cases("render_compose") {
        let expected = fs::read_to_string(&path).expect("a case can be read");
        let input = expected.split(SEPARATOR).next().unwrap_or_default();
        let ended = Folder::new(input).run(&["render", "compose"]);
        let code = ended.code.unwrap_or(-1);
        let made = format!("{input}{SEPARATOR}{}exit code {code}\n{SEPARATOR}{}", ended.stderr, ended.stdout);
        if made == expected {
            continue;
        }
        if std::env::var_os("FERMATA_BLESS").is_some() {
            fs::write(&path, made).expect("a case can be written");
        } else {
            wrong.push(format!("{}\n--- expected\n{expected}--- made\n{made}", path.display()));
        }
    }
    assert!(wrong.is_empty(), "{} cases differ:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn docker_compose_accepts_every_output() {
    let docker = |arguments: &[&str]| Command::new("docker").args(arguments).stdin(Stdio::null()).output();
    if !docker(&["compose", "version"]).is_ok_and(|output| output.status.success()) {
        eprintln!("docker has no compose plugin: nothing was tried");
        return;
    }
    for path in cases("render_compose").into_iter().chain(cases("import")) {
        let case = fs::read_to_string(&path).expect("a case can be read");
        let output = case.rsplit(SEPARATOR).next().unwrap_or_default();
        if !output.starts_with(fermata::render::MARK) {
            continue;
        }
        let folder = Folder::new(SMALL);
        let file = folder.write("compose.yaml", output).display().to_string();
        let answer = docker(&["compose", "-f", &file, "config", "--no-interpolate", "-q"]).expect("docker was there");
        assert!(answer.status.success(), "{}\n{}\n{output}", path.display(), String::from_utf8_lossy(&answer.stderr));
    }
}

#[test]
fn the_targets_are_listed() {
    let ended = Folder::new(SMALL).run(&["render", "--list"]);
    let pairs: Vec<(&str, &str)> = ended
        .stdout
        .lines()
        .filter_map(|line| line.split_once("  "))
        .map(|(name, about)| (name, about.trim()))
        .collect();
    let targets: Vec<(&str, &str)> =
        fermata::render::TARGETS.iter().map(|target| (target.name, target.about)).collect();
    assert_eq!((ended.code, pairs, ended.stderr.as_str()), (Some(0), targets, ""));
}

#[test]
fn an_unknown_target_is_wrong_usage() {
    let ended = Folder::new(SMALL).run(&["render", "composer"]);
    let names: Vec<&str> = fermata::render::TARGETS.iter().map(|target| target.name).collect();
    let said = format!("error: \"composer\" is not a target; the targets are: {}\n", names.join(", "));
    assert_eq!((ended.code, ended.stdout.as_str(), ended.stderr.as_str()), (Some(2), "", said.as_str()));
}

#[test]
fn a_file_with_errors_is_not_rendered() {
    let ended = Folder::new("services:\n  web: {prots: [80]}\n").run(&["render", "compose"]);
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(1), ""));
    assert!(ended.stderr.contains("did you mean \"ports\"?"), "{}", ended.stderr);
}

#[test]
fn an_earlier_output_is_replaced_and_a_file_of_somebody_is_not() {
    let folder = Folder::new(SMALL);
    let written = "service.yml: written to deploy/compose.yaml (0 left out or changed, 0 notes)\n";
    for _ in 0..2 {
        let ended = folder.run(&["render", "compose", "-o", "deploy"]);
        assert_eq!((ended.code, ended.stdout.as_str(), ended.stderr.as_str()), (Some(0), "", written));
        let text = fs::read_to_string(folder.path().join("deploy/compose.yaml")).expect("it was written");
        assert_eq!(text, SMALL_RENDERED);
    }
    folder.write("deploy/compose.yaml", "services: {}\n");
    let ended = folder.run(&["render", "compose", "-o", "deploy"]);
    let said = "error: deploy/compose.yaml was not written by fermata render; move it, or name another folder\n";
    assert_eq!((ended.code, ended.stderr.as_str()), (Some(2), said));
    assert_eq!(fs::read_to_string(folder.path().join("deploy/compose.yaml")).expect("it is there"), "services: {}\n");
}
