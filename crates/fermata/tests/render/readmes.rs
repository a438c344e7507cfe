//! The three commands of every README.md: run as they stand there, with doubles of the clouds' own programs.
//!
//! What tests is the real `fermata probe`, against a real Fermata: only the host and the port are other ones.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;
use std::thread;

use fermata::render::{File, TARGETS};
use serde_json::Value;

use crate::support::golden::rendered;
use crate::support::{Fermata, Folder, Process, free_port};

/// With a Ping a second, three of which are soon over. An Ingress listens on 80.
const FILE: &str = "services:\n  web:\n    image: example/web\n    ports: [{container: 3000, http: 8080}]\n    \
                    health: {ready: {endpoint: /up}}\n    websocket: {keepalive: 1s}\ngateway: {trusted_proxies: [10.0.0.0/8]}\n";

/// Says where the balancer is, and writes down what it was told.
const DOUBLE: &str = "#!/bin/sh\necho \"${0##*/} $*\" >> commands\necho 127.0.0.1\n";

/// The commands of a README.md.
fn commands(files: &[File]) -> Option<String> {
    let text = &files.iter().find(|file| file.name == "README.md")?.text;
    let block = text.split_once("## Three commands")?.1.split_once("```sh\n")?.1.split_once("```")?.0;
    Some(block.to_owned())
}

/// Runs the commands of a target's README.md beside its files; what the doubles were told.
fn run(name: &str, port: u16) -> (Vec<File>, String) {
    let public = if name.contains("ingress") { ":80/" } else { ":8080/" };
    let files = rendered(name, &FILE.replace("8080", public.trim_matches([':', '/']))).files;
    let folder = Folder::new("");
    for file in &files {
        folder.write(file.name, &file.text);
    }
    let programs = folder.path().join("programs");
    fs::create_dir(&programs).expect("a folder can be made");
    for double in ["terraform", "aws", "fly", "jq", "kubectl"] {
        let path = programs.join(double);
        fs::write(&path, DOUBLE).expect("a file can be written");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("a file can be made executable");
    }
    std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_fermata"), programs.join("fermata")).expect("a link can be made");
    let commands = commands(&files).unwrap_or_else(|| panic!("{name} has no three commands"));
    assert_eq!(commands.matches(public).count(), 1, "{name}: {commands}");
    let script = commands.replace(public, &format!(":{port}/")).replace("ADDRESS", "127.0.0.1");
    let path = format!("{}:{}", programs.display(), std::env::var("PATH").unwrap_or_default());
    let mut shell = Command::new("sh");
    shell.args(["-euc", &script]).current_dir(folder.path()).env("PATH", path).env("NO_COLOR", "1");
    let answer = shell.output().expect("there is a shell");
    let said = String::from_utf8_lossy(&answer.stdout) + String::from_utf8_lossy(&answer.stderr);
    assert!(answer.status.success(), "{name}: {script}\n{said}");
    assert!(said.contains("101"), "{name}: {said}");
    (files, fs::read_to_string(folder.path().join("commands")).unwrap_or_default())
}

/// Whether the double was told of things that the files have.
fn fits(files: &[File], told: &str) -> bool {
    let file = |name: &str| files.iter().find(|file| file.name == name);
    let lines: Vec<&str> = told.lines().collect();
    if let Some(module) = file("main.tf.json") {
        let module: Value = serde_json::from_str(&module.text).expect("it is JSON");
        let outputs = lines.iter().filter_map(|line| line.strip_prefix("terraform output -raw "));
        let known = outputs.into_iter().all(|name| !module["output"][name].is_null());
        return known
            && lines.first() == Some(&"terraform init")
            && lines.get(1) == Some(&"terraform apply")
            && lines.last() == Some(&"terraform destroy");
    }
    if let Some(template) = file("template.yaml") {
        let key = told.split("OutputKey=='").nth(1).and_then(|rest| rest.split('\'').next()).unwrap_or("none");
        let outputs = template.text.split("\nOutputs:\n").nth(1).unwrap_or_default();
        return told.contains("--template-body file://template.yaml")
            && outputs.contains(&format!("  {key}:\n"))
            && lines.last().is_some_and(|line| line.starts_with("aws cloudformation delete-stack"));
    }
    if file("kustomization.yaml").is_some() {
        return lines == ["kubectl apply -k .", "kubectl delete -k ."];
    }
    file("fly.toml").is_some_and(|toml| {
        let app = lines.last().and_then(|line| line.strip_prefix("fly apps destroy ")).unwrap_or("none");
        toml.text.contains(&format!("app = \"{app}\"\n")) && lines.first() == Some(&"fly deploy")
    })
}

#[test]
fn the_three_commands_of_every_readme_run_and_name_what_is_there() {
    let echo = free_port();
    let folder = Folder::new("");
    let service = Process::start(&mut folder.command(&["echo", "--listen", &format!("127.0.0.1:{echo}")]));
    service.wait_for("that it listens", |line| line.starts_with("listening"));
    let port = free_port();
    let fermata = Fermata::up(&format!(
        "services:\n  web:\n    address: 127.0.0.1\n    ports: [{{container: {echo}, http: {port}}}]\n    \
         websocket: {{keepalive: 1s}}\ngateway: {{bind: [\"127.0.0.1\"]}}\n"
    ));
    // A program of another machine has no README.md.
    let named =
        TARGETS.iter().map(|target| target.name).filter(|name| !["compose", "haproxy", "keepalived"].contains(name));
    let runs: Vec<_> = named.map(|name| (name, thread::spawn(move || run(name, port)))).collect();
    assert!(runs.len() > 20, "{}", runs.len());
    for (name, run) in runs {
        let (files, told) = run.join().unwrap_or_else(|_| panic!("{name}"));
        assert!(fits(&files, &told), "{name}: {told}");
    }
    assert_eq!(fermata.stop().code, Some(0));
}
