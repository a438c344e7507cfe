//! Names of services that other services use: `requires`, and `SERVICE[name]` in references.

use std::collections::HashMap;
use std::ops::Range;

use crate::diagnostic::{Diagnostic, codes, quote};
use crate::format::services::is_service_name;
use crate::model::{Port, Service, Source};
use crate::reader::{Reading, nearest_word, segment};

use super::path;

pub(super) fn check(services: &[Service], reading: &Reading) {
    not_labels(services, reading);
    unknown_requires(services, reading);
    requires_out_of_reach(services, reading);
    unknown_references(services, reading);
    Cycles::new(services, reading).find();
}

/// Names that are no DNS labels (RFC 1123, 2.1) and that Kubernetes therefore refuses. Said once for all of them: real
/// files that have one have many.
fn not_labels(services: &[Service], reading: &Reading) {
    let letter = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    let label =
        |name: &str| name.bytes().all(letter) && !name.starts_with('-') && !name.ends_with('-') && name.len() <= 63;
    let bad: Vec<&str> =
        services.iter().map(|service| &*service.name).filter(|name| !label(name) && is_service_name(name)).collect();
    let Some((first, others)) = bad.split_first() else { return };
    let place = |name: &str| reading.key_place(&format!("services.{}", segment(name)));
    let message = match others {
        [] => format!("{} is not a DNS label, and Kubernetes refuses it", quote(first)),
        _ => {
            format!("{} and {} other names are not DNS labels, and Kubernetes refuses them", quote(first), others.len())
        }
    };
    let path = format!("services.{}", segment(first));
    let mut diagnostic = Diagnostic::new(&codes::SERVICE_NAME, path, place(first), message);
    for name in others.iter().take(7) {
        diagnostic = diagnostic.also(place(name), "");
    }
    reading.said.add(diagnostic.help("use small letters, digits and dashes, 63 at most"));
}

/// Whether the file has a service of this name, well or badly written.
fn exists(name: &str, reading: &Reading) -> bool {
    reading.places.borrow().contains_key(&format!("services.{}", segment(name)))
}

fn unknown_requires(services: &[Service], reading: &Reading) {
    for service in services {
        for (number, required) in service.requires.iter().enumerate() {
            if exists(required, reading) {
                continue;
            }
            let path = format!("{}[{number}]", path(&service.name, "requires"));
            let message = format!("there is no service {}", quote(required));
            let diagnostic = Diagnostic::new(&codes::REQUIRES_UNKNOWN, path.clone(), reading.place(&path), message);
            let help = if reading.said.is_full() { String::new() } else { advice(required, services) };
            reading.said.add(diagnostic.help(help));
        }
    }
}

/// Processes that require containers of which there are several: none of these is at a port of the machine.
fn requires_out_of_reach(services: &[Service], reading: &Reading) {
    let by_name: HashMap<&str, &Service> = services.iter().map(|service| (&*service.name, service)).collect();
    for process in services.iter().filter(|service| matches!(service.source, Source::Command(_))) {
        for (number, required) in process.requires.iter().enumerate() {
            let Some(containers) = by_name.get(&**required).filter(|required| has_containers_alone(required)) else {
                continue;
            };
            let path = format!("{}[{number}]", path(&process.name, "requires"));
            let (name, count) = (quote(&process.name), containers.replicas);
            let message =
                format!("{name} runs as a process and has no way to the {count} containers of {}", quote(required));
            let help = "leave replicas out there, run the process in a container too (image), or give the containers a public \
                        port and have it use that";
            let diagnostic = Diagnostic::new(&codes::REQUIRES_APART, path.clone(), reading.place(&path), message);
            reading.said.add(diagnostic.help(help));
        }
    }
}

/// Whether it has several containers with ports, and none of these is public.
fn has_containers_alone(service: &Service) -> bool {
    let is_public = |port: &Port| [port.http, port.https, port.tcp, port.udp, port.tls].iter().any(Option::is_some);
    let contained = matches!(service.source, Source::Image { .. } | Source::Build { .. });
    contained && service.replicas > 1 && !service.ports.is_empty() && !service.ports.iter().any(is_public)
}

