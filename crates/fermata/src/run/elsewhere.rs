//! The plan of what runs elsewhere: at addresses of the file, or as the servers of a load balancer.

use std::time::Duration;

use fermata_spec::{Address, Check, CheckKind, LoadBalancer, Protocol, Server, Service};
use http::Method;

use super::event::InstanceName;
use super::plan::{Act, Ask, CheckPlan, GatePlan, PlacePlan, Problem, RunningPlan, Scheme, Surroundings, Turn};
use super::planner::{network_act, paced};
use super::ports;

/// Where the file names no request.
const HTTPCHK: &str = "GET /healthz";

/// A service at these addresses; where there are none, on this machine.
pub(super) fn addresses(
    service: &Service,
    addresses: &[Address],
    ready: Option<CheckPlan>,
    surroundings: Surroundings,
) -> RunningPlan {
    let here = [Address::Host { host: "127.0.0.1".to_owned(), port: None }];
    let addresses = if addresses.is_empty() { &here } else { addresses };
    let place = |(number, address): (u32, &Address)| PlacePlan {
        name: InstanceName::new(service.name.clone(), number),
        address: address.clone(),
        weight: 1,
        turn: Turn::First,
    };
    RunningPlan {
        name: service.name.clone(),
        places: (1..).zip(addresses).map(place).collect(),
        ports: container_ports(service),
        checks: ready.into_iter().map(|check| GatePlan { check, opens: None }).collect(),
        tries_all: false,
        wait_after_adding: Duration::ZERO,
        wait_after_removing: Duration::ZERO,
        surroundings,
    }
}

/// The servers of a load balancer.
pub(super) fn servers(
    service: &Service,
    balancer: &LoadBalancer,
    surroundings: Surroundings,
) -> Result<RunningPlan, Vec<Problem>> {
    let place = |(number, server): (u32, &Server)| PlacePlan {
        name: InstanceName { service: service.name.clone(), number, own: Some(server.name.as_str().into()) },
        address: Address::Host { host: server.address.clone(), port: None },
        weight: u16::try_from(server.weight).unwrap_or(u16::MAX),
        turn: turn(balancer, server),
    };
    let mut problems = Vec::new();
    let mut checks = Vec::new();
    // Nothing can be asked of a port of UDP alone: it gets traffic as if it were well.
    let connectable = ports::containers(&service.ports).into_iter().filter(|(_, protocol)| *protocol == Protocol::Tcp);
    let websockets = service.ports.iter().filter_map(|port| port.websocket);
    for port in connectable.map(|(port, _)| port).chain(websockets) {
        if checks.iter().all(|gate: &GatePlan| gate.opens != Some(port)) {
            match check(balancer, port) {
                Ok(check) => {
                    let check = CheckPlan { proxy: balancer.proxy_protocol, ..check };
                    checks.push(GatePlan { check, opens: Some(port) });
                }
                Err(problem) => problems.push(problem),
            }
        }
    }
    problems.dedup();
    if !problems.is_empty() {
        return Err(problems);
    }
    Ok(RunningPlan {
        name: service.name.clone(),
        places: (1..).zip(&balancer.servers).map(place).collect(),
        ports: container_ports(service),
        checks,
        tries_all: true,
        wait_after_adding: balancer.wait_after_adding_servers,
        wait_after_removing: balancer.wait_after_removing_servers,
        surroundings,
    })
}

fn turn(balancer: &LoadBalancer, server: &Server) -> Turn {
    match &balancer.zone {
        _ if server.backup => Turn::Backup,
        Some(_) if server.zone != balancer.zone => Turn::Second,
        _ => Turn::First,
    }
}

/// The check of a port of the servers.
fn check(balancer: &LoadBalancer, port: u16) -> Result<CheckPlan, Problem> {
    let LoadBalancer { ports, check, ws_check, server_tls, .. } = balancer;
    let (requests, websockets, scheme) = match server_tls {
        Some(_) => (ports.https.server, ports.wss.server, Scheme::Https),
        None => (ports.http.server, ports.ws.server, Scheme::Http),
    };
    let (own, key) = match port {
        port if port == websockets && ws_check.is_some() => (ws_check, "ws_check"),
        port if port == websockets || port == requests => (check, "check"),
        // Passed through: nobody knows what is spoken there.
        _ => return Ok(pace(Act::Tcp { port })),
    };
    match own {
        Some(Check { kind: CheckKind::Exec(_), .. }) => {
            let path = format!("load_balancer.{key}.type");
            Err(Problem::new(path, "no command can be run on a server; check it by http, tcp or websocket"))
        }
        Some(check) => Ok(paced(check, over(scheme, network_act(&check.kind, check.port.unwrap_or(port))))),
        None => Ok(pace(over(scheme, httpchk(balancer.httpchk.as_deref().unwrap_or(HTTPCHK), port)))),
    }
}

/// As the servers are spoken to.
fn over(scheme: Scheme, act: Act) -> Act {
    match (scheme, act) {
        (Scheme::Https, Act::Http { ask, port, endpoint, headers, .. }) => {
            Act::Http { scheme, ask, port, endpoint, headers }
        }
        (_, act) => act,
    }
}

/// `GET /healthz HTTP/1.1`: the version does not matter.
fn httpchk(line: &str, port: u16) -> Act {
    let mut words = line.split(' ');
    let method = words.next().and_then(|word| Method::from_bytes(word.as_bytes()).ok()).unwrap_or(Method::GET);
    let endpoint = words.next().unwrap_or("/").to_owned();
    Act::Http { scheme: Scheme::Http, ask: Ask::Page(method), port, endpoint, headers: Vec::new() }
}

/// How often `HAProxy` is told to check by `fermata render haproxy`.
fn pace(act: Act) -> CheckPlan {
    CheckPlan {
        act,
        proxy: None,
        timeout: Duration::from_secs(2),
        success_threshold: 2,
        failure_threshold: 3,
        initial_delay: Duration::ZERO,
        period: Duration::from_secs(2),
    }
}

fn container_ports(service: &Service) -> Vec<u16> {
    let mut all: Vec<u16> = ports::containers(&service.ports).into_iter().map(|(container, _)| container).collect();
    for port in service.ports.iter().filter_map(|port| port.websocket) {
        if !all.contains(&port) {
            all.push(port);
        }
    }
    all
}
