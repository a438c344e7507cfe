//! Services, `NetworkPolicies`, budgets for disruptions and autoscalers.

use fermata_spec::{Port, Service, Workload};

use super::Entrance;
use super::names::{head, object, selector};
use super::workload::{port_name, replicas};
use crate::render::yaml::{Item, Map, Value};

/// Open connections that a pod should carry, where the file says nothing.
const GOOD_LOAD: u32 = 5000;

/// What one service needs beside its workload.
pub(super) fn objects(service: &Service, entrance: Entrance) -> Vec<Map> {
    let mut objects = Vec::new();
    if !service.ports.is_empty() {
        objects.push(reach(service));
        objects.push(policy(service));
    }
    if service.workload == Workload::Deployment {
        objects.push(budget(service));
        objects.extend(autoscaler(service, entrance));
    }
    objects
}

/// Container ports with their transport, each once; whether a WebSocket may come over it.
fn ports(service: &Service) -> Vec<(u16, &'static str, bool)> {
    let mut ports: Vec<(u16, &'static str, bool)> = Vec::new();
    for port in &service.ports {
        let web = port.http.or(port.https).is_some();
        let udp = port.udp.is_some();
        let tcp = !udp || web || port.tcp.is_some();
        for (transport, _) in [("TCP", tcp), ("UDP", udp)].into_iter().filter(|(_, there)| *there) {
            match ports.iter_mut().find(|(number, other, _)| (*number, *other) == (port.container, transport)) {
                Some(known) => known.2 |= web,
                None => ports.push((port.container, transport, web && transport == "TCP")),
            }
        }
    }
    ports
}

fn reach(service: &Service) -> Map {
    let name = object(&service.name);
    let mut made = head("v1", "Service", &name);
    let ports = ports(service).into_iter().map(|(port, transport, web)| {
        let mut map = Map::of([("name", Value::text(port_name(port, transport)))]);
        map.put("port", Value::bare(port));
        map.put("targetPort", Value::bare(port));
        if transport == "UDP" {
            map.put("protocol", Value::text("UDP"));
        }
        if web {
            // GEP-1911: HTTP/1.1 to the pods, and upgrades pass.
            map.put("appProtocol", Value::text("kubernetes.io/ws"));
        }
        map
    });
    let ports = Value::maps(ports);
    made.put("spec", Map::of([("selector", selector(&name).into()), ("ports", ports)]));
    made
}

/// Public ports are reached from gateways, whose namespace nobody knows here; the others from neighbours only.
fn policy(service: &Service) -> Map {
    let name = object(&service.name);
    let mut made = head("networking.k8s.io/v1", "NetworkPolicy", &name);
    let public = |port: &Port| port.http.or(port.https).or(port.tcp).or(port.udp).is_some();
    let rule = |from: Map, number: u16, transport: &str| {
        let port = Map::of([("port", Value::bare(number)), ("protocol", Value::text(transport))]);
        Map::of([("from", Value::maps([from])), ("ports", Value::maps([port]))])
    };
    let rules = ports(service).into_iter().map(|(number, transport, _)| {
        let open = service.ports.iter().any(|port| port.container == number && public(port));
        let from = if open { "namespaceSelector" } else { "podSelector" };
        rule(Map::of([(from, Map::default().into())]), number, transport)
    });
    let rules: Vec<Item> = rules.map(|rule| Value::from(rule).into()).collect();
    made.put(
        "spec",
        Map::of([
            ("podSelector", Map::of([("matchLabels", selector(&name).into())]).into()),
            ("policyTypes", Value::words(["Ingress"])),
            ("ingress", Value::List(rules)),
        ]),
    );
    made
}

/// One at a time: a budget of nothing would keep nodes from being upgraded.
fn budget(service: &Service) -> Map {
    let name = object(&service.name);
    let mut made = head("policy/v1", "PodDisruptionBudget", &name);
    let selector = Map::of([("matchLabels", selector(&name).into())]);
    made.put("spec", Map::of([("maxUnavailable", Value::bare(1)), ("selector", selector.into())]));
    made
}

/// By open connections: an idle socket costs no CPU.
fn autoscaler(service: &Service, entrance: Entrance) -> Option<Map> {
    let most = service.constraints.max_count?;
    let load = service.websocket.max_connections.map_or(GOOD_LOAD, |most| (most / replicas(service) / 4 * 3).max(1));
    let metric = if entrance == Entrance::Edge {
        // The edge knows how many tunnels there are, over all of its pods and all of the service's.
        let which = Map::of([("matchLabels", Map::of([("service", Value::text(&*service.name))]).into())]);
        let metric = Map::of([("name", Value::text("fermata_service_tunnels")), ("selector", which.into())]);
        let external = Map::of([("metric", metric.into()), ("target", average(load))]);
        Map::of([("type", Value::text("External")), ("external", external.into())])
    } else {
        let metric = Map::of([("name", Value::text("ws_connections_open"))]);
        let pods = Map::of([("metric", metric.into()), ("target", average(load))]);
        Map::of([("type", Value::text("Pods")), ("pods", pods.into())])
    };
    let fewest = replicas(service);
    Some(scaler(&object(&service.name), fewest, most.max(fewest), metric))
}

/// So many for each pod.
pub(super) fn average(load: u32) -> Value {
    Map::of([("type", Value::text("AverageValue")), ("averageValue", Value::text(load.to_string()))]).into()
}

/// An autoscaler of a Deployment. Down slowly: each pod that goes is a wave of reconnecting clients.
pub(super) fn scaler(name: &str, fewest: u32, most: u32, metric: Map) -> Map {
    let mut made = head("autoscaling/v2", "HorizontalPodAutoscaler", name);
    let target = [("apiVersion", "apps/v1"), ("kind", "Deployment"), ("name", name)];
    let target = target.map(|(key, value)| (key, Value::text(value)));
    let one = Map::of([("type", Value::text("Pods")), ("value", Value::bare(1)), ("periodSeconds", Value::bare(300))]);
    let down = Map::of([("stabilizationWindowSeconds", Value::bare(600)), ("policies", Value::maps([one]))]);
    let mut spec = Map::of([("scaleTargetRef", Map::of(target).into())]);
    spec.put("minReplicas", Value::bare(fewest));
    spec.put("maxReplicas", Value::bare(most));
    spec.put("metrics", Value::maps([metric]));
    spec.put("behavior", Map::of([("scaleDown", down.into())]));
    made.put("spec", spec);
    made
}
