//! The text of a plan: what `up --dry-run` prints.
//!
//! References stand in it as they were written: what they bring in from the environment may be secret.

use std::fmt;
use std::time::Duration;

use fermata_spec::{Address, ClusterService, Protocol};

use super::plan::{
    Act, Ask, CheckPlan, ContainerPlan, FoundPlan, Housing, InstancePlan, Local, PlacePlan, Plan, PortPlan, Readiness,
    RunningPlan, Scheme, ServicePlan, Turn,
};

impl fmt::Display for Plan {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut blocks: Vec<Block> = self.services.iter().map(started).collect();
        blocks.extend(self.running.iter().map(running));
        blocks.extend(self.found.iter().map(found));
        for (place, block) in blocks.iter().enumerate() {
            if place > 0 {
                writeln!(out)?;
            }
            write!(out, "{block}")?;
        }
        Ok(())
    }
}

/// A heading and what belongs to it, by name.
struct Block {
    heading: String,
    rows: Vec<(&'static str, Vec<String>)>,
}

impl fmt::Display for Block {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(out, "{}", self.heading)?;
        for (name, lines) in &self.rows {
            for (place, line) in lines.iter().enumerate() {
                let name = if place == 0 { name } else { "" };
                writeln!(out, "  {name:<9}  {line}")?;
            }
        }
        Ok(())
    }
}

fn started(service: &ServicePlan) -> Block {
    let ports = service.instances.first().map_or(&[][..], |instance| &instance.ports);
    let surroundings = &service.program.surroundings;
    let heading = match service.requires.as_slice() {
        [] => format!("start {}", service.name),
        [one] => format!("start {}, once {one} is ready", service.name),
        many => format!("start {}, once {} are ready", service.name, listed(many)),
    };
    let word = |words: &[_]| {
        let shown = words.iter().map(|word| quoted(&surroundings.shown(word, ports)));
        shown.collect::<Vec<_>>().join(" ")
    };
    let variables = surroundings.variables.iter().map(|(name, value)| format!("{name}={}", quoted(&value.written)));
    let health = &service.health;
    let ready = match &health.ready {
        Readiness::Started => "as soon as it has been started".to_owned(),
        Readiness::Connects(port) => format!("once {} accepts a connection", place(ports, *port)),
        Readiness::Check(check) => format!("while {}, {}", act(check, ports, word), often(check)),
        Readiness::Image(port) => {
            let port = port.map(|port| format!(", or, without one, once {} accepts a connection", place(ports, port)));
            format!("while the HEALTHCHECK of its image passes{}", port.unwrap_or_default())
        }
    };
    let alive = health.alive.as_ref().map(|check| {
        let times = check.failure_threshold;
        format!("{}, {}; restarted after {}", act(check, ports, word), often(check), counted(times, "failure"))
    });
    let startup = health.startup.as_ref().map(|check| {
        let budget = check.initial_delay + check.period * check.failure_threshold;
        format!("{}; restarted if it does not within {}", act(check, ports, word), seconds(budget))
    });
    let container = match &service.housing {
        Housing::Machine => None,
        Housing::Container(container) => Some(container),
    };
    let words = |words: &[_]| if words.is_empty() { Vec::new() } else { vec![word(words)] };
    let hook = |command: Option<&Vec<_>>| command.map(|command| word(command)).into_iter().collect();
    let folder = surroundings.folder.display().to_string();
    let rows = vec![
        ("image", container.iter().map(|container| container.image.to_string()).collect()),
        ("command", words(&service.program.words)),
        ("folder", if folder.is_empty() { Vec::new() } else { vec![folder] }),
        ("variables", variables.collect()),
        ("volumes", container.iter().flat_map(|container| mounts(container)).collect()),
        ("limits", container.iter().filter_map(|container| limits(container)).collect()),
        ("instances", vec![names(&service.instances)]),
        ("listen", ports.iter().enumerate().map(|(number, port)| listens(service, number, *port)).collect()),
        ("network", container.iter().map(|container| container.project.to_string()).collect()),
        ("startup", startup.into_iter().collect()),
        ("ready", vec![ready]),
        ("alive", alive.into_iter().collect()),
        ("after", hook(container.and_then(|container| container.post_start.as_ref()))),
        ("before", hook(container.and_then(|container| container.pre_stop.as_ref()))),
        ("stop", vec![stop(service)]),
    ];
    Block { heading, rows }
}

fn found(service: &FoundPlan) -> Block {
    let ClusterService { name, namespace } = &service.service;
    let at = match namespace {
        Some(namespace) => format!("Service {name} of namespace {namespace}"),
        None => format!("Service {name} of Fermata's own namespace"),
    };
    let ports: Vec<String> = service.ports.iter().map(ToString::to_string).collect();
    Block {
        heading: format!("follow {}, which Kubernetes runs", service.name),
        rows: vec![("at", vec![at]), ("ports", vec![ports.join(", ")])],
    }
}

