//! The load balancer tier of a file: one service, whose instances are the web servers, behind the ports of the balancer.
//!
//! Pure: a `Spec` in, the `Spec` that the balancer runs out. From there on it is what `fermata up` runs, with remote
//! instances: reloads, drains and upgrades know of no difference.

use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use fermata_spec::{Constraints, Health, LbPort, LoadBalancer, Port, SecurityContext, Service, Source, Spec, Workload};

/// The name of that service, in status, logs and cookies.
pub const SERVICE: &str = "servers";

/// Why a file is none for a load balancer: each with its place, and what to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Obstacle {
    /// Path of the value.
    pub path: String,
    /// What is wrong.
    pub message: String,
    /// What to do.
    pub help: String,
}

impl Obstacle {
    fn new(path: impl Into<String>, message: impl Into<String>, help: impl Into<String>) -> Obstacle {
        Obstacle { path: path.into(), message: message.into(), help: help.into() }
    }
}

impl fmt::Display for Obstacle {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}: {}; {}", self.path, self.message, self.help)
    }
}

/// Whether TLS ends at the balancer: where the file has certificates for it.
pub fn ends_tls(spec: &Spec) -> bool {
    !spec.tls.certificates.is_empty() || spec.tls.acme.is_some()
}

/// What the balancer of `spec` runs. `is_ours` tells whether an address is one of this machine.
pub fn tier(spec: &Spec, is_ours: impl Fn(IpAddr) -> bool) -> Result<Spec, Vec<Obstacle>> {
    let Some(balancer) = &spec.load_balancer else {
        return Err(vec![Obstacle::new(
            "load_balancer",
            "there is no load_balancer section, so that no server is known",
            "write load_balancer: {servers: [{name: web1, address: 10.0.0.11}]}",
        )]);
    };
    let mut obstacles = Vec::new();
    let ports = ports(spec, balancer, &mut obstacles);
    obstacles.extend(loops(spec, balancer, &ports, is_ours));
    if !obstacles.is_empty() {
        return Err(obstacles);
    }
    let tier = Spec { services: vec![service(balancer, ports)], databases: Vec::new(), ..spec.clone() };
    Ok(tier)
}

/// The ways from public ports to ports of the servers.
fn ports(spec: &Spec, balancer: &LoadBalancer, obstacles: &mut Vec<Obstacle>) -> Vec<Port> {
    let mut taken = BTreeMap::new();
    let mut ports = Vec::new();
    let own = balancer.ports;
    let mut add = |key: &'static str, public: u16, port: Port| match taken.insert(public, key) {
        None => ports.push(port),
        Some(other) => obstacles.push(Obstacle::new(
            format!("load_balancer.ports.{key}"),
            format!("{public} is the port of {other} as well"),
            "give each a port of its own",
        )),
    };
    let (requests, websockets) = if balancer.server_tls.is_some() {
        (own.https.server, own.wss.server)
    } else {
        (own.http.server, own.ws.server)
    };
    let web = Port { container: requests, websocket: Some(websockets), ..NO_PORT };
    add("http", own.http.public, Port { http: Some(own.http.public), ..web });
    let by_name = Port { container: own.https.server, tls: Some(own.https.public), ..NO_PORT };
    let https = match (ends_tls(spec), balancer.pass_through.is_empty()) {
        (true, _) => Port { https: Some(own.https.public), ..web },
        (false, true) => passed(own.https),
        (false, false) => by_name,
    };
    add("https", own.https.public, https);
    add("ws", own.ws.public, passed(own.ws));
    add("wss", own.wss.public, passed(own.wss));
    let mut others: Vec<Port> = Vec::new();
    for (service, port) in
        spec.services.iter().flat_map(|service| service.ports.iter().map(move |port| (service, port)))
    {
        for public in [port.http, port.https, port.tcp].into_iter().flatten() {
            // Those four are where they are on a server, whatever is published there.
            let is_own = [own.http, own.https, own.ws, own.wss].iter().any(|one| one.server == public);
            if is_own || others.iter().any(|other| other.tcp == Some(public)) {
                continue;
            }
            if let Some(key) = taken.get(&public) {
                obstacles.push(Obstacle::new(
                    format!("services.{}.ports", service.name),
                    format!(
                        "{public} would be passed through to {public} of the servers, but is {key} of the balancer"
                    ),
                    "publish the service on another port",
                ));
                continue;
            }
            others.push(Port { container: public, tcp: Some(public), ..NO_PORT });
        }
        if let Some(public) = port.udp
            && !others.iter().any(|other| other.udp == Some(public))
        {
            others.push(Port { container: public, udp: Some(public), ..NO_PORT });
        }
    }
    ports.extend(others);
    if ends_tls(spec) && !balancer.pass_through.is_empty() {
        ports.push(by_name);
    }
    ports
}

const NO_PORT: Port = Port { container: 0, websocket: None, http: None, https: None, tcp: None, udp: None, tls: None };

/// Byte for byte, whatever is spoken there.
fn passed(port: LbPort) -> Port {
    Port { container: port.server, tcp: Some(port.public), ..NO_PORT }
}

/// Servers that are this balancer: what is sent there comes back for ever.
fn loops(spec: &Spec, balancer: &LoadBalancer, ports: &[Port], is_ours: impl Fn(IpAddr) -> bool) -> Vec<Obstacle> {
    let binds = |ip: IpAddr| spec.gateway.binds(ip, &is_ours);
    let public: Vec<u16> =
        ports.iter().flat_map(|port| [port.http, port.https, port.tcp, port.tls]).flatten().collect();
    let there = ports.iter().flat_map(|port| [Some(port.container), port.websocket]).flatten();
    let Some(port) = there.into_iter().find(|port| public.contains(port)) else { return Vec::new() };
    let itself = balancer.servers.iter().enumerate().filter(|(_, server)| server.address.parse().is_ok_and(binds));
    itself
        .map(|(number, server)| {
            Obstacle::new(
                format!("load_balancer.servers[{number}].address"),
                format!("{} is this balancer itself, which listens on {}:{port}", server.name, server.address),
                "name the web servers, or bind the balancer to another address (gateway.bind)",
            )
        })
        .collect()
}

