//! Manifests for Kubernetes: whole files for several service.yml, and what the schemas of the real API say to them.
//!
//! `tests/render_kubernetes` has a `NAME.yml` for each service.yml, and a `TARGET.txt` with what becomes of all of them.
//! `FERMATA_BLESS=1 cargo test -p fermata --test render_kubernetes` writes the latter anew; look at what changed before
//! you commit it. `gateway-api.json` is the Gateway API's own schema; `schemas.py` makes it.

mod support;

use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use fermata::render::{Rendered, TARGETS, target};
use fermata_spec::{Severity, SourceText, Spec};
use serde_json::Value;
use support::Folder;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/render_kubernetes")
}

/// Name and text of every service.yml.
fn inputs() -> Vec<(String, String)> {
    let entries = fs::read_dir(folder()).expect("the cases are there");
    let paths = entries.map(|entry| entry.expect("a folder can be listed").path());
    let mut paths: Vec<PathBuf> = paths.filter(|path| path.extension().is_some_and(|end| end == "yml")).collect();
    paths.sort();
    let read = |path: &PathBuf| fs::read_to_string(path).expect("a case can be read");
    paths.iter().map(|path| (path.file_name().unwrap_or_default().to_string_lossy().into_owned(), read(path))).collect()
}

fn targets() -> Vec<&'static str> {
    TARGETS.iter().map(|target| target.name).filter(|name| name.starts_with("kubernetes")).collect()
}

fn spec(text: &str) -> Spec {
    let outcome = fermata_spec::read(text);
    outcome.spec.unwrap_or_else(|| panic!("not a service.yml: {:?}", outcome.diagnostics))
}

fn rendered(name: &str, text: &str) -> Rendered {
    target(name).expect("a target").render(&spec(text))
}

/// What is made of each service.yml; what explains it, once. Services are the same whatever the entrance.
fn transcript(name: &str) -> String {
    let (mut text, mut explained) = (String::new(), false);
    for (input, yml) in inputs() {
        let made = rendered(name, &yml);
        let _ = writeln!(text, "===== {input}");
        let source = SourceText::new(&input, &yml);
        for said in &made.said {
            let place = source.position(said.places[0].span.start);
            let (severity, path, message) = (said.severity, &said.path, &said.message);
            let help = said.help.as_deref().unwrap_or_default();
            let _ = writeln!(text, "{}:{}: {severity}: {path}: {message}\n    {help}", place.line, place.column);
        }
        for file in &made.files {
            let again = file.name == "services.yaml" && name != "kubernetes";
            if !again && (!file.beside || !explained) {
                let _ = write!(text, "----- {}\n{}", file.name, file.text);
            }
        }
        explained |= !made.files.is_empty();
    }
    text
}

#[test]
fn every_file_becomes_exactly_what_is_written_for_each_target() {
    let mut wrong = Vec::new();
    for name in targets() {
        let path = folder().join(format!("{name}.txt"));
        let made = transcript(name);
        if fs::read_to_string(&path).is_ok_and(|expected| expected == made) {
            continue;
        }
        if std::env::var_os("FERMATA_BLESS").is_some() {
            fs::write(&path, made).expect("a case can be written");
        } else {
            wrong.push(format!("{}\n{made}", path.display()));
        }
    }
    assert!(wrong.is_empty(), "{} targets differ:\n{}", wrong.len(), wrong.join("\n"));
}

