//! `haproxy`: one haproxy.cfg for the load balancer tier, for `HAProxy` 2.4 and newer.
//!
//! On 80, and on 443 where TLS ends here, WebSockets go to the servers' 8080 and everything else to their 80. 8080, 8443 and
//! every other public port of the file are passed through byte for byte. Where the file has no certificate, TLS stays with
//! the servers, and 443 is passed through as well: nobody can see an upgrade inside it.

mod backends;
mod text;

use std::collections::BTreeSet;
use std::fmt::Write;
use std::net::IpAddr;
use std::time::Duration;

use fermata_spec::{LoadBalancer, Severity, Spec};

use super::{File, Gaps, MARK, Rendered};

/// The public ports of HTTP and HTTPS (RFC 9110 4.2.1 and 4.2.2).
const HTTP: u16 = 80;
const HTTPS: u16 = 443;
/// Where web servers have their WebSockets, in the clear and over TLS; open on every balancer.
const SOCKETS: u16 = 8080;
const SOCKETS_TLS: u16 = 8443;

/// Connections where the file says nothing. `HAProxy` holds some 20,000 in 1 GB (its manual, `maxconn`).
const MOST: u32 = 20_000;

/// An hour of silence is more than the servers' keepalive allows.
const SILENCE: Duration = Duration::from_hours(1);
/// The most that `HAProxy`'s timers hold, near to 2^31 ms; its 0 would not mean "never", but the timeout of requests.
const NEVER: Duration = Duration::from_hours(24 * 24);

/// The whole configuration.
pub(super) fn render(spec: &Spec) -> Rendered {
    let mut gaps = Gaps::new(spec);
    let Some(balancer) = &spec.load_balancer else {
        gaps.refused(
            "load_balancer",
            "there is no load_balancer section, so that no server is known",
            "write load_balancer: {servers: [{name: web1, address: 10.0.0.11}]}",
        );
        return Rendered { files: Vec::new(), said: gaps.into_sorted() };
    };
    let ends_tls = !spec.tls.certificates.is_empty() || spec.tls.acme.is_some();
    say(&mut gaps, spec, ends_tls);
    if gaps.said.iter().any(|one| one.severity == Severity::Error) {
        return Rendered { files: Vec::new(), said: gaps.into_sorted() };
    }
    let mut out = format!(
        "{MARK}\n\
         # For HAProxy 2.4 and newer: haproxy -c -f haproxy.cfg, then haproxy -W -f haproxy.cfg.\n"
    );
    global(&mut out, spec);
    defaults(&mut out, spec);
    web(&mut out, spec, ends_tls);
    backends::http(&mut out, balancer, "web", HTTP);
    backends::http(&mut out, balancer, "sockets", SOCKETS);
    for port in passed(spec, ends_tls) {
        pass(&mut out, spec, balancer, port);
    }
    Rendered { files: vec![File::new("haproxy.cfg", out)], said: gaps.into_sorted() }
}

