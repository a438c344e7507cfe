//! `haproxy`: one haproxy.cfg for the load balancer tier, for `HAProxy` 2.4 and newer.
//!
//! On 80, and on 443 where TLS ends here, WebSockets go to the servers' 8080 and everything else to their 80. 8080, 8443 and
//! every other public port of the file are passed through byte for byte. Where the file has no certificate, TLS stays with
//! the servers, and 443 is passed through as well: nobody can see an upgrade inside it. So is the TLS of names that the file
//! has passed through.

mod backends;
mod names;
mod text;

pub use self::names::ENDING;

use std::collections::BTreeMap;
use std::fmt::Write;
use std::net::IpAddr;
use std::time::Duration;

use fermata_spec::{LbPort, LoadBalancer, Severity, Spec};

use self::text::quoted;
use super::{File, Gaps, MARK, Rendered};
use crate::lb::ends_tls;

/// Connections where the file says nothing. `HAProxy` holds some 20,000 in 1 GB (its manual, `maxconn`).
const MOST: u32 = 20_000;

/// An hour of silence is more than the servers' keepalive allows.
const SILENCE: Duration = Duration::from_hours(1);
/// The most that `HAProxy`'s timers hold, near to 2^31 ms; its 0 would not mean "never", but the timeout of requests.
const NEVER: Duration = Duration::from_hours(24 * 24);

/// Where `HAProxy` finds and leaves things on its machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Paths {
    /// Its runtime socket.
    pub socket: String,
    /// The folder with PEM files of certificate, chain and key.
    pub certificates: String,
    /// The socket by which it gives itself the TLS that ends there, where that of other names is passed through.
    pub ending: String,
    /// The folder that files of the service.yml are relative to; as they are written, where there is none.
    pub folder: Option<String>,
    /// A file with the states of servers from before a reload.
    pub states: Option<String>,
}

/// As packages of distributions have it.
impl Default for Paths {
    fn default() -> Self {
        let (socket, certificates) = ("/run/haproxy/admin.sock".into(), "/etc/haproxy/certs".into());
        Paths { socket, certificates, ending: "/run/haproxy/tls.sock".into(), folder: None, states: None }
    }
}

/// What a port of the balancer carries, and where to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Front {
    /// `ws`, `wss` or `tcp`.
    pub scheme: &'static str,
    /// The port.
    pub port: u16,
    /// Sections of the configuration with the servers.
    pub backends: Vec<String>,
}

/// The ports of the balancer.
pub fn fronts(spec: &Spec) -> Vec<Front> {
    let Some(balancer) = &spec.load_balancer else { return Vec::new() };
    let web = |scheme, port: LbPort| Front {
        scheme,
        port: port.public,
        backends: vec!["web".to_owned(), "sockets".to_owned()],
    };
    let mut fronts = vec![web("ws", balancer.ports.http)];
    if !balancer.pass_through.is_empty() {
        let public = balancer.ports.https.public;
        fronts.push(Front { scheme: "tls", port: public, backends: vec![format!("pass-{public}")] });
    }
    if ends_tls(spec) {
        fronts.push(web("wss", balancer.ports.https));
    }
    let passed = passed(spec, balancer, ends_tls(spec));
    fronts.extend(passed.map(|port| Front {
        scheme: "tcp",
        port: port.public,
        backends: vec![format!("pass-{}", port.public)],
    }));
    fronts
}

/// The whole configuration, as packages of distributions have their files.
pub(super) fn render(spec: &Spec) -> Rendered {
    render_with(spec, &Paths::default())
}