/// The objects of every target and service.yml, with where they come from.
fn objects() -> Vec<(String, Value)> {
    let mut objects = Vec::new();
    for name in targets() {
        for (input, yml) in inputs() {
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
        for (input, yml) in inputs() {
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
    let schemas = fs::read_to_string(folder().join("gateway-api.json")).expect("the schemas are there");
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

/// Every pod of every workload.
fn pods() -> Vec<(String, Value)> {
    let workload = |(place, object): (String, Value)| {
        let pod = object.pointer("/spec/template/spec")?.clone();
        Some((format!("{place} {}", object["metadata"]["name"]), pod))
    };
    objects().into_iter().filter_map(workload).collect()
}

#[test]
fn every_pod_has_the_time_that_its_tunnels_need() {
    for (place, pod) in pods() {
        let grace = pod["terminationGracePeriodSeconds"].as_u64().expect("it is there");
        let drain = if place.contains("2-chat") { 120 } else { 30 };
        assert!(grace >= 10 + drain, "{place}: {grace}");
        let stop = &pod["containers"][0]["lifecycle"]["preStop"];
        let script =
            stop["exec"]["command"][2].as_str().and_then(|script| script.strip_prefix("sleep ")?.split(';').next());
        let slept = stop["sleep"]["seconds"].as_u64().or_else(|| script?.parse().ok());
        // Before the services there are other things than an edge that tells tunnels to leave: then nothing is waited for
        // but that endpoints have spread.
        let edge = place.contains("kubernetes-edge") && !place.contains("\"fermata\"") && !place.contains("agent");
        let least = if edge { drain + 5 } else { 10 };
        assert_eq!(slept, Some(least), "{place}: {stop}");
    }
}

#[test]
fn no_pod_ends_before_another_is_ready_unless_the_file_says_so() {
    for (place, object) in objects().iter().filter(|(_, object)| object["kind"] == "Deployment") {
        let unavailable = &object["spec"]["strategy"]["rollingUpdate"]["maxUnavailable"];
        let name = object["metadata"]["name"].as_str();
        assert_eq!(*unavailable == "10%", place.contains("4-scaled") && name == Some("live"), "{place}: {unavailable}");
        assert!(*unavailable == 0 || *unavailable == "10%", "{place}: {unavailable}");
    }
}

#[test]
fn nothing_says_http_2_to_a_service_with_websockets() {
    for (place, object) in objects() {
        let text = object.to_string().to_lowercase();
        for word in ["h2c", "http2", "grpc", "sessionaffinity", "backendlbpolicy", "ingress-nginx"] {
            assert!(!text.contains(word), "{place}: {word}");
        }
    }
}

#[test]
fn every_deployment_has_a_budget_that_lets_one_pod_go() {
    let objects = objects();
    for (place, object) in objects.iter().filter(|(_, object)| object["kind"] == "Deployment") {
        let name = &object["metadata"]["name"];
        let budget = objects.iter().find(|(other, budget)| {
            other == place && budget["kind"] == "PodDisruptionBudget" && budget["metadata"]["name"] == *name
        });
        let (_, budget) = budget.unwrap_or_else(|| panic!("{place}: {name} has no budget"));
        assert_eq!(budget["spec"]["maxUnavailable"], 1, "{place}");
    }
}

#[test]
fn an_autoscaler_counts_connections_and_goes_down_slowly() {
    let found = objects().into_iter().filter(|(_, object)| object["kind"] == "HorizontalPodAutoscaler");
    let found: Vec<Value> = found.map(|(_, object)| object).collect();
    assert!(!found.is_empty());
    for object in found {
        let metric = &object["spec"]["metrics"][0];
        let name = [&metric["pods"], &metric["external"]].into_iter().find_map(|one| one["metric"]["name"].as_str());
        let known = ["ws_connections_open", "fermata_service_tunnels", "fermata_tunnels"];
        assert!(name.is_some_and(|name| known.contains(&name)), "{metric}");
        assert!(object["spec"]["behavior"]["scaleDown"]["stabilizationWindowSeconds"].as_u64() >= Some(600));
    }
}

#[test]
fn every_https_listener_has_a_certificate_and_no_other_has_tls() {
    for (place, object) in objects().iter().filter(|(_, object)| object["kind"] == "Gateway") {
        for listener in object["spec"]["listeners"].as_array().expect("there are some") {
            let https = listener["protocol"] == "HTTPS";
            let certificates = listener["tls"]["certificateRefs"].as_array().is_some_and(|list| !list.is_empty());
            assert_eq!((https, https), (certificates, listener.get("tls").is_some()), "{place}: {listener}");
        }
    }
}

#[test]
fn the_edge_runs_a_file_that_says_of_tunnels_what_the_original_says() {
    let mut seen = 0;
    for (input, yml) in inputs() {
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
    let folder = Folder::new(&inputs()[1].1);
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
    let folder = Folder::new(&inputs()[5].1);
    let ended = folder.run(&["render", "kubernetes", "-o", "base"]);
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(1), ""));
    let said = "service.yml:5:13: error: services.poll.sticky: session persistence is no part of the Gateway API's standard channel \
                (GEP-1619)\n    render kubernetes-ingress-haproxy or kubernetes-ingress-alb\n";
    assert!(ended.stderr.starts_with(said), "{}", ended.stderr);
    assert!(!folder.path().join("base").exists());
}
