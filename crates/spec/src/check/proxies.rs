//! The PROXY protocol: two sides have to agree on it, and one of them is often elsewhere.

use crate::diagnostic::{Diagnostic, codes};
use crate::format::file::Sections;
use crate::model::{ProxyPorts, Service};
use crate::reader::Reading;

use super::path;

const AT: &str = "gateway.proxy_protocol";

pub(super) fn check(sections: &Sections, reading: &Reading) {
    nobody(sections, reading);
    nowhere(sections, reading);
    for service in &sections.services {
        datagrams(service, reading);
    }
}

/// Nobody is trusted, so that no header is ever believed.
fn nobody(sections: &Sections, reading: &Reading) {
    let gateway = &sections.gateway;
    if gateway.proxy_protocol == ProxyPorts::None || !gateway.trusted_proxies.is_empty() {
        return;
    }
    if reading.said.blames("gateway.trusted_proxies") {
        return;
    }
    let message = "no header is believed, since gateway.trusted_proxies names nobody";
    let diagnostic = Diagnostic::new(&codes::PROXY_UNTRUSTED, AT, reading.key_place(AT), message);
    reading.said.add(diagnostic.help("name the balancers, as in trusted_proxies: [10.0.0.0/8]"));
}

/// A port that is no public one.
fn nowhere(sections: &Sections, reading: &Reading) {
    let ProxyPorts::Some(ports) = &sections.gateway.proxy_protocol else { return };
    if sections.services.is_empty() || reading.said.blames("services") {
        return;
    }
    let entries = || sections.services.iter().flat_map(|service| &service.ports);
    let is_public = |port| entries().any(|entry| [entry.http, entry.https, entry.tcp].contains(&Some(port)));
    for (number, port) in ports.iter().enumerate() {
        if is_public(*port) {
            continue;
        }
        let at = format!("{AT}[{number}]");
        let message = format!("{port} is no public http, https or tcp port of this file");
        let diagnostic = Diagnostic::new(&codes::PROXY_PORT, at.clone(), reading.place(&at), message);
        reading.said.add(diagnostic.help("write a public port of a service, or remove it"));
    }
}

/// The protocol begins connections, and UDP has none.
fn datagrams(service: &Service, reading: &Reading) {
    let entries = &service.ports;
    let others = entries.iter().any(|entry| entry.http.or(entry.https).or(entry.tcp).is_some());
    if service.proxy_protocol.is_none() || others || entries.iter().all(|entry| entry.udp.is_none()) {
        return;
    }
    let at = path(&service.name, "proxy_protocol");
    let message = "no effect on UDP, which has no connections that it could begin";
    let diagnostic = Diagnostic::new(&codes::PROXY_PORT, at.clone(), reading.key_place(&at), message);
    reading.said.add(diagnostic.help("give the service an http, https or tcp port, or remove it"));
}
