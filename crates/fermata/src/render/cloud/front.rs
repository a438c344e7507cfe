//! What a balancer has to do for a file: listeners, targets, health check, and the times that fit.

use std::collections::BTreeSet;
use std::time::Duration;

use fermata_spec::{Diagnostic, Place, Service, Severity, Spec, Sticky};

use super::gates::Gates;
use crate::page;
use crate::render::Gaps;
use fermata_spec::balancers::{Announces, Balancer, Carries, Drain, Idle, Lifetime, clear_port, health_line};

/// A balancer as it has to be for a file.
pub(super) struct Front<'s> {
    pub(super) spec: &'s Spec,
    pub(super) balancer: &'static Balancer,
    /// By port, each once.
    pub(super) listeners: Vec<Listener>,
    /// Who gets in where.
    pub(super) gates: Gates,
    /// What is asked of a server as a whole.
    pub(super) health: Health,
    /// The idle limit to be written, in seconds.
    pub(super) idle: u64,
    /// The limit of a connection's life, in seconds, where there is one to write.
    pub(super) lifetime: u64,
    /// How long a server that leaves is left alone, in seconds.
    pub(super) drain: u64,
    /// Whether visitors are pinned by a cookie.
    pub(super) sticky: bool,
}

/// One public port of the balancer.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Listener {
    pub(super) port: u16,
    pub(super) speech: Speech,
    /// The port of the servers.
    pub(super) target: u16,
}

/// What a listener speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Speech {
    Http,
    Https,
    Tcp,
    Udp,
}

/// A health check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Health {
    pub(super) port: u16,
    pub(super) ask: Ask,
}

/// What is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Ask {
    Http(String),
    Https(String),
    /// Whether it accepts connections.
    Tcp,
}

impl<'s> Front<'s> {
    /// `None` where nothing can be asked of the servers; that is said.
    pub(super) fn new(
        balancer: &'static Balancer,
        spec: &'s Spec,
        gaps: &mut Gaps<'_>,
        said: &mut Vec<Diagnostic>,
    ) -> Option<Front<'s>> {
        let listeners = listeners(balancer, spec);
        let gates = Gates::new(balancer, spec, &listeners, gaps);
        let Some(health) = health(spec) else {
            said.extend(unasked(balancer, spec));
            return None;
        };
        let public = || spec.services.iter().filter(|service| is_http(service));
        let lifetime = match balancer.lifetime {
            Lifetime::Set(_, good) => good,
            Lifetime::Fixed(seconds) => seconds,
            Lifetime::Unlimited => 0,
        };
        let drain = spec.services.iter().map(|service| seconds(service.websocket.drain)).max().unwrap_or_default();
        Some(Front {
            spec,
            balancer,
            listeners,
            gates,
            health,
            idle: idle(balancer, public()),
            lifetime,
            drain: match balancer.drain {
                Drain::Set(range) => drain.max(range.min),
                Drain::Unbounded => drain,
            },
            sticky: public().any(|service| service.sticky == Sticky::Cookie),
        })
    }

    /// Whether connections that it sends to this port begin with a PROXY header, as Fermata expects there.
    pub(super) fn announces(&self, listener: &Listener) -> bool {
        let expected = self.spec.gateway.proxy_protocol.includes(listener.target);
        self.balancer.announces != Announces::Never && expected && listener.speech != Speech::Udp
    }

    /// The health check for what a listener sends requests to.
    pub(super) fn health_of(&self, listener: &Listener) -> Health {
        // Nobody says that questions begin with a PROXY header, so they are asked where none is expected.
        if self.announces(listener) {
            return self.health.clone();
        }
        let own = |ask| Health { port: listener.target, ask };
        match (self.balancer.carries, listener.speech) {
            (Carries::Requests, Speech::Http | Speech::Https) | (Carries::RequestsAsTheyCome, Speech::Http) => {
                own(Ask::Http(path(self.spec)))
            }
            (Carries::RequestsAsTheyCome, Speech::Https) => own(Ask::Https(path(self.spec))),
            _ => self.health.clone(),
        }
    }

    /// Each port and protocol of the servers once, with the first listener that sends there.
    pub(super) fn targets(&self) -> Vec<Listener> {
        let mut seen = BTreeSet::new();
        let behind = |listener: &Listener| match listener.speech {
            Speech::Http | Speech::Https => (listener.target, 0),
            Speech::Tcp => (listener.target, 1),
            Speech::Udp => (listener.target, 2),
        };
        self.listeners.iter().filter(|listener| seen.insert(behind(listener))).cloned().collect()
    }

    /// Every port of the servers that the balancer has to reach, with its transport, the health check's among them, and
    /// those that rules of the file open to balancers.
    pub(super) fn openings(&self) -> BTreeSet<(u16, &'static str)> {
        let targets = self.listeners.iter().map(|listener| (listener.target, listener.transport()));
        let checks = self.listeners.iter().map(|listener| (self.health_of(listener).port, "tcp"));
        let ruled = self.gates.to_balancer.iter().map(|gate| (gate.port, gate.protocol.name()));
        targets.chain(checks).chain(ruled).collect()
    }

    /// Whether some listener speaks this.
    pub(super) fn has(&self, speech: Speech) -> bool {
        self.listeners.iter().any(|listener| listener.speech == speech)
    }

    /// The Ping that the file promises at the latest, in seconds.
    pub(super) fn ping(&self) -> Option<u64> {
        let public = self.spec.services.iter().filter(|service| is_http(service));
        public.map(|service| service.websocket.keepalive.map(seconds)).max().flatten()
    }

    /// A URL to try, without the host's name.
    pub(super) fn try_it(&self) -> (&'static str, u16) {
        let of = |speech| self.listeners.iter().find(|listener| listener.speech == speech);
        let original = |port: u16| {
            let entries = || self.spec.services.iter().flat_map(|service| &service.ports);
            entries().any(|entry| entry.https == Some(port))
        };
        match of(Speech::Https).or(of(Speech::Http)).or(of(Speech::Tcp)).or(of(Speech::Udp)) {
            Some(listener) if listener.speech == Speech::Https || original(listener.port) => ("wss", listener.port),
            Some(listener) => ("ws", listener.port),
            None => ("ws", 80),
        }
    }
}

