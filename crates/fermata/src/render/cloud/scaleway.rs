//! Scaleway: Load Balancer, for scaleway/scaleway 2.

use fermata_spec::Spec;
use serde_json::{Value, json};

use super::front::{Ask, Front, Listener, Speech};
use super::readme::Guide;
use super::terraform::{self, Module, Provider, asked, filled, name, preset};
use super::{Made, render};
use crate::render::Rendered;

const SCALEWAY: Provider = Provider { name: "scaleway", source: "scaleway/scaleway", version: "~> 2.60" };

const AVOIDS: &[&str] = &[
    "`timeout_server` of seconds without `timeout_tunnel`, which takes its place once a WebSocket is open.",
    "`on_marked_down_action: shutdown_sessions`, which cuts all sockets of a server whose check fails once.",
    "PROXY protocol on one side only: it is on where `gateway.proxy_protocol` has it on, and nowhere else.",
    "A health check on the WebSocket's path, which never answers 200 to a plain GET.",
    "Round robin, which piles connections up on the oldest servers: the fewest connections win.",
];

pub(in crate::render) fn balancer(spec: &Spec) -> Rendered {
    render(spec, "scaleway", |front| {
        let mut module = Module::new(SCALEWAY, json!({ "zone": "${var.zone}" }));
        module.variable(name());
        module.variable(asked("zone", "string", "The zone, such as fr-par-1.", filled!("zone")));
        let size = ("can(regex(\"^LB-\", upper(var.size)))", "A size begins with LB-, such as LB-S.");
        module.variable(preset("size", "string", "How large it is, such as LB-S.", "LB-S", size));
        let addresses = (
            "length(var.servers) > 0 && alltrue([for server in var.servers : can(cidrhost(\"${server}/32\", 0))])",
            "At least one IPv4 address is needed.",
        );
        let about = "Addresses of the Instances that run fermata up.";
        module.variable(asked("servers", "list(string)", about, addresses));
        if front.has(Speech::Https) {
            let about = "Ids of the certificates for the https ports.";
            let check = ("length(var.certificates) > 0", "At least one certificate is needed for https.");
            module.variable(asked("certificates", "list(string)", about, check));
        }
        module.resource("scaleway_lb_ip", "edge", json!({}));
        let edge = json!({ "name": "${var.name}", "type": "${var.size}", "ip_ids": ["${scaleway_lb_ip.edge.id}"] });
        module.resource("scaleway_lb", "edge", edge);
        for target in front.targets() {
            module.resource("scaleway_lb_backend", &target.target_id(), backend(front, &target));
        }
        for listener in &front.listeners {
            let mut entry = json!({
                "lb_id": "${scaleway_lb.edge.id}",
                "backend_id": format!("${{scaleway_lb_backend.{}.id}}", listener.target_id()),
                "name": listener.id(),
                "inbound_port": listener.port,
                "timeout_client": format!("{}s", front.idle),
            });
            if listener.speech == Speech::Https {
                entry["certificate_ids"] = json!("${var.certificates}");
            }
            module.resource("scaleway_lb_frontend", &listener.id(), entry);
        }
        module.address("The balancer's address.", "${scaleway_lb_ip.edge.ip_address}");
        Made { name: "main.tf.json", text: module.write(), guide: Guide::terraform(AVOIDS, &[]) }
    })
}

fn backend(front: &Front<'_>, target: &Listener) -> Value {
    let health = front.health_of(target);
    let http = matches!(target.speech, Speech::Http | Speech::Https);
    let mut backend = json!({
        "lb_id": "${scaleway_lb.edge.id}",
        "name": target.target_id(),
        "forward_protocol": if http { "http" } else { "tcp" },
        "forward_port": target.target,
        "forward_port_algorithm": "leastconn",
        "server_ips": "${var.servers}",
        "proxy_protocol": if front.announces(target) { "v2" } else { "none" },
        "on_marked_down_action": "none",
        "timeout_tunnel": format!("{}s", front.idle),
        "timeout_server": if http { "60s".to_owned() } else { format!("{}s", front.idle) },
        "health_check_port": health.port,
        "health_check_delay": "10s",
        "health_check_timeout": "5s",
        "health_check_max_retries": 3,
        "sticky_sessions": if front.sticky && http { "cookie" } else { "none" },
    });
    if front.sticky && http {
        backend["sticky_sessions_cookie_name"] = json!("fermata-server");
    }
    let (key, check) = match &health.ask {
        Ask::Http(path) => ("health_check_http", json!({ "uri": terraform::text(path), "code": 200 })),
        Ask::Https(path) => ("health_check_https", json!({ "uri": terraform::text(path), "code": 200 })),
        Ask::Tcp => ("health_check_tcp", json!({})),
    };
    backend[key] = check;
    backend
}
