//! Rules within one service.

use crate::balancers::too_late;
use crate::diagnostic::{Diagnostic, codes};
use crate::model::{CheckKind, Health, Resources, Service, Source};
use crate::reader::{Reading, list, segment};

use super::path;

/// Limits that are named, the shortest first: who stands behind one of the others has shorter ones to fear as well.
const NAMED: usize = 4;

pub(super) fn check(service: &Service, reading: &Reading) {
    // Where the service has errors, what seems to be missing may just be misspelt.
    if !reading.said.blames(&format!("services.{}", segment(&service.name))) {
        source(service, reading);
        unstarted(service, reading);
        unreached(service, reading);
        health_ports(service, reading);
    }
    counts(service, reading);
    resources(service, reading);
    keepalive(service, reading);
}

/// Nothing says what starts it.
fn source(service: &Service, reading: &Reading) {
    let has = |key| reading.has(&path(&service.name, key));
    let said = ["address", "endpoints", "image", "command"].into_iter().any(has);
    if service.source != Source::Running(Vec::new()) || said {
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

/// Keys that say how instances are started, for a service that is not started so.
fn unstarted(service: &Service, reading: &Reading) {
    const OF_ANY: &[&str] =
        &["replicas", "env_vars", "work_dir", "stop_grace", "post_start_command", "pre_stop_command"];
    const OF_CONTAINERS: &[&str] = &["volumes", "security_context"];
    let (keys, why) = match service.source {
        Source::Running(_) | Source::Servers(_) => ([OF_ANY, OF_CONTAINERS].concat(), "the service runs already"),
        Source::Kubernetes(_) => {
            ([OF_ANY, OF_CONTAINERS, &["health"]].concat(), "the pods are the cluster's own affair")
        }
        Source::Command(_) => (OF_CONTAINERS.to_vec(), "a local process is no container"),
        Source::Image { .. } | Source::Build { .. } => return,
    };
    let given: Vec<&str> = keys.into_iter().filter(|key| reading.has(&path(&service.name, key))).collect();
    let Some(first) = given.first() else { return };
    let verb = if given.len() == 1 { "has" } else { "have" };
    let message = format!("{} {verb} no effect here: {why}", list(given.iter().copied()));
    let at = path(&service.name, first);
    let mut diagnostic = Diagnostic::new(&codes::KEY_UNSTARTED, at.clone(), reading.key_place(&at), message);
    for key in &given[1..] {
        diagnostic = diagnostic.also(reading.key_place(&path(&service.name, key)), "");
    }
    reading.said.add(diagnostic);
}

/// What is done with HTTP requests and tunnels, for a service that gets none.
fn unreached(service: &Service, reading: &Reading) {
    if service.ports.iter().any(|port| port.http.is_some() || port.https.is_some()) {
        return;
    }
    let keys = [
        ("traffic_matches", &codes::MATCH_UNUSED),
        ("websocket", &codes::WEBSOCKET_UNUSED),
        ("sticky", &codes::WEBSOCKET_UNUSED),
        ("rebalance", &codes::WEBSOCKET_UNUSED),
    ];
    for (key, code) in keys {
        let at = path(&service.name, key);
        if reading.has(&at) {
            let message = "no effect without a public http or https port";
            let diagnostic = Diagnostic::new(code, at.clone(), reading.key_place(&at), message);
            reading.said.add(diagnostic.help("give the service an http port, or remove it"));
        }
    }
}

fn health_ports(service: &Service, reading: &Reading) {
    let Health::Checks { ready, alive, startup } = &service.health else { return };
    if !service.ports.is_empty() {
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
    let mut slower = too_late(keepalive.as_secs());
    if slower.is_empty() {
        return;
    }
    if slower.len() > NAMED {
        slower.truncate(NAMED);
        slower.push("more".to_owned());
    }
    let at = path(&service.name, "websocket.keepalive");
    let slower = list(slower.iter().map(String::as_str));
    let message = format!("a Ping every {} s comes too late for limits of {slower}", keepalive.as_secs());
    let diagnostic = Diagnostic::new(&codes::KEEPALIVE_SLOW, at.clone(), reading.place(&at), message);
    reading.said.add(diagnostic.help("write 25s, or leave it out"));
}
