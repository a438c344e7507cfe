//! `health`: `default`, `none`, or up to three checks; and version 1's single check.

use std::time::Duration;

use crate::diagnostic::{codes, quote};
use crate::grammar::{Key, Now, Numbers, OldKey, Others, Section, Shape, Text, Word};
use crate::model::{Check, CheckKind, Health};
use crate::reader::{Field, Fields};
use crate::tree::Kind;

use super::values::{self, COUNT, DURATION, ENDPOINT, INTERVAL, PORT, TEXT};

/// `health`.
pub(crate) const HEALTH: Shape = Shape::Either(&[
    Shape::Choice(&[
        Word { word: "default", about: "The image's own HEALTHCHECK, or a TCP connection where it has none." },
        Word { word: "none", about: "Ready as soon as the port accepts connections." },
    ]),
    Shape::Section(&CHECKS),
]);

const CHECKS: Section = Section {
    name: "health",
    keys: &[
        Key::new(
            "ready",
            CHECK_SHAPE,
            "Gate for traffic: an instance gets none until it passes, and none while it fails.",
            "ready: {type: http, endpoint: /healthz}",
        ),
        Key::new("alive", CHECK_SHAPE, "An instance that fails it is restarted.", "alive: {type: tcp}"),
        Key::new(
            "startup",
            CHECK_SHAPE,
            "Suspends the other two until it passes for the first time.",
            "startup: {type: exec, command: /bin/started}",
        ),
    ],
    old: &[
        OldKey { name: "type", shape: TEXT, now: Now::Reshaped },
        OldKey { name: "endpoint", shape: ENDPOINT, now: Now::Reshaped },
        OldKey { name: "protocol", shape: TEXT, now: Now::Reshaped },
        OldKey { name: "timeout", shape: DURATION, now: Now::Reshaped },
        OldKey { name: "accept", shape: Shape::ListOrOne(&TEXT), now: Now::Reshaped },
    ],
    others: Others::Refused,
};

pub(crate) const CHECK_SHAPE: Shape = Shape::Section(&CHECK);

const CHECK: Section = Section {
    name: "a health check",
    keys: &[
        Key::new("type", TYPE, "What is done.", "type: http").default("http"),
        Key::new("endpoint", ENDPOINT, "Path of the request, for http, https and websocket.", "endpoint: /healthz")
            .default("/"),
        Key::new(
            "command",
            TEXT,
            "What is run in the instance, for exec; exit code 0 passes.",
            "command: /bin/healthy",
        ),
        Key::new("timeout", INTERVAL, "How long an answer may take.", "timeout: 5").default("5"),
        Key::new("success_threshold", COUNT, "Passes in a row that count as healthy.", "success_threshold: 1")
            .default("1"),
        Key::new("failure_threshold", COUNT, "Failures in a row that count as unhealthy.", "failure_threshold: 3")
            .default("1"),
        Key::new("initial_delay", DURATION, "Wait before the first check.", "initial_delay: 2").default("1"),
        Key::new("period", INTERVAL, "Time from check to check.", "period: 10").default("5"),
        Key::new("port", PORT, "Port to check.", "port: 3000").default("the first container port"),
        Key::new(
            "http_headers",
            Shape::List(&Shape::Section(&HEADER)),
            "Headers of the request, for http, https and websocket.",
            "http_headers: [{name: Host, value: app.example.com}]",
        ),
    ],
    old: &[OldKey { name: "protocol", shape: TEXT, now: Now::Ended("type says the protocol") }],
    others: Others::Ignored,
};

const TYPE: Shape = Shape::Choice(&[
    Word { word: "http", about: "GET over HTTP; an answer from 200 to 399 passes." },
    Word { word: "https", about: "The same over TLS; the certificate is not verified." },
    Word { word: "tcp", about: "A TCP connection." },
    Word { word: "exec", about: "A command in the instance that exits with 0." },
    Word { word: "websocket", about: "A WebSocket handshake. Fermata's own." },
]);

