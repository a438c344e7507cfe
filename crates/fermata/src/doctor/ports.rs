//! The public ports: whether Fermata has them, or could have them.

use std::collections::BTreeMap;
use std::io::ErrorKind;

use fermata_spec::Spec;

use super::{Finding, Topic};
use crate::admin::Status;
use crate::listening::Bound;
use crate::net::BindError;
use crate::public::{PublicPort, public_ports};
use crate::report::{Advice, Verdict};

pub(super) fn look(spec: &Spec, running: Option<&Status>) -> Finding {
    let all = public_ports(spec);
    let has = |port: &PublicPort| {
        running.is_some_and(|status| {
            status.ports.iter().any(|row| row.port == port.port && row.scheme == port.scheme.name())
        })
    };
    let (held, wanted): (Vec<PublicPort>, Vec<PublicPort>) = all.iter().cloned().partition(has);
    let mut gateway = spec.gateway.clone();
    // The running one has its status address, too.
    gateway.status = gateway.status.filter(|_| running.is_none());
    let errors = Bound::new(&gateway, &wanted, &Bound::default()).err().unwrap_or_default();
    // A port that cannot be bound on one address can seldom be bound on another.
    let mut by_port: BTreeMap<u16, &BindError> = BTreeMap::new();
    for error in &errors {
        by_port.entry(error.address().port()).or_insert(error);
    }
    let numbers = |ports: &[PublicPort]| {
        let numbers: Vec<String> = ports.iter().map(|port| format!("{} ({})", port.port, port.scheme.name())).collect();
        numbers.join(", ")
    };
    let says = match (held.is_empty(), wanted.is_empty()) {
        (_, true) if all.is_empty() => "the file has no public ports".to_owned(),
        (_, true) => format!("fermata has {}", numbers(&held)),
        (true, _) => format!("free for fermata up: {}", numbers(&wanted)),
        (false, false) => format!("fermata has {}; after fermata reload {}", numbers(&held), numbers(&wanted)),
    };
    let mut finding = Finding::works(Topic::Ports, None, says);
    if !by_port.is_empty() {
        let list: Vec<String> = by_port.keys().map(ToString::to_string).collect();
        finding.says = format!("not to be had: {}", list.join(", "));
    }
    if spec.gateway.bind.iter().all(std::net::IpAddr::is_loopback) {
        finding = finding.detail("gateway.bind has loopback addresses only: nobody from outside gets in");
    }
    by_port.values().fold(finding, |finding, error| finding.advised(Verdict::Broken, advice(error)))
}

fn advice(error: &BindError) -> Advice {
    let code = match error.kind() {
        ErrorKind::AddrInUse => "port-taken",
        ErrorKind::PermissionDenied => "port-privileged",
        ErrorKind::AddrNotAvailable => "address-missing",
        _ => "port-failed",
    };
    let mut says = error.to_string();
    says.replace_range(..1, "C");
    let advice = Advice::new(code, says + ".");
    let port = error.address().port();
    match error.holder() {
        Some(holder) if holder.name == "docker-proxy" => {
            advice.then("A container publishes it:").write(format!("docker ps --filter publish={port}"))
        }
        Some(holder) => advice.then("Who that is:").write(format!("systemctl status {}", holder.pid)),
        None if code == "port-taken" => advice.then("Who that is:").write(format!("sudo ss -lnp 'sport = :{port}'")),
        None => advice,
    }
}
