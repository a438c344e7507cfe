//! Linode (Akamai): `NodeBalancer`, for linode/linode 3.

use fermata_spec::Spec;
use serde_json::json;

use super::front::{Ask, Front, Listener};
use super::readme::Guide;
use super::terraform::{self, Module, Provider, asked, filled, name};
use super::{Made, render};
use crate::render::Rendered;

const LINODE: Provider = Provider { name: "linode", source: "linode/linode", version: "~> 3.0" };

const AVOIDS: &[&str] = &[
    "Its http mode, in which WebSocket is nowhere documented: bytes pass as they are.",
    "`check_passive`, which takes one 503 of a service that drains for the death of the server.",
    "A connection throttle, which locks out offices that come back all at once.",
    "PROXY protocol on one side only: it is on where `gateway.proxy_protocol` has it on, and nowhere else.",
    "A health check on the WebSocket's path, which never answers 200 to a plain GET.",
];

pub(in crate::render) fn balancer(spec: &Spec) -> Rendered {
    render(spec, "linode", |front| {
        let mut module = Module::new(LINODE, json!({}));
        module.variable(name());
        module.variable(asked("region", "string", "The region, such as eu-central.", filled!("region")));
        let private = (
            "length(var.servers) > 0 && alltrue([for server in var.servers : can(cidrhost(\"${server}/32\", 0))])",
            "At least one private IPv4 address, such as 192.168.130.5.",
        );
        let about = "Private addresses of the Linodes that run fermata up.";
        module.variable(asked("servers", "list(string)", about, private));
        let edge = json!({ "label": "${var.name}", "region": "${var.region}", "client_conn_throttle": 0 });
        module.resource("linode_nodebalancer", "edge", edge);
        for listener in &front.listeners {
            let id = listener.id();
            module.resource("linode_nodebalancer_config", &id, config(front, listener));
            let node = json!({
                "for_each": "${toset(var.servers)}",
                "nodebalancer_id": "${linode_nodebalancer.edge.id}",
                "config_id": format!("${{linode_nodebalancer_config.{id}.id}}"),
                "label": "${replace(each.value, \".\", \"-\")}",
                "address": format!("${{each.value}}:{}", listener.target),
                "mode": "accept",
            });
            module.resource("linode_nodebalancer_node", &id, node);
        }
        module.address("The balancer's address.", "${linode_nodebalancer.edge.ipv4}");
        let note =
            "Before a server is stopped, set its node's mode to drain: open connections stay, new ones go elsewhere.";
        Made { name: "main.tf.json", text: module.write(), guide: Guide::terraform(AVOIDS, &[note]) }
    })
}

/// Its checks go to the port of the traffic, so the path is asked where that port speaks HTTP in the clear.
fn config(front: &Front<'_>, listener: &Listener) -> serde_json::Value {
    let port = listener.port;
    let asked = front.health.port == port && matches!(front.health.ask, Ask::Http(_));
    let mut config = json!({
        "nodebalancer_id": "${linode_nodebalancer.edge.id}",
        "port": port,
        "protocol": "tcp",
        "proxy_protocol": if front.announces(listener) { "v2" } else { "none" },
        "algorithm": "leastconn",
        "stickiness": "none",
        "check": if asked { "http" } else { "connection" },
        "check_interval": 10,
        "check_timeout": 5,
        "check_attempts": 3,
        "check_passive": false,
    });
    if let Some(path) = front.health.ask.path().filter(|_| asked) {
        config["check_path"] = json!(terraform::text(path));
    }
    config
}
