//! Rules within one service.

use std::time::Duration;

use crate::diagnostic::{Diagnostic, codes};
use crate::model::{CheckKind, Health, Resources, Service, Source};
use crate::reader::{Reading, list, segment};

use super::path;

/// Idle limits of what often stands in the way (facts of 2026: their documentation and defaults), shortest first.
const IDLE_LIMITS: &[(u64, &str)] = &[
    (50, "Octavia and HAProxy as the original sets it (50 s)"),
    (60, "nginx and AWS ALB (60 s)"),
    (100, "Cloudflare (100 s)"),
    (240, "Azure Load Balancer (240 s)"),
    (300, "Envoy (300 s)"),
    (350, "AWS NLB (350 s)"),
];

pub(super) fn check(service: &Service, reading: &Reading) {
    source(service, reading);
    matches(service, reading);
    health_ports(service, reading);
    counts(service, reading);
    resources(service, reading);
    keepalive(service, reading);
}

/// Nothing says what starts it.
fn source(service: &Service, reading: &Reading) {
    let has = |key| reading.has(&path(&service.name, key));
    if service.source != Source::Running(Vec::new()) || has("address") || has("image") || has("command") {
        return;
    }
    let whole = format!("services.{}", segment(&service.name));
    let ports: Vec<String> = service.ports.iter().map(|port| format!("127.0.0.1:{}", port.container)).collect();
    let (message, help) = if ports.is_empty() {
        let message =
            "no image, no command and no ports; nothing can be started or reached from this file alone".to_owned();
        (message, "give it an image, a command or an address")
    } else {
        let at = list(ports.iter().take(3).map(String::as_str));
        let message = format!("no image and no command; it is taken to be running already, at {at}");
        (message, "give it an image or a command to have it started, or an address if it runs elsewhere")
    };
    let place = reading.key_place(&whole);
    reading.said.add(Diagnostic::new(&codes::SERVICE_SOURCE, whole, place, message).help(help));
}

fn matches(service: &Service, reading: &Reading) {
    let public = service.ports.iter().any(|port| port.http.is_some() || port.https.is_some());
    let ports = path(&service.name, "ports");
    if service.traffic_matches.is_empty() || public || reading.said.blames(&ports) {
        return;
    }
    let at = path(&service.name, "traffic_matches");
    let message = "no effect without a public http or https port";
    let diagnostic = Diagnostic::new(&codes::MATCH_UNUSED, at.clone(), reading.place(&at), message);
    reading.said.add(diagnostic.help("give the service an http port, or remove it"));
}

fn health_ports(service: &Service, reading: &Reading) {
    let Health::Checks { ready, alive, startup } = &service.health else { return };
    if !service.ports.is_empty() || reading.has(&path(&service.name, "ports")) {
        return;
    }
    for (name, check) in [("ready", ready), ("alive", alive), ("startup", startup)] {
        let Some(check) = check else { continue };
        if check.port.is_some() || matches!(check.kind, CheckKind::Exec(_)) {
            continue;
        }
        let mut at = format!("{}.{name}", path(&service.name, "health"));
        if !reading.has(&at) {
            at = path(&service.name, "health");
        }
        let diagnostic = Diagnostic::new(
            &codes::HEALTH_PORT,
            at.clone(),
            reading.key_place(&at),
            "the service has no port to check",
        );
        reading.said.add(diagnostic.help("give the service a port, or the check a port of its own, or use type: exec"));
    }
}

fn counts(service: &Service, reading: &Reading) {
    let bounds = &service.constraints;
    let at = |key: &str| path(&service.name, key);
    let (least, most, replicas) = (at("constraints.min_count"), at("constraints.max_count"), at("replicas"));
    let say = |one: &str, other: &str, message: String| {
        let diagnostic = Diagnostic::new(&codes::COUNT, one, reading.place(one), message);
        reading.said.add(diagnostic.also(reading.place(other), ""));
    };
    if let (Some(min), Some(max)) = (bounds.min_count, bounds.max_count)
        && min > max
    {
        say(&least, &most, format!("min_count {min} is more than max_count {max}"));
        return;
    }
    if !reading.has(&replicas) || reading.said.blames(&replicas) {
        return;
    }
    let count = service.replicas;
    if let Some(max) = bounds.max_count.filter(|max| count > *max) {
        say(&replicas, &most, format!("{count} replicas are more than max_count {max}"));
    }
    if let Some(min) = bounds.min_count.filter(|min| count < *min) {
        say(&replicas, &least, format!("{count} replicas are fewer than min_count {min}"));
    }
}

fn resources(service: &Service, reading: &Reading) {
    let Resources { memory, cpu } = service.constraints.requests;
    let limits = service.constraints.limits;
    let pairs = [("memory", memory, limits.memory), ("cpu", cpu.map(u64::from), limits.cpu.map(u64::from))];
    for (name, request, limit) in pairs {
        let (Some(request), Some(limit)) = (request, limit) else { continue };
        if request < limit {
            continue;
        }
        let at = |kind: &str| path(&service.name, &format!("constraints.resources.{kind}.{name}"));
        let (code, message) = if request > limit {
            (&codes::RESOURCES, format!("more {name} is requested than the limit allows"))
        } else {
            (&codes::RESOURCES_EQUAL, format!("the {name} request is as high as its limit"))
        };
        let (one, other) = (at("requests"), at("limits"));
        let diagnostic = Diagnostic::new(code, one.clone(), reading.place(&one), message).label("the request");
        reading
            .said
            .add(diagnostic.also(reading.place(&other), "the limit").help("write a request lower than its limit"));
    }
}

fn keepalive(service: &Service, reading: &Reading) {
    let Some(keepalive) = service.websocket.keepalive else { return };
    let slower: Vec<&str> =
        IDLE_LIMITS.iter().filter(|(limit, _)| Duration::from_secs(*limit) <= keepalive).map(|(_, who)| *who).collect();
    if slower.is_empty() {
        return;
    }
    let at = path(&service.name, "websocket.keepalive");
    let message = format!("a Ping every {} s comes too late for {}", keepalive.as_secs(), list(slower.into_iter()));
    let diagnostic = Diagnostic::new(&codes::KEEPALIVE_SLOW, at.clone(), reading.place(&at), message);
    reading.said.add(diagnostic.help("write 25s, half of the shortest of these limits, or leave it out"));
}