/// The whole configuration.
pub fn render_with(spec: &Spec, paths: &Paths) -> Rendered {
    let mut gaps = Gaps::new(spec);
    let Some(balancer) = &spec.load_balancer else {
        gaps.refused(
            "load_balancer",
            "there is no load_balancer section, so that no server is known",
            "write load_balancer: {servers: [{name: web1, address: 10.0.0.11}]}",
        );
        return Rendered { files: Vec::new(), said: gaps.into_sorted() };
    };
    let ends_tls = ends_tls(spec);
    say(&mut gaps, spec, balancer, ends_tls);
    if gaps.said.iter().any(|one| one.severity == Severity::Error) {
        return Rendered { files: Vec::new(), said: gaps.into_sorted() };
    }
    let mut out = format!(
        "{MARK}\n\
         # For HAProxy 2.4 and newer: haproxy -c -f haproxy.cfg, then haproxy -W -f haproxy.cfg.\n"
    );
    global(&mut out, spec, balancer, paths);
    defaults(&mut out, spec, balancer, paths);
    web(&mut out, spec, balancer, ends_tls, paths);
    backends::http(&mut out, balancer, ends_tls, backends::Purpose::Web);
    backends::http(&mut out, balancer, ends_tls, backends::Purpose::Sockets);
    if !balancer.pass_through.is_empty() {
        names::pass(&mut out, spec, balancer, ends_tls, paths);
    }
    for port in passed(spec, balancer, ends_tls) {
        pass(&mut out, spec, balancer, port);
    }
    Rendered { files: vec![File::new("haproxy.cfg", out)], said: gaps.into_sorted() }
}

/// What this balancer does not do, or does differently.
fn say(gaps: &mut Gaps<'_>, spec: &Spec, balancer: &LoadBalancer, ends_tls: bool) {
    let (http, https) = (balancer.ports.http.public, balancer.ports.https.public);
    for (key, why) in [
        ("zone", "HAProxy knows no zones"),
        ("rebalance", "HAProxy closes no WebSocket so that it comes back elsewhere"),
        ("wait_after_adding_servers", "HAProxy asks a new server at once"),
        ("wait_after_removing_servers", "connections to a removed server stay with the older process"),
    ] {
        gaps.left_out_if_there(&format!("load_balancer.{key}"), why, "use engine: builtin, or leave it out");
    }
    if balancer.server_tls.is_some() {
        let path = "load_balancer.server_tls";
        gaps.refused(path, "the way to the servers is in the clear here", "use engine: builtin, or leave it out");
    }
    for service in &spec.services {
        for (number, port) in service.ports.iter().enumerate() {
            let path = |key: &str| format!("services.{}.ports[{number}].{key}", service.name);
            if port.udp.is_some() {
                gaps.left_out(&path("udp"), "HAProxy carries no UDP", "send it to the servers directly");
            }
            let is_alike = !ends_tls && balancer.pass_through.is_empty();
            if port.tcp == Some(http) || port.tcp == Some(https) && !is_alike {
                gaps.refused(
                    &path("tcp"),
                    format!("{http} and {https} carry HTTP at the balancer"),
                    "publish it on another port",
                );
            }
            if port.https == Some(https) && is_alike {
                gaps.changed(
                    &path("https"),
                    format!("{https} is passed through to the servers, since the file has no certificate"),
                    "name one under tls.certificates, if WebSockets there should go to the servers' ws port",
                );
            }
        }
    }
    if spec.tls.acme.is_some() {
        gaps.changed(
            "tls.acme",
            "HAProxy asks no authority for certificates",
            "put them into /etc/haproxy/certs by a client of your own",
        );
    }
}

/// Lines of the user's own, at the end of a section.
fn own(out: &mut String, lines: Option<&String>) {
    let lines = lines.map(|text| text.lines().map(str::trim).filter(|line| !line.is_empty()));
    for line in lines.into_iter().flatten() {
        let _ = writeln!(out, "  {line}");
    }
}

fn global(out: &mut String, spec: &Spec, balancer: &LoadBalancer, paths: &Paths) {
    out.push_str("\nglobal\n");
    // Where it is started by us it finds its own number, by the descriptors that it may have.
    let most = spec.gateway.max_connections.or_else(|| paths.states.is_none().then_some(MOST));
    if let Some(most) = most {
        let _ = writeln!(out, "  maxconn {most}");
    }
    let _ = write!(
        out,
        "  \
           # For changes while it runs; a reload hands the listeners over through it.\n  \
           stats socket {} mode 600 level admin expose-fd listeners\n  \
           # Without it, the process before a reload lives until its last WebSocket ends.\n  \
           hard-stop-after 10m\n",
        quoted(&paths.socket)
    );
    if let Some(states) = &paths.states {
        let _ = writeln!(
            out,
            "  # A server that is drained, or down, stays so over a reload.\n  server-state-file {}",
            quoted(states)
        );
    }
    own(out, balancer.haproxy.snippets.global.as_ref());
}

