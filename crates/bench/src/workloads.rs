//! What is measured.

use std::time::Duration;

use crate::tls::Tickets;

/// One thing to measure.
#[derive(Debug)]
pub(crate) struct Workload {
    pub(crate) name: &'static str,
    pub(crate) about: &'static str,
    pub(crate) what: What,
}

/// What is done.
#[derive(Debug)]
pub(crate) enum What {
    /// Each client always has as many messages under way.
    Closed { clients: usize, depth: usize, payload: usize, way: Way },
    /// Messages at fixed times; without `clients`, from all tunnels of the run.
    Paced { clients: Option<usize>, batch: usize, every: Duration },
    /// Tunnels open and end; over TLS where there is a word about tickets.
    Handshakes(Option<Tickets>),
    /// Memory of idle tunnels.
    Memory { tls: bool, message: bool },
    /// CPU time of idle tunnels that get their Pings.
    Keepalive,
    /// A reload among idle tunnels, and some that speak.
    Reload,
}

/// How clients and service are reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    /// TCP on both sides.
    Tcp,
    /// TLS to the clients.
    Tls,
    /// A UNIX socket to the service.
    Unix,
}

const BULK: usize = 64 * 1024;

const fn closed(name: &'static str, about: &'static str, shape: (usize, usize, usize), way: Way) -> Workload {
    let (clients, depth, payload) = shape;
    Workload { name, about, what: What::Closed { clients, depth, payload, way } }
}

static ALL: [Workload; 18] = [
    closed("echo-100", "100 clients, one message of 64 B each under way", (100, 1, 64), Way::Tcp),
    closed("echo-2000", "2,000 clients, one message of 64 B each", (2000, 1, 64), Way::Tcp),
    closed("pipelined", "100 clients, 16 messages of 64 B each", (100, 16, 64), Way::Tcp),
    closed("bulk", "16 clients, 4 messages of 64 KiB each", (16, 4, BULK), Way::Tcp),
    closed("unix-echo-100", "the same as echo-100, the service on a UNIX socket", (100, 1, 64), Way::Unix),
    closed("unix-bulk", "the same as bulk, the service on a UNIX socket", (16, 4, BULK), Way::Unix),
    closed("tls-echo-100", "100 clients over TLS 1.3, one message of 128 B each", (100, 1, 128), Way::Tls),
    closed("tls-bulk", "16 clients over TLS 1.3, 4 messages of 64 KiB each", (16, 4, BULK), Way::Tls),
    Workload {
        name: "paced",
        about: "10,000 messages a second over 100 clients, each at its time",
        what: What::Paced { clients: Some(100), batch: 1, every: Duration::from_micros(100) },
    },
    Workload {
        name: "bursts",
        about: "196 of all tunnels say something every 10 ms",
        what: What::Paced { clients: None, batch: 196, every: Duration::from_millis(10) },
    },
    Workload { name: "handshake", about: "tunnels open and end", what: What::Handshakes(None) },
    Workload {
        name: "tls-handshake",
        about: "the same over TLS 1.3, each a full handshake (X25519, ECDSA P-256)",
        what: What::Handshakes(Some(Tickets::Thrown)),
    },
    Workload {
        name: "tls-resumed",
        about: "the same, each resumes a session with a ticket",
        what: What::Handshakes(Some(Tickets::Used)),
    },
    Workload { name: "memory", about: "idle tunnels", what: What::Memory { tls: false, message: false } },
    Workload {
        name: "tls-memory",
        about: "idle tunnels over TLS 1.3",
        what: What::Memory { tls: true, message: false },
    },
    Workload {
        name: "tls-memory-after-1MiB",
        about: "the same, after a message of 1 MiB each way",
        what: What::Memory { tls: true, message: true },
    },
    Workload { name: "keepalive", about: "CPU of idle tunnels with Pings every 25 s", what: What::Keepalive },
    Workload { name: "reload", about: "a changed file among idle tunnels", what: What::Reload },
];

impl Workload {
    /// All of them.
    pub(crate) fn all() -> &'static [Workload] {
        &ALL
    }

    /// The message's payload, where it matters.
    pub(crate) fn payload(&self) -> usize {
        match self.what {
            What::Closed { payload, .. } => payload,
            What::Memory { message: true, .. } => 1 << 20,
            _ => 64,
        }
    }

    pub(crate) fn way(&self) -> Way {
        match self.what {
            What::Closed { way, .. } => way,
            What::Handshakes(Some(_)) | What::Memory { tls: true, .. } => Way::Tls,
            _ => Way::Tcp,
        }
    }

    /// Whether one turn says it all.
    pub(crate) fn is_steady(&self) -> bool {
        matches!(self.what, What::Memory { .. } | What::Keepalive | What::Reload)
    }
}
