//! Fermata itself as the edge of a cluster: it listens on the file's public ports, before the services' cluster addresses.
//!
//! The file that it runs is made of the same Spec. Each service is reached by its name in the cluster.

use std::time::Duration;

use fermata_spec::{Balance, HostPattern, Origin, Service, Spec, Sticky, WebSocket};

use super::gateway::certificate;
use super::names::{head, object, selector};
use super::workload::SPREAD;
use crate::page;
use crate::render::cloud::seconds;
use crate::render::yaml::{Item, Map, Value};

/// What everything of the edge is called.
const NAME: &str = "fermata";
/// Pods of the edge: one may go at a time.
const PODS: u32 = 2;

/// All of it.
pub(super) fn objects(spec: &Spec, services: &[&Service]) -> Vec<Map> {
    let ports = ports(services);
    if ports.is_empty() {
        return Vec::new();
    }
    vec![configuration(spec, services), deployment(spec, services, &ports), reach(&ports), budget()]
}

/// Public ports and transports, each once.
fn ports(services: &[&Service]) -> Vec<(u16, &'static str)> {
    let mut ports: Vec<(u16, &'static str)> = Vec::new();
    for port in services.iter().flat_map(|service| &service.ports) {
        let tcp = [port.http, port.https, port.tcp].into_iter().flatten().map(|port| (port, "TCP"));
        for port in tcp.chain(port.udp.map(|port| (port, "UDP"))) {
            if !ports.contains(&port) {
                ports.push(port);
            }
        }
    }
    ports
}

fn configuration(spec: &Spec, services: &[&Service]) -> Map {
    let mut made = head("v1", "ConfigMap", NAME);
    let text = service_yml(spec, services).write();
    made.put("data", Map::of([("service.yml", Value::Block(text))]));
    made
}

/// The service.yml of the edge.
fn service_yml(spec: &Spec, services: &[&Service]) -> Map {
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
        let mut one = Map::of([("address", Value::text(object(&service.name))), ("ports", Value::List(ports))]);
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
    gateway.put_some("max_connections", spec.gateway.max_connections.map(Value::bare));
    if !gateway.is_empty() {
        file.put("gateway", gateway);
    }
    file
}

fn folder(number: usize) -> String {
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
    let time = |time: Duration| match time.as_millis() {
        millis if millis % 1000 == 0 => Value::text(format!("{}s", millis / 1000)),
        millis => Value::text(format!("{millis}ms")),
    };
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

fn deployment(spec: &Spec, services: &[&Service], ports: &[(u16, &'static str)]) -> Map {
    let drain = services.iter().map(|service| seconds(service.websocket.drain)).max().unwrap_or_default();
    let mut made = head("apps/v1", "Deployment", NAME);
    let mut pod = Map::default();
    pod.comment("The time for endpoints to spread, and for tunnels to leave.");
    pod.put("terminationGracePeriodSeconds", Value::bare(SPREAD + drain + 5));
    let low = Map::of([("name", Value::text("net.ipv4.ip_unprivileged_port_start")), ("value", Value::text("0"))]);
    pod.put(
        "securityContext",
        Map::of([
            ("runAsNonRoot", Value::bare(true)),
            ("runAsUser", Value::bare(65532)),
            ("fsGroup", Value::bare(65532)),
            ("sysctls", Value::maps([low])),
        ]),
    );
    let spread = Map::of([
        ("maxSkew", Value::bare(1)),
        ("topologyKey", Value::text("kubernetes.io/hostname")),
        ("whenUnsatisfiable", Value::text("ScheduleAnyway")),
        ("labelSelector", Map::of([("matchLabels", selector(NAME).into())]).into()),
    ]);
    pod.put("topologySpreadConstraints", Value::maps([spread]));
    let tls = services.iter().flat_map(|service| &service.ports).any(|port| port.https.is_some());
    let certificates = if tls { spec.tls.certificates.len().max(1) } else { 0 };
    pod.put("containers", Value::maps([container(services, ports, certificates)]));
    let named = |name: &str, kind: &str, body: Map| Map::of([("name", Value::text(name)), (kind, body.into())]);
    let mut volumes = vec![
        named("service", "configMap", Map::of([("name", Value::text(NAME))])),
        named("state", "emptyDir", Map::default()),
    ];
    for number in 0..certificates {
        let name = certificate(number);
        volumes.push(named(&name, "secret", Map::of([("secretName", Value::text(&name))])));
    }
    pod.put("volumes", Value::maps(volumes));
    let rolling = Map::of([("maxSurge", Value::text("25%")), ("maxUnavailable", Value::bare(0))]);
    let strategy = Map::of([("type", Value::text("RollingUpdate")), ("rollingUpdate", rolling.into())]);
    let labels = Map::of([("labels", selector(NAME).into())]);
    made.put(
        "spec",
        Map::of([
            ("replicas", Value::bare(PODS)),
            ("selector", Map::of([("matchLabels", selector(NAME).into())]).into()),
            ("strategy", strategy.into()),
            ("template", Map::of([("metadata", labels.into()), ("spec", pod.into())]).into()),
        ]),
    );
    made
}

fn container(services: &[&Service], ports: &[(u16, &'static str)], certificates: usize) -> Map {
    let mut container = Map::of([("name", Value::text(NAME)), ("image", Value::text("fermata"))]);
    container.put("args", Value::words(["up", "/etc/fermata/service/service.yml", "--state-dir", "/var/lib/fermata"]));
    container.put(
        "ports",
        Value::maps(ports.iter().map(|(port, transport)| {
            let mut map = Map::of([("name", Value::text(name(*port, transport)))]);
            map.put("containerPort", Value::bare(port));
            if *transport == "UDP" {
                map.put("protocol", Value::text("UDP"));
            }
            map
        })),
    );
    let entries = || services.iter().flat_map(|service| &service.ports);
    let get = |port: u16, scheme: &str| {
        Map::of([
            ("path", Value::text(page::HEALTH_PATH)),
            ("port", Value::bare(port)),
            ("scheme", Value::text(scheme)),
        ])
    };
    let http = entries().find_map(|entry| entry.http).map(|port| get(port, "HTTP"));
    let health = http.or_else(|| entries().find_map(|entry| entry.https).map(|port| get(port, "HTTPS")));
    let period = ("periodSeconds", Value::bare(5));
    if let Some(get) = health {
        container.put("readinessProbe", Map::of([("httpGet", get.into()), period.clone()]));
    }
    // Whether it lives is another question than whether its services do.
    if let Some((port, _)) = ports.iter().find(|(_, transport)| *transport == "TCP") {
        let tcp = Map::of([("port", Value::bare(port))]);
        container.put("livenessProbe", Map::of([("tcpSocket", tcp.into()), period]));
    }
    let sleep = Map::of([("sleep", Map::of([("seconds", Value::bare(SPREAD))]).into())]);
    container.put("lifecycle", Map::of([("preStop", sleep.into())]));
    container.put(
        "securityContext",
        Map::of([
            ("allowPrivilegeEscalation", Value::bare(false)),
            ("readOnlyRootFilesystem", Value::bare(true)),
            ("capabilities", Map::of([("drop", Value::words(["ALL"]))]).into()),
        ]),
    );
    let mount = |name: &str, path: &str, read_only: bool| {
        let mut mount = Map::of([("name", Value::text(name)), ("mountPath", Value::text(path))]);
        if read_only {
            mount.put("readOnly", Value::bare(true));
        }
        mount
    };
    let mut mounts = vec![mount("service", "/etc/fermata/service", true), mount("state", "/var/lib/fermata", false)];
    mounts.extend((0..certificates).map(|number| mount(&certificate(number), &folder(number), true)));
    container.put("volumeMounts", Value::maps(mounts));
    container
}

fn name(port: u16, transport: &str) -> String {
    super::workload::port_name(port, transport)
}

fn reach(ports: &[(u16, &'static str)]) -> Map {
    let mut made = head("v1", "Service", NAME);
    let ports = ports.iter().map(|(port, transport)| {
        let mut map = Map::of([("name", Value::text(name(*port, transport)))]);
        map.put("port", Value::bare(port));
        map.put("targetPort", Value::bare(port));
        if *transport == "UDP" {
            map.put("protocol", Value::text("UDP"));
        }
        map
    });
    let ports = Value::maps(ports);
    let mut spec = Map::of([("type", Value::text("LoadBalancer"))]);
    spec.comment("Clients' addresses stay what they are.");
    spec.put("externalTrafficPolicy", Value::text("Local"));
    spec.put("selector", selector(NAME));
    spec.put("ports", ports);
    made.put("spec", spec);
    made
}

fn budget() -> Map {
    let mut made = head("policy/v1", "PodDisruptionBudget", NAME);
    let selector = Map::of([("matchLabels", selector(NAME).into())]);
    made.put("spec", Map::of([("maxUnavailable", Value::bare(1)), ("selector", selector.into())]));
    made
}
