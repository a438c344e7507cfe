//! An endpoint: one address of one instance, and the leases that are held on it.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use super::pool::Manner;

/// Where an endpoint listens.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Target {
    /// TCP (or UDP, where the public port is one).
    Ip(SocketAddr),
    /// A host name that is resolved when it is dialled.
    Name(String, u16),
    /// A UNIX stream socket.
    Unix(PathBuf),
}

impl fmt::Display for Target {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Target::Ip(address) => address.fmt(out),
            Target::Name(name, port) => write!(out, "{name}:{port}"),
            Target::Unix(path) => write!(out, "unix:{}", path.display()),
        }
    }
}

/// What the file says of an endpoint's place among the others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rank {
    /// Its share compared to the others'; at least 1.
    pub weight: u16,
    /// Who gets traffic before it.
    pub line: Line,
}

impl Default for Rank {
    fn default() -> Self {
        Rank { weight: 1, line: Line::First }
    }
}

/// Only the first line that has somebody well gets traffic.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Line {
    /// In the zone that is preferred, or anywhere where none is.
    First,
    /// In another zone.
    Second,
    /// For when no other is left.
    Backup,
}

/// One address of one instance.
#[derive(Debug, Clone)]
pub struct Endpoint {
    /// The instance's name, `web.1`.
    pub instance: Arc<str>,
    /// Where it listens.
    pub target: Target,
    /// Its place among the others.
    pub rank: Rank,
    /// Since when it may be picked.
    pub(super) since: Instant,
    /// Requests and tunnels that use it now.
    pub(super) live: Arc<AtomicU32>,
    /// Connections that failed since the last one that did not.
    pub(super) failures: Arc<AtomicU32>,
}

/// A new endpoint begins with this part of its share: enough to be tried, and to warm up.
const COLD: f64 = 0.1;

impl Endpoint {
    /// An endpoint that nothing uses yet.
    pub fn new(instance: Arc<str>, target: Target, rank: Rank) -> Endpoint {
        Endpoint { instance, target, rank, since: Instant::now(), live: Arc::default(), failures: Arc::default() }
    }

    /// The part of its share that it gets: all of it once it is as old as a slow start takes.
    pub(super) fn warmth(&self, manner: Manner, now: Instant) -> f64 {
        let Some(slow_start) = manner.slow_start.filter(|time| !time.is_zero()) else { return 1.0 };
        let age = now.saturating_duration_since(self.since);
        (age.as_secs_f64() / slow_start.as_secs_f64()).clamp(COLD, 1.0)
    }

    /// How loaded it would be with one more, by the share that it gets.
    pub(super) fn load(&self, manner: Manner, now: Instant) -> f64 {
        (f64::from(self.live()) + 1.0) / (self.warmth(manner, now) * f64::from(self.rank.weight))
    }

    /// For how long it may have been picked.
    pub fn age(&self) -> Duration {
        self.since.elapsed()
    }

    /// Requests and tunnels that use it now.
    pub fn live(&self) -> u32 {
        self.live.load(Ordering::Relaxed)
    }

    /// A connection to it failed; how many have in a row.
    pub(super) fn failed(&self) -> u32 {
        self.failures.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// A connection to it stands.
    pub(super) fn reached(&self) {
        if self.failures.load(Ordering::Relaxed) > 0 {
            self.failures.store(0, Ordering::Relaxed);
        }
    }
}

/// One pick from a pool; the endpoint counts it until it is dropped.
#[derive(Debug)]
pub struct Lease {
    service: Arc<str>,
    endpoint: Arc<Endpoint>,
}

impl Lease {
    pub(super) fn new(service: Arc<str>, endpoint: Arc<Endpoint>) -> Lease {
        endpoint.live.fetch_add(1, Ordering::Relaxed);
        Lease { service, endpoint }
    }

    /// The service's name.
    pub fn service(&self) -> &Arc<str> {
        &self.service
    }

    /// The instance's name.
    pub fn instance(&self) -> &Arc<str> {
        &self.endpoint.instance
    }

    /// Where it listens.
    pub fn target(&self) -> &Target {
        &self.endpoint.target
    }

    /// Whether it is on this endpoint, under whatever name.
    pub(super) fn is_on(&self, endpoint: &Endpoint) -> bool {
        Arc::ptr_eq(&self.endpoint.live, &endpoint.live)
    }

    pub(super) fn endpoint(&self) -> &Arc<Endpoint> {
        &self.endpoint
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.endpoint.live.fetch_sub(1, Ordering::Relaxed);
    }
}