impl Listener {
    /// `https_443`: a name for what belongs to it.
    pub(super) fn id(&self) -> String {
        format!("{}_{}", self.word(), self.port)
    }

    /// `http_8080`: a name for what belongs to the servers' port.
    pub(super) fn target_id(&self) -> String {
        let word = match self.speech {
            Speech::Http | Speech::Https => "http",
            Speech::Tcp => "tcp",
            Speech::Udp => "udp",
        };
        format!("{word}_{}", self.target)
    }

    pub(super) fn word(&self) -> &'static str {
        match self.speech {
            Speech::Http => "http",
            Speech::Https => "https",
            Speech::Tcp => "tcp",
            Speech::Udp => "udp",
        }
    }

    pub(super) fn transport(&self) -> &'static str {
        if self.speech == Speech::Udp { "udp" } else { "tcp" }
    }
}

impl Ask {
    pub(super) fn word(&self) -> &'static str {
        match self {
            Ask::Http(_) => "http",
            Ask::Https(_) => "https",
            Ask::Tcp => "tcp",
        }
    }

    pub(super) fn path(&self) -> Option<&str> {
        match self {
            Ask::Http(path) | Ask::Https(path) => Some(path),
            Ask::Tcp => None,
        }
    }
}

fn listeners(balancer: &Balancer, spec: &Spec) -> Vec<Listener> {
    let mut found = BTreeSet::new();
    let passes = balancer.carries == Carries::Bytes;
    for port in spec.services.iter().flat_map(|service| &service.ports) {
        let speech = |speech| if passes { Speech::Tcp } else { speech };
        let mut add = |public: Option<u16>, speech, target: Option<u16>| {
            found.extend(public.zip(target).map(|(port, target)| Listener { port, speech, target }));
        };
        add(port.http, speech(Speech::Http), port.http);
        let target = port.https.and_then(|https| match balancer.carries {
            Carries::Requests => clear_port(spec, https),
            _ => Some(https),
        });
        add(port.https, speech(Speech::Https), target);
        add(port.tcp, Speech::Tcp, port.tcp);
        add(port.udp, Speech::Udp, port.udp);
    }
    found.into_iter().collect()
}

/// The path that balancers ask.
fn path(spec: &Spec) -> String {
    let line = spec.load_balancer.as_ref().and_then(|section| section.httpchk.as_deref());
    line.map_or(page::HEALTH_PATH, |line| health_line(line).1).to_owned()
}

/// What can be asked of a server: over http if it has that, else over https, else whether it accepts connections. Where a PROXY
/// header is expected, nothing can be asked.
fn health(spec: &Spec) -> Option<Health> {
    let entries = || spec.services.iter().flat_map(|service| &service.ports);
    let clear = |port: &u16| !spec.gateway.proxy_protocol.includes(*port);
    let http = entries().find_map(|entry| entry.http.filter(clear));
    let http = http.map(|port| Health { port, ask: Ask::Http(path(spec)) });
    let https = || entries().find_map(|entry| entry.https.filter(clear));
    let https = || https().map(|port| Health { port, ask: Ask::Https(path(spec)) });
    let tcp = || entries().find_map(|entry| entry.tcp.or(entry.http).or(entry.https));
    let tcp = || tcp().map(|port| Health { port, ask: Ask::Tcp });
    http.or_else(https).or_else(tcp)
}

/// UDP answers nobody's question.
fn unasked(balancer: &Balancer, spec: &Spec) -> Option<Diagnostic> {
    let (service, number) = spec
        .services
        .iter()
        .find_map(|service| service.ports.iter().position(|port| port.udp.is_some()).map(|number| (service, number)))?;
    let path = format!("{}.ports[{number}].udp", fermata_spec::service_path(&service.name));
    Some(Diagnostic {
        code: "E-BALANCER",
        severity: Severity::Error,
        places: vec![Place { span: spec.places.nearest(&path), label: String::new() }],
        path,
        message: format!("{} cannot ask over UDP whether a server is well, and there is nothing else", balancer.title),
        help: Some("give a service an http or tcp port as well".to_owned()),
    })
}

/// The idle limit: what is good, or twice the file's Pings where those are seldom; all there is where nobody pings.
fn idle<'s>(balancer: &Balancer, services: impl Iterator<Item = &'s Service>) -> u64 {
    let (range, good) = match balancer.idle {
        Idle::Set(range, good) => (range, good),
        Idle::Fixed(seconds) | Idle::Assumed(seconds) => return seconds,
        Idle::Unlimited => return 0,
    };
    let wanted = |service: &Service| match (service.websocket.keepalive, service.websocket.idle_timeout) {
        (Some(ping), _) => seconds(ping).saturating_mul(2),
        (None, Some(idle)) => seconds(idle),
        (None, None) => range.max,
    };
    services.map(wanted).fold(good, u64::max).min(range.max)
}

fn is_http(service: &Service) -> bool {
    service.ports.iter().any(|port| port.http.or(port.https).is_some())
}

/// Whole seconds, rounded up.
pub(in crate::render) fn seconds(time: Duration) -> u64 {
    time.as_secs() + u64::from(time.subsec_nanos() > 0)
}
