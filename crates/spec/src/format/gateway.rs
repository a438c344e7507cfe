//! `gateway`: what holds for all public ports.

use std::time::Duration;

use crate::grammar::{Key, Others, Section, Shape};
use crate::model::{Gateway, ProxyPorts};
use crate::reader::Field;
use crate::tree::Kind;

use super::values::{self, COUNT, INTERVAL, IP, NETWORK, PORT, SIZE, SOCKET};

/// `gateway`.
pub(crate) const GATEWAY: Section = Section {
    name: "gateway",
    keys: &[
        Key::new(
            "bind",
            Shape::ListOrOne(&IP),
            "Addresses that the public ports are bound on.",
            "bind: [\"0.0.0.0\", \"::\"]",
        )
        .own()
        .default("[\"0.0.0.0\", \"::\"]"),
        Key::new(
            "trusted_proxies",
            Shape::ListOrOne(&NETWORK),
            "Networks whose X-Forwarded-* and PROXY protocol are believed.",
            "trusted_proxies: [10.0.0.0/8]",
        )
        .own(),
        Key::new(
            "proxy_protocol",
            PROXY_PORTS,
            "Where trusted_proxies begin every connection with a header of the PROXY protocol, version 1 or 2, and are believed: on \
             every public port, or on those of a list.",
            "proxy_protocol: [8080, 8443]",
        )
        .own()
        .default("false"),
        Key::new("max_connections", COUNT, "All tunnels and requests together.", "max_connections: 200000").own(),
        Key::new("tester", Shape::Flag, "The tester page at /.fermata/tester.", "tester: true")
            .own()
            .default("only on loopback addresses"),
        Key::new(
            "status",
            SOCKET,
            "Where a page with the state of everything, /metrics and /healthz are served, to whoever reaches that address.",
            "status: 127.0.0.1:8081",
        )
        .own(),
        Key::new("head_timeout", INTERVAL, "Longest wait for a request's head.", "head_timeout: 10s")
            .own()
            .default("10s"),
        Key::new("connect_timeout", INTERVAL, "Longest wait for a connection to one instance.", "connect_timeout: 5s")
            .own()
            .default("5s"),
        Key::new(
            "answer_timeout",
            INTERVAL,
            "Longest wait for the head of the service's answer.",
            "answer_timeout: 30s",
        )
        .own()
        .default("30s"),
        Key::new("max_head", SIZE, "Longest request head.", "max_head: 32KiB").own().default("32KiB"),
    ],
    old: &[],
    others: Others::Refused,
};

const PROXY_PORTS: Shape = Shape::Either(&[Shape::Flag, PORTS]);
const PORTS: Shape = Shape::List(&PORT);

/// The whole of `gateway`.
pub(crate) fn read(field: &Field<'_>) -> Gateway {
    let default = Gateway::default();
    let Some(fields) = field.fields() else { return default };
    let items = |name| fields.get(name).map(|field| field.items());
    let duration = |name, default: Duration| match fields.get(name) {
        Some(field) => field.parse(values::interval).unwrap_or(default),
        None => default,
    };
    let bind =
        items("bind").map(|items| items.iter().filter_map(|field| field.parse(|text| text.parse().ok())).collect());
    let trusted = items("trusted_proxies").unwrap_or_default();
    let max_head = fields
        .get("max_head")
        .and_then(|field| field.parse(values::size))
        .and_then(|bytes| usize::try_from(bytes).ok());
    Gateway {
        bind: bind.unwrap_or(default.bind),
        trusted_proxies: trusted.iter().filter_map(|field| field.parse(values::network)).collect(),
        proxy_protocol: fields.get("proxy_protocol").map(|field| proxy_ports(&field)).unwrap_or_default(),
        max_connections: fields.get("max_connections").and_then(|field| field.integer()),
        tester: fields.get("tester").and_then(|field| field.flag()),
        status: fields.get("status").and_then(|field| field.parse(|text| text.parse().ok())),
        head_timeout: duration("head_timeout", default.head_timeout),
        connect_timeout: duration("connect_timeout", default.connect_timeout),
        answer_timeout: duration("answer_timeout", default.answer_timeout),
        max_head: max_head.unwrap_or(default.max_head),
    }
}

fn proxy_ports(field: &Field<'_>) -> ProxyPorts {
    match field.node.kind {
        Kind::List(_) => {
            let ports = Field { shape: &PORTS, ..field.clone() }.items();
            ProxyPorts::Some(ports.iter().filter_map(super::ports::port).collect())
        }
        _ if field.flag() == Some(true) => ProxyPorts::All,
        _ => ProxyPorts::None,
    }
}
