//! `websocket`: what Fermata does with tunnels. All of it is Fermata's own.

use std::time::Duration;

use crate::grammar::{Key, Others, Section, Shape};
use crate::model::WebSocket;
use crate::reader::Field;

use super::values::{self, COUNT, DURATION, ORIGIN, RATE, SIZE, TIMEOUT};

/// `websocket`.
pub(crate) const WEBSOCKET: Section = Section {
    name: "websocket",
    keys: &[
        Key::new(
            "keepalive",
            TIMEOUT,
            "A Ping goes to a side that was silent this long; off for none.",
            "keepalive: 25s",
        )
        .own()
        .default("25s"),
        Key::new(
            "pong_timeout",
            DURATION,
            "Without an answer to a Ping for this long a tunnel is dead and is ended.",
            "pong_timeout: 20s",
        )
        .own()
        .default("20s"),
        Key::new("idle_timeout", TIMEOUT, "A tunnel without messages for this long is ended.", "idle_timeout: 10m")
            .own()
            .default("off"),
        Key::new(
            "max_connections",
            COUNT,
            "Tunnels of this service; beyond, 503 with Retry-After.",
            "max_connections: 50000",
        )
        .own(),
        Key::new(
            "max_connections_per_ip",
            COUNT,
            "Tunnels from one address; beyond, 429.",
            "max_connections_per_ip: 200",
        )
        .own(),
        Key::new(
            "max_handshake_rate",
            RATE,
            "Handshakes a second for each ready instance; more wait up to 5 s, and beyond that get 503 with Retry-After.",
            "max_handshake_rate: 200/s",
        )
        .own(),
        Key::new("max_message", SIZE, "Longest message; beyond, Close 1009.", "max_message: 16MiB").own(),
        Key::new(
            "max_message_rate",
            RATE,
            "Messages a second of one tunnel; beyond, Close 1008.",
            "max_message_rate: 200/s",
        )
        .own(),
        Key::new(
            "origins",
            Shape::ListOrOne(&ORIGIN),
            "Origins whose pages may connect; others get 403.",
            "origins: [https://app.example.com, \"https://*.example.com\"]",
        )
        .own()
        .default("every origin"),
        Key::new("drain", DURATION, "A stopping instance's tunnels are closed over this time.", "drain: 30s")
            .own()
            .default("30s"),
    ],
    old: &[],
    others: Others::Refused,
};

/// The whole section.
pub(crate) fn read(field: &Field<'_>) -> WebSocket {
    let default = WebSocket::default();
    let Some(fields) = field.fields() else { return default };
    let duration =
        |name, default: Duration| fields.get(name).and_then(|field| field.parse(values::duration)).unwrap_or(default);
    let timeout = |name, default| fields.get(name).and_then(|field| field.parse(values::timeout)).unwrap_or(default);
    let count = |name| fields.get(name).and_then(|field| field.integer());
    let origins = fields.get("origins").map(|field| field.items()).unwrap_or_default();
    WebSocket {
        keepalive: timeout("keepalive", default.keepalive),
        pong_timeout: duration("pong_timeout", default.pong_timeout),
        idle_timeout: timeout("idle_timeout", default.idle_timeout),
        max_connections: count("max_connections"),
        max_connections_per_ip: count("max_connections_per_ip"),
        max_handshake_rate: fields.get("max_handshake_rate").and_then(|field| field.parse(values::rate)),
        max_message: fields.get("max_message").and_then(|field| field.parse(values::size)),
        max_message_rate: fields.get("max_message_rate").and_then(|field| field.parse(values::rate)),
        origins: origins.iter().filter_map(|field| field.parse(values::origin)).collect(),
        drain: duration("drain", default.drain),
    }
}
