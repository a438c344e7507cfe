//! How it is found out that an instance is well.

use std::time::Duration;

/// `health`.
#[derive(Debug, Clone, PartialEq, Default)]
#[expect(clippy::large_enum_variant, reason = "one for each service, and most services have checks")]
pub enum Health {
    /// Left out, or `none`: an instance is ready as soon as its port accepts connections.
    #[default]
    None,
    /// `default`: the image's own HEALTHCHECK, or a TCP connection where there is none.
    Default,
    /// Named checks.
    Checks {
        /// Gate for traffic.
        ready: Option<Check>,
        /// Restart on failure.
        alive: Option<Check>,
        /// Suspends the other two until it passes.
        startup: Option<Check>,
    },
}

/// One health check.
#[derive(Debug, Clone, PartialEq)]
pub struct Check {
    /// What is done.
    pub kind: CheckKind,
    /// Port, or the first container port.
    pub port: Option<u16>,
    /// Default 5 s.
    pub timeout: Duration,
    /// Default 1.
    pub success_threshold: u32,
    /// Default 1.
    pub failure_threshold: u32,
    /// Default 1 s.
    pub initial_delay: Duration,
    /// Default 5 s.
    pub period: Duration,
}

/// What a health check does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CheckKind {
    /// GET over HTTP; 200–399 passes (Kubernetes' rule for httpGet probes).
    Http {
        /// Path.
        endpoint: String,
        /// Extra headers.
        headers: Vec<(String, String)>,
    },
    /// GET over HTTPS, certificate not verified (as Kubernetes does).
    Https {
        /// Path.
        endpoint: String,
        /// Extra headers.
        headers: Vec<(String, String)>,
    },
    /// A TCP connection.
    Tcp,
    /// A command that exits with 0.
    Exec(String),
    /// A WebSocket handshake to a path. Fermata's own.
    WebSocket {
        /// Path.
        endpoint: String,
        /// Extra headers.
        headers: Vec<(String, String)>,
    },
}
