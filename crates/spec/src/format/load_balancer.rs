//! `load_balancer`: the servers behind it, and how one is chosen.

use std::collections::HashMap;
use std::ops::Range;

use crate::diagnostic::{Diagnostic, codes, quote};
use crate::grammar::{Actor, Key, Numbers, Others, Section, Shape, Text, Word};
use crate::model::{HostPattern, LbEngine, LbPort, LbPorts, LoadBalancer, Server, ServerTls, Sticky, WebSocket};
use crate::reader::Field;
use crate::tree::Kind;

use super::floating::FLOATING;
use super::haproxy::{CONFIGURATION, HAPROXY};
use super::health::CHECK_SHAPE;
use super::service::{BALANCE, PROXY_VERSION, STICKY, balance, proxy_version};
use super::values::{self, DOMAIN, DURATION, HOST_PATTERN, TEXT, TIMEOUT};
use super::websocket::WEBSOCKET;
use super::{floating, haproxy, health, matches, patterns, websocket};

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
        Key::new(
            "floating",
            Shape::Section(&FLOATING),
            "An address that two balancers share, for fermata render keepalived.",
            "floating: {address: 203.0.113.10, interface: eth0, balancers: [203.0.113.8, 203.0.113.9]}",
        )
        .own()
        .actor(Actor::Render),
        Key::new(
            "configuration",
            Shape::Section(&CONFIGURATION),
            "The keys that manifest.yml has there; what stands in load_balancer itself counts more.",
            "configuration: {balance: leastconn, haproxy_username: ops, haproxy_password: s3cret}",
        ),
        Key::new(
            "haproxy",
            Shape::Section(&HAPROXY),
            "Lines of your own for HAProxy's configuration, by section.",
            "haproxy: {global: nbthread 2}",
        )
        .own(),
        Key::new(
            "check",
            CHECK_SHAPE,
            "The same in full, for those who check by a connection or a WebSocket handshake, or at another pace.",
            "check: {type: http, endpoint: /healthz, period: 2, failure_threshold: 3}",
        )
        .own()
        .default("httpchk every 2 s; 2 passes count, and 3 failures"),
        Key::new(
            "ws_check",
            CHECK_SHAPE,
            "How the servers' WebSocket port is checked, where it is another way.",
            "ws_check: {type: websocket, endpoint: /cable}",
        )
        .own()
        .default("as check says"),
        Key::new(
            "ports",
            Shape::Section(&LB_PORTS),
            "Ports of the balancer and of the servers.",
            "ports: {http: 80, https: 443, ws: 8080, wss: 8443}",
        )
        .own(),
        Key::new(
            "pass_through",
            Shape::ListOrOne(&HOST_PATTERN),
            "Names whose TLS on the https port is passed to the servers' https port, where their certificates are; other names end \
             at the balancer, where the file has tls, and are refused where it has none.",
            "pass_through: [app.example.com, \"*.example.org\"]",
        )
        .own()
        .default("with tls no name, without it every name"),
        Key::new(
            "server_tls",
            Shape::Section(&SERVER_TLS),
            "Requests and WebSockets go to the servers' https and wss ports over TLS, and their certificates are verified.",
            "server_tls: {ca: internal.pem, name: web.internal}",
        )
        .own()
        .default("in the clear, to their http and ws ports"),
        Key::new(
            "proxy_protocol",
            PROXY_VERSION,
            "Every connection to a server begins with who the client is; the server trusts this balancer and expects it.",
            "proxy_protocol: v2",
        )
        .own()
        .default("off"),
        Key::new("sticky", STICKY, "Whether a visitor stays on one server.", "sticky: cookie").own().default("cookie"),
        Key::new(
            "slow_start",
            TIMEOUT,
            "A new server gets its full share of new tunnels and requests after this long, and a part of it until then.",
            "slow_start: 30s",
        )
        .own()
        .default("off"),
        Key::new(
            "rebalance",
            TIMEOUT,
            "When servers were added, the others' surplus of tunnels is closed over this time (Close 1012) and comes back evenly.",
            "rebalance: 10m",
        )
        .own()
        .default("off"),
        Key::new("zone", TEXT, "Where the balancer stands: servers there come first.", "zone: eu-west-1a").own(),
        Key::new(
            "wait_after_adding_servers",
            DURATION,
            "A server that was added gets nothing new for so long, in seconds.",
            "wait_after_adding_servers: 30",
        )
        .own()
        .default("0"),
        Key::new(
            "wait_after_removing_servers",
            DURATION,
            "The tunnels of a server that was removed stay for so long before their drain begins, in seconds.",
            "wait_after_removing_servers: 10",
        )
        .own()
        .default("0"),
        Key::new(
            "websocket",
            Shape::Section(&WEBSOCKET),
            "What is done with tunnels on http and https.",
            "websocket: {keepalive: 25s}",
        )
        .own(),
    ],
    old: &[],
    others: Others::Refused,
};

