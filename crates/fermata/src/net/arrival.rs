//! How a connection came to us.

use std::net::SocketAddr;

use fermata_wire::proxy::{Tls, Way};

/// How a connection came to us.
#[derive(Debug, Clone, Copy)]
pub struct Arrival {
    /// Who connected: the last hop before us that is not as transparent as a proxy that speaks the PROXY protocol.
    pub peer: SocketAddr,
    /// What they connected to: our address, or that of such a proxy.
    pub server: SocketAddr,
    /// Our address.
    pub local: SocketAddr,
    /// The TLS that they speak, with us or with such a proxy.
    pub tls: Option<Tls>,
}

impl Arrival {
    /// From `peer` at our address `local`; nothing has been said yet.
    pub fn new(peer: SocketAddr, local: SocketAddr) -> Arrival {
        Arrival { peer, server: local, local, tls: None }
    }

    /// What a trusted proxy says of how it came there.
    pub fn believe(&mut self, way: Way) {
        (self.peer, self.server, self.tls) = (way.client, way.server, way.tls);
    }

    /// The same, to be said to others.
    pub fn way(&self) -> Way {
        Way { client: self.peer, server: self.server, tls: self.tls }
    }

    /// The public port.
    pub fn port(&self) -> u16 {
        self.local.port()
    }

    /// The scheme of ordinary requests.
    pub fn scheme(&self) -> &'static str {
        if self.tls.is_some() { "https" } else { "http" }
    }

    /// Whether it comes from this machine, as far as can be told.
    pub fn is_near(&self) -> bool {
        [self.peer, self.local].iter().all(|address| address.ip().to_canonical().is_loopback())
    }
}
