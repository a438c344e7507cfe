//! `tls`, `gateway`, `load_balancer` and `firewall`: Fermata's own sections beside `services`.

use std::collections::HashMap;
use std::ops::Range;
use std::time::Duration;

use crate::diagnostic::{Diagnostic, codes, quote};
use crate::grammar::{Key, Numbers, Others, Section, Shape, Text, Word};
use crate::model::{
    Acme, Balance, Certificate, Firewall, Gateway, LbEngine, LoadBalancer, Protocol, Rule, Server, Tls,
};
use crate::reader::Field;

use super::patterns;
use super::service::{BALANCE, balance};
use super::values::{self, COUNT, DOMAIN, INTERVAL, IP, NETWORK, PORT, SIZE, TEXT};

/// `tls`.
pub(crate) const TLS: Section = Section {
    name: "tls",
    keys: &[
        Key::new(
            "certificates",
            Shape::ListOrOne(&Shape::Section(&CERTIFICATE)),
            "Certificates, chosen by the name that the client asks for, watched, swapped without a restart.",
            "certificates: [{cert: app.pem, key: app.key}]",
        )
        .own()
        .default("a self-signed one, made on the spot"),
        Key::new(
            "acme",
            Shape::Section(&ACME),
            "Certificates from a certificate authority such as Let's Encrypt.",
            "acme: {email: ops@example.com, domains: [app.example.com]}",
        )
        .own(),
    ],
    old: &[],
    others: Others::Refused,
};

const CERTIFICATE: Section = Section {
    name: "a certificate",
    keys: &[
        Key::new(
            "cert",
            TEXT,
            "PEM file with the certificate and its chain, relative to the folder of service.yml.",
            "cert: app.pem",
        )
        .own()
        .required(),
        Key::new("key", TEXT, "PEM file with its private key.", "key: app.key").own().required(),
    ],
    old: &[],
    others: Others::Refused,
};

const ACME: Section = Section {
    name: "acme",
    keys: &[
        Key::new("email", TEXT, "Whom the authority writes to.", "email: ops@example.com").own(),
        Key::new("domains", Shape::ListOrOne(&DOMAIN), "Names to get certificates for.", "domains: [app.example.com]")
            .own()
            .required(),
        Key::new(
            "directory",
            DIRECTORY,
            "The authority's directory URL.",
            "directory: https://acme-v02.api.letsencrypt.org/directory",
        )
        .own()
        .default("Let's Encrypt"),
    ],
    old: &[],
    others: Others::Refused,
};

const DIRECTORY: Shape = Shape::Text(&Text {
    expected: "a URL that begins with https://",
    pattern: r"^https?://\S+$",
    numbers: Numbers::None,
});

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
        Key::new("max_connections", COUNT, "All tunnels and requests together.", "max_connections: 200000").own(),
        Key::new("tester", Shape::Flag, "The tester page at /.fermata/tester.", "tester: true")
            .own()
            .default("only on loopback addresses"),
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

/// `firewall`.
pub(crate) const FIREWALL: Section = Section {
    name: "firewall",
    keys: &[Key::new(
        "rules",
        Shape::List(&Shape::Section(&RULE)),
        "Ports to open beside the default ones.",
        "rules: [{port: 9000, protocol: tcp, from: 203.0.113.0/24}]",
    )
    .own()],
    old: &[],
    others: Others::Refused,
};

const RULE: Section = Section {
    name: "a rule",
    keys: &[
        Key::new("port", PORT, "The port to open.", "port: 9000").own().required(),
        Key::new("protocol", PROTOCOL, "tcp or udp.", "protocol: tcp").own().default("tcp"),
        Key::new("from", NETWORK, "Whose connections are let in.", "from: 203.0.113.0/24").own().default("everybody's"),
    ],
    old: &[],
    others: Others::Refused,
};

const PROTOCOL: Shape = Shape::Choice(&[Word { word: "tcp", about: "TCP." }, Word { word: "udp", about: "UDP." }]);

/// The whole of `tls`.
pub(crate) fn tls(field: &Field<'_>) -> Tls {
    let Some(fields) = field.fields() else { return Tls::default() };
    let certificates = fields.get("certificates").map(|field| field.items()).unwrap_or_default();
    let certificate = |field: &Field<'_>| {
        let fields = field.fields()?;
        let (cert, key) = (fields.get("cert"), fields.get("key"));
        Some(Certificate { cert: cert?.text()?.to_owned(), key: key?.text()?.to_owned() })
    };
    Tls {
        certificates: certificates.iter().filter_map(certificate).collect(),
        acme: fields.get("acme").and_then(|field| acme(&field)),
    }
}

fn acme(field: &Field<'_>) -> Option<Acme> {
    let fields = field.fields()?;
    let domains = fields.get("domains").map(|field| field.items()).unwrap_or_default();
    let url = |text: &str| {
        let rest = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"))?;
        (!rest.is_empty() && !text.contains(char::is_whitespace)).then(|| text.to_owned())
    };
    Some(Acme {
        email: fields.get("email").and_then(|field| field.text().map(str::to_owned)),
        domains: domains.iter().filter_map(|field| field.parse(values::domain)).collect(),
        directory: fields.get("directory").and_then(|field| field.parse(url)),
    })
}

/// The whole of `gateway`.
pub(crate) fn gateway(field: &Field<'_>) -> Gateway {
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
        max_connections: fields.get("max_connections").and_then(|field| field.integer()),
        tester: fields.get("tester").and_then(|field| field.flag()),
        head_timeout: duration("head_timeout", default.head_timeout),
        connect_timeout: duration("connect_timeout", default.connect_timeout),
        answer_timeout: duration("answer_timeout", default.answer_timeout),
        max_head: max_head.unwrap_or(default.max_head),
    }
}

/// The whole of `load_balancer`.
pub(crate) fn load_balancer(field: &Field<'_>) -> Option<LoadBalancer> {
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
    if items.is_empty() && matches!(field.node.kind, crate::tree::Kind::List(_)) {
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

/// The whole of `firewall`.
pub(crate) fn firewall(field: &Field<'_>) -> Firewall {
    let Some(fields) = field.fields() else { return Firewall::default() };
    let rules = fields.get("rules").map(|field| field.items()).unwrap_or_default();
    Firewall { rules: rules.iter().filter_map(rule).collect() }
}

fn rule(field: &Field<'_>) -> Option<Rule> {
    let fields = field.fields()?;
    let port = fields.get("port").and_then(|field| super::ports::port(&field));
    let protocol = match fields.get("protocol").and_then(|field| field.choice()) {
        Some("udp") => Protocol::Udp,
        _ => Protocol::Tcp,
    };
    let from = fields.get("from").and_then(|field| field.parse(values::network));
    Some(Rule { port: port?, protocol, from })
}