const LB_PORTS: Section = Section {
    name: "ports of a load balancer",
    keys: &[
        Key::new("http", LB_PORT, "Where requests and WebSockets come in.", "http: 80").own().default("80"),
        Key::new("https", LB_PORT, "The same over TLS.", "https: 443").own().default("443"),
        Key::new("ws", LB_PORT, "Passed through; on a server WebSockets go there.", "ws: 8080").own().default("8080"),
        Key::new("wss", LB_PORT, "The same over TLS.", "wss: 8443").own().default("8443"),
    ],
    old: &[],
    others: Others::Refused,
};

const LB_PORT: Shape = Shape::Text(&Text {
    expected: "a port such as 8080, or the balancer's and the servers' such as 80:3000",
    pattern: concat!("^", patterns::port!(), "(:", patterns::port!(), ")?$"),
    numbers: Numbers::Between(1, 65535),
});

const SERVER_TLS: Section = Section {
    name: "server_tls",
    keys: &[
        Key::new("ca", TEXT, "PEM file of the root that vouches for the servers.", "ca: internal.pem")
            .own()
            .default("the system's roots"),
        Key::new("name", DOMAIN, "The name that their certificates are good for.", "name: web.internal")
            .own()
            .default("each server's address"),
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
    let balance = fields.get("balance").and_then(|field| balance(&field));
    let httpchk = fields.get("httpchk").and_then(|field| field.parse(httpchk));
    let (haproxy, configuration) = haproxy::read(&fields);
    let servers = fields.get("servers").map(|field| servers(&field)).unwrap_or_default();
    let timeout = |name| fields.get(name).and_then(|field| field.parse(values::timeout)).flatten();
    let wait = |name| fields.get(name).and_then(|field| values::seconds(&field, values::duration));
    let check = |name| fields.get(name).and_then(|field| health::check(&field));
    Some(LoadBalancer {
        engine,
        servers,
        balance: balance.or(configuration.balance).unwrap_or_default(),
        httpchk: httpchk.or(configuration.httpchk),
        check: check("check"),
        ws_check: check("ws_check"),
        ports: fields.get("ports").map(|field| ports(&field)).unwrap_or_default(),
        pass_through: fields.get("pass_through").map(|field| pass_through(&field)).unwrap_or_default(),
        server_tls: fields.get("server_tls").map(|field| server_tls(&field)),
        proxy_protocol: proxy_version(&fields),
        sticky: match fields.get("sticky").and_then(|field| field.choice()) {
            Some("off") => Sticky::Off,
            _ => Sticky::Cookie,
        },
        slow_start: timeout("slow_start"),
        rebalance: timeout("rebalance"),
        zone: fields.get("zone").and_then(|field| field.text().map(str::to_owned)),
        wait_after_adding_servers: wait("wait_after_adding_servers")
            .or(configuration.wait_after_adding)
            .unwrap_or_default(),
        wait_after_removing_servers: wait("wait_after_removing_servers")
            .or(configuration.wait_after_removing)
            .unwrap_or_default(),
        websocket: fields.get("websocket").map_or_else(WebSocket::default, |field| websocket::read(&field)),
        floating: fields.get("floating").and_then(|field| floating::read(&field)),
        haproxy,
    })
}

fn ports(field: &Field<'_>) -> LbPorts {
    let default = LbPorts::default();
    let Some(fields) = field.fields() else { return default };
    let port = |name, default| fields.get(name).and_then(|field| field.parse(lb_port)).unwrap_or(default);
    LbPorts {
        http: port("http", default.http),
        https: port("https", default.https),
        ws: port("ws", default.ws),
        wss: port("wss", default.wss),
    }
}

/// `8080`, or `80:8080`.
fn lb_port(text: &str) -> Option<LbPort> {
    let (public, server) = text.split_once(':').unwrap_or((text, text));
    let port = |text: &str| {
        let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        text.parse().ok().filter(|port| digits && *port > 0)
    };
    Some(LbPort { public: port(public)?, server: port(server)? })
}

fn pass_through(field: &Field<'_>) -> Vec<HostPattern> {
    let mut names = Vec::new();
    for item in field.items() {
        match matches::pattern(&item) {
            Some(HostPattern::Any) => item.say_help(
                &codes::PASS_THROUGH_ALL,
                "every name is what is passed through where the file has neither tls nor this",
                "name those whose certificates are on the servers, as in pass_through: [app.example.com, \"*.example.org\"]",
            ),
            found => names.extend(found),
        }
    }
    names
}

fn server_tls(field: &Field<'_>) -> ServerTls {
    let Some(fields) = field.fields() else { return ServerTls::default() };
    ServerTls {
        ca: fields.get("ca").and_then(|field| field.text().map(str::to_owned)),
        name: fields.get("name").and_then(|field| field.parse(values::domain)),
    }
}

pub(super) fn httpchk(text: &str) -> Option<String> {
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
