//! The difference between two files, as far as instances are concerned: what starts, what stops, what is replaced.
//!
//! Pure. Routes, limits, certificates and ports need no difference: they are exchanged whole, or kept by address.

use std::fmt;
use std::sync::Arc;

use fermata_spec::{Balance, Service, Spec, Sticky, WebSocket};

/// What a new file changes about the services.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Changes {
    /// Services that only the new file has.
    pub added: Vec<Arc<str>>,
    /// Services that only the old file has: their tunnels are drained, then their instances stop.
    pub removed: Vec<Arc<str>>,
    /// Services whose instances must be others now.
    pub replaced: Vec<Arc<str>>,
    /// Services that want another number of the same instances: from, to.
    pub scaled: Vec<(Arc<str>, u32, u32)>,
    /// Services that only answer to other names, on other ports, or with other limits.
    pub adjusted: Vec<Arc<str>>,
}

impl Changes {
    /// The difference.
    pub fn between(old: &Spec, new: &Spec) -> Changes {
        let mut changes = Changes::default();
        for service in &new.services {
            let name = service.name.clone();
            match find(old, &name) {
                None => changes.added.push(name),
                Some(before) if before == service => {}
                Some(before) => match (instances(before), instances(service)) {
                    (was, is) if was == is => changes.adjusted.push(name),
                    (was, is) if (Service { replicas: is.replicas, ..was.clone() }) == is => {
                        changes.scaled.push((name, was.replicas, is.replicas));
                    }
                    _ => changes.replaced.push(name),
                },
            }
        }
        let gone = old.services.iter().filter(|service| find(new, &service.name).is_none());
        changes.removed = gone.map(|service| service.name.clone()).collect();
        changes
    }
}

fn find<'a>(spec: &'a Spec, name: &str) -> Option<&'a Service> {
    spec.services.iter().find(|service| &*service.name == name)
}

/// A service reduced to what its instances are made of: everything but how they are reached from outside.
fn instances(service: &Service) -> Service {
    let mut inside = Service {
        traffic_matches: Vec::new(),
        balance: Balance::default(),
        sticky: Sticky::default(),
        slow_start: None,
        rebalance: None,
        websocket: WebSocket::default(),
        ..service.clone()
    };
    for port in &mut inside.ports {
        (port.http, port.https, port.tcp, port.udp) = (None, None, None, None);
    }
    inside
}

impl fmt::Display for Changes {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = |names: &[Arc<str>]| names.join(", ");
        let mut parts = Vec::new();
        for (verb, which) in [
            ("added", &self.added),
            ("removed", &self.removed),
            ("replaced", &self.replaced),
            ("adjusted", &self.adjusted),
        ] {
            if !which.is_empty() {
                parts.push(format!("{verb} {}", names(which)));
            }
        }
        parts.extend(self.scaled.iter().map(|(name, from, to)| format!("scaled {name} from {from} to {to}")));
        if parts.is_empty() { out.write_str("no service has changed") } else { out.write_str(&parts.join("; ")) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec(text: &str) -> Spec {
        fermata_spec::read(text).spec.expect("a valid file")
    }

    #[test]
    fn only_what_instances_are_made_of_replaces_them() {
        let old = spec(
            "version: 2\nservices:\n  \
             gone: {command: a, ports: [{container: 1}]}\n  \
             same: {command: a, ports: [{container: 2, http: 8080}], traffic_matches: [same.example.com]}\n  \
             names: {command: a, ports: [{container: 3, http: 8080}], traffic_matches: [a.example.com]}\n  \
             more: {command: a, ports: [{container: 4}], replicas: 2}\n  \
             other: {command: a, ports: [{container: 5}]}\n",
        );
        let new = spec(
            "version: 2\nservices:\n  \
             same: {command: a, ports: [{container: 2, http: 8080}], traffic_matches: [same.example.com]}\n  \
             names: {command: a, ports: [{container: 3, http: 9090}], traffic_matches: [b.example.com]}\n  \
             more: {command: a, ports: [{container: 4}], replicas: 5}\n  \
             other: {command: b, ports: [{container: 5}]}\n  \
             fresh: {command: a, ports: [{container: 6}]}\n",
        );
        let changes = Changes::between(&old, &new);
        assert_eq!(
            changes.to_string(),
            "added fresh; removed gone; replaced other; adjusted names; scaled more from 2 to 5"
        );
        assert_eq!(Changes::between(&old, &old).to_string(), "no service has changed");
    }
}