fn defaults(out: &mut String, spec: &Spec, balancer: &LoadBalancer, paths: &Paths) {
    let connect = millis(spec.gateway.connect_timeout);
    let head = millis(spec.gateway.head_timeout);
    let answer = millis(spec.gateway.answer_timeout);
    let _ = write!(
        out,
        "\ndefaults\n  \
           mode http\n  \
           # Where a server cannot be reached, another one is tried.\n  \
           retries 3\n  \
           option redispatch 1\n  \
           timeout connect {connect}\n  \
           # A head has to arrive within this, else a slow client holds its place for ever.\n  \
           timeout http-request {head}\n  \
           timeout client 60s\n  \
           timeout server {answer}\n  \
           # Once it is a WebSocket or raw, only this counts: less would cut silent ones.\n  \
           timeout tunnel {}\n  \
           # Who has left half of a tunnel does not keep the other half for all that time.\n  \
           timeout client-fin 30s\n  \
           timeout server-fin 30s\n",
        millis(silence(spec, balancer))
    );
    if paths.states.is_some() {
        out.push_str("  load-server-state-from-file global\n");
    }
    for (status, file) in &balancer.haproxy.errorfiles {
        let file = match &paths.folder {
            Some(folder) if !file.starts_with('/') => format!("{folder}/{file}"),
            _ => file.clone(),
        };
        let _ = writeln!(out, "  errorfile {status} {}", quoted(&file));
    }
    own(out, balancer.haproxy.snippets.defaults.as_ref());
    out.push_str(
        "\n# Servers that are named by DNS are looked up again while it runs.\n\
         resolvers dns\n  \
           parse-resolv-conf\n  \
           hold valid 10s\n",
    );
}

/// How long a tunnel may be silent. With keepalive the servers' Pings break every silence.
fn silence(spec: &Spec, balancer: &LoadBalancer) -> Duration {
    let longest = |found: Duration, socket: &fermata_spec::WebSocket| {
        let own = if socket.keepalive.is_some() { SILENCE } else { NEVER };
        found.max(socket.idle_timeout.unwrap_or(own))
    };
    let sockets = spec.services.iter().map(|service| &service.websocket);
    sockets.chain([&balancer.websocket]).fold(SILENCE, longest).min(NEVER)
}

/// 80 and 443, where a WebSocket can be told from other requests.
fn web(out: &mut String, spec: &Spec, balancer: &LoadBalancer, ends_tls: bool, paths: &Paths) {
    let (http, https) = (balancer.ports.http.public, balancer.ports.https.public);
    out.push_str("\nfrontend web\n");
    bind(out, spec, http, "");
    // Where names are told apart, who comes to the https port is announced there.
    let is_alone = balancer.pass_through.is_empty();
    if ends_tls {
        out.push_str("  # PEM files with certificate, chain and key each.\n");
        let certificates = quoted(&format!("{}/", paths.certificates));
        let how = format!(" ssl crt {certificates} alpn h2,http/1.1");
        if is_alone {
            bind(out, spec, https, &how);
        } else {
            names::bind_ending(out, paths, &how);
        }
    }
    announced(out, spec, &[http, https][..=usize::from(ends_tls && is_alone)]);
    let trusted = trusted(spec);
    let believed = if trusted.is_empty() { String::new() } else { format!(" unless {{ src {trusted} }}") };
    looped(out, http);
    let _ = write!(
        out,
        "  # The header decides, never the name: a host that begins with \"ws\" is no WebSocket for that.\n  \
           acl is_websocket hdr(Upgrade) -i websocket\n  \
           # No other protocol is switched to: a tunnel for h2c would pass every rule below.\n  \
           http-request del-header Upgrade unless is_websocket\n  \
           http-request set-header Upgrade websocket if is_websocket\n  \
           # What strangers say about themselves is not passed on.\n  \
           http-request del-header X-Forwarded-For{believed}\n  \
           option forwardfor\n  \
           http-request set-header X-Forwarded-Proto https if {{ ssl_fc }}\n  \
           http-request set-header X-Forwarded-Proto http unless {{ ssl_fc }}\n"
    );
    own(out, balancer.haproxy.snippets.frontend.as_ref());
    out.push_str("  use_backend sockets if is_websocket\n  default_backend web\n");
}

