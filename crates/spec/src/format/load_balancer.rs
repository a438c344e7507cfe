//! `load_balancer`: the servers behind it, and how one is chosen.

use std::collections::HashMap;
use std::ops::Range;

use crate::diagnostic::{Diagnostic, codes, quote};
use crate::grammar::{Key, Numbers, Others, Section, Shape, Text, Word};
use crate::model::{Balance, LbEngine, LoadBalancer, Server};
use crate::reader::Field;
use crate::tree::Kind;

use super::patterns;
use super::service::{BALANCE, balance};
use super::values::{self, TEXT};

/// `load_balancer`.
pub(crate) const LOAD_BALANCER: Section = Section {
    name: "load_balancer",
    keys: &[
        Key::new("engine", ENGINE, "What balances.", "engine: builtin").own().default("builtin"),
        Key::new(
            "servers",
            Shape::List(&Shape::Section(&SERVER)),
            "The web servers.",
            "servers: [{name: web1, address: 10.0.0.11}]",
        )
        .own()
        .required(),
        Key::new("balance", BALANCE, "How a server is chosen.", "balance: leastconn").own().default("leastconn"),
        Key::new("httpchk", HTTPCHK, "Request by which servers are checked.", "httpchk: GET /healthz")
            .own()
            .default("GET /healthz"),
    ],
    old: &[],
    others: Others::Refused,
};

const ENGINE: Shape = Shape::Choice(&[
    Word { word: "builtin", about: "Fermata itself." },
    Word { word: "haproxy", about: "A real HAProxy, configured and supervised." },
]);

const HTTPCHK: Shape = Shape::Text(&Text {
    expected: "a request such as GET /healthz",
    pattern: r"^[A-Z]+ /\S*( HTTP/1\.[01])?$",
    numbers: Numbers::None,
});

const SERVER: Section = Section {
    name: "a server",
    keys: &[
        Key::new("name", SERVER_NAME, "What it is called; unique.", "name: web1").own().required(),
        Key::new("address", SERVER_ADDRESS, "Its host name or address.", "address: 10.0.0.11").own().required(),
        Key::new("weight", WEIGHT, "Its share compared to the others.", "weight: 2").own().default("1"),
        Key::new("backup", Shape::Flag, "Used only when no other is alive.", "backup: true").own().default("false"),
        Key::new("zone", TEXT, "Where it stands, in your words.", "zone: eu-west-1a").own(),
    ],
    old: &[],
    others: Others::Refused,
};

/// `HAProxy`'s range (its configuration manual, `weight`), without 0, which would mean "no traffic".
const WEIGHT: Shape = Shape::Integer { min: 1, max: 256 };

const SERVER_NAME: Shape = Shape::Text(&Text {
    expected: "a name of letters, digits, dots, dashes and underscores",
    pattern: "^[A-Za-z0-9_.-]+$",
    numbers: Numbers::None,
});

const SERVER_ADDRESS: Shape = Shape::Text(&Text {
    expected: "a host name or an address, without a port",
    pattern: concat!("^(", patterns::ipv6!(), "|", patterns::name!(), ")$"),
    numbers: Numbers::None,
});

/// The whole of `load_balancer`.
pub(crate) fn read(field: &Field<'_>) -> Option<LoadBalancer> {
    let fields = field.fields()?;
    let engine = match fields.get("engine").and_then(|field| field.choice()) {
        Some("haproxy") => LbEngine::Haproxy,
        _ => LbEngine::Builtin,
    };
    let balance = fields.get("balance").and_then(|field| balance(&field)).unwrap_or_else(Balance::default);
    let httpchk = fields.get("httpchk").and_then(|field| field.parse(httpchk));
    let servers = fields.get("servers").map(|field| servers(&field)).unwrap_or_default();
    Some(LoadBalancer { engine, servers, balance, httpchk })
}

fn httpchk(text: &str) -> Option<String> {
    let mut words = text.split(' ');
    let (method, path) = (words.next()?, words.next()?);
    let version = words.next();
    let good = !method.is_empty()
        && method.bytes().all(|byte| byte.is_ascii_uppercase())
        && path.starts_with('/')
        && !path.contains(char::is_whitespace)
        && matches!(version, None | Some("HTTP/1.0" | "HTTP/1.1"))
        && words.next().is_none();
    good.then(|| text.to_owned())
}

fn servers(field: &Field<'_>) -> Vec<Server> {
    let items = field.items();
    if items.is_empty() && matches!(field.node.kind, Kind::List(_)) {
        field.say_help(&codes::SERVER_NONE, "has no server", "write - {name: web1, address: 10.0.0.11}");
    }
    let mut names: HashMap<String, Range<usize>> = HashMap::new();
    let mut servers = Vec::new();
    for item in &items {
        let Some((server, place)) = server(item) else { continue };
        if let Some(first) = names.get(&server.name) {
            let message = format!("{} is the name of two servers", quote(&server.name));
            let diagnostic = Diagnostic::new(&codes::SERVER_TWICE, item.path.clone(), place, message);
            field
                .reading
                .said
                .add(diagnostic.also(first.clone(), "the first one").help("give each server a name of its own"));
            continue;
        }
        names.insert(server.name.clone(), place);
        servers.push(server);
    }
    servers
}

fn server(field: &Field<'_>) -> Option<(Server, Range<usize>)> {
    let fields = field.fields()?;
    let (name, address) = (fields.get("name"), fields.get("address"));
    let weight = fields.get("weight").and_then(|field| field.integer()).unwrap_or(1);
    let backup = fields.get("backup").and_then(|field| field.flag()).unwrap_or(false);
    let zone = fields.get("zone").and_then(|field| field.text().map(str::to_owned));
    let word = |text: &str| {
        let good = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-');
        (!text.is_empty() && text.bytes().all(good)).then(|| text.to_owned())
    };
    let host = |text: &str| match text.parse::<std::net::IpAddr>() {
        Ok(ip) => Some(ip.to_string()),
        Err(_) => values::domain(text),
    };
    let address = address.and_then(|field| field.parse(host));
    let name = name?;
    let place = name.place.clone();
    Some((Server { name: name.parse(word)?, address: address?, weight, backup, zone }, place))
}
