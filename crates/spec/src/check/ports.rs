//! Public ports: who has them, who shares them, whether others reach them.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt;
use std::ops::Range;

use crate::diagnostic::{Diagnostic, codes, quote};
use crate::format::file::Sections;
use crate::model::{HostPattern, Protocol, Service};
use crate::reader::{Reading, list};

use super::path;

/// Ports that are open without asking (design: interface, section 3).
const OPEN: &[u16] = &[80, 443, 8080, 8443];

/// Names on ports that are compared with each other; a file with more is not one that people share ports in.
const MAX_COMPARED: usize = 1_000_000;
/// Ports that are named as closed, before it is enough.
const MAX_CLOSED: usize = 100;

/// What a public port speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
enum Speech {
    Http,
    Https,
    Tcp,
    Udp,
}

impl fmt::Display for Speech {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Speech::Http => "http",
            Speech::Https => "https",
            Speech::Tcp => "tcp",
            Speech::Udp => "udp",
        })
    }
}

/// One public port as one service's entry has it.
#[derive(Debug, Clone)]
struct Claim<'a> {
    port: u16,
    speech: Speech,
    /// Its place in the file's order.
    service: usize,
    name: &'a str,
    container: u16,
    path: String,
    place: Range<usize>,
}

pub(super) fn check(sections: &Sections, reading: &Reading) {
    let claims = claims(&sections.services, reading);
    taken(&claims, reading);
    shared(&claims, &sections.services, reading);
    firewall(&claims, sections, reading);
    certificates(&claims, sections, reading);
    challenges(&claims, sections, reading);
    status(&claims, sections, reading);
}

fn claims<'a>(services: &'a [Service], reading: &Reading) -> Vec<Claim<'a>> {
    let mut claims = Vec::new();
    for (at, service) in services.iter().enumerate() {
        for (number, entry) in service.ports.iter().enumerate() {
            let public = [
                (Speech::Http, entry.http),
                (Speech::Https, entry.https),
                (Speech::Tcp, entry.tcp),
                (Speech::Udp, entry.udp),
            ];
            for (speech, port) in public {
                let Some(port) = port else { continue };
                let path = path(&service.name, &format!("ports[{number}].{speech}"));
                let place = reading.place(&path);
                claims.push(Claim {
                    port,
                    speech,
                    service: at,
                    name: &service.name,
                    container: entry.container,
                    path,
                    place,
                });
            }
        }
    }
    claims
}

/// A port speaks one protocol, and a raw one leads to one container port.
fn taken(claims: &[Claim<'_>], reading: &Reading) {
    // TCP and UDP ports are numbered apart (RFC 6335, 6).
    let mut first: HashMap<(u16, bool), &Claim<'_>> = HashMap::new();
    let mut doors: HashMap<(u16, Speech, usize), &Claim<'_>> = HashMap::new();
    for claim in claims {
        let holder = *first.entry((claim.port, claim.speech == Speech::Udp)).or_insert(claim);
        let raw = matches!(claim.speech, Speech::Tcp | Speech::Udp);
        if std::ptr::eq(holder, claim) {
            doors.insert((claim.port, claim.speech, claim.service), claim);
        } else if holder.speech != claim.speech {
            say_taken(holder, claim, "each needs a port of its own", reading);
        } else if raw {
            say_taken(holder, claim, "a raw port leads to one service", reading);
        } else if let Some(other) = doors.get(&(claim.port, claim.speech, claim.service)) {
            say_taken(other, claim, "one public port leads to one container port of a service", reading);
        } else {
            doors.insert((claim.port, claim.speech, claim.service), claim);
        }
    }
}

fn say_taken(holder: &Claim<'_>, claim: &Claim<'_>, why: &str, reading: &Reading) {
    let message = if holder.service == claim.service {
        format!(
            "{} is used twice by {}: as {} for {} and as {} for {}",
            claim.port, claim.name, holder.speech, holder.container, claim.speech, claim.container
        )
    } else {
        format!(
            "{} is used as {} by {} and as {} by {}",
            claim.port, holder.speech, holder.name, claim.speech, claim.name
        )
    };
    let diagnostic = Diagnostic::new(&codes::PORT_TAKEN, claim.path.clone(), claim.place.clone(), message)
        .label(format!("{} of {}", claim.speech, claim.name))
        .also(holder.place.clone(), format!("{} of {}", holder.speech, holder.name));
    reading.said.add(diagnostic.help(format!("{why}; write another number for one of the two")));
}

/// Services of one port that answer to the same name.
#[derive(Debug)]
struct Overlap<'a> {
    first: &'a Claim<'a>,
    second: &'a Claim<'a>,
    pattern: HostPattern,
    /// `http 80`, `https 443`.
    ports: Vec<String>,
}

