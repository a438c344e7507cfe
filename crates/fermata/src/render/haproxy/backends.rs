//! The servers: how one is chosen, how it is asked whether it is well.

use std::fmt::Write;

use fermata_spec::{Balance, LoadBalancer, Server};

use super::text::quoted;

/// The request of checks where the file names none.
const CHECK: &str = "GET /healthz";

/// The servers for requests. A visitor stays on one by a cookie that both backends share, so that long polling and the
/// socket that follows it meet the same server.
pub(super) fn http(out: &mut String, balancer: &LoadBalancer, name: &str, port: u16) {
    let _ = writeln!(out, "\nbackend {name}");
    choice(out, balancer);
    out.push_str("  cookie FERMATA insert indirect nocache httponly\n");
    check(out, balancer);
    for server in &balancer.servers {
        let cookie = format!(" cookie {}", server.name);
        line(out, server, port, &cookie);
    }
}

/// The servers behind a port that is passed through: well is who accepts a connection.
pub(super) fn tcp(out: &mut String, balancer: &LoadBalancer, port: u16) {
    choice(out, balancer);
    balancer.servers.iter().for_each(|server| line(out, server, port, ""));
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

fn check(out: &mut String, balancer: &LoadBalancer) {
    let mut words = balancer.httpchk.as_deref().unwrap_or(CHECK).split(' ');
    let (method, path) = (words.next().unwrap_or("GET"), words.next().unwrap_or("/"));
    let version = match words.next() {
        Some("HTTP/1.0") => "HTTP/1.0",
        // A request of HTTP/1.1 names a host (RFC 9112 3.2).
        _ => "HTTP/1.1 hdr Host haproxy",
    };
    let _ = write!(
        out,
        "  # A path of plain HTTP: a WebSocket's would answer 426, and every server would look dead.\n  \
           option httpchk\n  \
           http-check send meth {method} uri {} ver {version}\n",
        quoted(path)
    );
}

fn line(out: &mut String, server: &Server, port: u16, more: &str) {
    let Server { name, address, weight, backup, zone } = server;
    if let Some(zone) = zone {
        let _ = writeln!(out, "  # zone: {}", zone.escape_debug());
    }
    let (at, lookup) = match address.parse::<std::net::IpAddr>() {
        Ok(std::net::IpAddr::V6(ip)) => (format!("[{ip}]"), ""),
        Ok(ip) => (ip.to_string(), ""),
        Err(_) => (address.clone(), " resolvers dns init-addr last,libc,none"),
    };
    let backup = if *backup { " backup" } else { "" };
    // Sockets of a dead server end at once, instead of when somebody writes.
    let _ = writeln!(
        out,
        "  server {name} {at}:{port} weight {weight} check inter 2s rise 2 fall 3 on-marked-down shutdown-sessions{backup}{lookup}{more}"
    );
}