/// What comes back, since the address of a server is the balancer's own, is known by a mark in the header for that (RFC 8586).
fn looped(out: &mut String, port: u16) {
    let _ = write!(
        out,
        "  # A request that was here before would go round for ever.\n  \
           http-request set-var(txn.mark) hostname,regsub(^,fermata-),concat(-{port})\n  \
           http-request return status 508 content-type text/plain string \"508 Loop Detected\\n\\nThis request was here before: \
           an address of a server leads back to this load balancer.\\n\" if {{ req.hdr(CDN-Loop),strcmp(txn.mark) eq 0 }}\n  \
           http-request add-header CDN-Loop %[var(txn.mark)]\n"
    );
}

/// The proxies whose word counts.
fn trusted(spec: &Spec) -> String {
    let networks = spec.gateway.trusted_proxies.iter().map(|network| format!("{}/{}", network.address, network.prefix));
    networks.collect::<Vec<_>>().join(" ")
}

/// The PROXY protocol from those who are trusted, on these ports, as far as the file has it.
fn announced(out: &mut String, spec: &Spec, ports: &[u16]) {
    let (trusted, wanted) = (trusted(spec), &spec.gateway.proxy_protocol);
    let some: Vec<String> = ports.iter().filter(|port| wanted.includes(**port)).map(ToString::to_string).collect();
    if trusted.is_empty() || some.is_empty() {
        return;
    }
    let port = if some.len() < ports.len() { format!(" {{ dst_port {} }}", some.join(" ")) } else { String::new() };
    let _ = writeln!(out, "  tcp-request connection expect-proxy layer4 if {{ src {trusted} }}{port}");
}

/// The ports that are passed through, each once.
fn passed(spec: &Spec, balancer: &LoadBalancer, ends_tls: bool) -> impl Iterator<Item = LbPort> {
    let own = balancer.ports;
    let mut ports = BTreeMap::from([(own.ws.public, own.ws.server), (own.wss.public, own.wss.server)]);
    if !ends_tls && balancer.pass_through.is_empty() {
        ports.insert(own.https.public, own.https.server);
    }
    let four = [own.http, own.https, own.ws, own.wss];
    let public = spec.services.iter().flat_map(|service| &service.ports);
    for port in public.flat_map(|port| [port.http, port.https, port.tcp]).flatten() {
        // Those four are where they are on a server, whatever is published there.
        if !four.iter().any(|one| one.server == port) {
            ports.entry(port).or_insert(port);
        }
    }
    ports.into_iter().map(|(public, server)| LbPort { public, server })
}

fn pass(out: &mut String, spec: &Spec, balancer: &LoadBalancer, port: LbPort) {
    let LbPort { public, server } = port;
    let _ = write!(
        out,
        "\n# Byte for byte to {server} of the servers; TLS stays as it is.\n\
         listen pass-{public}\n  \
           mode tcp\n"
    );
    bind(out, spec, public, "");
    announced(out, spec, &[public]);
    backends::tcp(out, balancer, server);
}

fn bind(out: &mut String, spec: &Spec, port: u16, how: &str) {
    for address in &spec.gateway.bind {
        let _ = match address {
            IpAddr::V4(address) => writeln!(out, "  bind {address}:{port}{how}"),
            IpAddr::V6(address) => writeln!(out, "  bind [{address}]:{port} v6only{how}"),
        };
    }
}

fn millis(time: Duration) -> String {
    match time.as_millis() {
        whole if whole % 3_600_000 == 0 => format!("{}h", whole / 3_600_000),
        whole if whole % 1000 == 0 => format!("{}s", whole / 1000),
        whole => format!("{whole}ms"),
    }
}
