//! What only `HAProxy` understands: lines of the user's own, and `load_balancer.configuration` as manifest.yml has it.

use std::time::Duration;

use crate::grammar::{Key, Numbers, Others, Section, Shape, Text, Word};
use crate::model::{Balance, Haproxy, Snippets};
use crate::reader::{Field, Fields};

use super::values::{DURATION, TEXT, seconds};
use super::{load_balancer, values};

/// `load_balancer.haproxy`.
pub(crate) const HAPROXY: Section = Section {
    name: "haproxy",
    keys: &[
        Key::new("global", TEXT, "Lines at the end of the section global.", "global: nbthread 2").own(),
        Key::new("defaults", TEXT, "Lines at the end of the section defaults.", "defaults: timeout queue 5s").own(),
        Key::new(
            "frontend",
            TEXT,
            "Lines in the frontend on 80 and 443, before a backend is chosen.",
            r#"frontend: "http-request deny if { path_beg /internal }""#,
        )
        .own(),
        Key::new("web", TEXT, "Lines in the backend for requests.", "web: http-response del-header Server").own(),
        Key::new("sockets", TEXT, "Lines in the backend for WebSockets.", "sockets: timeout tunnel 2h").own(),
        Key::new("passed", TEXT, "Lines for every port that is passed through.", "passed: timeout tunnel 2h").own(),
    ],
    old: &[],
    others: Others::Refused,
};

/// `load_balancer.configuration`.
pub(crate) const CONFIGURATION: Section = Section {
    name: "configuration",
    keys: &[
        Key::new(
            "httpchk",
            MANIFEST_HTTPCHK,
            "Request by which servers are checked, with headers where it has some.",
            r#"httpchk: "HEAD /healthz HTTP/1.1\r\nHost:app.example.com""#,
        ),
        Key::new("balance", MANIFEST_BALANCE, "How a server is chosen.", "balance: leastconn"),
        Key::new("haproxy_username", TEXT, "Who may see HAProxy's statistics page.", "haproxy_username: ops"),
        Key::new("haproxy_password", TEXT, "By which password.", "haproxy_password: s3cret"),
        Key::new("wait_after_adding_servers", DURATION, "In seconds.", "wait_after_adding_servers: 30").default("0"),
        Key::new("wait_after_removing_servers", DURATION, "In seconds.", "wait_after_removing_servers: 10")
            .default("0"),
        errorfile("errorfile_400", "errorfile_400: errors/400.http"),
        errorfile("errorfile_403", "errorfile_403: errors/403.http"),
        errorfile("errorfile_408", "errorfile_408: errors/408.http"),
        errorfile("errorfile_500", "errorfile_500: errors/500.http"),
        errorfile("errorfile_502", "errorfile_502: errors/502.http"),
        errorfile("errorfile_503", "errorfile_503: errors/503.http"),
        errorfile("errorfile_504", "errorfile_504: errors/504.http"),
    ],
    old: &[],
    others: Others::Refused,
};

const fn errorfile(name: &'static str, example: &'static str) -> Key {
    Key::new(name, TEXT, "File with HAProxy's whole answer of this status.", example)
}

const MANIFEST_BALANCE: Shape = Shape::Choice(&[
    Word { word: "roundrobin", about: "One after the other." },
    Word { word: "leastconn", about: "Fewest live connections and tunnels." },
    Word { word: "source", about: "By the visitor's address." },
]);

const MANIFEST_HTTPCHK: Shape = Shape::Text(&Text {
    expected: r#"a request such as "HEAD /healthz HTTP/1.1\r\nHost:app.example.com""#,
    pattern: r"^[A-Z]+ /[^\s\\]*( HTTP/1\.[01])?((\r\n|\\r\\n)[A-Za-z0-9-]+:[^\r\n\\]*)*$",
    numbers: Numbers::None,
});

/// What `load_balancer.configuration` says; what stands in `load_balancer` itself counts more.
#[derive(Debug, Default)]
pub(super) struct Configuration {
    pub(super) httpchk: Option<String>,
    pub(super) balance: Option<Balance>,
    pub(super) wait_after_adding: Option<Duration>,
    pub(super) wait_after_removing: Option<Duration>,
}

/// Both sections.
pub(super) fn read(fields: &Fields<'_>) -> (Haproxy, Configuration) {
    let mut haproxy = Haproxy {
        snippets: fields.get("haproxy").map(|field| snippets(&field)).unwrap_or_default(),
        ..Haproxy::default()
    };
    let Some(fields) = fields.get("configuration").and_then(|field| field.fields()) else {
        return (haproxy, Configuration::default());
    };
    let text = |name| fields.get(name).and_then(|field| field.text().map(str::to_owned));
    haproxy.statistics = text("haproxy_username").zip(text("haproxy_password"));
    for key in CONFIGURATION.keys {
        let status = key.name.strip_prefix("errorfile_").and_then(|status| status.parse().ok());
        haproxy.errorfiles.extend(status.and_then(|status| Some((status, text(key.name)?))));
    }
    let check = fields.get("httpchk").and_then(|field| field.parse(httpchk));
    let (httpchk, headers) = check.map(|(request, headers)| (Some(request), headers)).unwrap_or_default();
    haproxy.check_headers = headers;
    let balance = fields.get("balance").and_then(|field| match field.choice()? {
        "roundrobin" => Some(Balance::Roundrobin),
        "source" => Some(Balance::Source),
        _ => Some(Balance::Leastconn),
    });
    let wait = |name| fields.get(name).and_then(|field| seconds(&field, values::duration));
    let wait_after_adding = wait("wait_after_adding_servers");
    let wait_after_removing = wait("wait_after_removing_servers");
    (haproxy, Configuration { httpchk, balance, wait_after_adding, wait_after_removing })
}

fn snippets(field: &Field<'_>) -> Snippets {
    let Some(fields) = field.fields() else { return Snippets::default() };
    let text = |name| fields.get(name).and_then(|field| field.text().map(str::to_owned));
    Snippets {
        global: text("global"),
        defaults: text("defaults"),
        frontend: text("frontend"),
        web: text("web"),
        sockets: text("sockets"),
        passed: text("passed"),
    }
}

type Header = (String, String);

/// The request line and the headers, with line ends as YAML reads them in double quotes or leaves them outside of these.
fn httpchk(text: &str) -> Option<(String, Vec<Header>)> {
    let text = text.replace(r"\r\n", "\r\n");
    let mut lines = text.split("\r\n");
    let request = load_balancer::httpchk(lines.next()?).filter(|request| !request.contains('\\'))?;
    let header = |line: &str| {
        let (name, value) = line.split_once(':')?;
        let good = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
        let plain = !value.contains(['\r', '\n', '\\']);
        (good && plain).then(|| (name.to_owned(), value.trim().to_owned()))
    };
    Some((request, lines.map(header).collect::<Option<_>>()?))
}
