//! Public ports: compose publishes them from one container each, as raw TCP.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

use fermata_spec::Service;

use crate::render::Gaps;
use crate::render::yaml::Value;

/// The public ports that are taken, and where they are published.
pub(super) struct Published {
    taken: HashMap<(u16, bool), Arc<str>>,
    /// Written before each port.
    addresses: Vec<String>,
}

impl Published {
    pub(super) fn new(bind: &[IpAddr]) -> Self {
        let every = bind.iter().any(IpAddr::is_unspecified);
        let address = |ip: &IpAddr| if ip.is_ipv6() { format!("[{ip}]:") } else { format!("{ip}:") };
        let addresses = if every || bind.is_empty() { vec![String::new()] } else { bind.iter().map(address).collect() };
        Published { taken: HashMap::new(), addresses }
    }

    /// `ports` of a service.
    pub(super) fn ports(&mut self, service: &Service, at: &str, gaps: &mut Gaps<'_>) -> Option<Value> {
        let mut lines = Vec::new();
        for (number, port) in service.ports.iter().enumerate() {
            let path = |key: &str| format!("{at}.ports[{number}].{key}");
            let public = [("http", port.http, ""), ("tcp", port.tcp, ""), ("udp", port.udp, "/udp")];
            for (key, public, protocol) in public {
                let Some(public) = public else { continue };
                if self.take(public, protocol, service, &path(key), gaps) {
                    let container = port.container;
                    lines.extend(self.addresses.iter().map(|ip| format!("{ip}{public}:{container}{protocol}")));
                }
            }
            if let Some(https) = port.https {
                gaps.left_out(
                    &path("https"),
                    format!("compose ends no TLS, so {https} stays closed"),
                    "run fermata up in front of the service, which has an address then",
                );
            }
        }
        (!lines.is_empty()).then(|| Value::lines(lines))
    }

    fn take(&mut self, public: u16, protocol: &str, service: &Service, path: &str, gaps: &mut Gaps<'_>) -> bool {
        let key = (public, !protocol.is_empty());
        if let Some(other) = self.taken.get(&key) {
            gaps.left_out(
                path,
                format!("{public} is published by {other}, and compose tells no names apart"),
                "give it another public port, or run fermata up in front of both",
            );
            return false;
        }
        self.taken.insert(key, Arc::clone(&service.name));
        true
    }
}

/// `expose`: container ports without a public one.
pub(super) fn expose(service: &Service) -> Option<Value> {
    let public = |port: &&fermata_spec::Port| port.http.or(port.tcp).or(port.udp).is_some();
    let mut ports: Vec<String> = Vec::new();
    for port in service.ports.iter().filter(|port| !public(port)) {
        let text = port.container.to_string();
        if !ports.contains(&text) {
            ports.push(text);
        }
    }
    (!ports.is_empty()).then(|| Value::words(ports))
}
