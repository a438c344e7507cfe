//! `DigitalOcean`: Load Balancer, for digitalocean/digitalocean 2.

use fermata_spec::Spec;
use serde_json::{Value, json};

use super::front::{Front, Listener, Speech};
use super::gates::Admitted;
use super::readme::Guide;
use super::terraform::{self, Module, Provider, asked, filled, name};
use super::{Made, render};
use crate::firewall::Gate;
use crate::render::Rendered;

pub(super) const DIGITALOCEAN: Provider =
    Provider { name: "digitalocean", source: "digitalocean/digitalocean", version: "~> 2.71" };

const AVOIDS: &[&str] = &[
    "An idle limit left at 60 s.",
    "http2 to the Droplets, over which upgrades do not pass: the targets speak http.",
    "A redirect from http to https on a port that ws:// clients use: they do not follow it.",
    "PROXY protocol on one side only: it is on where `gateway.proxy_protocol` has it on, and nowhere else.",
    "A health check on the WebSocket's path, which never answers 200 to a plain GET.",
    "Droplets open to the world: their firewall admits the balancer alone.",
];

pub(in crate::render) fn balancer(spec: &Spec) -> Rendered {
    render(spec, "digitalocean", |front| {
        let mut module = Module::new(DIGITALOCEAN, json!({}));
        module.variable(name());
        module.variable(asked("region", "string", "The region, such as ams3.", filled!("region")));
        let about = "The tag of the Droplets that run fermata up.";
        module.variable(asked("tag", "string", about, filled!("tag")));
        if front.has(Speech::Https) {
            let about = "Name of the certificate for the https ports.";
            module.variable(asked("certificate", "string", about, filled!("certificate")));
        }
        module.resource("digitalocean_loadbalancer", "edge", edge(front));
        module.resource("digitalocean_firewall", "servers", firewall(front));
        module.address("The balancer's address.", "${digitalocean_loadbalancer.edge.ip}");
        let notes = &[
            "Once upgraded, a connection may be silent for an hour, by reports: Pings make it no matter.",
            "A node carries about 10,000 connections: `size_unit` makes it more.",
        ];
        Made { name: "main.tf.json", text: module.write(), guide: Guide::terraform(AVOIDS, notes) }
    })
}

fn edge(front: &Front<'_>) -> Value {
    let mut check = json!({
        "port": front.health.port,
        "protocol": front.health.ask.word(),
        "check_interval_seconds": 10,
        "response_timeout_seconds": 5,
        "healthy_threshold": 2,
        "unhealthy_threshold": 3,
    });
    if let Some(path) = front.health.ask.path() {
        check["path"] = json!(terraform::text(path));
    }
    let mut edge = json!({
        "name": "${var.name}",
        "region": "${var.region}",
        "droplet_tag": "${var.tag}",
        "http_idle_timeout_seconds": front.idle,
        "enable_proxy_protocol": front.listeners.iter().any(|listener| front.announces(listener)),
        "redirect_http_to_https": false,
        "forwarding_rule": front.listeners.iter().map(rule).collect::<Vec<Value>>(),
        "healthcheck": check,
    });
    if let Some(Admitted::Networks(networks)) = front.groups().first().map(|group| group.admitted) {
        let allow: Vec<String> = networks.iter().map(|network| format!("cidr:{network}")).collect();
        edge["firewall"] = json!({ "allow": allow });
    }
    if front.sticky {
        edge["sticky_sessions"] =
            json!({ "type": "cookies", "cookie_name": "fermata-server", "cookie_ttl_seconds": 34_650 });
    }
    edge
}

fn rule(listener: &Listener) -> Value {
    let target = if listener.speech == Speech::Https { "http" } else { listener.word() };
    let mut rule = json!({
        "entry_port": listener.port,
        "entry_protocol": listener.word(),
        "target_port": listener.target,
        "target_protocol": target,
    });
    if listener.speech == Speech::Https {
        rule["certificate_name"] = json!("${var.certificate}");
    }
    rule
}

fn firewall(front: &Front<'_>) -> Value {
    let inbound = |(port, transport): &(u16, &str)| {
        json!({
            "protocol": transport,
            "port_range": port.to_string(),
            "source_load_balancer_uids": ["${digitalocean_loadbalancer.edge.id}"],
        })
    };
    let beside = |(gate, networks): &(Gate, Vec<String>)| {
        json!({
            "protocol": gate.protocol.name(),
            "port_range": gate.port.to_string(),
            "source_addresses": networks,
        })
    };
    let openings = front.openings();
    let inbound = openings.iter().map(inbound).chain(front.gates.beside.iter().map(beside));
    let outbound = ["tcp", "udp"].map(|transport| {
        json!({ "protocol": transport, "port_range": "1-65535", "destination_addresses": ["0.0.0.0/0", "::/0"] })
    });
    json!({
        "name": "${var.name}",
        "tags": ["${var.tag}"],
        "inbound_rule": inbound.collect::<Vec<Value>>(),
        "outbound_rule": outbound,
    })
}
