//! Limits on silence and on age as they stand where nobody has set them: of the table, and of what is no cloud's balancer.
//!
//! They tell how often a Ping has to come, and who it was when a connection ends after a time that somebody has measured.

use std::collections::BTreeMap;
use std::fmt;

use super::{BALANCERS, Balancer, Idle, Lifetime};

/// A limit as it stands where nobody has set it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Usual {
    /// How long, in seconds.
    pub seconds: u64,
    /// Whose it is.
    pub title: &'static str,
    /// Where it is set; empty where it can't be.
    pub setting: &'static str,
}

/// A limit on silence that is none of a cloud's balancer.
const fn proxy(seconds: u64, title: &'static str, setting: &'static str) -> Usual {
    Usual { seconds, title, setting }
}

/// What else ends silent connections, by its documentation, or by the configuration that it comes with.
const PROXIES: &[Usual] = &[
    proxy(30, "HAProxy with its manual's values", "timeout client and timeout server, where timeout tunnel is not set"),
    // The original platform's haproxy.cfg has the same.
    proxy(50, "HAProxy with Debian's values", "timeout client and timeout server, where timeout tunnel is not set"),
    proxy(60, "nginx", "proxy_read_timeout"),
    proxy(300, "Envoy", "stream_idle_timeout"),
    proxy(3600, "HAProxy's ingress controllers", "timeout-tunnel"),
    proxy(3600, "DigitalOcean's balancer after the upgrade", ""),
];

/// Limits on silence, the shortest first, those of proxies before those of balancers.
pub fn silences() -> Vec<Usual> {
    let of = |balancer: &Balancer| match balancer.idle {
        Idle::Set(range, _) => Some(range.default),
        Idle::Fixed(seconds) | Idle::Assumed(seconds) => Some(seconds),
        Idle::Unlimited => None,
    };
    let mut all = PROXIES.to_vec();
    all.extend(BALANCERS.iter().filter_map(|balancer| Some(usual(balancer, of(balancer)?))));
    all.sort_by_key(|limit| limit.seconds);
    all
}

/// Limits on age, the shortest first.
pub fn ages() -> Vec<Usual> {
    let of = |balancer: &Balancer| match balancer.lifetime {
        Lifetime::Set(range, _) => Some(range.default),
        Lifetime::Fixed(seconds) => Some(seconds),
        Lifetime::Unlimited => None,
    };
    let mut all: Vec<Usual> = BALANCERS.iter().filter_map(|balancer| Some(usual(balancer, of(balancer)?))).collect();
    all.sort_by_key(|limit| limit.seconds);
    all
}

fn usual(balancer: &'static Balancer, seconds: u64) -> Usual {
    Usual { seconds, title: balancer.title, setting: balancer.setting }
}

/// Limits that a Ping every so many seconds comes too late for, the shortest first: `60 s (nginx, Envoy and 3 more)`. A Ping
/// as seldom as the limit is a race that is lost now and then.
pub(crate) fn too_late(every: u64) -> Vec<String> {
    let mut groups: BTreeMap<u64, Vec<&str>> = BTreeMap::new();
    for limit in silences().into_iter().filter(|limit| limit.seconds <= every) {
        // What else a maker calls it would be one bracket too many.
        let title = limit.title.split(" (").next().unwrap_or(limit.title);
        groups.entry(limit.seconds).or_default().push(title);
    }
    let text = |(seconds, titles): (u64, Vec<&str>)| match titles[..] {
        [one, other, ref more @ ..] if more.len() > 1 => {
            format!("{seconds} s ({one}, {other} and {} more)", more.len())
        }
        ref few => format!("{seconds} s ({})", few.join(", ")),
    };
    groups.into_iter().map(text).collect()
}

impl fmt::Display for Usual {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.setting {
            "" => write!(out, "{}, where it can't be set", self.title),
            setting => write!(out, "{setting} in {}", self.title),
        }
    }
}
