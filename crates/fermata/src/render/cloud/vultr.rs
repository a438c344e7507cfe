//! Vultr: Load Balancer, for vultr/vultr 2.

use fermata_spec::Spec;
use serde_json::{Value, json};

use super::front::{Ask, Listener};
use super::readme::Guide;
use super::terraform::{self, Module, Provider, SOME_SERVERS, asked, filled, name};
use super::{Made, render};
use crate::render::Rendered;

const VULTR: Provider = Provider { name: "vultr", source: "vultr/vultr", version: "~> 2.21" };

const AVOIDS: &[&str] = &[
    "Its http mode, in which WebSocket is nowhere documented: bytes pass as they are.",
    "PROXY protocol on one side only: it is on where `gateway.proxy_protocol` has it on, and nowhere else.",
    "A health check on the WebSocket's path, which never answers 200 to a plain GET.",
    "Round robin, which piles connections up on the oldest servers: the fewest connections win.",
];

pub(in crate::render) fn balancer(spec: &Spec) -> Rendered {
    render(spec, "vultr", |front| {
        let mut module = Module::new(VULTR, json!({}));
        module.variable(name());
        module.variable(asked("region", "string", "The region, such as ams.", filled!("region")));
        module.variable(asked("servers", "list(string)", "Ids of the instances that run fermata up.", SOME_SERVERS));
        let mut check = json!({
            "port": front.health.port,
            "protocol": if front.health.ask == Ask::Tcp { "tcp" } else { front.health.ask.word() },
            "check_interval": 10,
            "response_timeout": 5,
            "healthy_threshold": 2,
            "unhealthy_threshold": 3,
        });
        if let Some(path) = front.health.ask.path() {
            check["path"] = json!(terraform::text(path));
        }
        let edge = json!({
            "region": "${var.region}",
            "label": "${var.name}",
            "balancing_algorithm": "leastconn",
            "proxy_protocol": front.listeners.iter().any(|listener| front.announces(listener)),
            "attached_instances": "${var.servers}",
            "forwarding_rules": front.listeners.iter().map(rule).collect::<Vec<Value>>(),
            "health_check": check,
        });
        module.resource("vultr_load_balancer", "edge", edge);
        module.address("The balancer's address.", "${vultr_load_balancer.edge.ipv4}");
        let note = "Its idle limit of 600 s is set by its API and not by Terraform.";
        Made { name: "main.tf.json", text: module.write(), guide: Guide::terraform(AVOIDS, &[note]) }
    })
}

fn rule(listener: &Listener) -> Value {
    json!({
        "frontend_protocol": "tcp",
        "frontend_port": listener.port,
        "backend_protocol": "tcp",
        "backend_port": listener.target,
    })
}