fn service(balancer: &LoadBalancer, ports: Vec<Port>) -> Service {
    Service {
        name: SERVICE.into(),
        source: Source::Servers(Arc::new(balancer.clone())),
        ports,
        traffic_matches: Vec::new(),
        env_vars: Vec::new(),
        work_dir: None,
        replicas: u32::try_from(balancer.servers.len()).unwrap_or(u32::MAX),
        requires: Vec::new(),
        stop_grace: std::time::Duration::ZERO,
        health: Health::None,
        constraints: Constraints::default(),
        volumes: Vec::new(),
        tags: Vec::new(),
        annotations: Vec::new(),
        workload: Workload::Deployment,
        security_context: SecurityContext::default(),
        post_start_command: None,
        pre_stop_command: None,
        deploy_command: None,
        log_folder: None,
        service_account_name: None,
        balance: balancer.balance,
        sticky: balancer.sticky,
        proxy_protocol: balancer.proxy_protocol,
        slow_start: balancer.slow_start,
        rebalance: balancer.rebalance,
        websocket: balancer.websocket.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::public::{PublicPort, Scheme, public_ports};

    fn spec(text: &str) -> Spec {
        fermata_spec::read(text).spec.expect("a valid file")
    }

    fn shown(text: &str) -> Vec<String> {
        match tier(&spec(text), |ip| ip.is_loopback()) {
            Ok(tier) => {
                let to = |port: &Port| {
                    let websockets = port.websocket.map(|port| format!(", WebSockets {port}")).unwrap_or_default();
                    format!(" to {}{websockets}", port.container)
                };
                let of = |public: &PublicPort| {
                    let own = |port: &&Port| {
                        let there = match public.scheme {
                            Scheme::Tls => port.tls,
                            Scheme::Http => port.http,
                            Scheme::Https => port.https,
                            Scheme::Tcp => port.tcp,
                            Scheme::Udp => port.udp,
                        };
                        there == Some(public.port)
                    };
                    tier.services[0].ports.iter().find(own).map(to).unwrap_or_default()
                };
                public_ports(&tier)
                    .iter()
                    .map(|port| format!("{} {}{}", port.scheme.name(), port.port, of(port)))
                    .collect()
            }
            Err(obstacles) => obstacles.iter().map(ToString::to_string).collect(),
        }
    }

    const SERVERS: &str = "servers: [{name: web1, address: 10.0.0.11}]";

    #[test]
    fn each_public_port_leads_to_its_own() {
        let file = format!(
            "services:\n  app:\n    ports: [{{container: 3000, http: 8080, https: 8443}}, {{container: 5000, tcp: 9000, udp: 53}}]\n\
             load_balancer: {{{SERVERS}, ports: {{http: \"8000:80\"}}}}\n"
        );
        let clear = [
            "udp 53 to 53",
            "tcp 443 to 443",
            "ws 8000 to 80, WebSockets 8080",
            "tcp 8080 to 8080",
            "tcp 8443 to 8443",
            "tcp 9000 to 9000",
        ];
        assert_eq!(shown(&file), clear);
        let with_tls = shown(&format!("{file}tls: {{certificates: [{{cert: a.pem, key: a.key}}]}}\n"));
        assert_eq!(with_tls[1], "wss 443 to 80, WebSockets 8080");
    }

    #[test]
    fn names_that_are_passed_through_go_to_the_https_port_and_others_end_here_or_nowhere() {
        let file =
            format!("load_balancer: {{{SERVERS}, pass_through: app.example.com, ports: {{https: \"443:9443\"}}}}\n");
        let rest = ["tcp 8080 to 8080", "tcp 8443 to 8443"];
        assert_eq!(shown(&file), [&["ws 80 to 80, WebSockets 8080", "tls 443 to 9443"][..], &rest].concat());
        let with_tls = shown(&format!("{file}tls: {{certificates: [{{cert: a.pem, key: a.key}}]}}\n"));
        let both = ["ws 80 to 80, WebSockets 8080", "tls 443 to 9443", "wss 443 to 80, WebSockets 8080"];
        assert_eq!(with_tls, [&both[..], &rest].concat());
    }

    #[test]
    fn a_file_that_is_none_for_a_balancer_says_what_to_do() {
        assert_eq!(
            shown("services: {app: {image: x}}\n"),
            ["load_balancer: there is no load_balancer section, so that no server is known; \
              write load_balancer: {servers: [{name: web1, address: 10.0.0.11}]}"]
        );
        assert_eq!(
            shown(&format!("load_balancer: {{{SERVERS}, ports: {{http: 8080}}}}\n")),
            ["load_balancer.ports.ws: 8080 is the port of http as well; give each a port of its own"]
        );
        assert_eq!(
            shown("load_balancer: {servers: [{name: web1, address: 10.0.0.11}, {name: web2, address: 127.0.0.2}]}\n"),
            ["load_balancer.servers[1].address: web2 is this balancer itself, which listens on 127.0.0.2:80; \
              name the web servers, or bind the balancer to another address (gateway.bind)"]
        );
        assert_eq!(
            shown("load_balancer: {servers: [{name: web2, address: 127.0.0.2}]}\ngateway: {bind: 127.0.0.1}\n").len(),
            4
        );
    }
}
