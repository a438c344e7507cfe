//! How it is seen that an instance is ready and alive.

use std::time::Duration;

use fermata_spec::ProxyVersion;
use http::Method;

use super::Value;

/// How it is seen that an instance is ready and alive.
#[derive(Debug, Clone, PartialEq)]
pub struct HealthPlan {
    /// What gates its traffic.
    pub ready: Readiness,
    /// What restarts it on failure.
    pub alive: Option<CheckPlan>,
    /// What suspends the other two until it passes.
    pub startup: Option<CheckPlan>,
}

impl HealthPlan {
    /// Whether anything but its port is looked at.
    pub fn is_checked(&self) -> bool {
        let ready = matches!(self.ready, Readiness::Check(_) | Readiness::Image(_));
        ready || self.alive.is_some() || self.startup.is_some()
    }
}

/// When an instance gets traffic.
#[derive(Debug, Clone, PartialEq)]
pub enum Readiness {
    /// As soon as it has been started: it has no port that could be tried.
    Started,
    /// Once this container port accepts a TCP connection.
    Connects(u16),
    /// While a check passes.
    Check(CheckPlan),
    /// While the image's own HEALTHCHECK passes; where it has none, once this container port accepts a connection.
    Image(Option<u16>),
}

/// A health check whose command and port are settled.
#[derive(Debug, Clone, PartialEq)]
pub struct CheckPlan {
    /// What is done.
    pub act: Act,
    /// How a connection says first that it is nobody's but the checker's: for what expects the PROXY protocol.
    pub proxy: Option<ProxyVersion>,
    /// How long one try may take.
    pub timeout: Duration,
    /// Passes in a row that change "no" to "yes".
    pub success_threshold: u32,
    /// Failures in a row that change "yes" to "no".
    pub failure_threshold: u32,
    /// The time from the start to the first try.
    pub initial_delay: Duration,
    /// The time between tries.
    pub period: Duration,
}

/// What a health check does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Act {
    /// Makes a TCP connection.
    Tcp {
        /// Container port.
        port: u16,
    },
    /// Asks over HTTP and looks at the status.
    Http {
        /// Clear or TLS.
        scheme: Scheme,
        /// What is asked, and which statuses pass.
        ask: Ask,
        /// Container port.
        port: u16,
        /// Path.
        endpoint: String,
        /// Extra headers.
        headers: Vec<(String, String)>,
    },
    /// Runs a command.
    Exec(Vec<Value>),
}

impl Act {
    /// The container port that it is about.
    pub fn port(&self) -> Option<u16> {
        match self {
            Act::Tcp { port } | Act::Http { port, .. } => Some(*port),
            Act::Exec(_) => None,
        }
    }
}

/// Clear or TLS; a certificate is not verified.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names say it")]
pub enum Scheme {
    Http,
    Https,
}

/// What is asked over HTTP.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ask {
    /// A request with this method; 200–399 passes.
    Page(Method),
    /// A WebSocket handshake; 101 passes.
    WebSocket,
}
