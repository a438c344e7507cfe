//! Ports that two would listen on, now that services run as processes of one machine and not each in a container.

use std::net::{IpAddr, Ipv4Addr};

use fermata_spec::{Port, Protocol, Service, Source, Spec};

use super::plan::Problem;
use super::ports;

/// One problem for each process that could not listen where it is told to.
pub(super) fn of_ports(spec: &Spec) -> Vec<Problem> {
    let mut problems = Vec::new();
    let mut taken: Vec<(u16, &str)> = Vec::new();
    for service in spec.services.iter().filter(|service| listens_on_container_ports(service)) {
        for (container, protocol) in ports::containers(&service.ports) {
            let other = taken.iter().find(|(port, _)| *port == container).map(|(_, name)| (*name).to_owned());
            if let Some(who) = other.or_else(|| gateway(spec, container, protocol)) {
                problems.push(problem(service, container, &who));
            }
            taken.push((container, &service.name));
        }
    }
    problems
}

fn listens_on_container_ports(service: &Service) -> bool {
    matches!(service.source, Source::Command(_)) && service.replicas == 1
}

/// The gateway, if it listens on this port of 127.0.0.1.
fn gateway(spec: &Spec, port: u16, protocol: Protocol) -> Option<String> {
    let loopback = IpAddr::V4(Ipv4Addr::LOCALHOST);
    if !spec.gateway.bind.iter().any(|ip| ip.is_unspecified() || *ip == loopback) {
        return None;
    }
    let publishes = |entry: &Port| match protocol {
        Protocol::Tcp => [entry.http, entry.https, entry.tcp].contains(&Some(port)),
        Protocol::Udp => entry.udp == Some(port),
    };
    let service = spec.services.iter().find(|service| service.ports.iter().any(publishes))?;
    Some(format!("the gateway, for {}", service.name))
}

fn problem(service: &Service, container: u16, who: &str) -> Problem {
    let place = service.ports.iter().position(|port| port.container == container).unwrap_or_default();
    Problem::new(
        format!("services.{}.ports[{place}].container", service.name),
        format_args!(
            "as a process of this machine {} would listen on 127.0.0.1:{container}, and so would {who}; write another \
             container port (the process gets it in PORT)",
            service.name
        ),
    )
}
