//! Who gets in where around a balancer: the openings that `fermata firewall` has on one machine, moved before it.
//!
//! A public port is open at the balancer to whom the file opens it, and at the servers to the balancer alone. What else the
//! rules of the file open stays open at the servers, to whom it is.

use std::collections::BTreeMap;

use fermata_spec::balancers::{Balancer, Closes};
use fermata_spec::{Network, Severity, Spec, Whence, service_path};

use super::front::{Front, Listener};
use crate::firewall::openings::unopened;
use crate::firewall::{Gate, Opening, Transport, openings};
use crate::render::Gaps;

/// Who may connect to a public port.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Admitted {
    /// Whoever the variable `clients` names.
    Clients,
    /// These networks of IPv4, which is what balancers listen on here.
    Networks(Vec<String>),
}

/// Everything that is open around a balancer.
#[derive(Debug, Default)]
pub(super) struct Gates {
    public: BTreeMap<Gate, Admitted>,
    /// Ports of the servers that are none of the balancer's, open to some networks.
    pub(super) beside: Vec<(Gate, Vec<String>)>,
    /// The same, open to the balancer.
    pub(super) to_balancer: Vec<Gate>,
}

/// Listeners that are open to the same.
pub(super) struct Group<'f> {
    pub(super) admitted: &'f Admitted,
    pub(super) transport: &'static str,
    pub(super) listeners: Vec<&'f Listener>,
}

impl Gates {
    pub(super) fn new(balancer: &Balancer, spec: &Spec, listeners: &[Listener], gaps: &mut Gaps<'_>) -> Gates {
        if balancer.closes != Closes::Never {
            sixth(spec, gaps);
        }
        if balancer.closes == Closes::ByPort {
            shut(spec, listeners, gaps);
        }
        let openings = openings(spec);
        let of = |gate: Gate| openings.iter().filter(move |opening| opening.gate == gate);
        let mut gates = Gates::default();
        for gate in listeners.iter().map(gate) {
            // At a machine that a rule opens to balancers, everybody comes through one of these.
            let everybody = of(gate).any(|opening| !matches!(opening.from, Whence::Network(_)));
            let networks: Vec<String> = of(gate).filter_map(fourth).collect();
            let admitted = match balancer.closes {
                Closes::ByPort | Closes::AsAWhole if !everybody && !networks.is_empty() => Admitted::Networks(networks),
                Closes::ByPort if !everybody => continue,
                _ => Admitted::Clients,
            };
            gates.public.insert(gate, admitted);
        }
        let ruled = |gate: Gate| {
            let rules = &spec.firewall.rules;
            rules.iter().any(|rule| gate == Gate { port: rule.port, protocol: rule.protocol.into() })
        };
        for opening in
            openings.iter().filter(|one| ruled(one.gate) && !listeners.iter().any(|own| gate(own) == one.gate))
        {
            let network = match opening.from {
                Whence::LoadBalancer => {
                    gates.to_balancer.push(opening.gate);
                    continue;
                }
                Whence::Anywhere => Some("0.0.0.0/0".to_owned()),
                Whence::Network(_) => fourth(opening),
            };
            match gates.beside.iter_mut().find(|(gate, _)| *gate == opening.gate) {
                Some((_, networks)) => networks.extend(network),
                None => gates.beside.extend(network.map(|network| (opening.gate, vec![network]))),
            }
        }
        gates
    }
}

impl Front<'_> {
    /// Who may connect to a listener; nobody, where nothing opens its port.
    pub(super) fn admitted(&self, listener: &Listener) -> Option<&Admitted> {
        self.gates.public.get(&gate(listener))
    }

    /// Whether some listener is open to whoever the variable `clients` names.
    pub(super) fn has_clients(&self) -> bool {
        self.gates.public.values().any(|admitted| *admitted == Admitted::Clients)
    }

    /// The listeners by who may connect to them.
    pub(super) fn groups(&self) -> Vec<Group<'_>> {
        let mut groups: Vec<Group<'_>> = Vec::new();
        for listener in &self.listeners {
            let Some(admitted) = self.admitted(listener) else { continue };
            let transport = listener.transport();
            match groups.iter_mut().find(|group| (group.admitted, group.transport) == (admitted, transport)) {
                Some(group) => group.listeners.push(listener),
                None => groups.push(Group { admitted, transport, listeners: vec![listener] }),
            }
        }
        groups
    }
}

/// Networks that cannot be admitted.
fn sixth(spec: &Spec, gaps: &mut Gaps<'_>) {
    for (number, rule) in spec.firewall.rules.iter().enumerate() {
        if let Whence::Network(Network { address, .. }) = rule.from
            && address.is_ipv6()
        {
            let path = format!("firewall.rules[{number}].from");
            gaps.left_out(&path, "the balancer and its servers speak IPv4 here", "add the network's IPv4 addresses");
        }
    }
}

/// Listeners that nobody reaches.
fn shut(spec: &Spec, listeners: &[Listener], gaps: &mut Gaps<'_>) {
    let shut = unopened(spec);
    for service in &spec.services {
        for (number, port) in service.ports.iter().enumerate() {
            let ports = [
                ("http", port.http, Transport::Tcp),
                ("https", port.https, Transport::Tcp),
                ("tcp", port.tcp, Transport::Tcp),
                ("udp", port.udp, Transport::Udp),
            ];
            let gates = ports.map(|(key, port, protocol)| (key, port.map(|port| Gate { port, protocol })));
            for (key, gate) in gates.into_iter().filter_map(|(key, gate)| Some((key, gate?))) {
                if shut.contains(&gate) && listeners.iter().any(|listener| self::gate(listener) == gate) {
                    let protocol = if gate.protocol == Transport::Udp { ", protocol: udp" } else { "" };
                    gaps.say(
                        Severity::Warning,
                        &format!("{}.ports[{number}].{key}", service_path(&service.name)),
                        format!("nothing opens {gate}, so that nobody reaches it"),
                        format!("write firewall: {{rules: [{{port: {}{protocol}}}]}}", gate.port),
                    );
                }
            }
        }
    }
}

fn gate(listener: &Listener) -> Gate {
    let protocol = if listener.transport() == "udp" { Transport::Udp } else { Transport::Tcp };
    Gate { port: listener.port, protocol }
}

/// The network of an opening, where it is one of IPv4.
fn fourth(opening: &Opening) -> Option<String> {
    match opening.from {
        Whence::Network(Network { address, prefix }) if address.is_ipv4() => Some(format!("{address}/{prefix}")),
        _ => None,
    }
}
