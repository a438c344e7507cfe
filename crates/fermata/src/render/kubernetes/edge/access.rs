//! Who reaches the edge, and what it may reach.

use fermata_spec::Service;

use super::NAME;
use crate::render::kubernetes::names::{head, selector};
use crate::render::yaml::{Item, Map, Value};

/// Ports that API servers listen on.
const API_SERVER: [u16; 2] = [443, 6443];

/// Who the edge is for the API server: it may look at `EndpointSlices`, and at nothing else.
pub(super) fn account() -> [Map; 3] {
    let rule = Map::of([
        ("apiGroups", Value::words(["discovery.k8s.io"])),
        ("resources", Value::words(["endpointslices"])),
        ("verbs", Value::words(["list", "watch"])),
    ]);
    let mut rights = head("rbac.authorization.k8s.io/v1", "Role", NAME);
    rights.put("rules", Value::maps([rule]));
    let group = Value::text("rbac.authorization.k8s.io");
    let mut binding = head("rbac.authorization.k8s.io/v1", "RoleBinding", NAME);
    binding.put("roleRef", Map::of([("apiGroup", group), ("kind", Value::text("Role")), ("name", Value::text(NAME))]));
    let subject = Map::of([("kind", Value::text("ServiceAccount")), ("name", Value::text(NAME))]);
    binding.put("subjects", Value::maps([subject]));
    [head("v1", "ServiceAccount", NAME), rights, binding]
}

/// The namespace of what reads metrics, as most call it.
pub(in crate::render::kubernetes) const MONITORING: &str = "monitoring";

/// Everybody reaches the public ports, one namespace the metrics. It reaches the pods of its namespace and the API server, and
/// asks no name server: `EndpointSlices` have addresses.
pub(super) fn policy(services: &[&Service], ports: &[(u16, &'static str)], status: u16) -> Map {
    let port =
        |port: u16, transport: &str| Map::of([("port", Value::bare(port)), ("protocol", Value::text(transport))]);
    // Every namespace has this label (kubernetes.io, "Automatic labelling").
    let name = Map::of([("kubernetes.io/metadata.name", Value::text(MONITORING))]);
    let monitoring = Map::of([("namespaceSelector", Map::of([("matchLabels", name.into())]).into())]);
    let public = Map::of([("ports", Value::maps(ports.iter().map(|(number, transport)| port(*number, transport))))]);
    let metrics = Map::of([("from", Value::maps([monitoring])), ("ports", Value::maps([port(status, "TCP")]))]);
    let metrics = Item { above: vec!["The namespace of what reads metrics.".to_owned()], value: metrics.into() };
    let mut behind: Vec<(u16, &str)> = Vec::new();
    for one in services.iter().flat_map(|service| &service.ports) {
        let tcp = one.http.or(one.https).or(one.tcp).map(|_| (one.container, "TCP"));
        for place in tcp.into_iter().chain(one.udp.map(|_| (one.container, "UDP"))) {
            if !behind.contains(&place) {
                behind.push(place);
            }
        }
    }
    let pods = Map::of([("podSelector", Map::default().into())]);
    let pods = Map::of([
        ("to", Value::maps([pods])),
        ("ports", Value::maps(behind.into_iter().map(|(number, transport)| port(number, transport)))),
    ]);
    let server = Map::of([("ports", Value::maps(API_SERVER.map(|number| port(number, "TCP"))))]);
    let server = Item { above: vec!["The API server, which no selector leads to.".to_owned()], value: server.into() };
    let mut made = head("networking.k8s.io/v1", "NetworkPolicy", NAME);
    made.put(
        "spec",
        Map::of([
            ("podSelector", Map::of([("matchLabels", selector(NAME).into())]).into()),
            ("policyTypes", Value::words(["Ingress", "Egress"])),
            ("ingress", Value::List(vec![Value::from(public).into(), metrics])),
            ("egress", Value::List(vec![Value::from(pods).into(), server])),
        ]),
    );
    made
}
