//! Where this gateway listens itself: what is sent there comes back, and on a port that is passed through nothing tells.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Arc;

use fermata_spec::Gateway;

use super::listen::is_local;

/// The addresses and ports of this gateway.
#[derive(Debug, Clone)]
pub struct Own {
    gateway: Arc<Gateway>,
    ports: BTreeSet<u16>,
}

impl Own {
    /// These ports, on the addresses that the file has them bound on.
    pub fn new(gateway: Arc<Gateway>, ports: impl IntoIterator<Item = u16>) -> Own {
        Own { gateway, ports: ports.into_iter().collect() }
    }

    /// Those addresses of a name that are somebody else's, and what to say where none of them answers and others are our own.
    pub fn others(&self, name: &str, addresses: impl Iterator<Item = SocketAddr>) -> (Vec<SocketAddr>, Option<String>) {
        let (own, others): (Vec<_>, Vec<_>) = addresses.partition(|address| self.includes(*address));
        let said = own.first().map(|own| {
            format!("{name} leads to this balancer itself, which listens on {own}: name the web servers in load_balancer.servers")
        });
        (others, said)
    }

    fn includes(&self, address: SocketAddr) -> bool {
        self.ports.contains(&address.port()) && self.gateway.binds(address.ip(), is_local)
    }
}
