//! Load balancers of others: what each can carry, its limits and defaults, each with its source.
//!
//! One table, and what it says about a file. `render` writes configuration by it, `check` warns by it, and a probe names by it
//! who ends connections. It refuses to know how any of them is configured.

mod judge;
mod table;
mod usual;

pub use judge::{clear_port, duration, health_line, judge};
pub use table::BALANCERS;
pub(crate) use usual::too_late;
pub use usual::{Usual, ages, silences};

/// One load balancer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Balancer {
    /// What it is called on the command line.
    pub name: &'static str,
    /// What its makers call it.
    pub title: &'static str,
    /// What it carries of HTTP ports.
    pub carries: Carries,
    /// Whether it carries raw TCP ports.
    pub tcp: bool,
    /// Whether it carries UDP ports.
    pub udp: bool,
    /// How it keeps a visitor on one server.
    pub pins: Pins,
    /// How a server behind it learns who the client is.
    pub client: Client,
    /// Whether a port can be kept to some networks, by what is rendered.
    pub closes: Closes,
    /// Where it can say so by the PROXY protocol.
    pub announces: Announces,
    /// How long a silent connection lives.
    pub idle: Idle,
    /// How long a connection lives at all.
    pub lifetime: Lifetime,
    /// Where the limit of these two that ends connections is set; empty where it can't be.
    pub setting: &'static str,
    /// How long a server that leaves keeps its connections.
    pub drain: Drain,
    /// The only public ports that it has; empty: any.
    pub ports: &'static [u16],
    /// The most listeners that one can have, where that cannot be raised.
    pub listeners: Option<usize>,
    /// What to use for what it does not carry.
    pub instead: &'static str,
    /// Where the figures come from.
    pub source: &'static str,
}

/// What is carried of HTTP ports.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Carries {
    /// Requests: it ends TLS and speaks HTTP/1.1 to the servers.
    Requests,
    /// Requests, over TLS where the client came over TLS.
    RequestsAsTheyCome,
    /// Bytes: TLS, names and HTTP versions are the gateway's.
    Bytes,
    /// Messages of its own: it ends the WebSocket itself.
    Messages,
}

/// How a visitor is kept on one server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pins {
    /// By a cookie.
    Cookie,
    /// By the client's address at most.
    Address,
}

/// How a server learns who the client is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Client {
    /// `X-Forwarded-For`, which the gateway believes from trusted proxies only.
    Forwarded,
    /// The connection comes from the client's address.
    Preserved,
    /// Only by PROXY protocol.
    Hidden,
}

/// Whether ports can be kept to some networks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Closes {
    /// Each port to its own, by security groups, firewall rules, or an argument of the listener.
    ByPort,
    /// All of it to the same.
    AsAWhole,
    /// It is open to everybody.
    Never,
}

/// Where a balancer can say the PROXY protocol to the servers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Announces {
    /// Nowhere that would help: it cannot, or servers see the clients' addresses anyway.
    Never,
    /// On each port as it is set.
    ByPort,
    /// On all ports or on none.
    Everywhere,
}

/// Seconds that can be set, from and to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Range {
    /// Where nobody sets it.
    pub default: u64,
    /// At least.
    pub min: u64,
    /// At most.
    pub max: u64,
}

/// How long a silent connection lives, in seconds. Any byte begins the time anew.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Idle {
    /// As it is set; `good` suits Pings every 25 s and does not keep dead connections for long.
    Set(Range, Good),
    /// Always the same.
    Fixed(u64),
    /// Nowhere documented; this is what people saw, or what has to be assumed.
    Assumed(u64),
    /// No limit of this kind.
    Unlimited,
}

/// The value that is written where the file asks for no longer one.
pub type Good = u64;

/// How long a connection lives at all, in seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lifetime {
    /// No limit.
    Unlimited,
    /// As it is set, and `good` is written.
    Set(Range, Good),
    /// Always the same.
    Fixed(u64),
}

/// How long a server that leaves keeps its connections, in seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Drain {
    /// As it is set.
    Set(Range),
    /// As long as they last: it only stops sending new ones.
    Unbounded,
}

/// The balancer of a name.
pub fn balancer(name: &str) -> Option<&'static Balancer> {
    BALANCERS.iter().find(|balancer| balancer.name == name)
}

impl Balancer {
    /// The longest silence that a connection through it survives, at best.
    pub fn longest_silence(&self) -> Option<u64> {
        match self.idle {
            Idle::Set(range, _) => Some(range.max),
            Idle::Fixed(seconds) | Idle::Assumed(seconds) => Some(seconds),
            Idle::Unlimited => None,
        }
    }

    /// Whether it understands requests.
    pub fn reads_requests(&self) -> bool {
        matches!(self.carries, Carries::Requests | Carries::RequestsAsTheyCome)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_of_the_table_is_within_its_own_bounds() {
        for balancer in BALANCERS {
            let ranges = [
                match balancer.idle {
                    Idle::Set(range, good) => Some((range, good)),
                    _ => None,
                },
                match balancer.lifetime {
                    Lifetime::Set(range, good) => Some((range, good)),
                    _ => None,
                },
                match balancer.drain {
                    Drain::Set(range) => Some((range, range.default)),
                    Drain::Unbounded => None,
                },
            ];
            for (range, good) in ranges.into_iter().flatten() {
                assert!(range.min <= range.default && range.default <= range.max, "{}: {range:?}", balancer.name);
                assert!(range.min <= good && good <= range.max, "{}: {good}", balancer.name);
            }
            assert!(!balancer.source.is_empty(), "{}", balancer.name);
            let settable = matches!(balancer.idle, Idle::Set(..)) || matches!(balancer.lifetime, Lifetime::Set(..));
            assert_eq!(!balancer.setting.is_empty(), settable, "{}", balancer.name);
        }
    }

    #[test]
    fn names_are_given_once() {
        for (at, balancer) in BALANCERS.iter().enumerate() {
            assert_eq!(BALANCERS.iter().position(|other| other.name == balancer.name), Some(at), "{}", balancer.name);
        }
    }
}
