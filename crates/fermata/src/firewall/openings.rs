//! Which ports a file wants open, and to whom: pure, for this machine's table and for the security groups of clouds.

use std::collections::BTreeSet;

use fermata_spec::{Service, Spec, Whence};

use super::rules::{Door, Gate, Transport};

/// Ports that are open without asking, where a file uses them.
pub const DEFAULT: [u16; 4] = [80, 443, 8080, 8443];

/// One port that should be open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Opening {
    /// The port.
    pub gate: Gate,
    /// To whom. The balancers are left as a word: a cloud may have a better name for them than their addresses.
    pub from: Whence,
    /// What opens it, for people.
    pub why: String,
}

/// The openings of a file, by port. A rule for a port stands in the place of the default.
pub fn openings(spec: &Spec) -> Vec<Opening> {
    let mut all: Vec<Opening> = spec.firewall.rules.iter().map(ruled).collect();
    let known: BTreeSet<Gate> = all.iter().map(|opening| opening.gate).collect();
    let by_default = |port: u16| DEFAULT.contains(&port) && !known.contains(&Gate::tcp(port));
    for (gate, why) in published(spec).filter(|(gate, _)| gate.protocol == Transport::Tcp) {
        if by_default(gate.port) {
            all.push(Opening { gate, from: Whence::Anywhere, why });
        }
    }
    if spec.load_balancer.is_some() {
        let why = "load_balancer".to_owned();
        let ports = DEFAULT.into_iter().filter(|port| by_default(*port));
        all.extend(ports.map(|port| Opening { gate: Gate::tcp(port), from: Whence::Anywhere, why: why.clone() }));
    }
    all.sort_by_key(|opening| opening.gate);
    all.dedup_by(|later, earlier| (later.gate, later.from) == (earlier.gate, earlier.from));
    all
}

/// Public ports of a file that nothing opens.
pub fn unopened(spec: &Spec) -> BTreeSet<Gate> {
    let open: BTreeSet<Gate> = openings(spec).iter().map(|opening| opening.gate).collect();
    published(spec).map(|(gate, _)| gate).filter(|gate| !open.contains(gate)).collect()
}

/// The doors of this machine for a file: the balancers by their addresses.
pub fn doors(spec: &Spec) -> BTreeSet<Door> {
    let door = |gate, from| Door { gate, from };
    openings(spec)
        .iter()
        .flat_map(|opening| match opening.from {
            Whence::Anywhere => vec![door(opening.gate, None)],
            Whence::Network(network) => vec![door(opening.gate, Some(network))],
            Whence::LoadBalancer => {
                spec.gateway.trusted_proxies.iter().map(|network| door(opening.gate, Some(*network))).collect()
            }
        })
        .collect()
}

/// Rules for balancers while the file names none: they let nobody in.
pub fn without_balancers(spec: &Spec) -> BTreeSet<Gate> {
    let rules = spec.firewall.rules.iter().filter(|rule| rule.from == Whence::LoadBalancer);
    rules.filter(|_| spec.gateway.trusted_proxies.is_empty()).map(|rule| ruled(rule).gate).collect()
}

fn ruled(rule: &fermata_spec::Rule) -> Opening {
    let gate = Gate { port: rule.port, protocol: rule.protocol.into() };
    Opening { gate, from: rule.from, why: "firewall.rules".to_owned() }
}

fn published(spec: &Spec) -> impl Iterator<Item = (Gate, String)> {
    spec.services.iter().flat_map(of_service)
}

fn of_service(service: &Service) -> Vec<(Gate, String)> {
    let mut all = Vec::new();
    for port in &service.ports {
        for (port, protocol) in [
            (port.http, Transport::Tcp),
            (port.https, Transport::Tcp),
            (port.tcp, Transport::Tcp),
            (port.udp, Transport::Udp),
        ] {
            all.extend(port.map(|port| (Gate { port, protocol }, format!("services.{}", service.name))));
        }
    }
    all
}
