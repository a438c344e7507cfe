//! `fermata render compose`: what the specification of compose says to it, and the command around all targets.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::Folder;
use crate::support::golden::{SEPARATOR, cases, folder, inputs, rendered, title};

const SMALL: &str = "services:\n  web:\n    image: nginx\n    ports: [\"80:8080\"]\n";
const SMALL_RENDERED: &str = "# Written by fermata render; change service.yml and render again.
services:
  web:
    image: nginx
    ports:
      - \"8080:80\"
    restart: unless-stopped
";

#[test]
fn the_specification_of_compose_knows_every_key_of_every_output() {
    let place = Folder::new(SMALL);
    let of = |(input, yml): (String, String)| (input, rendered("compose", &yml).files.remove(0).text);
    let imported = cases("import", "txt").into_iter().map(|path| {
        let case = fs::read_to_string(&path).expect("a case can be read");
        (title(&path), case.rsplit(SEPARATOR).next().unwrap_or_default().to_owned())
    });
    let is_rendered = |(_, output): &(String, String)| output.starts_with(fermata::render::MARK);
    let all = inputs("render/compose").into_iter().map(of).chain(imported.filter(is_rendered));
    let files: Vec<PathBuf> = all.map(|(input, output)| place.write(&input, &output)).collect();
    assert!(files.len() >= 10, "{files:?}");
    let python = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/peers/.venv/bin/python");
    let script = folder("render/compose").join("accepts.py");
    let accepts = |files: &[PathBuf]| {
        let answer = Command::new(&python).arg(&script).args(files).output().expect("cargo xtask install brings it");
        (answer.status.success(), String::from_utf8_lossy(&answer.stderr).into_owned())
    };
    assert_eq!(accepts(&files), (true, String::new()));
    let wrong = place.write("wrong.yaml", &SMALL_RENDERED.replace("restart:", "restarts:"));
    assert!(!accepts(&[wrong]).0);
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
fn an_unknown_target_is_wrong_usage_and_those_that_may_be_meant_are_named() {
    for (name, meant) in [
        ("composer", "did you mean compose? "),
        ("servers-hetzer", "did you mean servers-hetzner? "),
        ("firewall-hetzner", "did you mean hetzner or servers-hetzner? "),
        ("teapot", ""),
    ] {
        let ended = Folder::new(SMALL).run(&["render", name]);
        let said = format!("error: \"{name}\" is not a target; {meant}fermata render --list names all of them\n");
        assert_eq!((ended.code, ended.stdout.as_str(), ended.stderr.as_str()), (Some(2), "", said.as_str()));
    }
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
