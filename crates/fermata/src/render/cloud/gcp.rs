//! Google Cloud: Application Load Balancer and passthrough Network Load Balancer, for hashicorp/google 8.

use fermata_spec::Spec;
use serde_json::{Value, json};

use super::front::{Ask, Front, Listener, Speech};
use super::gates::Admitted;
use super::readme::Guide;
use super::terraform::{self, Module, Provider, asked, clients, filled, name};
use super::{Made, render};
use crate::render::Rendered;

pub(super) const GOOGLE: Provider = Provider { name: "google", source: "hashicorp/google", version: "~> 8.7" };

/// Where its checks and front ends connect from (cloud.google.com/load-balancing/docs/health-check-concepts).
const RANGES: [&str; 2] = ["130.211.0.0/22", "35.191.0.0/16"];

const ALB_AVOIDS: &[&str] = &[
    "A backend service with `timeout_sec` left at 30: it ends every WebSocket after 30 s, busy or not.",
    "More than a day there: front ends restart under the connection anyway.",
    "The protocol HTTP2 to the servers, over which upgrades do not pass: it is HTTP.",
    "Balancing by RATE, which counts requests and sees no open sockets.",
    "A firewall that lets clients in and not Google's health checks and front ends.",
    "A health check on the WebSocket's path, which never answers 200 to a plain GET.",
];
const NLB_AVOIDS: &[&str] = &[
    "Silence of more than 60 s: its connection tracking forgets, and Pings come before.",
    "A firewall that lets Google's health checks in and not the clients, whose addresses are preserved.",
    "A health check on the WebSocket's path, which never answers 200 to a plain GET.",
];

pub(in crate::render) fn alb(spec: &Spec) -> Rendered {
    render(spec, "gcp-alb", |front| {
        let mut module = module(front);
        if front.has(Speech::Https) {
            let about = "Self links of the certificates for the https ports.";
            let check = ("length(var.certificates) > 0", "At least one certificate is needed for https.");
            module.variable(asked("certificates", "list(string)", about, check));
        }
        module.resource("google_compute_global_address", "edge", json!({ "name": "${var.name}" }));
        for target in front.targets() {
            backend(&mut module, front, &target);
        }
        for listener in &front.listeners {
            entry(&mut module, listener);
        }
        let ports: Vec<String> = front.openings().iter().map(|(port, _)| port.to_string()).collect();
        firewall(&mut module, "balancer", &json!(RANGES), ("tcp", ports));
        beside(&mut module, front);
        module.address("The balancer's address.", "${google_compute_global_address.edge.address}");
        let note = "A tunnel lives for a day at most. Clients should come back by themselves, at different times.";
        made(module, Guide::terraform(ALB_AVOIDS, &[note, TAGS]))
    })
}

pub(in crate::render) fn nlb(spec: &Spec) -> Rendered {
    render(spec, "gcp-nlb", |front| {
        let mut module = module(front);
        module.variable(asked("region", "string", "The region, such as europe-west3.", filled!("region")));
        if front.has_clients() {
            module.variable(clients());
        }
        module.resource("google_compute_address", "edge", json!({ "name": "${var.name}", "region": "${var.region}" }));
        let mut check = health(front, &front.health);
        check["region"] = json!("${var.region}");
        module.resource("google_compute_region_health_check", "edge", check);
        for (speech, word) in [(Speech::Tcp, "tcp"), (Speech::Udp, "udp")] {
            if front.has(speech) {
                module.resource("google_compute_region_backend_service", word, passthrough(front, word));
            }
        }
        for listener in &front.listeners {
            let word = listener.transport();
            let rule = json!({
                "name": format!("${{var.name}}-{}", listener.id().replace('_', "-")),
                "region": "${var.region}",
                "load_balancing_scheme": "EXTERNAL",
                "ip_address": "${google_compute_address.edge.address}",
                "ip_protocol": word.to_uppercase(),
                "ports": [listener.port.to_string()],
                "backend_service": format!("${{google_compute_region_backend_service.{word}.id}}"),
            });
            module.resource("google_compute_forwarding_rule", &listener.id(), rule);
        }
        for group in front.groups() {
            let ports: Vec<String> = group.listeners.iter().map(|listener| listener.target.to_string()).collect();
            let (whose, sources) = match group.admitted {
                Admitted::Clients => ("clients".to_owned(), json!("${var.clients}")),
                Admitted::Networks(networks) => (format!("networks-{}", ports.join("-")), json!(networks)),
            };
            firewall(&mut module, &format!("{whose}-{}", group.transport), &sources, (group.transport, ports));
        }
        firewall(&mut module, "checks", &json!(RANGES), ("tcp", vec![front.health.port.to_string()]));
        beside(&mut module, front);
        module.address("The balancer's address.", "${google_compute_address.edge.address}");
        made(module, Guide::terraform(NLB_AVOIDS, &[TAGS]))
    })
}

const TAGS: &str = "The firewall rules are for machines with the network tag that `tag` names.";

fn made(module: Module, guide: Guide) -> Made {
    Made { name: "main.tf.json", text: module.write(), guide }
}