/// What this balancer does not do, or does differently.
fn say(gaps: &mut Gaps<'_>, spec: &Spec, ends_tls: bool) {
    for service in &spec.services {
        for (number, port) in service.ports.iter().enumerate() {
            let path = |key: &str| format!("services.{}.ports[{number}].{key}", service.name);
            if port.udp.is_some() {
                gaps.left_out(&path("udp"), "HAProxy carries no UDP", "send it to the servers directly");
            }
            if port.tcp == Some(HTTP) || port.tcp == Some(HTTPS) && ends_tls {
                gaps.refused(&path("tcp"), "80 and 443 carry HTTP at the balancer", "publish it on another port");
            }
            if port.https == Some(HTTPS) && !ends_tls {
                gaps.changed(
                    &path("https"),
                    "443 is passed through to 443 of the servers, since the file has no certificate",
                    "name one under tls.certificates, if WebSockets on 443 should go to 8080",
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

fn global(out: &mut String, spec: &Spec) {
    let most = spec.gateway.max_connections.unwrap_or(MOST);
    let _ = write!(
        out,
        "\nglobal\n  \
           maxconn {most}\n  \
           # For changes while it runs; a reload hands the listeners over through it.\n  \
           stats socket /run/haproxy/admin.sock mode 600 level admin expose-fd listeners\n  \
           # Without it, the process before a reload lives until its last WebSocket ends.\n  \
           hard-stop-after 10m\n"
    );
}

fn defaults(out: &mut String, spec: &Spec) {
    let connect = millis(spec.gateway.connect_timeout);
    let head = millis(spec.gateway.head_timeout);
    let answer = millis(spec.gateway.answer_timeout);
    let _ = write!(
        out,
        "\ndefaults\n  \
           mode http\n  \
           # A server that cannot be reached is tried again, in the end another one.\n  \
           retries 3\n  \
           option redispatch\n  \
           timeout connect {connect}\n  \
           # A head has to arrive within this, else a slow client holds its place for ever.\n  \
           timeout http-request {head}\n  \
           timeout client 60s\n  \
           timeout server {answer}\n  \
           # Once it is a WebSocket or raw, only this counts: less would cut silent ones.\n  \
           timeout tunnel {}\n  \
           # Who has left half of a tunnel does not keep the other half for all that time.\n  \
           timeout client-fin 30s\n  \
           timeout server-fin 30s\n\
         \n\
         # Servers that are named by DNS are looked up again while it runs.\n\
         resolvers dns\n  \
           parse-resolv-conf\n  \
           hold valid 10s\n",
        millis(silence(spec))
    );
}

/// How long a tunnel may be silent. With keepalive the servers' Pings break every silence.
fn silence(spec: &Spec) -> Duration {
    let longest = |found: Duration, service: &fermata_spec::Service| {
        let socket = &service.websocket;
        let own = if socket.keepalive.is_some() { SILENCE } else { NEVER };
        found.max(socket.idle_timeout.unwrap_or(own))
    };
    spec.services.iter().fold(SILENCE, longest).min(NEVER)
}

/// 80 and 443, where a WebSocket can be told from other requests.
fn web(out: &mut String, spec: &Spec, ends_tls: bool) {
    out.push_str("\nfrontend web\n");
    bind(out, spec, HTTP, "");
    if ends_tls {
        out.push_str("  # PEM files with certificate, chain and key each.\n");
        bind(out, spec, HTTPS, " ssl crt /etc/haproxy/certs/ alpn h2,http/1.1");
    }
    let trusted: Vec<String> =
        spec.gateway.trusted_proxies.iter().map(|network| format!("{}/{}", network.address, network.prefix)).collect();
    let believed = if trusted.is_empty() { String::new() } else { format!(" unless {{ src {} }}", trusted.join(" ")) };
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
           http-request set-header X-Forwarded-Proto http unless {{ ssl_fc }}\n  \
           use_backend sockets if is_websocket\n  \
           default_backend web\n"
    );
}

/// The ports that are passed through, each once.
fn passed(spec: &Spec, ends_tls: bool) -> impl Iterator<Item = u16> {
    let mut ports = BTreeSet::from([SOCKETS, SOCKETS_TLS]);
    if !ends_tls {
        ports.insert(HTTPS);
    }
    let public = spec.services.iter().flat_map(|service| &service.ports);
    let public = public.flat_map(|port| [port.http, port.https, port.tcp]).flatten();
    ports.extend(public.filter(|port| ![HTTP, HTTPS].contains(port)));
    ports.into_iter()
}

fn pass(out: &mut String, spec: &Spec, balancer: &LoadBalancer, port: u16) {
    let _ = write!(
        out,
        "\n# Byte for byte to {port} of the servers; TLS stays as it is.\n\
         listen pass-{port}\n  \
           mode tcp\n"
    );
    bind(out, spec, port, "");
    backends::tcp(out, balancer, port);
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
