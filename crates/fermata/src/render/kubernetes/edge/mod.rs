//! Fermata itself as the edge of a cluster: it listens on the file's public ports, before the services' cluster addresses.
//!
//! A Deployment, what reaches it, and how many of its pods there are. `file` is what it runs, `access` what it may.

mod access;
mod file;

use fermata_spec::{Service, Spec};

pub(super) use self::access::MONITORING;
use self::access::{account, policy};
use self::file::{configuration, folder};
use super::gateway::certificate;
use super::names::{head, selector};
use super::network::{average, scaler};
use super::workload::SPREAD;
use crate::page;
use crate::render::cloud::seconds;
use crate::render::yaml::{Map, Value};

/// What everything of the edge is called.
const NAME: &str = "fermata";
/// Pods of the edge: one may go at a time.
const PODS: u32 = 2;
/// And at most, with an autoscaler.
const MOST_PODS: u32 = 10;
/// Where metrics are served, or the next free port.
const STATUS: u16 = 9090;
/// Tunnels that a pod of the edge should carry, where the file says nothing.
const GOOD_LOAD: u32 = 20_000;

/// All of it.
pub(super) fn objects(spec: &Spec, services: &[&Service]) -> Vec<Map> {
    let ports = ports(services);
    if ports.is_empty() {
        return Vec::new();
    }
    let status = status(&ports);
    let scaled = services.iter().any(|service| service.constraints.max_count.is_some());
    let mut all = vec![configuration(spec, services, status)];
    all.extend(account());
    all.extend([
        deployment(spec, services, &ports, (status, scaled)),
        reach(&ports),
        policy(services, &ports, status),
        budget(),
    ]);
    if scaled {
        all.push(autoscaler(spec));
    }
    all
}

/// The port of the status address: one that no public port has.
fn status(ports: &[(u16, &'static str)]) -> u16 {
    (STATUS..=u16::MAX).find(|port| !ports.iter().any(|(public, _)| public == port)).unwrap_or(STATUS)
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

fn deployment(spec: &Spec, services: &[&Service], ports: &[(u16, &'static str)], (status, scaled): (u16, bool)) -> Map {
    let drain = services.iter().map(|service| seconds(service.websocket.drain)).max().unwrap_or_default();
    let mut made = head("apps/v1", "Deployment", NAME);
    let mut pod = Map::default();
    pod.comment("The time for endpoints to spread, and for tunnels to leave.");
    pod.put("terminationGracePeriodSeconds", Value::bare(SPREAD + drain + 5));
    pod.put("serviceAccountName", Value::text(NAME));
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
    pod.put("containers", Value::maps([container(services, ports, certificates, status)]));
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
    let scrape = Map::of([
        ("prometheus.io/scrape", Value::text("true")),
        ("prometheus.io/port", Value::text(status.to_string())),
    ]);
    let metadata = Map::of([("labels", selector(NAME).into()), ("annotations", scrape.into())]);
    let mut spec = Map::default();
    // With an autoscaler, the number of pods is its affair.
    if !scaled {
        spec.put("replicas", Value::bare(PODS));
    }
    spec.put("selector", Map::of([("matchLabels", selector(NAME).into())]));
    spec.put("strategy", strategy);
    spec.put("template", Map::of([("metadata", metadata.into()), ("spec", pod.into())]));
    made.put("spec", spec);
    made
}

fn container(services: &[&Service], ports: &[(u16, &'static str)], certificates: usize, status: u16) -> Map {
    let mut container = Map::of([("name", Value::text(NAME)), ("image", Value::text("fermata"))]);
    container.put("args", Value::words(["up", "/etc/fermata/service/service.yml", "--state-dir", "/var/lib/fermata"]));
    let metrics = Map::of([("name", Value::text("metrics")), ("containerPort", Value::bare(status))]);
    let ports_of = ports.iter().map(|(port, transport)| {
        let mut map = Map::of([("name", Value::text(name(*port, transport)))]);
        map.put("containerPort", Value::bare(port));
        if *transport == "UDP" {
            map.put("protocol", Value::text("UDP"));
        }
        map
    });
    container.put("ports", Value::maps(ports_of.chain([metrics])));
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

/// By the tunnels that each pod of the edge has. Down slowly: each pod that goes is a wave of reconnecting clients.
fn autoscaler(spec: &Spec) -> Map {
    let load = spec.gateway.max_connections.map_or(GOOD_LOAD, |most| (most / 4 * 3).max(1));
    let tunnels =
        Map::of([("metric", Map::of([("name", Value::text("fermata_tunnels"))]).into()), ("target", average(load))]);
    let metric = Map::of([("type", Value::text("Pods")), ("pods", tunnels.into())]);
    scaler(NAME, PODS, MOST_PODS, metric)
}

fn budget() -> Map {
    let mut made = head("policy/v1", "PodDisruptionBudget", NAME);
    let selector = Map::of([("matchLabels", selector(NAME).into())]);
    made.put("spec", Map::of([("maxUnavailable", Value::bare(1)), ("selector", selector.into())]));
    made
}