const HEADER: Section = Section {
    name: "a header",
    keys: &[
        Key::new("name", HEADER_NAME, "Name of the header.", "name: Host").required(),
        Key::new("value", TEXT, "Its value.", "value: app.example.com").required(),
    ],
    old: &[],
    others: Others::Refused,
};

/// A token of RFC 9110, 5.6.2.
const HEADER_NAME: Shape = Shape::Text(&Text {
    expected: "the name of a header such as X-Check",
    pattern: r"^[A-Za-z0-9!#$%&'*+.^_`|~-]+$",
    numbers: Numbers::None,
});

/// Last parts of paths that usually take WebSocket handshakes and nothing else.
const WEBSOCKET_PATHS: &[&str] = &["ws", "wss", "websocket", "websockets", "socket", "cable", "socket.io", "sockjs"];

/// The whole of `health`.
pub(crate) fn read(field: &Field<'_>) -> Health {
    let Kind::Map(_) = field.node.kind else {
        let words = Field { shape: &WORDS, ..field.clone() };
        return match words.choice() {
            Some("default") => Health::Default,
            _ => Health::None,
        };
    };
    let Some(fields) = field.fields_of(&CHECKS) else { return Health::None };
    let read = |name| fields.get(name).and_then(|field| check(&field));
    let (ready, alive, startup) = (read("ready"), read("alive"), read("startup"));
    let ready = ready.or_else(|| version_1(field, &fields));
    if ready.is_none() && alive.is_none() && startup.is_none() {
        return Health::None;
    }
    Health::Checks { ready, alive, startup }
}

const WORDS: Shape = match HEALTH {
    Shape::Either([words, ..]) => *words,
    _ => HEALTH,
};

pub(crate) fn check(field: &Field<'_>) -> Option<Check> {
    let fields = field.fields()?;
    let seconds = |name, default| match fields.get(name) {
        Some(field) => values::seconds(&field, values::interval).unwrap_or(Duration::from_secs(default)),
        None => Duration::from_secs(default),
    };
    let count = |name| fields.get(name).and_then(|field| field.integer()).unwrap_or(1);
    Some(Check {
        kind: kind(field, &fields),
        port: fields.get("port").and_then(|field| super::ports::port(&field)),
        timeout: seconds("timeout", 5),
        success_threshold: count("success_threshold"),
        failure_threshold: count("failure_threshold"),
        initial_delay: fields
            .get("initial_delay")
            .and_then(|field| values::seconds(&field, values::duration))
            .unwrap_or(Duration::from_secs(1)),
        period: seconds("period", 5),
    })
}

fn kind(field: &Field<'_>, fields: &Fields<'_>) -> CheckKind {
    let (written, endpoint, command) = (fields.get("type"), fields.get("endpoint"), fields.get("command"));
    let headers = fields.get("http_headers").map(|field| headers(&field)).unwrap_or_default();
    let path = endpoint.as_ref().and_then(|field| field.parse(values::endpoint)).unwrap_or_else(|| "/".to_owned());
    let name = written.as_ref().and_then(Field::choice).unwrap_or("http");
    if let Some(command) = command.as_ref().filter(|_| name != "exec") {
        command.say_help(
            &codes::HEALTH_UNUSED,
            format!("command has no effect with type {name}"),
            "write type: exec, or remove it",
        );
        // It has to be one all the same.
        command.text();
    }
    if let Some(endpoint) = endpoint.as_ref().filter(|_| matches!(name, "tcp" | "exec")) {
        endpoint.say_help(
            &codes::HEALTH_UNUSED,
            format!("endpoint has no effect with type {name}"),
            "write type: http, or remove it",
        );
    }
    match name {
        "tcp" => CheckKind::Tcp,
        "exec" => CheckKind::Exec(exec(field, command)),
        "websocket" => CheckKind::WebSocket { endpoint: path, headers },
        _ => {
            if let Some(endpoint) = endpoint {
                warn_websocket(&endpoint, &path);
            }
            if name == "https" {
                CheckKind::Https { endpoint: path, headers }
            } else {
                CheckKind::Http { endpoint: path, headers }
            }
        }
    }
}

