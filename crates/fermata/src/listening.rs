//! The bound public ports of a file: bound once, kept over reloads, given back when the file has them no more.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr, TcpListener, UdpSocket};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;

use fermata_spec::Gateway;
use rustls::ServerConfig;

use crate::net::{BindError, Listener, Transport, bind, has_ipv6};
use crate::public::{PublicPort, Scheme};
use crate::serve::Speaks;
use crate::workers::Door;

/// Everything that is bound.
#[derive(Default)]
pub struct Bound {
    tcp: BTreeMap<SocketAddr, (Arc<TcpListener>, Scheme)>,
    udp: BTreeMap<SocketAddr, Arc<UdpSocket>>,
    /// `gateway.status`.
    status: Option<(SocketAddr, Arc<TcpListener>)>,
}

impl Bound {
    /// Binds every public port on every address, except those that `before` has already; or tells all that could not be
    /// bound, and then nothing is bound that was not.
    pub fn new(gateway: &Gateway, ports: &[PublicPort], before: &Bound) -> Result<Bound, Vec<BindError>> {
        let ipv6 = has_ipv6();
        // `::` is a default where nothing was said: a machine without IPv6 does without it.
        let addresses: Vec<IpAddr> =
            gateway.bind.iter().copied().filter(|ip| ipv6 || *ip != IpAddr::from([0u16; 8])).collect();
        let (mut bound, mut errors) = (Bound::default(), Vec::new());
        // One listener does both: it passes the TLS of some names on, and ends that of the others.
        let ends = |port: u16| ports.iter().any(|other| (other.port, other.scheme) == (port, Scheme::Https));
        for port in ports.iter().filter(|port| port.scheme != Scheme::Tls || !ends(port.port)) {
            for ip in &addresses {
                if let Err(error) = bound.add(SocketAddr::new(*ip, port.port), port.scheme, before) {
                    errors.push(error);
                }
            }
        }
        if let Some(address) = gateway.status {
            match bound.add(address, Scheme::Tcp, before) {
                Ok(()) => bound.status = bound.tcp.remove(&address).map(|(listener, _)| (address, listener)),
                Err(error) => errors.push(error),
            }
        }
        if errors.is_empty() { Ok(bound) } else { Err(errors) }
    }

    fn add(&mut self, address: SocketAddr, scheme: Scheme, before: &Bound) -> Result<(), BindError> {
        let known = match scheme {
            Scheme::Udp => before.udp.get(&address).map(|socket| Kept::Udp(socket.clone())),
            Scheme::Tls | Scheme::Http | Scheme::Https | Scheme::Tcp => before.tcp(address).map(Kept::Tcp),
        };
        let transport = if scheme == Scheme::Udp { Transport::Udp } else { Transport::Tcp };
        let kept = match known {
            Some(kept) => kept,
            None => match bind(address, transport)? {
                Listener::Tcp(listener) => Kept::Tcp(Arc::new(listener)),
                Listener::Udp(socket) => Kept::Udp(Arc::new(socket)),
            },
        };
        match kept {
            Kept::Tcp(listener) => drop(self.tcp.insert(address, (listener, scheme))),
            Kept::Udp(socket) => drop(self.udp.insert(address, socket)),
        }
        Ok(())
    }

    /// What is bound at an address already, for whatever it was.
    fn tcp(&self, address: SocketAddr) -> Option<Arc<TcpListener>> {
        let status = self.status.as_ref().filter(|(own, _)| *own == address).map(|(_, listener)| listener);
        self.tcp.get(&address).map(|(listener, _)| listener).or(status).cloned()
    }

    /// The status address.
    pub fn status(&self) -> Option<&Arc<TcpListener>> {
        self.status.as_ref().map(|(_, listener)| listener)
    }

    /// What another process has bound and hands over. What is spoken there is up to the file.
    pub fn inherited(listeners: impl IntoIterator<Item = (SocketAddr, Transport, OwnedFd)>) -> Bound {
        let mut bound = Bound::default();
        for (address, transport, descriptor) in listeners {
            match transport {
                Transport::Tcp => {
                    drop(bound.tcp.insert(address, (Arc::new(TcpListener::from(descriptor)), Scheme::Tcp)));
                }
                Transport::Udp => drop(bound.udp.insert(address, Arc::new(UdpSocket::from(descriptor)))),
            }
        }
        bound
    }

    /// All of it, for another process.
    pub fn listeners(&self) -> impl Iterator<Item = (SocketAddr, Transport, BorrowedFd<'_>)> {
        let tcp = self.tcp.iter().map(|(address, (listener, _))| (*address, Transport::Tcp, listener.as_fd()));
        let status = self.status.iter().map(|(address, listener)| (*address, Transport::Tcp, listener.as_fd()));
        tcp.chain(status).chain(self.udp.iter().map(|(address, socket)| (*address, Transport::Udp, socket.as_fd())))
    }

    /// What the data plane is to accept from.
    pub fn doors(&self, tls: &Arc<ServerConfig>) -> Vec<Door> {
        self.tcp
            .values()
            .map(|(listener, scheme)| {
                let speaks = match scheme {
                    Scheme::Https => Speaks::Https(tls.clone()),
                    Scheme::Http => Speaks::Http,
                    Scheme::Tls => Speaks::Tls,
                    Scheme::Tcp | Scheme::Udp => Speaks::Raw,
                };
                Door { listener: listener.clone(), speaks }
            })
            .collect()
    }

    /// The UDP sockets.
    pub fn udp(&self) -> &BTreeMap<SocketAddr, Arc<UdpSocket>> {
        &self.udp
    }
}

enum Kept {
    Tcp(Arc<TcpListener>),
    Udp(Arc<UdpSocket>),
}
