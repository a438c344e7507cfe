//! What is done with a service's tunnels.

use std::time::Duration;

use super::HostPattern;

/// `websocket`. Times are `None` where the file says `off`.
#[derive(Debug, Clone, PartialEq)]
pub struct WebSocket {
    /// Ping when silent this long. Default 25 s.
    pub keepalive: Option<Duration>,
    /// Default 20 s.
    pub pong_timeout: Duration,
    /// Default off.
    pub idle_timeout: Option<Duration>,
    /// Default: no limit of its own.
    pub max_connections: Option<u32>,
    /// Default: none.
    pub max_connections_per_ip: Option<u32>,
    /// Handshakes a second for each ready instance. Default: none.
    pub max_handshake_rate: Option<u32>,
    /// Bytes. Default: none.
    pub max_message: Option<u64>,
    /// Messages a second per tunnel. Default: none.
    pub max_message_rate: Option<u32>,
    /// Empty: every origin.
    pub origins: Vec<Origin>,
    /// Default 30 s.
    pub drain: Duration,
}

impl Default for WebSocket {
    fn default() -> Self {
        WebSocket {
            keepalive: Some(Duration::from_secs(25)),
            pong_timeout: Duration::from_secs(20),
            idle_timeout: None,
            max_connections: None,
            max_connections_per_ip: None,
            max_handshake_rate: None,
            max_message: None,
            max_message_rate: None,
            origins: Vec::new(),
            drain: Duration::from_secs(30),
        }
    }
}

/// One allowed origin (RFC 6454), lower case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    /// `http` or `https`.
    pub scheme: String,
    /// The host.
    pub host: HostPattern,
    /// The port, where it isn't the scheme's own.
    pub port: Option<u16>,
}
