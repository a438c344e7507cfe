//! The hops of a probe, in their order.

use std::fmt::{self, Display, Formatter};

use serde::Serialize;

use crate::report::{self, Topic};

/// One step of the way.
pub type Hop = report::Finding<Name>;

/// What a probe saw, hop by hop; what lies behind a broken one was not tried.
pub type Report = report::Report<Name>;

/// The hops, in their order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
#[allow(missing_docs, reason = "the names are the names")]
pub enum Name {
    Dns,
    Tcp,
    Tls,
    Http,
    Upgrade,
    Ping,
    Messages,
    Close,
    Polling,
    Idle,
    Burst,
}

impl Topic for Name {
    const COMMAND: &'static str = "probe";
    const KEYS: [&'static str; 2] = ["url", "hops"];
    const WELL: [&'static str; 2] = ["It works", ": a WebSocket opens here, talks and closes."];

    fn lead(self) -> String {
        format!("{self} breaks:")
    }
}

impl Display for Name {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        out.pad(match self {
            Name::Dns => "DNS",
            Name::Tcp => "TCP",
            Name::Tls => "TLS",
            Name::Http => "HTTP",
            Name::Upgrade => "Upgrade",
            Name::Ping => "Ping",
            Name::Messages => "Messages",
            Name::Close => "Close",
            Name::Polling => "Polling",
            Name::Idle => "Idle",
            Name::Burst => "Burst",
        })
    }
}
