//! From the file to the data plane: which public ports there are, which routes lead from them, and which pools the
//! instances fill.

mod elsewhere;
mod found;

pub use elsewhere::Settling;

use std::collections::BTreeMap;
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use fermata_spec::{Address, Gateway, HostPattern, Service, Source, Spec};

use crate::net::{Own, proxy_version};
use crate::route::{Endpoint, Guests, Hop, Lease, Manner, Named, Pool, Route, Secure, Target};
use crate::run::Event;

/// What a public port speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Scheme {
    /// TLS that is passed on as it is, by the name that it asks for.
    Tls,
    /// HTTP and WebSocket.
    Http,
    /// The same over TLS.
    Https,
    /// Raw TCP.
    Tcp,
    /// Raw UDP.
    Udp,
}

impl Scheme {
    /// As in a URL of a WebSocket, or of what else the port carries.
    pub fn name(self) -> &'static str {
        match self {
            Scheme::Tls => "tls",
            Scheme::Http => "ws",
            Scheme::Https => "wss",
            Scheme::Tcp => "tcp",
            Scheme::Udp => "udp",
        }
    }
}

/// Services and how many instances each has, where the file knows.
type Behind = Vec<(Arc<str>, Option<u32>)>;

/// One public port and the services behind it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicPort {
    /// What it speaks.
    pub scheme: Scheme,
    /// Its number.
    pub port: u16,
    /// The services, in the order of the file, and how many instances each has.
    pub services: Behind,
}

impl PublicPort {
    /// Who answers there.
    pub fn behind(&self) -> String {
        if self.services.is_empty() {
            return "answers the certificate authority (tls.acme)".into();
        }
        let services = self.services.iter().map(|(service, count)| match count {
            None => format!("{service} (as Kubernetes finds it)"),
            Some(1) => format!("{service} (1 instance)"),
            Some(count) => format!("{service} ({count} instances)"),
        });
        services.collect::<Vec<_>>().join(", ")
    }
}

impl fmt::Display for PublicPort {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{:<3} {:>5}  {}", self.scheme.name(), self.port, self.behind())
    }
}

/// The public ports of a file.
pub fn public_ports(spec: &Spec) -> Vec<PublicPort> {
    let mut ports: BTreeMap<(u16, Scheme), Behind> = BTreeMap::new();
    for service in &spec.services {
        for Published { scheme, public, .. } in published(service) {
            let services = ports.entry((public, scheme)).or_default();
            if !services.iter().any(|(name, _)| *name == service.name) {
                services.push((service.name.clone(), instances(service)));
            }
        }
    }
    if let Some(acme) = &spec.tls.acme {
        // Where no service has it, nobody but the authority is answered there.
        ports.entry((acme.challenge_port, Scheme::Http)).or_default();
    }
    ports.into_iter().map(|((port, scheme), services)| PublicPort { scheme, port, services }).collect()
}

/// Where those ports are bound, as far as they take connections.
pub fn own(gateway: &Gateway, ports: &[PublicPort]) -> Own {
    let ports = ports.iter().filter(|port| port.scheme != Scheme::Udp).map(|port| port.port);
    Own::new(Arc::new(gateway.clone()), ports)
}

/// One way from a public port to a container port.
struct Published {
    scheme: Scheme,
    public: u16,
    container: u16,
    /// Where WebSockets go, if that is another one.
    websocket: Option<u16>,
}

/// Everything that a service publishes.
fn published(service: &Service) -> impl Iterator<Item = Published> {
    service.ports.iter().flat_map(|port| {
        let all = [
            (Scheme::Http, port.http),
            (Scheme::Https, port.https),
            (Scheme::Tcp, port.tcp),
            (Scheme::Udp, port.udp),
            (Scheme::Tls, port.tls),
        ];
        all.into_iter().filter_map(|(scheme, public)| {
            let websocket = port.websocket.filter(|_| matches!(scheme, Scheme::Http | Scheme::Https));
            Some(Published { scheme, public: public?, container: port.container, websocket })
        })
    })
}

/// The names whose TLS is passed on to the servers.
fn passed(service: &Service) -> Vec<HostPattern> {
    match &service.source {
        Source::Servers(balancer) => balancer.pass_through.clone(),
        _ => Vec::new(),
    }
}

fn instances(service: &Service) -> Option<u32> {
    match &service.source {
        Source::Running(addresses) => Some(addresses.len().max(1) as u32),
        Source::Servers(balancer) => Some(balancer.servers.len() as u32),
        Source::Kubernetes(_) => None,
        _ => Some(service.replicas),
    }
}

/// Pools by service and container port.
type ByPort = BTreeMap<(Arc<str>, u16), Arc<Pool>>;

/// A pool for each container port of each service, and the guests of each service: what outlives a reload.
#[derive(Default)]
pub struct Pools {
    pools: Mutex<ByPort>,
    guests: Mutex<BTreeMap<Arc<str>, Arc<Guests>>>,
}

impl Pools {
    fn pools(&self) -> MutexGuard<'_, ByPort> {
        self.pools.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The pool of a container port; an empty one where there was none.
    fn pool(&self, service: &Arc<str>, port: u16) -> Arc<Pool> {
        let fresh = || Arc::new(Pool::new(service.clone()));
        self.pools().entry((service.clone(), port)).or_insert_with(fresh).clone()
    }

    /// The tunnels of a service.
    pub fn guests(&self, service: &Arc<str>) -> Arc<Guests> {
        let mut guests = self.guests.lock().unwrap_or_else(PoisonError::into_inner);
        guests.entry(service.clone()).or_default().clone()
    }

