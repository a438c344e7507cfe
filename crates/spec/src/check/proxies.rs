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
    one_sided(sections, reading);
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
    // A balancer has ports of its own beside those of the services.
    if sections.services.is_empty() || sections.load_balancer.is_some() || reading.said.blames("services") {
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

/// The balancer and its servers, which read the same file, do not agree.
fn one_sided(sections: &Sections, reading: &Reading) {
    let Some(balancer) = &sections.load_balancer else { return };
    if sections.services.is_empty() || reading.said.blames("load_balancer") || reading.said.blames("gateway") {
        return;
    }
    let says = "load_balancer.proxy_protocol";
    let (at, message, help) = match (balancer.proxy_protocol, &sections.gateway.proxy_protocol) {
        (Some(_), ProxyPorts::None) => (
            says,
            "the balancer says it to servers whose gateway does not expect it: they answer 400",
            "write gateway: {proxy_protocol: true, trusted_proxies: [the balancer's address]}",
        ),
        (None, ProxyPorts::All | ProxyPorts::Some(_)) => (
            AT,
            "the servers expect it of the balancer, which does not say it: they close its connections",
            "write load_balancer: {proxy_protocol: v2}, or leave the balancer out of trusted_proxies",
        ),
        _ => return,
    };
    let diagnostic = Diagnostic::new(&codes::PROXY_ONE_SIDED, at, reading.key_place(at), message);
    reading.said.add(diagnostic.help(help));
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
