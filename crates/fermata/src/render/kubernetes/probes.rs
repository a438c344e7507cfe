//! Probes: whether a pod gets traffic, and whether it is started again.

use fermata_spec::{Check, CheckKind, Health, Service};

use super::environment::Environment;
use crate::render::Gaps;
use crate::render::yaml::{Map, Value};

/// Puts the probes of a service into its container.
pub(super) fn put(
    service: &Service,
    at: &str,
    container: &mut Map,
    environment: &mut Environment,
    gaps: &mut Gaps<'_>,
) {
    let Health::Checks { ready, alive, startup } = &service.health else {
        if service.health == Health::Default {
            let how = "Kubernetes does not run the image's HEALTHCHECK; a TCP connection is tried";
            gaps.changed(&format!("{at}.health"), how, "write health.ready");
        }
        if let Some(port) = service.ports.first() {
            container.put("readinessProbe", tcp(port.container));
        }
        return;
    };
    let mut one = |key: &str, name: &str, check: &Option<Check>, container: &mut Map| {
        let Some(check) = check else { return };
        let path = format!("{at}.health.{name}");
        if let Some(probe) = probe(check, service, &path, environment, gaps) {
            container.put(key, times(probe, check, name));
        }
    };
    one("startupProbe", "startup", startup, container);
    one("readinessProbe", "ready", ready, container);
    one("livenessProbe", "alive", alive, container);
    let same = |ready: &Check, alive: &Check| ready.kind == alive.kind && ready.port == alive.port;
    if let (Some(ready), Some(alive)) = (ready, alive)
        && same(ready, alive)
        && matches!(ready.kind, CheckKind::Http { .. } | CheckKind::Https { .. })
    {
        let how = "asks what ready asks: a pod that says 503 while it drains is killed, with its tunnels";
        gaps.changed(&format!("{at}.health.alive"), how, "ask a path that answers as long as the program runs");
    }
}

fn tcp(port: u16) -> Map {
    Map::of([("tcpSocket", Map::of([("port", Value::bare(port))]).into())])
}

fn probe(
    check: &Check,
    service: &Service,
    path: &str,
    environment: &mut Environment,
    gaps: &mut Gaps<'_>,
) -> Option<Map> {
    if let CheckKind::Exec(command) = &check.kind {
        let command = environment.text(command, &format!("{path}.command"), gaps);
        return Some(Map::of([("exec", Map::of([("command", words(&command))]).into())]));
    }
    let Some(port) = check.port.or_else(|| service.ports.first().map(|port| port.container)) else {
        gaps.left_out(path, "no port to check", "give the check a port");
        return None;
    };
    let get = |scheme: &str, endpoint: &str, headers: &[(String, String)]| {
        let mut get = Map::of([("path", Value::text(endpoint)), ("port", Value::bare(port))]);
        if scheme == "HTTPS" {
            get.put("scheme", Value::text(scheme));
        }
        let header =
            |(name, value): &(String, String)| Map::of([("name", Value::text(name)), ("value", Value::text(value))]);
        if !headers.is_empty() {
            get.put("httpHeaders", Value::maps(headers.iter().map(header)));
        }
        Map::of([("httpGet", get.into())])
    };
    Some(match &check.kind {
        CheckKind::Http { endpoint, headers } => get("HTTP", endpoint, headers),
        CheckKind::Https { endpoint, headers } => get("HTTPS", endpoint, headers),
        CheckKind::WebSocket { .. } => {
            let how = "no probe of Kubernetes makes a WebSocket handshake; a TCP connection is tried";
            gaps.changed(path, how, "check a plain path: type: http");
            tcp(port)
        }
        CheckKind::Tcp | CheckKind::Exec(_) => tcp(port),
    })
}

/// Whole seconds, of which Kubernetes wants at least one; more than one success is for readiness only.
fn times(mut probe: Map, check: &Check, name: &str) -> Map {
    let seconds = |time: std::time::Duration| Value::bare(time.as_secs_f64().ceil());
    if !check.initial_delay.is_zero() {
        probe.put("initialDelaySeconds", seconds(check.initial_delay));
    }
    probe.put("periodSeconds", seconds(check.period.max(std::time::Duration::from_secs(1))));
    probe.put("timeoutSeconds", seconds(check.timeout.max(std::time::Duration::from_secs(1))));
    if name == "ready" && check.success_threshold > 1 {
        probe.put("successThreshold", Value::bare(check.success_threshold));
    }
    probe.put("failureThreshold", Value::bare(check.failure_threshold));
    probe
}

/// A command's words.
pub(super) fn words(command: &str) -> Value {
    match shlex::split(command) {
        Some(words) => Value::words(words),
        None => Value::words(["/bin/sh", "-c", command]),
    }
}
