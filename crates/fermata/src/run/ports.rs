//! Ports of 127.0.0.1: which ones a service has, free ones to give away, and who holds one that is taken.

use std::collections::BTreeSet;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, UdpSocket};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use fermata_spec::{Port, Protocol};

use super::event::Addresses;
use super::plan::{InstancePlan, Local, PortPlan};

/// Each container port once, in the order of the file, and what is spoken on it.
pub(super) fn containers(ports: &[Port]) -> Vec<(u16, Protocol)> {
    let mut containers: Vec<(u16, Protocol)> = Vec::new();
    for port in ports {
        let udp_alone = port.udp.is_some() && port.http.or(port.https).or(port.tcp).or(port.tls).is_none();
        let protocol = if udp_alone { Protocol::Udp } else { Protocol::Tcp };
        match containers.iter_mut().find(|(container, _)| *container == port.container) {
            Some((_, known)) if protocol == Protocol::Tcp => *known = protocol,
            Some(_) => {}
            None => containers.push((port.container, protocol)),
        }
    }
    containers
}

/// The first container port that accepts TCP connections.
pub(super) fn connectable(ports: &[Port]) -> Option<u16> {
    containers(ports).into_iter().find(|(_, protocol)| *protocol == Protocol::Tcp).map(|(container, _)| container)
}

/// Ports that instances have been told to listen on, whether or not they do so yet.
#[derive(Debug, Clone, Default)]
pub(super) struct Ports {
    taken: Arc<Mutex<BTreeSet<u16>>>,
}

/// The ports of one instance, given back on drop.
#[derive(Debug)]
pub(super) struct Assigned {
    /// Where they are.
    host: IpAddr,
    /// Container port and the port there.
    pub(super) pairs: Vec<(u16, u16)>,
    free: Vec<u16>,
    ports: Ports,
}

impl Ports {
    /// Gives the fixed ports of these instances to nobody else from now on.
    pub(super) fn reserve<'a>(&self, instances: impl Iterator<Item = &'a InstancePlan>) {
        let fixed = instances.flat_map(|instance| &instance.ports).filter(|port| port.local == Local::Same);
        self.taken().extend(fixed.map(|port| port.container));
    }

    fn taken(&self) -> MutexGuard<'_, BTreeSet<u16>> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A local port for each of `wanted`.
    pub(super) fn assign(&self, wanted: &[PortPlan]) -> io::Result<Assigned> {
        let mut assigned = self.elsewhere(Ipv4Addr::LOCALHOST.into(), Vec::new());
        for port in wanted {
            let local = match port.local {
                Local::Same => port.container,
                Local::Free => {
                    let free = self.take_free()?;
                    assigned.free.push(free);
                    free
                }
            };
            assigned.pairs.push((port.container, local));
        }
        Ok(assigned)
    }

    /// The ports that an instance has already.
    pub(super) fn keep(&self, pairs: Vec<(u16, u16)>, free: Vec<u16>) -> Assigned {
        self.taken().extend(&free);
        Assigned { host: Ipv4Addr::LOCALHOST.into(), pairs, free, ports: self.clone() }
    }

    /// Ports that somebody else has assigned, at another address.
    pub(super) fn elsewhere(&self, host: IpAddr, pairs: Vec<(u16, u16)>) -> Assigned {
        Assigned { host, pairs, free: Vec::new(), ports: self.clone() }
    }

    /// A port that nobody listens on, for TCP and for UDP, and that nobody else has been told to listen on.
    fn take_free(&self) -> io::Result<u16> {
        const TRIES: u32 = 100;
        let mut refused = io::Error::from(io::ErrorKind::AddrInUse);
        for _ in 0..TRIES {
            let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
            let port = listener.local_addr()?.port();
            match UdpSocket::bind((Ipv4Addr::LOCALHOST, port)) {
                Ok(_) if self.taken().insert(port) => return Ok(port),
                Ok(_) => {}
                Err(err) => refused = err,
            }
        }
        Err(refused)
    }
}

impl Assigned {
    /// Those of the local ports that are given back.
    pub(super) fn free(&self) -> &[u16] {
        &self.free
    }

    /// Where they are.
    pub(super) fn host(&self) -> IpAddr {
        self.host
    }

    /// The container ports and their addresses.
    pub(super) fn addresses(&self) -> Addresses {
        self.pairs.iter().map(|(container, local)| (*container, SocketAddr::new(self.host, *local))).collect()
    }

    /// Where a container port is; one that the service does not list is at its own number.
    pub(super) fn find(&self, container: u16) -> SocketAddr {
        let pair = self.pairs.iter().find(|(each, _)| *each == container);
        SocketAddr::new(self.host, pair.map_or(container, |(_, local)| *local))
    }
}

impl Drop for Assigned {
    fn drop(&mut self) {
        let mut taken = self.ports.taken();
        self.free.iter().for_each(|port| {
            taken.remove(port);
        });
    }
}

fn address(port: u16) -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, port))
}

/// Whether somebody already listens where an instance is about to. Over TCP, that somebody would be taken for it.
pub(super) fn is_taken(port: u16, protocol: Protocol) -> bool {
    let bound = match protocol {
        Protocol::Tcp => TcpListener::bind(address(port)).map(drop),
        Protocol::Udp => UdpSocket::bind(address(port)).map(drop),
    };
    bound.is_err_and(|err| err.kind() == io::ErrorKind::AddrInUse)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_free_port_is_given_to_one_instance_at_a_time_and_never_where_another_listens_always() {
        let ports = Ports::default();
        let plan = |local| PortPlan { container: 3000, protocol: Protocol::Tcp, local };
        let wanted = [plan(Local::Free), plan(Local::Free)];
        let all: Vec<Assigned> = (0..200).map(|_| ports.assign(&wanted).unwrap()).collect();
        let locals: BTreeSet<u16> = all.iter().flat_map(|each| &each.pairs).map(|(_, local)| *local).collect();
        assert_eq!(locals.len(), 400);
        assert_eq!(*ports.taken(), locals);
        let fixed = ports.assign(&[plan(Local::Same)]).unwrap();
        assert_eq!(fixed.find(3000), address(3000));
        assert_eq!(fixed.find(4000), address(4000));
        drop(all);
        assert!(ports.taken().is_empty());
    }
}
