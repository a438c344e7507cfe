//! What a file has that a balancer cannot carry, or that does not go well with it: each at its place, with a way out.

use std::collections::BTreeSet;
use std::time::Duration;

use super::{Announces, Balancer, Carries, Client, Closes, Drain, Idle, Lifetime, Pins};
use crate::{
    CheckKind, Diagnostic, HEALTH_PATH, Health, HostPattern, Place, Port, Protocol, Rule, Service, Severity, Spec,
    Sticky, Whence, service_path,
};

/// All of it, in the order of the file. An error is what cannot be; a warning is what will hurt.
pub fn judge(balancer: &Balancer, spec: &Spec) -> Vec<Diagnostic> {
    let mut court = Court { balancer, spec, said: Vec::new() };
    court.carries();
    court.reach();
    court.announced();
    court.closed();
    court.health();
    for service in spec.services.iter().filter(|service| is_public(service)) {
        let at = service_path(&service.name);
        court.ports(service, &at);
        court.silence(service, &at);
        court.drain(service, &at);
        court.visitors(service, &at);
    }
    court.said.sort_by_key(|said| said.places[0].span.start);
    court.said
}

struct Court<'s> {
    balancer: &'s Balancer,
    spec: &'s Spec,
    said: Vec<Diagnostic>,
}

