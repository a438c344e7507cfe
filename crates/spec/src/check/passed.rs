//! `load_balancer.pass_through`: names whose TLS ends at the servers, and what else the file says of them.

use crate::diagnostic::{Diagnostic, codes, quote};
use crate::format::file::Sections;
use crate::model::LoadBalancer;
use crate::reader::Reading;

const AT: &str = "load_balancer.pass_through";

pub(super) fn check(sections: &Sections, reading: &Reading) {
    let Some(balancer) = &sections.load_balancer else { return };
    if balancer.pass_through.is_empty() || reading.said.blames("load_balancer") {
        return;
    }
    arrives(balancer, sections, reading);
    certified(balancer, sections, reading);
}

/// The servers, which read the same file, have https where it is passed to.
fn arrives(balancer: &LoadBalancer, sections: &Sections, reading: &Reading) {
    let port = balancer.ports.https.server;
    let https = || sections.services.iter().flat_map(|service| &service.ports).filter_map(|port| port.https);
    let Some(other) = https().next().filter(|_| https().all(|own| own != port)) else { return };
    if reading.said.blames("services") {
        return;
    }
    let message =
        format!("what is passed through goes to {port} of the servers, where no service of this file has https");
    let help = format!(
        "write load_balancer: {{ports: {{https: \"{}:{other}\"}}}}, or https: {port}",
        balancer.ports.https.public
    );
    let diagnostic = Diagnostic::new(&codes::PASS_THROUGH_PORT, AT, reading.key_place(AT), message);
    reading.said.add(diagnostic.help(help));
}

/// A name has one place where its TLS ends.
fn certified(balancer: &LoadBalancer, sections: &Sections, reading: &Reading) {
    let Some(acme) = &sections.tls.acme else { return };
    for (number, name) in acme.domains.iter().enumerate() {
        if !balancer.pass_through.iter().any(|pattern| pattern.includes(name)) {
            continue;
        }
        let at = format!("tls.acme.domains[{number}]");
        let message = format!("{} is passed through, so that its TLS ends at the servers", quote(name));
        let diagnostic = Diagnostic::new(&codes::PASS_THROUGH_ACME, at.clone(), reading.place(&at), message)
            .also(reading.place(AT), "passed through");
        reading.said.add(diagnostic.help("write it in one of the two places"));
    }
}