fn module(_: &Front<'_>) -> Module {
    let mut module = Module::new(GOOGLE, json!({ "project": "${var.project}" }));
    module.variable(name());
    module.variable(asked("project", "string", "The project's id.", filled!("project")));
    module.variable(asked("network", "string", "The network that the servers are in.", filled!("network")));
    let about = "Self link of the instance group whose machines run fermata up.";
    let check = (
        "can(regex(\"instanceGroups/\", var.servers))",
        "The self link of an instance group has instanceGroups/ in it.",
    );
    module.variable(asked("servers", "string", about, check));
    module.variable(asked("tag", "string", "The network tag of the servers.", filled!("tag")));
    module
}

fn backend(module: &mut Module, front: &Front<'_>, target: &Listener) {
    let id = target.target_id();
    let name = format!("${{var.name}}-{}", id.replace('_', "-"));
    let port = json!({ "group": "${var.servers}", "name": id.replace('_', "-"), "port": target.target });
    module.resource("google_compute_instance_group_named_port", &id, port);
    let mut check = health(front, &front.health_of(target));
    check["name"] = json!(name);
    module.resource("google_compute_health_check", &id, check);
    let mut service = json!({
        "name": name,
        "protocol": "HTTP",
        "port_name": format!("${{google_compute_instance_group_named_port.{id}.name}}"),
        "load_balancing_scheme": "EXTERNAL_MANAGED",
        "timeout_sec": front.lifetime,
        "connection_draining_timeout_sec": front.drain,
        "session_affinity": if front.sticky { "GENERATED_COOKIE" } else { "NONE" },
        "health_checks": [format!("${{google_compute_health_check.{id}.id}}")],
        "backend": { "group": "${var.servers}", "balancing_mode": "UTILIZATION", "max_utilization": 0.8 },
    });
    if front.sticky {
        service["affinity_cookie_ttl_sec"] = json!(86_400);
    }
    module.resource("google_compute_backend_service", &id, service);
    let map = json!({ "name": name, "default_service": format!("${{google_compute_backend_service.{id}.id}}") });
    module.resource("google_compute_url_map", &id, map);
}

fn entry(module: &mut Module, listener: &Listener) {
    let (id, word) = (listener.id(), listener.word());
    let name = format!("${{var.name}}-{}", id.replace('_', "-"));
    let mut proxy =
        json!({ "name": name, "url_map": format!("${{google_compute_url_map.{}.id}}", listener.target_id()) });
    if listener.speech == Speech::Https {
        proxy["ssl_certificates"] = json!("${var.certificates}");
    }
    module.resource(&format!("google_compute_target_{word}_proxy"), &id, proxy);
    let rule = json!({
        "name": name,
        "load_balancing_scheme": "EXTERNAL_MANAGED",
        "ip_address": "${google_compute_global_address.edge.address}",
        "port_range": listener.port.to_string(),
        "target": format!("${{google_compute_target_{word}_proxy.{id}.id}}"),
    });
    module.resource("google_compute_global_forwarding_rule", &id, rule);
}

fn passthrough(front: &Front<'_>, word: &str) -> Value {
    json!({
        "name": format!("${{var.name}}-{word}"),
        "region": "${var.region}",
        "protocol": word.to_uppercase(),
        "load_balancing_scheme": "EXTERNAL",
        "connection_draining_timeout_sec": front.drain,
        "session_affinity": "NONE",
        // A check that fails once is no reason to cut sockets that live.
        "connection_tracking_policy": { "connection_persistence_on_unhealthy_backends": "ALWAYS_PERSIST", "tracking_mode": "PER_CONNECTION" },
        "health_checks": ["${google_compute_region_health_check.edge.id}"],
        "backend": { "group": "${var.servers}", "balancing_mode": "CONNECTION" },
    })
}

fn health(_: &Front<'_>, health: &super::front::Health) -> Value {
    let mut check = json!({ "name": "${var.name}", "check_interval_sec": 10, "timeout_sec": 5 });
    let (key, body) = match &health.ask {
        Ask::Http(path) => ("http_health_check", json!({ "port": health.port, "request_path": terraform::text(path) })),
        Ask::Https(path) => {
            ("https_health_check", json!({ "port": health.port, "request_path": terraform::text(path) }))
        }
        Ask::Tcp => ("tcp_health_check", json!({ "port": health.port })),
    };
    check[key] = body;
    check
}

/// What the file's rules open beside the balancer.
fn beside(module: &mut Module, front: &Front<'_>) {
    for (gate, networks) in &front.gates.beside {
        let transport = gate.protocol.name();
        let allowed = (transport, vec![gate.port.to_string()]);
        firewall(module, &format!("rule-{transport}-{}", gate.port), &json!(networks), allowed);
    }
}

fn firewall(module: &mut Module, purpose: &str, sources: &Value, (protocol, ports): (&str, Vec<String>)) {
    let rule = json!({
        "name": format!("${{var.name}}-{purpose}"),
        "network": "${var.network}",
        "source_ranges": sources,
        "target_tags": ["${var.tag}"],
        "allow": [{ "protocol": protocol, "ports": ports }],
    });
    module.resource("google_compute_firewall", &purpose.replace('-', "_"), rule);
}