fn exec(field: &Field<'_>, command: Option<Field<'_>>) -> String {
    if command.is_none() {
        let place = field.key_place.clone();
        let field = Field { place, ..field.clone() };
        field.say_help(
            &codes::HEALTH_COMMAND,
            "type exec needs command",
            "write command: with what to run; exit code 0 passes",
        );
    }
    command.and_then(|field| super::environment::command(&field)).unwrap_or_default()
}

fn headers(field: &Field<'_>) -> Vec<(String, String)> {
    let header = |field: &Field<'_>| {
        let fields = field.fields()?;
        let (name, value) = (fields.get("name"), fields.get("value"));
        let name = name?.parse(|text| is_token(text).then(|| text.to_owned()))?;
        let value = value?.parse(|text| (!text.contains(['\r', '\n', '\0'])).then(|| text.to_owned()))?;
        Some((name, value))
    };
    field.items().iter().filter_map(header).collect()
}

fn is_token(text: &str) -> bool {
    let token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+.^_`|~-".contains(&byte);
    !text.is_empty() && text.bytes().all(token)
}

fn warn_websocket(field: &Field<'_>, path: &str) {
    let path = path.split(['?', '#']).next().unwrap_or_default();
    let last = path.trim_end_matches('/').rsplit('/').next().unwrap_or_default();
    if WEBSOCKET_PATHS.contains(&last.to_ascii_lowercase().as_str()) {
        let message =
            format!("{} looks like a WebSocket path; a plain GET there is answered with 400 or 426", quote(path));
        field.say_help(&codes::HEALTH_WEBSOCKET, message, "use a path that answers HTTP, or type: websocket");
    }
}

/// `{type: inbound, endpoint: /, protocol: HTTP, timeout: 30s, accept: [200]}`: version 1 asked once, at the deploy.
fn version_1(field: &Field<'_>, fields: &Fields<'_>) -> Option<Check> {
    let old = ["type", "endpoint", "protocol", "timeout", "accept"].map(|name| fields.old(name));
    let first = old.iter().flatten().next()?;
    let [kind, endpoint, protocol, timeout, accept] = &old;
    let kind = kind.as_ref().and_then(Field::text).unwrap_or("inbound");
    let https = protocol.as_ref().and_then(Field::text).is_some_and(|protocol| protocol.eq_ignore_ascii_case("https"));
    let path = endpoint.as_ref().and_then(|field| field.parse(values::endpoint)).unwrap_or_else(|| "/".to_owned());
    let timeout = timeout.as_ref().and_then(|field| field.parse(values::duration));
    if let Some(accept) = accept {
        accept.items().iter().for_each(|field| _ = field.text());
    }
    let message = if kind == "outbound" {
        "version 1's outbound check, in which the service reports itself, has no successor"
    } else {
        "this is version 1's form of a health check"
    };
    let help = format!("write health: {{ready: {{type: {}, endpoint: {path}}}}}", if https { "https" } else { "http" });
    let place = first.key_place.clone();
    Field { place, ..field.clone() }.say_help(&codes::HEALTH_V1, message, help);
    if kind == "outbound" {
        return None;
    }
    let (endpoint, headers) = (path, Vec::new());
    let seconds = Duration::from_secs;
    Some(Check {
        kind: if https { CheckKind::Https { endpoint, headers } } else { CheckKind::Http { endpoint, headers } },
        port: None,
        timeout: timeout.unwrap_or(seconds(5)),
        success_threshold: 1,
        failure_threshold: 1,
        initial_delay: seconds(1),
        period: seconds(5),
    })
}
