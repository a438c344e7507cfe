//! The PROXY protocol at the beginning of a connection, where a proxy that is trusted speaks it.

use std::fmt;
use std::time::Duration;

use fermata_spec::ProxyVersion;
use fermata_wire::proxy::{self, Problem, Way};

use super::leg::Leg;

/// A version as the file names it, as it is written.
pub fn proxy_version(version: ProxyVersion) -> proxy::Version {
    match version {
        ProxyVersion::V1 => proxy::Version::V1,
        ProxyVersion::V2 => proxy::Version::V2,
    }
}

/// Why a connection was not announced as it should have been.
#[derive(Debug, PartialEq, Eq)]
pub enum Unannounced {
    /// What came is no header.
    Bad(Problem),
    /// It did not come in time.
    Late(Duration),
    /// The proxy closed the connection before: a check of whether the port is open, most likely.
    Gone,
}

impl fmt::Display for Unannounced {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Unannounced::Bad(problem) => problem.fmt(out),
            Unannounced::Late(limit) => write!(out, "no whole PROXY header came within {} s", limit.as_secs_f32()),
            Unannounced::Gone => out.write_str("the connection ended before its PROXY header"),
        }
    }
}

/// Takes the header that a connection begins with; `None` where the proxy speaks for itself. What stands behind it stays on
/// the leg.
pub async fn announced(leg: &mut Leg, limit: Duration) -> Result<Option<Way>, Unannounced> {
    let read = async {
        loop {
            if let Some(header) = proxy::read(leg.unread()).map_err(Unannounced::Bad)? {
                leg.used(header.size);
                return Ok(header.way);
            }
            if !matches!(leg.fill().await, Ok(1..)) {
                return Err(Unannounced::Gone);
            }
        }
    };
    tokio::time::timeout(limit, read).await.unwrap_or(Err(Unannounced::Late(limit)))
}
