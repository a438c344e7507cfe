//! How a connection came to us.

use std::net::SocketAddr;

/// How a connection came to us.
#[derive(Debug, Clone, Copy)]
pub struct Arrival {
    /// Who connected: the last hop before us.
    pub peer: SocketAddr,
    /// Our address that was connected to.
    pub local: SocketAddr,
    /// Whether it came over TLS.
    pub tls: bool,
}

impl Arrival {
    /// The public port.
    pub fn port(&self) -> u16 {
        self.local.port()
    }

    /// The scheme of ordinary requests.
    pub fn scheme(&self) -> &'static str {
        if self.tls { "https" } else { "http" }
    }
}
