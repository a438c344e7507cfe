//! Keys of a service whose value is one word of a few.

use crate::grammar::{Shape, Word};
use crate::model::{Balance, ProxyVersion, Sticky, Workload};
use crate::reader::{Field, Fields};

pub(super) const WORKLOAD: Shape = Shape::Choice(&[
    Word { word: "service", about: "The same as deployment." },
    Word { word: "deployment", about: "As many as wanted, wherever there is room." },
    Word { word: "daemon_set", about: "One on each node." },
]);

pub(super) const DNS: Shape = Shape::Choice(&[
    Word { word: "versioned", about: "Callers of the old release get old instances, new callers new ones." },
    Word { word: "non-versioned", about: "Everybody gets the new ones." },
]);

pub(super) const LOAD_BALANCING: Shape = Shape::Choice(&[
    Word { word: "roundrobin", about: "One after the other." },
    Word { word: "sticky", about: "The one that was given last." },
    Word { word: "closest", about: "Those on the caller's own server first." },
]);

/// `balance` of a service and of the load balancer.
pub(crate) const BALANCE: Shape = Shape::Choice(&[
    Word { word: "leastconn", about: "Fewest live connections and tunnels." },
    Word { word: "roundrobin", about: "One after the other." },
    Word { word: "random", about: "The less loaded of two drawn at random." },
    Word { word: "source", about: "By the visitor's address." },
]);

pub(crate) const STICKY: Shape = Shape::Choice(&[
    Word { word: "cookie", about: "A cookie pins the visitor." },
    Word { word: "off", about: "Each request is balanced on its own." },
]);

/// `proxy_protocol` of what connections go to.
pub(crate) const PROXY_VERSION: Shape = Shape::Choice(&[
    Word { word: "v1", about: "A line of text." },
    Word { word: "v2", about: "Binary; it also tells whether the client came over TLS." },
    Word { word: "off", about: "Connections begin with the client's own bytes." },
]);

/// `proxy_protocol` of what connections go to.
pub(crate) fn proxy_version(fields: &Fields<'_>) -> Option<ProxyVersion> {
    match fields.get("proxy_protocol").and_then(|field| field.choice())? {
        "v1" => Some(ProxyVersion::V1),
        "v2" => Some(ProxyVersion::V2),
        _ => None,
    }
}

pub(super) fn workload(fields: &Fields<'_>) -> Workload {
    match fields.get("type").and_then(|field| field.choice()) {
        Some("daemon_set") => Workload::DaemonSet,
        _ => Workload::Deployment,
    }
}

/// `balance`.
pub(crate) fn balance(field: &Field<'_>) -> Option<Balance> {
    Some(match field.choice()? {
        "roundrobin" => Balance::Roundrobin,
        "random" => Balance::Random,
        "source" => Balance::Source,
        _ => Balance::Leastconn,
    })
}

pub(super) fn sticky(fields: &Fields<'_>) -> Sticky {
    match fields.get("sticky").and_then(|field| field.choice()) {
        Some("cookie") => Sticky::Cookie,
        _ => Sticky::Off,
    }
}