impl Court<'_> {
    /// What holds for the file as a whole.
    fn carries(&mut self) {
        let (title, instead) = (self.balancer.title, self.balancer.instead);
        if self.balancer.carries == Carries::Messages {
            self.error(
                "services",
                format!("{title} ends WebSockets itself and carries none"),
                format!("use {instead}"),
            );
        }
        if !self.spec.services.iter().any(is_public) {
            let help = "give a service a public port: ports: [{container: 3000, http: 8080}]";
            self.error("services", format!("no service has a public port that {title} could carry"), help.to_owned());
        }
        let count = gates(self.spec).len();
        if let Some(most) = self.balancer.listeners.filter(|most| count > *most) {
            self.error(
                "services",
                format!("{title} has {most} listeners at most, and the file has {count} public ports"),
                format!("let services share ports by traffic_matches, or use {instead}"),
            );
        }
        if let Lifetime::Fixed(seconds) = self.balancer.lifetime {
            let time = duration(seconds);
            self.warning(
                "services",
                format!("{title} ends every connection after {time}, whatever passes"),
                "let clients reconnect, at different times".to_owned(),
            );
        }
    }

    /// Whether the balancer reaches the gateway, and is believed.
    fn reach(&mut self) {
        let gateway = &self.spec.gateway;
        let title = self.balancer.title;
        if gateway.bind.iter().all(std::net::IpAddr::is_loopback) && !gateway.bind.is_empty() {
            self.error(
                "gateway.bind",
                format!("{title} does not reach addresses of the machine itself"),
                "bind an address that it reaches, or leave bind out".to_owned(),
            );
        }
        if self.balancer.client == Client::Forwarded && gateway.trusted_proxies.is_empty() {
            let help = "list the networks that it connects from in gateway.trusted_proxies".to_owned();
            let message = format!("{title} tells who the client is, and nobody is believed: all clients look like it");
            self.warning("gateway.trusted_proxies", message, help);
        }
    }

    /// The PROXY protocol has to be on at both ends, or at none.
    fn announced(&mut self) {
        let (said, title) = (&self.spec.gateway.proxy_protocol, self.balancer.title);
        let entries = self.spec.services.iter().flat_map(|service| &service.ports);
        let ports: Vec<u16> = entries.flat_map(|port| [port.http, port.https, port.tcp]).flatten().collect();
        if !ports.iter().any(|port| said.includes(*port)) {
            return;
        }
        let other = ports.iter().find(|port| !said.includes(**port));
        let (message, help) = match (self.balancer.announces, self.balancer.client, other) {
            (Announces::ByPort, ..) | (Announces::Everywhere, _, None) => return,
            (Announces::Everywhere, _, Some(other)) => (
                format!("{title} says the PROXY protocol on all ports or on none, and {other} expects none"),
                "write proxy_protocol: true",
            ),
            (Announces::Never, Client::Preserved, _) => (
                format!("{title} passes the clients' own addresses on, and says no PROXY protocol"),
                "leave proxy_protocol out",
            ),
            (Announces::Never, Client::Forwarded, _) => (
                format!("{title} tells who the client is by X-Forwarded-For, and says no PROXY protocol"),
                "leave proxy_protocol out",
            ),
            (Announces::Never, Client::Hidden, _) => {
                (format!("{title} says no PROXY protocol"), "leave proxy_protocol out")
            }
        };
        self.error("gateway.proxy_protocol", message, help.to_owned());
    }

    /// Rules that keep a public port to some networks.
    fn closed(&mut self) {
        let (title, instead) = (self.balancer.title, self.balancer.instead);
        let (rules, gates) = (&self.spec.firewall.rules, gates(self.spec));
        let networks = |gate: (u16, Protocol)| {
            let own = rules.iter().filter(|rule| (rule.port, rule.protocol) == gate).map(|rule| rule.from);
            own.filter(|from| matches!(from, Whence::Network(_))).collect::<Vec<Whence>>()
        };
        let kept = |rule: &Rule| matches!(rule.from, Whence::Network(_)) && gates.contains(&(rule.port, rule.protocol));
        let Some((number, rule)) = rules.iter().enumerate().find(|(_, rule)| kept(rule)) else { return };
        let path = format!("firewall.rules[{number}].from");
        match self.balancer.closes {
            Closes::ByPort => {}
            Closes::Never => {
                let message = format!("{title} is open to everybody, also on {}", rule.port);
                self.error(&path, message, format!("leave the rule out, or use {instead}"));
            }
            Closes::AsAWhole => {
                let same = networks((rule.port, rule.protocol));
                let Some((other, _)) = gates.iter().copied().find(|gate| networks(*gate) != same) else { return };
                let message =
                    format!("{title} is open to the same networks on all of its ports, and {other} is open to others");
                self.error(&path, message, format!("write the same rules for {other}"));
            }
        }
    }

    /// Whether a service's clients are announced to it wherever they come in.
    fn announces(&self, service: &Service) -> bool {
        let said = &self.spec.gateway.proxy_protocol;
        let ports = service.ports.iter().flat_map(|port| [port.http, port.https, port.tcp]).flatten();
        self.balancer.announces != Announces::Never && ports.into_iter().all(|port| said.includes(port))
    }

    /// Balancers ask with a plain GET.
    fn health(&mut self) {
        let Some(line) = self.spec.load_balancer.as_ref().and_then(|section| section.httpchk.as_deref()) else {
            return;
        };
        let (method, path) = health_line(line);
        if method != "GET" {
            let help = format!("write httpchk: \"GET {path}\"");
            self.error("load_balancer.httpchk", format!("{} asks with GET, not {method}", self.balancer.title), help);
        }
        let mut asked = self.spec.services.iter().filter(|service| has_http(service)).peekable();
        if asked.peek().is_some() && asked.all(has_names_only) {
            let message = "a balancer asks by address, and every service answers to its traffic_matches only";
            let help = format!("leave httpchk out: {HEALTH_PATH} is asked then, which answers to every name");
            self.error("load_balancer.httpchk", message.to_owned(), help);
        }
        let sockets = self.spec.services.iter().filter_map(websocket_endpoint);
        if sockets.into_iter().any(|endpoint| endpoint == path) {
            let help = format!("name a path for plain requests, or leave httpchk out: {HEALTH_PATH} is asked then");
            let message =
                format!("{path} is a WebSocket's: a plain GET gets 400 or 426 there, and all servers look dead");
            self.error("load_balancer.httpchk", message, help);
        }
    }

    fn ports(&mut self, service: &Service, at: &str) {
        let (balancer, title, instead) = (self.balancer, self.balancer.title, self.balancer.instead);
        for (number, port) in service.ports.iter().enumerate() {
            let path = |key: &str| format!("{at}.ports[{number}].{key}");
            if port.tcp.is_some() && !balancer.tcp {
                let help = format!("use {instead} for it, or open the port beside the balancer");
                self.error(&path("tcp"), format!("{title} carries no raw TCP"), help);
            }
            if port.udp.is_some() && !balancer.udp {
                let help = match balancer.carries {
                    Carries::Bytes => "open the port beside the balancer".to_owned(),
                    _ => format!("use {instead} for it, or open the port beside the balancer"),
                };
                self.error(&path("udp"), format!("{title} carries no UDP"), help);
            }
            if let Some(https) = port.https
                && balancer.carries == Carries::Requests
                && clear_port(self.spec, https).is_none()
            {
                self.error(
                    &path("https"),
                    format!(
                        "{title} ends TLS and speaks HTTP/1.1 to the servers: {https} needs an http port beside it"
                    ),
                    format!("add http to the same entry, or use {instead}, which passes TLS through"),
                );
            }
            for (key, public) in [("http", port.http), ("https", port.https), ("tcp", port.tcp), ("udp", port.udp)] {
                if let Some(public) =
                    public.filter(|public| !balancer.ports.is_empty() && !balancer.ports.contains(public))
                {
                    let ports: Vec<String> = balancer.ports.iter().map(ToString::to_string).collect();
                    let help = format!("use one of {}, or {instead}", ports.join(", "));
                    self.error(&path(key), format!("{title} does not carry port {public}"), help);
                }
            }
        }
    }

    /// Pings against the idle limit. A Ping as seldom as the limit is a race; half the limit leaves room for one lost.
    fn silence(&mut self, service: &Service, at: &str) {
        if !has_http(service) {
            return;
        }
        let (title, path) = (self.balancer.title, format!("{at}.websocket.keepalive"));
        let Some(longest) = self.balancer.longest_silence() else { return };
        let sure = !matches!(self.balancer.idle, Idle::Assumed(_));
        let limit = duration(longest);
        match service.websocket.keepalive {
            Some(ping) if ping.saturating_mul(2) > Duration::from_secs(longest) => {
                let message = format!(
                    "{title} ends connections that are silent for {limit}{}; a Ping every {} comes too late",
                    if matches!(self.balancer.idle, Idle::Set(..)) { ", and can be set no higher" } else { "" },
                    duration(ping.as_secs())
                );
                let help = format!("write keepalive: {} or less", duration((longest / 2).max(1)));
                if sure { self.error(&path, message, help) } else { self.warning(&path, message, help) }
            }
            None if service.websocket.idle_timeout.is_none_or(|idle| idle > Duration::from_secs(longest)) => {
                let message = format!("{title} ends connections that are silent for {limit}, and nobody sends Pings");
                self.warning(&path, message, format!("write keepalive: {}", duration((longest / 2).clamp(1, 25))));
            }
            _ => {}
        }
    }

    /// The time for tunnels to leave against what the balancer grants.
    fn drain(&mut self, service: &Service, at: &str) {
        let (title, drain) = (self.balancer.title, service.websocket.drain);
        if let Drain::Set(range) = self.balancer.drain
            && drain > Duration::from_secs(range.max)
        {
            self.error(
                &format!("{at}.websocket.drain"),
                format!("{title} grants a server that leaves {} at most", duration(range.max)),
                format!("write drain: {} or less", duration(range.max)),
            );
        }
    }

    /// Who visitors are, and where they come back to.
    fn visitors(&mut self, service: &Service, at: &str) {
        let (title, instead) = (self.balancer.title, self.balancer.instead);
        if service.sticky == Sticky::Cookie && self.balancer.pins == Pins::Address && has_http(service) {
            let message = format!("{title} sees no cookies, so that a visitor may come to another server each time");
            self.error(&format!("{at}.sticky"), message, format!("write sticky: off, or use {instead}"));
        }
        if let Some(limit) = service.websocket.max_connections_per_ip
            && !self.announces(service)
            && (self.balancer.client == Client::Hidden
                || service.ports.iter().any(|port| port.tcp.is_some()) && self.balancer.client == Client::Forwarded)
        {
            let message =
                format!("{title} connects from addresses of its own: all clients together count as one, with {limit}");
            let help = match self.balancer.announces {
                Announces::Never => format!("leave it out, or use {instead}"),
                _ => "write gateway: {proxy_protocol: true}, and its networks under trusted_proxies".to_owned(),
            };
            self.warning(&format!("{at}.websocket.max_connections_per_ip"), message, help);
        }
    }

    fn error(&mut self, path: &str, message: String, help: String) {
        self.say("E-BALANCER", Severity::Error, path, message, help);
    }

    fn warning(&mut self, path: &str, message: String, help: String) {
        self.say("W-BALANCER", Severity::Warning, path, message, help);
    }

    fn say(&mut self, code: &'static str, severity: Severity, path: &str, message: String, help: String) {
        let places = vec![Place { span: self.spec.places.nearest(path), label: String::new() }];
        self.said.push(Diagnostic { code, severity, path: path.to_owned(), message, help: Some(help), places });
    }
}

