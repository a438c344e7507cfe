//! The services: whether they can be started here, are ready, or can be reached where the file says that they run.

use std::time::Duration;

use fermata_spec::{Address, Service, Source, Spec};
use futures_util::future::join_all;
use tokio::net::{TcpStream, UnixStream};
use tokio::time::timeout;

use super::{Finding, Topic, several};
use crate::admin::Status;
use crate::app::{self, Place, StartError};
use crate::public;
use crate::report::{Advice, Verdict};
use crate::run;

/// What connecting to a service may take; the gateway itself is told 5 s.
const PATIENCE: Duration = Duration::from_secs(2);

pub(super) async fn look(spec: &Spec, place: &Place, running: Option<&Status>) -> Finding {
    let mut finding = Finding::works(Topic::Services, None, several(spec.services.len(), "service"));
    let mut troubles = absent(spec).await;
    match running {
        Some(status) => troubles.extend(unready(status)),
        None => troubles.extend(obstacles(spec, place).await),
    }
    if let Some(first) = troubles.first() {
        finding.says = match troubles.len() {
            1 => first.1.says.trim_end_matches('.').to_owned(),
            count => format!("{count} things are in the way"),
        };
    }
    for (verdict, advice) in troubles {
        finding = finding.advised(verdict, advice);
    }
    finding
}

/// Services that are said to run already, and do not take connections.
async fn absent(spec: &Spec) -> Vec<(Verdict, Advice)> {
    let attempts = spec.services.iter().flat_map(|service| {
        addresses(service).into_iter().map(move |(address, port)| async move {
            let outcome = connect(&address, port).await;
            (service, address, port, outcome)
        })
    });
    let outcomes = join_all(attempts).await;
    let failed = outcomes.into_iter().filter_map(|(service, address, port, outcome)| {
        let why = outcome.err()?;
        let at = match &address {
            Address::Host { port: Some(_), .. } | Address::Unix(_) => public::shown(&address),
            Address::Host { host, port: None } if host.contains(':') => format!("[{host}]:{port}"),
            Address::Host { host, port: None } => format!("{host}:{port}"),
        };
        let advice =
            Advice::new("service-absent", format!("{} does not take connections at {at}: {why}.", service.name))
                .then("Start it, and have it listen there.")
                .then(format!("Or correct address: or ports: container: of {} in the file.", service.name));
        Some((Verdict::Broken, advice))
    });
    failed.collect()
}

/// Where a service that runs already is to be found. What carries UDP takes no connections.
fn addresses(service: &Service) -> Vec<(Address, u16)> {
    let Source::Running(addresses) = &service.source else { return Vec::new() };
    let local = [Address::Host { host: "127.0.0.1".to_owned(), port: None }];
    let addresses = if addresses.is_empty() { &local[..] } else { addresses };
    let ports = service.ports.iter().filter(|port| port.http.or(port.https).or(port.tcp).is_some());
    let mut all: Vec<(Address, u16)> = Vec::new();
    for port in ports {
        for address in addresses {
            let port = match address {
                Address::Host { port: own, .. } => own.unwrap_or(port.container),
                Address::Unix(_) => 0,
            };
            if !all.iter().any(|(known, number)| known == address && *number == port) {
                all.push((address.clone(), port));
            }
        }
    }
    all
}

async fn connect(address: &Address, port: u16) -> Result<(), String> {
    let connecting = async {
        match address {
            Address::Host { host, .. } => TcpStream::connect((host.as_str(), port)).await.map(drop),
            Address::Unix(path) => UnixStream::connect(path).await.map(drop),
        }
    };
    match timeout(PATIENCE, connecting).await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(error)) => Err(match error.kind() {
            std::io::ErrorKind::ConnectionRefused => "nothing listens there".to_owned(),
            std::io::ErrorKind::NotFound => "there is no such socket".to_owned(),
            _ => error.to_string(),
        }),
        Err(_) => Err(format!("no answer within {} s", PATIENCE.as_secs())),
    }
}

/// Instances of a running Fermata that get no traffic.
fn unready(status: &Status) -> Vec<(Verdict, Advice)> {
    let good = |state: &str| matches!(state, "ready" | "external");
    let each = status.services.iter().filter_map(|service| {
        let lame: Vec<String> = service
            .instances
            .iter()
            .filter(|instance| !good(&instance.state))
            .map(|instance| format!("{} is {}", instance.name, instance.state))
            .collect();
        let none_left = lame.len() == service.instances.len();
        let verdict = if none_left { Verdict::Broken } else { Verdict::Remark };
        let name = &service.name;
        let advice = Advice::new("service-not-ready", format!("Of {name}, {}.", lame.join(", ")))
            .then("Look at what it says:")
            .write(format!("fermata logs {name}"));
        (!lame.is_empty()).then_some((verdict, advice))
    });
    each.collect()
}

/// What would keep `fermata up` from starting them.
async fn obstacles(spec: &Spec, place: &Place) -> Vec<(Verdict, Advice)> {
    let problems = match app::plan(spec, place) {
        Ok(plan) => {
            let mut problems = run::obstacles(&plan);
            if run::needs_engine(&plan)
                && let Err(why) = run::engine_answers().await
            {
                return vec![(Verdict::Broken, Advice::new("engine-absent", format!("{}.", sentence(&why))))];
            }
            problems.dedup();
            problems
        }
        Err(StartError::Plan(problems)) => problems,
        Err(error) => return vec![(Verdict::Broken, Advice::new("not-startable", error.to_string()))],
    };
    problems.iter().map(|problem| (Verdict::Broken, Advice::new("not-startable", problem.to_string()))).collect()
}

fn sentence(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default()
}
