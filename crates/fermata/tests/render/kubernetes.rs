//! Manifests for Kubernetes: what the schemas of the real API say to them, and what every one of them keeps to.
//!
//! `gateway-api.json` is the Gateway API's own schema; `schemas.py` makes it.

use std::fs;
use std::path::Path;
use std::process::Command;

use fermata::render::TARGETS;
use fermata_spec::{Severity, Spec};
use serde_json::Value;

use crate::support::Folder;
use crate::support::golden::{folder, inputs, rendered};

/// Where the service.yml files for clusters are.
pub(crate) const FOLDER: &str = "render/kubernetes";

pub(crate) fn targets() -> Vec<&'static str> {
    TARGETS.iter().map(|target| target.name).filter(|name| name.starts_with("kubernetes")).collect()
}

fn spec(text: &str) -> Spec {
    let outcome = fermata_spec::read(text);
    outcome.spec.unwrap_or_else(|| panic!("not a service.yml: {:?}", outcome.diagnostics))
}

/// The objects of every target and service.yml, with where they come from.
pub(crate) fn objects() -> Vec<(String, Value)> {
    let mut objects = Vec::new();
    for name in targets() {
        for (input, yml) in inputs(FOLDER) {
            for file in rendered(name, &yml).files.iter().filter(|file| file.name.ends_with("yaml")) {
                for document in file.text.split("---\n") {
                    let (root, said) = fermata_spec::read_tree(document);
                    assert!(said.iter().all(|one| one.severity < Severity::Error), "{said:?}\n{document}");
                    let object = fermata_spec::tree::json(&root.expect("a document"));
                    objects.push((format!("{name} {input} {}", file.name), object));
                }
            }
        }
    }
    objects
}

#[test]
fn the_schemas_of_kubernetes_accept_every_object_and_know_every_field() {
    let tool = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/peers/.venv/bin/kubernetes-validate");
    let folder = Folder::new("services: {}\n");
    let mut files = Vec::new();
    for name in targets() {
        for (input, yml) in inputs(FOLDER) {
            for file in &rendered(name, &yml).files {
                if ["services.yaml", "ingress.yaml", "fermata.yaml"].contains(&file.name) {
                    files.push(folder.write(&format!("{name}-{input}-{}", file.name), &file.text));
                }
            }
        }
    }
    assert!(files.len() > 20, "{files:?}");
    let answer = Command::new(tool).arg("--strict").args(&files).output().expect("cargo xtask install brings it");
    let said = String::from_utf8_lossy(&answer.stdout) + String::from_utf8_lossy(&answer.stderr);
    assert!(answer.status.success(), "{said}");
}

#[test]
fn the_schemas_of_the_gateway_api_accept_every_object_and_know_every_field() {
    let schemas = fs::read_to_string(folder(FOLDER).join("gateway-api.json")).expect("the schemas are there");
    let schemas: Value = serde_json::from_str(&schemas).expect("they are JSON");
    let (mut wrong, mut count) = (Vec::new(), 0);
    for (place, object) in objects().iter().filter(|(place, _)| place.ends_with("gateway.yaml")) {
        let word = |key: &str| object[key].as_str().unwrap_or_default().to_owned();
        let kind = format!("{} {}", word("apiVersion"), word("kind"));
        let schema = schemas.get(&kind).unwrap_or_else(|| panic!("{place}: there is no {kind}"));
        let validator = jsonschema::validator_for(schema).expect("the schema is one");
        wrong.extend(
            validator.iter_errors(object).map(|error| format!("{place}: {kind}{}: {error}", error.instance_path())),
        );
        count += 1;
    }
    assert!(wrong.is_empty() && count > 5, "{}", wrong.join("\n"));
}

#[test]
fn the_edge_runs_a_file_that_says_of_tunnels_what_the_original_says() {
    let mut seen = 0;
    for (input, yml) in inputs(FOLDER) {
        let (original, made) = (spec(&yml), rendered("kubernetes-edge", &yml));
        let Some(file) = made.files.iter().find(|file| file.name == "fermata.yaml") else { continue };
        let (root, _) = fermata_spec::read_tree(file.text.split("---\n").next().unwrap_or_default());
        let map = fermata_spec::tree::json(&root.expect("a document"));
        let edge = spec(map["data"]["service.yml"].as_str().expect("it is in the ConfigMap"));
        for service in &edge.services {
            let known = original.services.iter().find(|one| one.name == service.name).expect("it is there");
            assert_eq!(service.websocket, known.websocket, "{input}");
            assert_eq!((&service.traffic_matches, service.balance), (&known.traffic_matches, known.balance), "{input}");
            let public = |spec: &fermata_spec::Service| -> Vec<fermata_spec::Port> {
                let is_public =
                    |port: &&fermata_spec::Port| port.http.or(port.https).or(port.tcp).or(port.udp).is_some();
                spec.ports.iter().filter(is_public).copied().collect()
            };
            assert_eq!(public(service), public(known), "{input}");
            seen += 1;
        }
    }
    assert!(seen >= 4, "{seen}");
}

#[test]
fn manifests_are_printed_as_one_stream_and_written_as_a_kustomize_base() {
    let folder = Folder::new(&inputs(FOLDER)[1].1);
    let printed = folder.run(&["render", "kubernetes"]);
    assert_eq!((printed.code, printed.stderr.as_str()), (Some(0), ""));
    let kinds: Vec<&str> = printed.stdout.lines().filter_map(|line| line.strip_prefix("kind: ")).collect();
    assert_eq!(kinds, ["Deployment", "Service", "NetworkPolicy", "PodDisruptionBudget", "Gateway", "HTTPRoute"]);
    let written = folder.run(&["render", "kubernetes", "-o", "base"]);
    let said = "service.yml: written to base/services.yaml, base/gateway.yaml, base/kustomization.yaml, base/README.md (0 left out or \
                changed, 0 notes)\n";
    assert_eq!((written.code, written.stdout.as_str(), written.stderr.as_str()), (Some(0), "", said));
}

#[test]
fn what_a_cluster_cannot_carry_is_told_and_nothing_is_written() {
    let folder = Folder::new(&inputs(FOLDER)[5].1);
    let ended = folder.run(&["render", "kubernetes", "-o", "base"]);
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(1), ""));
    let said = "service.yml:5:13: error: services.poll.sticky: session persistence is no part of the Gateway API's standard channel \
                (GEP-1619)\n    render kubernetes-ingress-haproxy or kubernetes-ingress-alb\n";
    assert!(ended.stderr.starts_with(said), "{}", ended.stderr);
    assert!(!folder.path().join("base").exists());
}
