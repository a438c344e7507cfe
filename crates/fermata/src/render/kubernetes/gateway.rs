//! The Gateway API, version 1 (gateway-api.sigs.k8s.io 1.6): a Gateway with the public ports, and a route for each service.

use std::collections::BTreeSet;

use fermata_spec::{HostPattern, Service, Spec};

use super::names::{head, object};
use crate::render::yaml::{Map, Value};

const API: &str = "gateway.networking.k8s.io/v1";
/// What the Gateway is called.
const NAME: &str = "public";

/// All of it.
pub(super) fn objects(spec: &Spec, services: &[&Service]) -> Vec<Map> {
    let listeners = listeners(services);
    if listeners.is_empty() {
        return Vec::new();
    }
    let mut objects = vec![gateway(spec, &listeners)];
    for service in services {
        objects.extend(routes(service));
    }
    objects
}

/// Port and protocol, each once.
fn listeners(services: &[&Service]) -> BTreeSet<(u16, &'static str)> {
    let mut found = BTreeSet::new();
    for port in services.iter().flat_map(|service| &service.ports) {
        found.extend(port.http.map(|port| (port, "HTTP")));
        found.extend(port.https.map(|port| (port, "HTTPS")));
        found.extend(port.tcp.map(|port| (port, "TCP")));
        found.extend(port.udp.map(|port| (port, "UDP")));
    }
    found
}

fn gateway(spec: &Spec, listeners: &BTreeSet<(u16, &'static str)>) -> Map {
    let mut made = head(API, "Gateway", NAME);
    let mut inside = Map::default();
    inside.comment("The class of your controller: eg is Envoy Gateway's, others are istio, cilium, traefik, nginx.");
    inside.put("gatewayClassName", Value::text("eg"));
    let listeners = listeners.iter().map(|(port, protocol)| {
        let mut listener = Map::of([("name", Value::text(section(protocol, *port)))]);
        listener.put("port", Value::bare(port));
        listener.put("protocol", Value::text(*protocol));
        if *protocol == "HTTPS" {
            let certificates = (0..spec.tls.certificates.len().max(1))
                .map(|number| Map::of([("name", Value::text(certificate(number)))]));
            let tls = Map::of([("mode", Value::text("Terminate")), ("certificateRefs", Value::maps(certificates))]);
            listener.put("tls", tls);
        }
        listener
    });
    inside.put("listeners", Value::maps(listeners));
    made.put("spec", inside);
    made
}

/// The name of the Secret with a certificate.
pub(super) fn certificate(number: usize) -> String {
    if number == 0 { "certificate".to_owned() } else { format!("certificate-{}", number + 1) }
}

fn section(protocol: &str, port: u16) -> String {
    format!("{}-{port}", protocol.to_lowercase())
}

/// A route for each container port and protocol.
fn routes(service: &Service) -> Vec<Map> {
    let mut containers: Vec<u16> = Vec::new();
    for port in &service.ports {
        if !containers.contains(&port.container) {
            containers.push(port.container);
        }
    }
    let mut made = Vec::new();
    for container in containers {
        for (kind, protocols) in [("HTTPRoute", &["HTTP", "HTTPS"][..]), ("TCPRoute", &["TCP"]), ("UDPRoute", &["UDP"])]
        {
            let sections: Vec<String> = protocols
                .iter()
                .flat_map(|protocol| ports(service, container, protocol).map(|port| section(protocol, port)))
                .collect();
            if !sections.is_empty() {
                made.push(route(service, container, kind, &sections));
            }
        }
    }
    made
}

fn ports<'s>(service: &'s Service, container: u16, protocol: &'s str) -> impl Iterator<Item = u16> + 's {
    service.ports.iter().filter(move |port| port.container == container).filter_map(move |port| match protocol {
        "HTTP" => port.http,
        "HTTPS" => port.https,
        "TCP" => port.tcp,
        _ => port.udp,
    })
}

fn route(service: &Service, container: u16, kind: &str, sections: &[String]) -> Map {
    let name = object(&service.name);
    let own = match kind {
        "HTTPRoute" => format!("{name}-{container}"),
        kind => format!("{name}-{container}-{}", &kind[..3].to_lowercase()),
    };
    let mut made = head(API, kind, &own);
    let parents =
        sections.iter().map(|section| Map::of([("name", Value::text(NAME)), ("sectionName", Value::text(section))]));
    let mut spec = Map::of([("parentRefs", Value::maps(parents))]);
    let backends = Map::of([("name", Value::text(&name)), ("port", Value::bare(container))]);
    let mut rule = Map::default();
    if kind == "HTTPRoute" {
        let names = hosts(service);
        if !names.is_empty() {
            spec.put("hostnames", Value::words(names));
        }
        rule.comment("0s is no limit: a WebSocket is one request that lasts.");
        let none = || Value::text("0s");
        rule.put("timeouts", Map::of([("request", none()), ("backendRequest", none())]));
    }
    rule.put("backendRefs", Value::maps([backends]));
    spec.put("rules", Value::maps([rule]));
    made.put("spec", spec);
    made
}

/// Names as routes and Ingresses write them; none for every name.
pub(super) fn hosts(service: &Service) -> Vec<String> {
    if service.traffic_matches.contains(&HostPattern::Any) {
        return Vec::new();
    }
    let name = |pattern: &HostPattern| match pattern {
        HostPattern::Exact(name) => name.clone(),
        HostPattern::Under(domain) => format!("*.{domain}"),
        HostPattern::Any => String::new(),
    };
    service.traffic_matches.iter().map(name).collect()
}