fn running(service: &RunningPlan) -> Block {
    let at = service.places.iter().flat_map(|place| {
        let named = |at: String| match &place.name.own {
            Some(name) => format!("{name} {at}{}", rank(place)),
            None => at,
        };
        match &place.address {
            Address::Unix(path) => vec![named(format!("unix:{path}"))],
            Address::Host { host, port: Some(port) } => vec![named(on(host, *port))],
            Address::Host { host, port: None } if place.name.own.is_some() => vec![named(host.clone())],
            Address::Host { host, port: None } => service.ports.iter().map(|port| on(host, *port)).collect(),
        }
    });
    let word =
        |words: &[super::plan::Value]| words.iter().map(|word| quoted(&word.written)).collect::<Vec<_>>().join(" ");
    let ready = service.checks.iter().map(|gate| {
        let port = gate.opens.map(|port| format!("on {port} ")).unwrap_or_default();
        format!("{port}while {}, {}", act(&gate.check, &[], word), often(&gate.check))
    });
    Block {
        heading: format!("use {}, which runs already", service.name),
        rows: vec![("at", at.collect()), ("ready", ready.collect())],
    }
}

/// What tells a place from others.
fn rank(place: &PlacePlan) -> String {
    let weight = if place.weight == 1 { String::new() } else { format!(", weight {}", place.weight) };
    let turn = match place.turn {
        Turn::First => "",
        Turn::Second => ", when none of this zone is well",
        Turn::Backup => ", when no other is well",
    };
    weight + turn
}

fn on(host: &str, port: u16) -> String {
    if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
}

fn names(instances: &[InstancePlan]) -> String {
    match instances {
        [] => "none".to_owned(),
        [one] => one.name.to_string(),
        [first, .., last] => format!("{} to {}", first.name, last.name),
    }
}

fn stop(service: &ServicePlan) -> String {
    let to = match service.housing {
        Housing::Machine => "TERM to the process group",
        Housing::Container(_) => "the stop signal of its image (TERM)",
    };
    format!("{to}, KILL after {}", seconds(service.stop_grace))
}

fn mounts(container: &ContainerPlan) -> Vec<String> {
    let shown = container.mounts.iter().map(|mount| {
        let host = mount.host.as_ref().map_or_else(|| "an empty one".to_owned(), |host| host.display().to_string());
        format!("{} is {host}{}", mount.path, if mount.read_only { ", read only" } else { "" })
    });
    shown.collect()
}

fn limits(container: &ContainerPlan) -> Option<String> {
    let memory = container.limits.memory.map(|bytes| format!("{} MiB of memory", bytes.div_ceil(1 << 20)));
    let cpu = container.limits.cpu.map(|cpu| format!("{} CPUs", f64::from(cpu) / 1000.0));
    let all: Vec<String> = memory.into_iter().chain(cpu).collect();
    (!all.is_empty()).then(|| all.join(", "))
}

fn listens(service: &ServicePlan, number: usize, port: PortPlan) -> String {
    let variables = match number {
        0 => format!("PORT and PORT_{}", port.container),
        _ => format!("PORT_{}", port.container),
    };
    let protocol = match port.protocol {
        Protocol::Tcp => "",
        Protocol::Udp => ", UDP",
    };
    if matches!(service.housing, Housing::Container(_)) {
        let container = port.container;
        let too = match &service.housing {
            Housing::Container(plan) if plan.is_published() => format!(" and of 127.0.0.1{protocol}"),
            _ => protocol.to_owned(),
        };
        return format!("{container} of its own address{too} ({variables})");
    }
    match port.local {
        Local::Same => format!("127.0.0.1:{}{protocol} ({variables})", port.container),
        Local::Free => format!("127.0.0.1, each at a free port{protocol} ({variables})"),
    }
}

/// Where a container port is, as far as that is known.
fn place(ports: &[PortPlan], container: u16) -> String {
    match ports.iter().find(|port| port.container == container) {
        Some(PortPlan { local: Local::Free, .. }) => format!("its port {container}"),
        Some(PortPlan { local: Local::Same, .. }) => format!("127.0.0.1:{container}"),
        None => format!("port {container}"),
    }
}

fn act(check: &CheckPlan, ports: &[PortPlan], words: impl Fn(&[super::plan::Value]) -> String) -> String {
    match &check.act {
        Act::Tcp { port } => format!("{} accepts a connection", place(ports, *port)),
        Act::Http { scheme, ask, port, endpoint, .. } => {
            let over = match scheme {
                Scheme::Http => "",
                Scheme::Https => " over TLS",
            };
            let at = place(ports, *port);
            match ask {
                Ask::Page(method) => format!("{method} {endpoint} at {at}{over} answers 200 to 399"),
                Ask::WebSocket => format!("a WebSocket handshake with {endpoint} at {at}{over} succeeds"),
            }
        }
        Act::Exec(command) => format!("{} ends with exit code 0", words(command)),
    }
}

fn often(check: &CheckPlan) -> String {
    format!("looked at after {} and every {}", seconds(check.initial_delay), seconds(check.period))
}

fn counted(number: u32, noun: &str) -> String {
    if number == 1 { format!("1 {noun}") } else { format!("{number} {noun}s in a row") }
}

fn seconds(duration: Duration) -> String {
    format!("{} s", duration.as_secs_f64())
}

fn listed(names: &[impl AsRef<str>]) -> String {
    let names: Vec<&str> = names.iter().map(AsRef::as_ref).collect();
    match names.split_last() {
        Some((last, first @ [_, ..])) => format!("{} and {last}", first.join(", ")),
        _ => names.concat(),
    }
}

/// As a shell would want it, on one line.
fn quoted(text: &str) -> String {
    let quoted = shlex::try_quote(text).map_or_else(|_| text.to_owned(), std::borrow::Cow::into_owned);
    quoted.replace('\n', "\\n").replace('\r', "\\r").replace('\u{1b}', "\\e")
}