/// The first service of the file that matches gets a request, so equal patterns on one port leave the later one nothing.
fn shared<'a>(claims: &'a [Claim<'a>], services: &[Service], reading: &Reading) {
    let mut owners: HashMap<(u16, Speech, HostPattern), &Claim<'_>> = HashMap::new();
    let mut left = MAX_COMPARED;
    let mut overlaps: BTreeMap<(usize, usize), Overlap<'_>> = BTreeMap::new();
    for claim in claims.iter().filter(|claim| matches!(claim.speech, Speech::Http | Speech::Https)) {
        let patterns = &services[claim.service].traffic_matches;
        let every = [HostPattern::Any];
        for pattern in if patterns.is_empty() { &every[..] } else { patterns } {
            if left == 0 {
                break;
            }
            left -= 1;
            let owner = *owners.entry((claim.port, claim.speech, pattern.clone())).or_insert(claim);
            if owner.service == claim.service {
                continue;
            }
            let port = format!("{} {}", claim.speech, claim.port);
            let overlap = overlaps.entry((claim.service, owner.service)).or_insert_with(|| Overlap {
                first: owner,
                second: claim,
                pattern: pattern.clone(),
                ports: Vec::new(),
            });
            if !overlap.ports.contains(&port) && overlap.ports.len() < 8 {
                overlap.ports.push(port);
            }
        }
    }
    for overlap in overlaps.values() {
        overlap.say(services, reading);
    }
}

impl Overlap<'_> {
    fn say(&self, services: &[Service], reading: &Reading) {
        let (first, second) = (self.first.name, self.second.name);
        let ports = list(self.ports.iter().map(String::as_str));
        let nameless = |claim: &Claim<'_>| services[claim.service].traffic_matches.is_empty();
        let message = if nameless(self.first) && nameless(self.second) {
            format!("{first} and {second} both publish {ports}; {first} gets every request")
        } else {
            let name = match &self.pattern {
                HostPattern::Any => "every other name".to_owned(),
                HostPattern::Exact(name) => quote(name),
                HostPattern::Under(name) => quote(&format!("*.{name}")),
            };
            format!("{first} and {second} both answer to {name} on {ports}; {first} gets these requests")
        };
        let diagnostic =
            Diagnostic::new(&codes::PORT_SHARED, self.second.path.clone(), self.second.place.clone(), message)
                .label(second)
                .also(self.first.place.clone(), first);
        reading.said.add(diagnostic.help("give each service traffic_matches of its own, or another port"));
    }
}

/// Ports that others do not reach until a firewall lets them.
fn firewall(claims: &[Claim<'_>], sections: &Sections, reading: &Reading) {
    let is_udp = |protocol| protocol == Protocol::Udp;
    let open = OPEN.iter().map(|port| (*port, false));
    let ruled = sections.firewall.rules.iter().map(|rule| (rule.port, is_udp(rule.protocol)));
    let mut known: HashSet<(u16, bool)> = open.chain(ruled).collect();
    let closed = claims.iter().filter(|claim| known.insert((claim.port, claim.speech == Speech::Udp)));
    for claim in closed.take(MAX_CLOSED) {
        let protocol = if claim.speech == Speech::Udp { "udp" } else { "tcp" };
        let message =
            format!("{} {} is not one of the ports open by default (80, 443, 8080, 8443)", claim.speech, claim.port);
        let help =
            format!("open it with fermata firewall allow {}/{protocol}, or with a rule under firewall:", claim.port);
        let diagnostic = Diagnostic::new(&codes::PORT_FIREWALL, claim.path.clone(), claim.place.clone(), message);
        reading.said.add(diagnostic.help(help));
    }
}

/// The authority asks over plain HTTP (RFC 8555 8.3): what answers must not be something else.
fn challenges(claims: &[Claim<'_>], sections: &Sections, reading: &Reading) {
    let Some(acme) = &sections.tls.acme else { return };
    let other =
        |claim: &&Claim<'_>| claim.port == acme.challenge_port && matches!(claim.speech, Speech::Https | Speech::Tcp);
    let Some(claim) = claims.iter().find(other) else { return };
    let message = format!(
        "{} is {} here, and tls.acme needs it as http: the authority's questions arrive there",
        claim.port, claim.speech
    );
    let place = reading.place("tls.acme");
    let diagnostic = Diagnostic::new(&codes::ACME_PORT, claim.path.clone(), claim.place.clone(), message)
        .label(format!("{} of {}", claim.speech, claim.name))
        .also(place, "acme");
    reading.said.add(diagnostic.help("give the service another port, or have 80 redirected to another challenge_port"));
}

/// The status address is nobody else's.
fn status(claims: &[Claim<'_>], sections: &Sections, reading: &Reading) {
    let Some(status) = sections.gateway.status else { return };
    let Some(claim) = claims.iter().find(|claim| claim.port == status.port() && claim.speech != Speech::Udp) else {
        return;
    };
    let message = format!("{} is used as {} by {} and by gateway.status", claim.port, claim.speech, claim.name);
    let diagnostic = Diagnostic::new(&codes::PORT_TAKEN, claim.path.clone(), claim.place.clone(), message)
        .label(format!("{} of {}", claim.speech, claim.name))
        .also(reading.place("gateway.status"), "status");
    reading.said.add(diagnostic.help("each needs a port of its own; write another number for one of the two"));
}

fn certificates(claims: &[Claim<'_>], sections: &Sections, reading: &Reading) {
    if !sections.tls.certificates.is_empty() || sections.tls.acme.is_some() || reading.said.blames("tls") {
        return;
    }
    let Some(claim) = claims.iter().find(|claim| claim.speech == Speech::Https) else { return };
    let message =
        format!("https {} has no certificate, so Fermata makes a self-signed one that browsers warn of", claim.port);
    let diagnostic = Diagnostic::new(&codes::TLS_SELF_SIGNED, claim.path.clone(), claim.place.clone(), message);
    reading.said.add(diagnostic.help("name the files under tls: {certificates: [{cert: app.pem, key: app.key}]}"));
}