fn advice(name: &str, services: &[Service]) -> String {
    match nearest_word(name, services.iter().take(1000).map(|service| &*service.name)) {
        Some(near) => format!("did you mean {}?", quote(near)),
        None => "requires names services of this file; databases are not services".to_owned(),
    }
}

fn unknown_references(services: &[Service], reading: &Reading) {
    for (name, path, place) in reading.references.borrow().iter() {
        if exists(name, reading) {
            continue;
        }
        let message = format!("there is no service {}", quote(name));
        let mut diagnostic = Diagnostic::new(&codes::REFERENCE_SERVICE, path.clone(), place.clone(), message);
        if reading.said.is_full() {
            reading.said.add(diagnostic);
            continue;
        }
        if let Some(near) = nearest_word(name, services.iter().take(1000).map(|service| &*service.name)) {
            diagnostic = diagnostic.help(format!("did you mean {}?", quote(near)));
        }
        reading.said.add(diagnostic);
    }
}

/// Looks for circles by depth-first search, without recursion: a chain may be as long as the file.
struct Cycles<'a> {
    services: &'a [Service],
    by_name: HashMap<&'a str, usize>,
    state: Vec<State>,
    reading: &'a Reading,
    found: usize,
}

/// More circles than this in one file have one cause.
const MAX_CYCLES: usize = 20;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    New,
    /// Its requirements are being looked at.
    Open,
    Done,
}

impl<'a> Cycles<'a> {
    fn new(services: &'a [Service], reading: &'a Reading) -> Self {
        let by_name = services.iter().enumerate().map(|(at, service)| (&*service.name, at)).collect();
        Cycles { services, by_name, state: vec![State::New; services.len()], reading, found: 0 }
    }

    fn find(mut self) {
        for start in 0..self.services.len() {
            if self.state[start] == State::New && self.found < MAX_CYCLES {
                self.follow(start);
            }
        }
    }

    fn follow(&mut self, start: usize) {
        // A service, and which of its requirements is next.
        let mut way: Vec<(usize, usize)> = vec![(start, 0)];
        self.state[start] = State::Open;
        while let Some((service, next)) = way.last_mut()
            && self.found < MAX_CYCLES
        {
            let Some(required) = self.services[*service].requires.get(*next) else {
                self.state[*service] = State::Done;
                way.pop();
                continue;
            };
            *next += 1;
            let Some(&at) = self.by_name.get(&**required) else { continue };
            match self.state[at] {
                State::New => {
                    self.state[at] = State::Open;
                    way.push((at, 0));
                }
                State::Open => {
                    let from = way.iter().position(|(service, _)| *service == at).unwrap_or(0);
                    self.say(&way[from..]);
                    self.found += 1;
                }
                State::Done => {}
            }
        }
    }

    /// The circle closes with the last requirement of `way`.
    fn say(&self, way: &[(usize, usize)]) {
        let name = |at: usize| &*self.services[at].name;
        let place = |(service, next): &(usize, usize)| -> (String, Range<usize>) {
            let path = format!("{}[{}]", path(name(*service), "requires"), next - 1);
            let place = self.reading.place(&path);
            (path, place)
        };
        let mut names: Vec<&str> = way.iter().take(8).map(|(service, _)| name(*service)).collect();
        if way.len() > 8 {
            names.push("…");
        }
        names.push(name(way[0].0));
        let Some((last, others)) = way.split_last() else { return };
        let (path, span) = place(last);
        let message = match others {
            [] => format!("{} requires itself", names[0]),
            _ => format!("these services wait for each other: {}", names.join(" → ")),
        };
        let mut diagnostic = Diagnostic::new(&codes::REQUIRES_CYCLE, path, span, message);
        for step in others.iter().take(8) {
            diagnostic = diagnostic.also(place(step).1, "");
        }
        self.reading.said.add(diagnostic.help("remove one of these requirements"));
    }
}
