//! The servers: how one is chosen, how it is asked whether it is well.

use std::fmt::Write;

use fermata_spec::{Balance, Check, CheckKind, LoadBalancer, ProxyVersion, Server, Sticky};

use super::text::quoted;

/// The request of checks where the file names none.
const CHECK: &str = "GET /healthz";
/// The key of RFC 6455 1.2: any will do for a handshake that is given up at once.
const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";

/// What a backend is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    /// Ordinary requests.
    Web,
    /// WebSockets.
    Sockets,
}

/// The servers for requests. A visitor stays on one by a cookie that both backends share, so that long polling and the
/// socket that follows it meet the same server.
pub(super) fn http(out: &mut String, balancer: &LoadBalancer, ends_tls: bool, purpose: Purpose) {
    let own = &balancer.haproxy;
    let (name, port, snippet, check) = match purpose {
        Purpose::Web => ("web", balancer.ports.http.server, &own.snippets.web, &balancer.check),
        Purpose::Sockets => {
            let check = if balancer.ws_check.is_some() { &balancer.ws_check } else { &balancer.check };
            ("sockets", balancer.ports.ws.server, &own.snippets.sockets, check)
        }
    };
    let _ = writeln!(out, "\nbackend {name}");
    choice(out, balancer);
    if balancer.sticky == Sticky::Cookie {
        out.push_str("  cookie FERMATA insert indirect nocache httponly\n");
    }
    out.push_str(
        "  # A server that hangs up, or says nothing, before its answer: another one is asked what may be repeated (RFC 9110 9.2.2).\n  \
           retry-on conn-failure empty-response response-timeout\n  \
           http-request disable-l7-retry unless METH_GET or METH_OPTIONS or METH_PUT or METH_DELETE or METH_TRACE\n",
    );
    match check {
        None => by_request(out, balancer),
        Some(check) => in_full(out, check),
    }
    if let Some((user, password)) = own.statistics.as_ref().filter(|_| purpose == Purpose::Web) {
        let account = quoted(&format!("{user}:{password}"));
        let _ = writeln!(out, "  stats enable\n  stats uri /haproxy?stats\n  stats auth {account}");
    }
    for server in &balancer.servers {
        let cookie = match balancer.sticky {
            Sticky::Cookie => format!(" cookie {}", server.name),
            Sticky::Off => String::new(),
        };
        let more = format!("{}{cookie}", announced(balancer, ends_tls));
        line(out, balancer, check.as_ref(), server, port, &more);
    }
    super::own(out, snippet.as_ref());
}

/// The servers behind a port that is passed through: well is who accepts a connection.
pub(super) fn tcp(out: &mut String, balancer: &LoadBalancer, port: u16) {
    choice(out, balancer);
    for server in &balancer.servers {
        line(out, balancer, None, server, port, announced(balancer, false));
    }
    super::own(out, balancer.haproxy.snippets.passed.as_ref());
}

/// How servers are told who the client is; checks say that they speak for themselves.
fn announced(balancer: &LoadBalancer, ends_tls: bool) -> &'static str {
    match balancer.proxy_protocol {
        None => "",
        Some(ProxyVersion::V1) => " send-proxy check-send-proxy",
        Some(ProxyVersion::V2) if ends_tls => " send-proxy-v2-ssl check-send-proxy",
        Some(ProxyVersion::V2) => " send-proxy-v2 check-send-proxy",
    }
}

fn choice(out: &mut String, balancer: &LoadBalancer) {
    out.push_str(match balancer.balance {
        Balance::Leastconn => "  balance leastconn\n",
        Balance::Roundrobin => "  balance roundrobin\n",
        Balance::Random => "  balance random(2)\n",
        // Without the second line a change of the servers moves nearly every client.
        Balance::Source => "  balance source\n  hash-type consistent\n",
    });
}

/// `httpchk`.
fn by_request(out: &mut String, balancer: &LoadBalancer) {
    let mut words = balancer.httpchk.as_deref().unwrap_or(CHECK).split(' ');
    let (method, path) = (words.next().unwrap_or("GET"), words.next().unwrap_or("/"));
    let version = words.next().unwrap_or("HTTP/1.1");
    let headers = &balancer.haproxy.check_headers;
    let mut more = String::new();
    // A request of HTTP/1.1 names a host (RFC 9112 3.2).
    if version == "HTTP/1.1" && !headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("host")) {
        more += " hdr Host haproxy";
    }
    for (name, value) in headers {
        let _ = write!(more, " hdr {name} {}", quoted(value));
    }
    let _ = write!(
        out,
        "  # A path of plain HTTP: a WebSocket's would answer 426, and every server would look dead.\n  \
           option httpchk\n  \
           http-check send meth {method} uri {} ver {version}{more}\n",
        quoted(path)
    );
}

/// `check` or `ws_check`.
fn in_full(out: &mut String, check: &Check) {
    let _ = writeln!(out, "  timeout check {}ms", check.timeout.as_millis());
    let (endpoint, headers, is_websocket) = match &check.kind {
        CheckKind::Tcp | CheckKind::Exec(_) => return,
        CheckKind::Http { endpoint, headers } | CheckKind::Https { endpoint, headers } => (endpoint, headers, false),
        CheckKind::WebSocket { endpoint, headers } => (endpoint, headers, true),
    };
    let mut more = String::new();
    if !headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("host")) {
        more += " hdr Host haproxy";
    }
    if is_websocket {
        let _ = write!(
            more,
            " hdr Connection Upgrade hdr Upgrade websocket hdr Sec-WebSocket-Version 13 hdr Sec-WebSocket-Key '{KEY}'"
        );
    }
    for (name, value) in headers {
        let _ = write!(more, " hdr {name} {}", quoted(value));
    }
    let _ = writeln!(out, "  option httpchk\n  http-check send meth GET uri {} ver HTTP/1.1{more}", quoted(endpoint));
    if is_websocket {
        out.push_str("  http-check expect status 101\n");
    }
}

fn line(out: &mut String, balancer: &LoadBalancer, check: Option<&Check>, server: &Server, port: u16, more: &str) {
    let Server { name, address, weight, backup, zone } = server;
    if let Some(zone) = zone {
        let _ = writeln!(out, "  # zone: {}", zone.escape_debug());
    }
    let (at, lookup) = match address.parse::<std::net::IpAddr>() {
        Ok(std::net::IpAddr::V6(ip)) => (format!("[{ip}]"), ""),
        Ok(ip) => (ip.to_string(), ""),
        Err(_) => (address.clone(), " resolvers dns init-addr last,libc,none"),
    };
    let rhythm = match check {
        None => "check inter 2s rise 2 fall 3".to_owned(),
        Some(check) => {
            let tls = if matches!(check.kind, CheckKind::Https { .. }) { " check-ssl verify none" } else { "" };
            let (rise, fall) = (check.success_threshold, check.failure_threshold);
            format!("check{tls} inter {}ms rise {rise} fall {fall}", check.period.as_millis())
        }
    };
    let slow = balancer.slow_start.map(|time| format!(" slowstart {}ms", time.as_millis())).unwrap_or_default();
    let backup = if *backup { " backup" } else { "" };
    // Sockets of a dead server end at once, instead of when somebody writes.
    let _ = writeln!(
        out,
        "  server {name} {at}:{port} weight {weight} {rhythm} on-marked-down shutdown-sessions{slow}{backup}{lookup}{more}"
    );
}
