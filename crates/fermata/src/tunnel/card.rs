//! Who a tunnel is: what is known from its handshake and never changes while it lives.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Instant;

use fermata_spec::WebSocket;
use fermata_wire::Rules;

use crate::route::{Admission, Lease, Place};

/// Names one tunnel, over all threads of the process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TunnelId(pub u64);

impl std::fmt::Display for TunnelId {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(out)
    }
}

/// Who a tunnel is.
#[derive(Debug)]
pub struct Card {
    /// Its name.
    pub id: TunnelId,
    /// The pick that leads to the service's instance; given back when the tunnel ends.
    pub lease: Lease,
    /// Its place among the service's guests.
    pub admission: Admission,
    /// Its place among everything that the gateway carries.
    pub place: Place,
    /// When it was opened.
    pub since: Instant,
    /// Whether the client came over TLS.
    pub tls: bool,
    /// The subprotocol that both sides agreed on.
    pub protocol: Option<Arc<str>>,
    /// What its frames may be.
    pub rules: Rules,
    /// What its service allows it.
    pub limits: Arc<WebSocket>,
}

impl Card {
    /// The client's address, as far as it may be believed.
    pub fn client(&self) -> IpAddr {
        self.admission.client()
    }
}