/// The http port that serves whatever this https port serves, so that a balancer can end TLS.
pub fn clear_port(spec: &Spec, https: u16) -> Option<u16> {
    let entries = || spec.services.iter().flat_map(|service| service.ports.iter().map(move |port| (service, port)));
    let behind: Vec<(&Service, &Port)> = entries().filter(|(_, port)| port.https == Some(https)).collect();
    let serves = |http: u16, (service, port): (&Service, &Port)| {
        service.ports.iter().any(|other| other.http == Some(http) && other.container == port.container)
    };
    let candidates = entries().filter_map(|(_, port)| port.http);
    candidates.into_iter().find(|http| behind.iter().all(|one| serves(*http, *one)))
}

/// Method and path of `GET /healthz`, or of a path alone.
pub fn health_line(line: &str) -> (&str, &str) {
    let mut words = line.split_whitespace();
    match (words.next(), words.next()) {
        (Some(method), Some(path)) => (method, path),
        (Some(path), None) => ("GET", path),
        _ => ("GET", HEALTH_PATH),
    }
}

/// Every public port, each once.
fn gates(spec: &Spec) -> BTreeSet<(u16, Protocol)> {
    let entries = || spec.services.iter().flat_map(|service| &service.ports);
    let tcp = entries().flat_map(|port| [port.http, port.https, port.tcp]).flatten();
    let udp = entries().filter_map(|port| port.udp);
    tcp.map(|port| (port, Protocol::Tcp)).chain(udp.map(|port| (port, Protocol::Udp))).collect()
}

fn websocket_endpoint(service: &Service) -> Option<&str> {
    let Health::Checks { ready, alive, startup } = &service.health else { return None };
    [ready, alive, startup].into_iter().flatten().find_map(|check| match &check.kind {
        CheckKind::WebSocket { endpoint, .. } => Some(endpoint.as_str()),
        _ => None,
    })
}

fn has_names_only(service: &Service) -> bool {
    !service.traffic_matches.is_empty() && !service.traffic_matches.contains(&HostPattern::Any)
}

fn is_public(service: &Service) -> bool {
    service.ports.iter().any(|port| port.http.or(port.https).or(port.tcp).or(port.udp).is_some())
}

fn has_http(service: &Service) -> bool {
    service.ports.iter().any(|port| port.http.or(port.https).is_some())
}

/// `90s`, `5m`, `2h`.
pub fn duration(seconds: u64) -> String {
    match seconds {
        0 => "0s".to_owned(),
        seconds if seconds.is_multiple_of(3600) => format!("{}h", seconds / 3600),
        seconds if seconds.is_multiple_of(60) => format!("{}m", seconds / 60),
        seconds => format!("{seconds}s"),
    }
}
