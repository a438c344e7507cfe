//! The variables of Terraform's files, asked by a real Terraform: what is missing, and what is not one.
//!
//! The variables of all targets stand in one module, without the providers, which nobody has here.

use std::path::Path;
use std::process::Command;

use serde_json::{Map, Value, json};

use crate::cloud::{PORTS, input, targets};
use crate::support::Folder;
use crate::support::golden::rendered;

/// A value that a variable takes, and one that it refuses.
fn values(target: &str, name: &str) -> (Value, Value) {
    let addresses = || json!(["10.0.0.11", "10.0.0.12"]);
    match (target, name) {
        (_, "name") => (json!("fermata"), json!("No Name")),
        (_, "clients") => (json!(["203.0.113.0/24"]), json!(["everybody"])),
        (_, "vpc_id") => (json!("vpc-1"), json!("1")),
        (_, "subnets") => (json!(["subnet-1", "subnet-2"]), json!(["subnet-1"])),
        ("openstack-octavia", "subnet_id") => (json!("5d1c"), json!("")),
        (_, "subnet_id") => (json!("/subscriptions/1/virtualNetworks/1/subnets/1"), json!("5d1c")),
        (_, "network_id") => (json!("/subscriptions/1/virtualNetworks/1"), json!("1")),
        (_, "identity_id") => (json!("/subscriptions/1/identities/1"), json!("1")),
        ("gcp-alb" | "gcp-nlb", "servers") => (json!("https://example.com/instanceGroups/edge"), json!("edge")),
        (_, "servers") => (addresses(), json!([])),
        ("hetzner", "network") => (json!(4711), json!(0)),
        ("openstack-octavia", "network") => (json!("10.0.0.0/24"), json!("10.0.0.0")),
        ("hetzner", "size") => (json!("lb21"), json!("21")),
        (_, "size") => (json!("LB-GP-M"), json!("M")),
        (_, "ssh") => (json!(["203.0.113.0/24"]), json!([])),
        (_, "certificate_arn") => (json!("arn:aws:acm:1"), json!("acm")),
        (_, "certificate_id") => (json!("https://vault.example.com/1"), json!("1")),
        ("openstack-octavia", "certificate") => (json!("https://barbican.example.com/1"), json!("1")),
        (_, "certificates") => (json!(["certificate-1"]), json!([])),
        (_, "account_id" | "zone_id") => (json!("0123456789abcdef0123456789abcdef"), json!("mine")),
        (_, "host") => (json!("ws.example.com"), json!("ws")),
        (
            _,
            "region" | "project" | "network" | "tag" | "label" | "location" | "zone" | "pool" | "certificate"
            | "subscription_id" | "resource_group",
        ) => (json!("some-1"), json!("")),
        _ => panic!("{target}: no value for the variable {name}"),
    }
}

fn terraform(folder: &Folder, values: Option<&str>) -> (Option<i32>, String) {
    let packages = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/peers/.venv/lib");
    let python =
        std::fs::read_dir(packages).expect("cargo xtask install makes it").next().expect("a version of Python");
    let package =
        python.expect("a folder can be listed").path().join("site-packages/cloudrail/terraform_0_15/terraform");
    let mut command = Command::new(package);
    command.args(["plan", "-input=false", "-no-color", "-lock=false"]).current_dir(folder.path());
    // It asks its makers for newer versions, and writes all that it does, unless it is told not to.
    command.env("CHECKPOINT_DISABLE", "1").env("TF_LOG", "off").env_remove("TF_CLI_CONFIG_FILE");
    command.args(values.map(|file| format!("-var-file={file}")));
    let answer = command.output().expect("cargo xtask install brings terraform");
    let said = String::from_utf8_lossy(&answer.stdout) + String::from_utf8_lossy(&answer.stderr);
    // It breaks lines where a terminal would.
    (answer.status.code(), said.split_whitespace().collect::<Vec<&str>>().join(" "))
}

#[test]
fn terraform_asks_for_what_is_missing_and_says_what_is_wrong_with_a_value() {
    let (mut variables, mut good, mut bad) = (Map::new(), Map::new(), Map::new());
    let (mut asked, mut refusals) = (Vec::new(), Vec::new());
    for target in targets() {
        // With https, so that there are certificates, and open to clients.
        let files = rendered(target, &input("6-short.yml")).files;
        let Some(file) = files.iter().find(|file| file.name == "main.tf.json") else { continue };
        let module: Value = serde_json::from_str(&file.text).expect("it is JSON");
        for (name, variable) in module["variable"].as_object().expect("there are variables") {
            let own = format!("{}_{name}", target.replace('-', "_"));
            let mut variable = variable.clone();
            let check = &mut variable["validation"][0];
            let condition = check["condition"]
                .as_str()
                .expect("a condition")
                .replace(&format!("var.{name}"), &format!("var.{own}"));
            check["condition"] = json!(condition);
            refusals.push(check["error_message"].as_str().expect("a message").to_owned());
            if variable["default"].is_null() {
                asked.push(own.clone());
            }
            let (takes, refuses) = values(target, name);
            good.insert(own.clone(), takes);
            bad.insert(own.clone(), refuses);
            variables.insert(own, variable);
        }
    }
    assert!(asked.len() > 40, "{asked:?}");
    let folder = Folder::new(PORTS);
    folder.write("main.tf.json", &format!("{:#}", json!({ "variable": variables })));
    folder.write("good.json", &Value::from(good).to_string());
    folder.write("bad.json", &Value::from(bad).to_string());
    let (code, said) = terraform(&folder, None);
    assert_eq!(code, Some(1), "{said}");
    for name in asked {
        assert!(said.contains(&format!("\"{name}\" is not set")), "{name}: {said}");
    }
    let (code, said) = terraform(&folder, Some("good.json"));
    assert_eq!(code, Some(0), "{said}");
    let (code, said) = terraform(&folder, Some("bad.json"));
    assert_eq!(code, Some(1), "{said}");
    let refused = said.matches("Invalid value for variable").count();
    assert_eq!(refused, refusals.len(), "{said}");
    for message in refusals {
        assert!(said.contains(&message), "{message}: {said}");
    }
}
