//! Hetzner: Load Balancer, for hetznercloud/hcloud 1.

use fermata_spec::Spec;
use serde_json::{Value, json};

use super::front::{Ask, Front};
use super::readme::Guide;
use super::terraform::{self, Module, Provider, SOME_SERVERS, asked, filled, name, preset};
use super::{Made, render};
use crate::render::Rendered;

pub(super) const HCLOUD: Provider = Provider { name: "hcloud", source: "hetznercloud/hcloud", version: "~> 1.50" };

const AVOIDS: &[&str] = &[
    "HTTP services, whose limits for WebSockets are nowhere documented: bytes pass as they are.",
    "PROXY protocol on one side only: it is on where `gateway.proxy_protocol` has it on, and nowhere else.",
    "A health check on the WebSocket's path, which never answers 200 to a plain GET.",
    "Servers open to the world: it reaches them over the private network, which Hetzner's firewalls do not filter.",
];

pub(in crate::render) fn balancer(spec: &Spec) -> Rendered {
    render(spec, "hetzner", |front| {
        let mut module = Module::new(HCLOUD, json!({}));
        module.variable(name());
        module.variable(asked("location", "string", "The location, such as fsn1.", filled!("location")));
        let size = ("can(regex(\"^lb\", var.size))", "A size begins with lb, such as lb11.");
        // The smallest with as many services (docs.hetzner.com/cloud/load-balancers/overview); the table has the largest.
        let smallest = match front.listeners.len() {
            ..=5 => "lb11",
            6..=15 => "lb21",
            _ => "lb31",
        };
        module.variable(preset("size", "string", "How large it is, such as lb11.", smallest, size));
        let network = ("var.network > 0", "The id of a network is a number.");
        module.variable(asked("network", "number", "Id of the network that the servers are in.", network));
        module.variable(asked("servers", "list(string)", "Ids of the servers that run fermata up.", SOME_SERVERS));
        module.resource(
            "hcloud_load_balancer",
            "edge",
            json!({
                "name": "${var.name}",
                "load_balancer_type": "${var.size}",
                "location": "${var.location}",
                "algorithm": { "type": "least_connections" },
            }),
        );
        let id = "${hcloud_load_balancer.edge.id}";
        let network = json!({ "load_balancer_id": id, "network_id": "${var.network}" });
        module.resource("hcloud_load_balancer_network", "edge", network);
        let target = json!({
            "for_each": "${toset(var.servers)}",
            "type": "server",
            "load_balancer_id": id,
            "server_id": "${tonumber(each.value)}",
            "use_private_ip": true,
            "depends_on": ["hcloud_load_balancer_network.edge"],
        });
        module.resource("hcloud_load_balancer_target", "servers", target);
        for listener in &front.listeners {
            let service = json!({
                "load_balancer_id": id,
                "protocol": "tcp",
                "listen_port": listener.port,
                "destination_port": listener.target,
                "proxyprotocol": front.announces(listener),
                "health_check": health(front),
            });
            module.resource("hcloud_load_balancer_service", &listener.id(), service);
        }
        module.address("The balancer's address.", "${hcloud_load_balancer.edge.ipv4}");
        Made { name: "main.tf.json", text: module.write(), guide: Guide::terraform(AVOIDS, &[]) }
    })
}

fn health(front: &Front<'_>) -> Value {
    let protocol = if front.health.ask == Ask::Tcp { "tcp" } else { "http" };
    let mut check =
        json!({ "protocol": protocol, "port": front.health.port, "interval": 10, "timeout": 5, "retries": 3 });
    if let Some(path) = front.health.ask.path() {
        let tls = matches!(front.health.ask, Ask::Https(_));
        check["http"] = json!({ "path": terraform::text(path), "status_codes": ["200"], "tls": tls });
    }
    check
}
