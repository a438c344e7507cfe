//! `OpenStack`: Octavia, for terraform-provider-openstack/openstack 3. Times are milliseconds there.

use fermata_spec::Spec;
use serde_json::{Value, json};

use super::front::{Ask, Front, Listener, Speech};
use super::gates::Admitted;
use super::readme::Guide;
use super::terraform::{self, Module, Provider, asked, clients, filled, name};
use super::{Made, render};
use crate::render::Rendered;

pub(super) const OPENSTACK: Provider =
    Provider { name: "openstack", source: "terraform-provider-openstack/openstack", version: "~> 3.0" };

const AVOIDS: &[&str] = &[
    "Idle limits left at 50 s, or written in seconds: both are milliseconds, and both are raised, since an open WebSocket \
     dies after the shorter one.",
    "A health monitor on the WebSocket's path, which never answers 200 to a plain GET.",
    "PROXY protocol on one side only: it is off, and X-Forwarded-For tells the client.",
    "Round robin, which piles connections up on the oldest servers: the fewest connections win.",
];

pub(in crate::render) fn balancer(spec: &Spec) -> Rendered {
    render(spec, "openstack-octavia", |front| {
        let mut module = Module::new(OPENSTACK, json!({}));
        module.variable(name());
        module.variable(asked("subnet_id", "string", "Id of the servers' subnet.", filled!("subnet_id")));
        let addresses = (
            "length(var.servers) > 0 && alltrue([for server in var.servers : can(cidrhost(\"${server}/32\", 0))])",
            "At least one IPv4 address is needed.",
        );
        module.variable(asked("servers", "list(string)", "Addresses of the servers that run fermata up.", addresses));
        module.variable(asked("pool", "string", "The network that floating addresses come from.", filled!("pool")));
        if front.has(Speech::Https) {
            let about = "Reference of the certificate for the https ports, a secret in Barbican.";
            let check = ("can(regex(\"^http\", var.certificate))", "A reference in Barbican is a URL.");
            module.variable(asked("certificate", "string", about, check));
        }
        if front.has_clients() {
            module.variable(clients());
        }
        let check = ("can(cidrhost(var.network, 0))", "A network is written as 10.0.0.0/24.");
        let about = "The IPv4 network of that subnet: the balancer connects from there.";
        module.variable(asked("network", "string", about, check));
        group(&mut module, front);
        let edge = json!({ "name": "${var.name}", "vip_subnet_id": "${var.subnet_id}" });
        module.resource("openstack_lb_loadbalancer_v2", "edge", edge);
        let address = json!({ "pool": "${var.pool}", "port_id": "${openstack_lb_loadbalancer_v2.edge.vip_port_id}" });
        module.resource("openstack_networking_floatingip_v2", "edge", address);
        for target in front.targets() {
            pool(&mut module, front, &target);
        }
        for listener in &front.listeners {
            module.resource("openstack_lb_listener_v2", &listener.id(), listen(front, listener));
        }
        module.address("The balancer's address.", "${openstack_networking_floatingip_v2.edge.address}");
        let notes = &[
            "Before a server is stopped, set its members' weight to 0: open connections stay, new ones go elsewhere.",
            "Give the servers the security group of the output `server_security_group`.",
        ];
        Made { name: "main.tf.json", text: module.write(), guide: Guide::terraform(AVOIDS, notes) }
    })
}