    /// Takes an instance out; what uses it goes on.
    pub fn remove(&self, service: &str, instance: &str) {
        for ((of, _), pool) in self.pools().iter() {
            if &**of == service {
                pool.remove(instance);
            }
        }
    }

    /// Forgets a service that the file has no more.
    pub fn forget(&self, service: &str) {
        self.pools().retain(|(of, _), _| &**of != service);
        self.guests.lock().unwrap_or_else(PoisonError::into_inner).remove(service);
    }

    /// The endpoints of a service, well or not.
    pub fn endpoints(&self, service: &str) -> Vec<Arc<Endpoint>> {
        let pools = self.pools();
        let own = pools.iter().filter(|((of, _), _)| &**of == service);
        own.flat_map(|(_, pool)| pool.endpoints()).collect()
    }

    /// The endpoints of a service that are well.
    pub fn well(&self, service: &str) -> Vec<Arc<Endpoint>> {
        let pools = self.pools();
        let own = pools.iter().filter(|((of, _), _)| &**of == service);
        own.flat_map(|(_, pool)| pool.well()).collect()
    }

    /// Every endpoint that is well: service, container port, and which it is.
    pub fn all(&self) -> Vec<(Arc<str>, u16, Arc<Endpoint>)> {
        let pools = self.pools();
        let each = pools.iter().flat_map(|((service, port), pool)| {
            pool.well().into_iter().map(|one| (service.clone(), *port, one)).collect::<Vec<_>>()
        });
        each.collect()
    }

    /// Adds an endpoint that another process has had for so long.
    pub fn put_back(&self, service: &Arc<str>, port: u16, instance: &str, target: Target, age: Duration) {
        self.pool(service, port).put_back(&instance.into(), target, age);
    }

    /// The lease of something that has used an endpoint since before this process; see [`Pool::hold`].
    pub fn hold(&self, service: &Arc<str>, instance: &str, target: &Target) -> Lease {
        let is = |one: &Arc<Endpoint>| &*one.instance == instance && one.target == *target;
        let known = self
            .pools()
            .iter()
            .find_map(|((of, _), pool)| (of == service && pool.endpoints().iter().any(is)).then(|| pool.clone()));
        known.unwrap_or_else(|| Arc::new(Pool::new(service.clone()))).hold(instance, target)
    }

    /// Keeps the pools true to what instances do.
    pub fn follow(&self, event: &Event) {
        match event {
            Event::Ready { instance, addresses } => {
                for (port, address) in addresses.iter() {
                    self.pool(&instance.service, *port).add(&instance.to_string().into(), Target::Ip(*address));
                }
            }
            Event::NotReady { instance, .. }
            | Event::Exited { instance, .. }
            | Event::Stopping(instance)
            | Event::Stopped(instance) => self.remove(&instance.service, &instance.to_string()),
            // What runs elsewhere keeps its place, whatever a check says.
            Event::Well { .. }
            | Event::Unwell { .. }
            | Event::Swept { .. }
            | Event::Trouble(_)
            | Event::Progress { .. }
            | Event::Starting(_)
            | Event::Found { .. }
            | Event::Waiting { .. } => {}
        }
    }
}

/// The routes of a file, in its order; `secure` is the way to the servers of a load balancer, where that is TLS.
pub fn routes(spec: &Spec, pools: &Pools, secure: Option<&Secure>) -> Vec<(u16, Route)> {
    let mut routes = Vec::new();
    for service in &spec.services {
        let (limits, guests) = (Arc::new(service.websocket.clone()), pools.guests(&service.name));
        let hop = if matches!(service.source, Source::Servers(_)) { Hop::Gateway } else { Hop::Last };
        for Published { scheme, public, container, websocket } in published(service) {
            let pool = pools.pool(&service.name, container);
            let websockets = websocket.map(|port| pools.pool(&service.name, port));
            let hosts = match scheme {
                Scheme::Http | Scheme::Https => service.traffic_matches.clone(),
                Scheme::Tls => passed(service),
                Scheme::Tcp | Scheme::Udp => Vec::new(),
            };
            let named = if scheme == Scheme::Tls { Named::Hello } else { Named::Request };
            let (manner, sticky) =
                (Manner { balance: service.balance, slow_start: service.slow_start }, service.sticky);
            let (limits, guests) = (limits.clone(), guests.clone());
            let proxy = service.proxy_protocol.map(proxy_version);
            let websocket = limits;
            let secure = secure.filter(|_| hop == Hop::Gateway).cloned();
            routes.push((
                public,
                Route { hosts, pool, manner, sticky, proxy, websocket, guests, websockets, hop, secure, named },
            ));
        }
    }
    routes
}

/// An address as people write it.
pub fn shown(address: &Address) -> String {
    match address {
        Address::Unix(path) => format!("unix:{path}"),
        Address::Host { host, port: Some(port) } => format!("{host}:{port}"),
        Address::Host { host, port: None } => host.clone(),
    }
}

fn target_of(address: &Address, container: u16) -> Target {
    match address {
        Address::Unix(path) => Target::Unix(path.into()),
        Address::Host { host, port } => {
            let port = port.unwrap_or(container);
            match host.parse::<IpAddr>() {
                Ok(ip) => Target::Ip(SocketAddr::new(ip, port)),
                Err(_) => Target::Name(host.clone(), port),
            }
        }
    }
}
