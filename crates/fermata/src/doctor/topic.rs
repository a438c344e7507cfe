//! What is looked at on a server, in this order.

use std::fmt::{self, Display, Formatter};

use serde::Serialize;

use crate::report;

/// One thing that was looked at.
pub type Finding = report::Finding<Topic>;

/// What was found on a server. Everything is looked at, whatever is found before.
pub type Report = report::Report<Topic>;

/// What is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
#[allow(missing_docs, reason = "the names are the names")]
pub enum Topic {
    File,
    Services,
    Ports,
    Firewall,
    Docker,
    Descriptors,
    Conntrack,
    Clock,
    Certificates,
    Names,
}

impl report::Topic for Topic {
    const COMMAND: &'static str = "doctor";
    const KEYS: [&'static str; 2] = ["file", "findings"];
    const WELL: [&'static str; 2] = ["All is well", ": nothing on this server is in the way of the file's WebSockets."];

    fn lead(self) -> String {
        format!("{self}:")
    }
}

impl Display for Topic {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        out.pad(match self {
            Topic::File => "File",
            Topic::Services => "Services",
            Topic::Ports => "Ports",
            Topic::Firewall => "Firewall",
            Topic::Docker => "Docker",
            Topic::Descriptors => "Descriptors",
            Topic::Conntrack => "Conntrack",
            Topic::Clock => "Clock",
            Topic::Certificates => "Certificates",
            Topic::Names => "Names",
        })
    }
}