/// The servers' security group: open to the subnet of the balancer, and to whom else the file's rules open it.
fn group(module: &mut Module, front: &Front<'_>) {
    let about = json!({ "name": "${var.name}-servers", "description": "The balancer to the servers" });
    module.resource("openstack_networking_secgroup_v2", "servers", about);
    let id = "${openstack_networking_secgroup_v2.servers.id}";
    let rule = |transport: &str, port: u16| {
        json!({
            "security_group_id": id,
            "direction": "ingress",
            "ethertype": "IPv4",
            "protocol": transport,
            "port_range_min": port,
            "port_range_max": port,
        })
    };
    for (port, transport) in front.openings() {
        let mut body = rule(transport, port);
        body["remote_ip_prefix"] = json!("${var.network}");
        module.resource("openstack_networking_secgroup_rule_v2", &format!("{transport}_{port}"), body);
    }
    for (gate, networks) in &front.gates.beside {
        let transport = gate.protocol.name();
        let mut body = rule(transport, gate.port);
        body["for_each"] = json!(format!("${{toset({})}}", json!(networks)));
        body["remote_ip_prefix"] = json!("${each.value}");
        module.resource("openstack_networking_secgroup_rule_v2", &format!("rule_{transport}_{}", gate.port), body);
    }
    module.output("server_security_group", "Give the servers this group.", id);
}

fn pool(module: &mut Module, front: &Front<'_>, target: &Listener) {
    let id = target.target_id();
    let http = matches!(target.speech, Speech::Http | Speech::Https);
    let mut pool = json!({
        "name": id,
        "loadbalancer_id": "${openstack_lb_loadbalancer_v2.edge.id}",
        "protocol": if http { "HTTP".to_owned() } else { target.word().to_uppercase() },
        "lb_method": "LEAST_CONNECTIONS",
    });
    if front.sticky && http {
        pool["persistence"] = json!({ "type": "HTTP_COOKIE" });
    }
    module.resource("openstack_lb_pool_v2", &id, pool);
    let reference = format!("${{openstack_lb_pool_v2.{id}.id}}");
    let health = front.health_of(target);
    let mut monitor = json!({
        "pool_id": reference,
        "type": if target.speech == Speech::Udp { "UDP-CONNECT".to_owned() } else { health.ask.word().to_uppercase() },
        "delay": 10,
        "timeout": 5,
        "max_retries": 3,
    });
    if let Ask::Http(path) | Ask::Https(path) = &health.ask
        && target.speech != Speech::Udp
    {
        monitor["url_path"] = json!(terraform::text(path));
        monitor["expected_codes"] = json!("200");
    }
    module.resource("openstack_lb_monitor_v2", &id, monitor);
    let mut member = json!({
        "for_each": "${toset(var.servers)}",
        "pool_id": reference,
        "address": "${each.value}",
        "protocol_port": target.target,
        "subnet_id": "${var.subnet_id}",
    });
    if health.port != target.target && target.speech != Speech::Udp {
        member["monitor_port"] = json!(health.port);
    }
    module.resource("openstack_lb_member_v2", &id, member);
}

fn listen(front: &Front<'_>, listener: &Listener) -> Value {
    let protocol = match listener.speech {
        Speech::Http => "HTTP",
        Speech::Https => "TERMINATED_HTTPS",
        Speech::Tcp => "TCP",
        Speech::Udp => "UDP",
    };
    let mut body = json!({
        "name": listener.id(),
        "loadbalancer_id": "${openstack_lb_loadbalancer_v2.edge.id}",
        "protocol": protocol,
        "protocol_port": listener.port,
        "default_pool_id": format!("${{openstack_lb_pool_v2.{}.id}}", listener.target_id()),
        "allowed_cidrs": match front.admitted(listener) {
            Some(Admitted::Clients) => json!("${var.clients}"),
            Some(Admitted::Networks(networks)) => json!(networks),
            // An empty list would be everybody.
            None => json!(["127.0.0.1/32"]),
        },
    });
    if listener.speech != Speech::Udp {
        body["timeout_client_data"] = json!(front.idle * 1000);
        body["timeout_member_data"] = json!(front.idle * 1000);
    }
    if matches!(listener.speech, Speech::Http | Speech::Https) {
        body["insert_headers"] = json!({ "X-Forwarded-For": "true", "X-Forwarded-Proto": "true" });
    }
    if listener.speech == Speech::Https {
        body["default_tls_container_ref"] = json!("${var.certificate}");
        // An HTTP/2 client connection carries no upgrade; without h2 on offer, browsers open HTTP/1.1 at once.
        body["alpn_protocols"] = json!(["http/1.1"]);
    }
    body
}
