//! The service.yml that the edge runs: made of the same Spec, with the pods of each service found by `endpoints: kubernetes`, so
//! that each pod's tunnels are counted, balanced and drained one by one.

use std::time::Duration;

use fermata_spec::{Balance, HostPattern, Origin, ProxyPorts, ProxyVersion, Service, Spec, Sticky, WebSocket};

use super::NAME;
use crate::render::kubernetes::gateway::certificate;
use crate::render::kubernetes::names::{head, object};
use crate::render::yaml::{Item, Map, Value};

/// The `ConfigMap` with it.
pub(super) fn configuration(spec: &Spec, services: &[&Service], status: u16) -> Map {
    let mut made = head("v1", "ConfigMap", NAME);
    let text = service_yml(spec, services, status).write();
    made.put("data", Map::of([("service.yml", Value::Block(text))]));
    made
}

/// The service.yml of the edge.
fn service_yml(spec: &Spec, services: &[&Service], status: u16) -> Map {
    let mut all = Map::default();
    for service in services {
        let public = service.ports.iter().filter(|port| port.http.or(port.https).or(port.tcp).or(port.udp).is_some());
        let ports = public.map(|port| {
            let mut map = Map::of([("container", Value::bare(port.container))]);
            for (key, port) in [("http", port.http), ("https", port.https), ("tcp", port.tcp), ("udp", port.udp)] {
                map.put_some(key, port.map(Value::bare));
            }
            map
        });
        let ports: Vec<Item> = ports.map(|port| Value::from(port).into()).collect();
        if ports.is_empty() {
            continue;
        }
        let mut one = Map::of([("endpoints", endpoints(&service.name)), ("ports", Value::List(ports))]);
        if !service.traffic_matches.is_empty() {
            one.put("traffic_matches", Value::words(service.traffic_matches.iter().map(pattern)));
        }
        if service.sticky == Sticky::Cookie {
            one.put("sticky", Value::text("cookie"));
        }
        if service.balance != Balance::default() {
            let word = match service.balance {
                Balance::Leastconn => "leastconn",
                Balance::Roundrobin => "roundrobin",
                Balance::Random => "random",
                Balance::Source => "source",
            };
            one.put("balance", Value::text(word));
        }
        let version = service.proxy_protocol.map(|version| if version == ProxyVersion::V1 { "v1" } else { "v2" });
        one.put_some("proxy_protocol", version.map(Value::text));
        one.put_some("slow_start", service.slow_start.map(time));
        one.put_some("rebalance", service.rebalance.map(time));
        let websocket = websocket(&service.websocket);
        if !websocket.is_empty() {
            one.put("websocket", websocket);
        }
        all.put(&*service.name, one);
    }
    let mut file = Map::of([("version", Value::bare(2)), ("services", all.into())]);
    if services.iter().flat_map(|service| &service.ports).any(|port| port.https.is_some()) {
        let certificates = (0..spec.tls.certificates.len().max(1)).map(|number| {
            let folder = folder(number);
            Map::of([
                ("cert", Value::text(format!("{folder}/tls.crt"))),
                ("key", Value::text(format!("{folder}/tls.key"))),
            ])
        });
        file.put("tls", Map::of([("certificates", Value::maps(certificates))]));
    }
    let mut gateway = Map::default();
    if !spec.gateway.trusted_proxies.is_empty() {
        let networks = spec.gateway.trusted_proxies.iter().map(|one| format!("{}/{}", one.address, one.prefix));
        gateway.put("trusted_proxies", Value::words(networks));
    }
    match &spec.gateway.proxy_protocol {
        ProxyPorts::None => {}
        ProxyPorts::All => gateway.put("proxy_protocol", Value::bare(true)),
        ProxyPorts::Some(ports) => {
            gateway.put("proxy_protocol", Value::Flow(ports.iter().map(Value::bare).collect()));
        }
    }
    gateway.put_some("max_connections", spec.gateway.max_connections.map(Value::bare));
    gateway.put("status", Value::text(format!("0.0.0.0:{status}")));
    file.put("gateway", gateway);
    file
}

/// The Service of this service, whose name there may be another one.
fn endpoints(name: &str) -> Value {
    let there = object(name);
    if there == name {
        return Value::text("kubernetes");
    }
    Map::of([("kubernetes", Value::text(there))]).into()
}

fn time(time: Duration) -> Value {
    match time.as_millis() {
        millis if millis % 1000 == 0 => Value::text(format!("{}s", millis / 1000)),
        millis => Value::text(format!("{millis}ms")),
    }
}

/// Where a certificate is mounted.
pub(super) fn folder(number: usize) -> String {
    format!("/etc/fermata/{}", certificate(number))
}

fn pattern(pattern: &HostPattern) -> String {
    match pattern {
        HostPattern::Any => "_".to_owned(),
        HostPattern::Exact(name) => name.clone(),
        HostPattern::Under(domain) => format!("*.{domain}"),
    }
}

/// What is not as it is anyway.
fn websocket(websocket: &WebSocket) -> Map {
    let usual = WebSocket::default();
    let off = || Value::bare("off");
    let mut map = Map::default();
    let mut differs = |key: &str, differs: bool, value: Value| {
        if differs {
            map.put(key, value);
        }
    };
    differs("keepalive", websocket.keepalive != usual.keepalive, websocket.keepalive.map_or_else(off, time));
    differs("pong_timeout", websocket.pong_timeout != usual.pong_timeout, time(websocket.pong_timeout));
    differs("idle_timeout", websocket.idle_timeout.is_some(), websocket.idle_timeout.map_or_else(off, time));
    for (key, most) in
        [("max_connections", websocket.max_connections), ("max_connections_per_ip", websocket.max_connections_per_ip)]
    {
        differs(key, most.is_some(), Value::bare(most.unwrap_or_default()));
    }
    for (key, rate) in
        [("max_handshake_rate", websocket.max_handshake_rate), ("max_message_rate", websocket.max_message_rate)]
    {
        differs(key, rate.is_some(), Value::text(format!("{}/s", rate.unwrap_or_default())));
    }
    differs("max_message", websocket.max_message.is_some(), Value::bare(websocket.max_message.unwrap_or_default()));
    let origin = |origin: &Origin| {
        let port = origin.port.map_or(String::new(), |port| format!(":{port}"));
        format!("{}://{}{port}", origin.scheme, pattern(&origin.host))
    };
    differs("origins", !websocket.origins.is_empty(), Value::words(websocket.origins.iter().map(origin)));
    differs("drain", websocket.drain != usual.drain, time(websocket.drain));
    map
}
