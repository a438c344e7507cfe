//! Templates of `CloudFormation`: what cfn-lint says to them, and what a fake AWS makes of them.
//!
//! `stacks.py` makes their stacks in moto.

use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

use crate::cloud::{FOLDER, PORTS, input, targets};
use crate::support::Folder;
use crate::support::golden::{folder, inputs, rendered};

fn tool(name: &str) -> Command {
    Command::new(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/peers/.venv/bin").join(name))
}

#[test]
fn cfn_lint_has_nothing_to_say_to_any_template() {
    let folder = Folder::new(PORTS);
    let mut files = Vec::new();
    for name in targets() {
        for (input, yml) in inputs(FOLDER) {
            for file in rendered(name, &yml).files.iter().filter(|file| file.name == "template.yaml") {
                files.push(folder.write(&format!("{name}-{input}"), &file.text));
            }
        }
    }
    assert!(!files.is_empty());
    let answer = tool("cfn-lint").args(&files).output().expect("cargo xtask install brings cfn-lint");
    assert_eq!((answer.status.code(), String::from_utf8_lossy(&answer.stdout).as_ref()), (Some(0), ""));
}

/// Those of a Network Load Balancer are not made there: moto takes every balancer of a template for an Application one.
#[test]
fn a_fake_aws_makes_the_stack_and_deletes_all_of_it() {
    let place = Folder::new(PORTS);
    let template = &rendered("aws-alb-cloudformation", &input("12-closed.yml")).files[0].text;
    let file = place.write("template.yaml", template);
    let answer = tool("python").arg(folder(FOLDER).join("stacks.py")).arg(file).output();
    let answer = answer.expect("cargo xtask install brings it");
    let made: Value = serde_json::from_slice(&answer.stdout)
        .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&answer.stderr)));
    let expected = json!({
        "status": "CREATE_COMPLETE",
        "type": "application",
        "address": true,
        "listeners": [[80, "HTTP"], [8080, "HTTP"], [8443, "HTTPS"]],
        "targets": [[80, "HTTP", "/.fermata/health"], [8080, "HTTP", "/.fermata/health"]],
        "balancer": ["80/tcp 0.0.0.0/0", "8080/tcp 203.0.113.0/24", "8443/tcp 198.51.100.7/32", "8443/tcp 203.0.113.0/24"],
        "servers": ["80/tcp group", "8080/tcp group", "9100/tcp 10.0.9.0/24"],
        "left": 0,
    });
    assert_eq!(made, expected);
}
