//! Names, addresses and networks.

use std::net::{IpAddr, Ipv6Addr};

use super::is_digits;
use crate::format::patterns;
use crate::grammar::{Numbers, Shape, Text};
use crate::model::{Address, HostPattern, Network, Origin, Whence};

pub(crate) const HOST_PATTERN: Shape = Shape::Text(&Text {
    expected: "a server name such as app.example.com, *.example.com, or _ for every name",
    pattern: r"^(\*\.)?[^\s*/:]+$",
    numbers: Numbers::None,
});

pub(crate) const DOMAIN: Shape = Shape::Text(&Text {
    expected: "a domain name such as app.example.com",
    pattern: concat!("^", patterns::name!(), "$"),
    numbers: Numbers::None,
});

pub(crate) const ADDRESS: Shape = Shape::Text(&Text {
    expected: "an address such as 10.0.0.5, 10.0.0.5:3000, [::1]:3000, app.internal:3000 or unix:/run/app.sock",
    pattern: concat!(
        "^unix:/.*$|^",
        patterns::ipv6!(),
        r"$|^\[",
        patterns::ipv6!(),
        r"\](:",
        patterns::port!(),
        ")?$|^",
        patterns::name!(),
        "(:",
        patterns::port!(),
        ")?$"
    ),
    numbers: Numbers::None,
});

pub(crate) const IP: Shape = Shape::Text(&Text {
    expected: "an IP address such as 0.0.0.0 or ::1",
    pattern: concat!("^(", patterns::ipv4!(), "|", patterns::ipv6!(), ")$"),
    numbers: Numbers::None,
});

pub(crate) const SOCKET: Shape = Shape::Text(&Text {
    expected: "an IP address and a port such as 127.0.0.1:8081 or [::1]:8081",
    pattern: concat!("^(", patterns::ipv4!(), r"|\[", patterns::ipv6!(), r"\]):", patterns::port!(), "$"),
    numbers: Numbers::None,
});

pub(crate) const NETWORK: Shape = Shape::Text(&Text {
    expected: "an address or a network such as 203.0.113.7 or 10.0.0.0/8",
    pattern: concat!(
        "^(",
        patterns::ipv4!(),
        r"(/0*([0-9]|[12][0-9]|3[0-2]))?|",
        patterns::ipv6!(),
        r"(/0*([0-9]{1,2}|1[01][0-9]|12[0-8]))?)$"
    ),
    numbers: Numbers::None,
});

pub(crate) const WHENCE: Shape = Shape::Text(&Text {
    expected: "load_balancer, or an address or a network such as 203.0.113.7 or 10.0.0.0/8",
    pattern: concat!(
        "^(load_balancer|",
        patterns::ipv4!(),
        r"(/0*([0-9]|[12][0-9]|3[0-2]))?|",
        patterns::ipv6!(),
        r"(/0*([0-9]{1,2}|1[01][0-9]|12[0-8]))?)$"
    ),
    numbers: Numbers::None,
});

pub(crate) const ORIGIN: Shape = Shape::Text(&Text {
    expected: "an origin such as https://app.example.com or https://*.example.com",
    pattern: r"^([hH][tT][tT][pP][sS]?)://[^\s/?#]+$",
    numbers: Numbers::None,
});

/// A server name or a pattern of names, in lower case.
pub(crate) fn host_pattern(text: &str) -> Option<HostPattern> {
    let name = text.trim_end_matches('.').to_ascii_lowercase();
    if name == "_" {
        return Some(HostPattern::Any);
    }
    let (wild, bare) = match name.strip_prefix("*.") {
        Some(bare) => (true, bare),
        None => (false, name.as_str()),
    };
    let bad = |c: char| c.is_whitespace() || c.is_control() || matches!(c, '*' | '/' | ':');
    if bare.is_empty() || bare.contains(bad) {
        return None;
    }
    let bare = bare.to_owned();
    Some(if wild { HostPattern::Under(bare) } else { HostPattern::Exact(bare) })
}

/// Where a service runs already.
pub(crate) fn address(text: &str) -> Option<Address> {
    if let Some(path) = text.strip_prefix("unix:") {
        return path.starts_with('/').then(|| Address::Unix(path.to_owned()));
    }
    if let Ok(ip) = text.parse::<IpAddr>() {
        return Some(Address::Host { host: ip.to_string(), port: None });
    }
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) => (host, Some(port.parse::<u16>().ok().filter(|port| *port > 0)?)),
        None => (text, None),
    };
    let host = match host.strip_prefix('[') {
        Some(bracketed) => {
            let ip = bracketed.strip_suffix(']')?;
            ip.parse::<Ipv6Addr>().ok()?;
            ip.to_owned()
        }
        None => domain(host)?,
    };
    Some(Address::Host { host, port })
}

/// A DNS name; underscores are let through, as resolvers do.
pub(crate) fn domain(text: &str) -> Option<String> {
    let name = text.trim_end_matches('.');
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    (name.len() <= 253 && name.split('.').all(label)).then(|| name.to_ascii_lowercase())
}

/// An address, or one and a prefix length.
pub(crate) fn network(text: &str) -> Option<Network> {
    let (address, prefix) = match text.split_once('/') {
        Some((address, prefix)) => (address, Some(prefix)),
        None => (text, None),
    };
    let address: IpAddr = address.parse().ok()?;
    let longest = if address.is_ipv4() { 32 } else { 128 };
    let prefix = match prefix {
        Some(prefix) => prefix.parse().ok().filter(|bits| *bits <= longest && is_digits(prefix))?,
        None => longest,
    };
    Some(Network { address: masked(address, prefix), prefix })
}

/// Where connections come from.
pub(crate) fn whence(text: &str) -> Option<Whence> {
    if text == "load_balancer" { Some(Whence::LoadBalancer) } else { network(text).map(Whence::Network) }
}

/// The network's own address, host bits cleared.
fn masked(address: IpAddr, prefix: u8) -> IpAddr {
    match address {
        IpAddr::V4(ip) => {
            let mask = u32::MAX.checked_shl(32 - u32::from(prefix)).unwrap_or(0);
            IpAddr::V4((u32::from(ip) & mask).into())
        }
        IpAddr::V6(ip) => {
            let mask = u128::MAX.checked_shl(128 - u32::from(prefix)).unwrap_or(0);
            IpAddr::V6((u128::from(ip) & mask).into())
        }
    }
}

/// An origin (RFC 6454) in lower case; the port only where it is not the scheme's own.
pub(crate) fn origin(text: &str) -> Option<Origin> {
    let (scheme, rest) = text.split_once("://")?;
    let scheme = scheme.to_ascii_lowercase();
    let default = match scheme.as_str() {
        "http" => 80,
        "https" => 443,
        _ => return None,
    };
    let (host, port) = match rest.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, Some(port.parse::<u16>().ok()?)),
        _ => (rest, None),
    };
    let host = if host.starts_with('[') {
        host.strip_prefix('[')?.strip_suffix(']')?.parse::<Ipv6Addr>().ok()?;
        HostPattern::Exact(host.to_ascii_lowercase())
    } else {
        let pattern = host_pattern(host)?;
        let (HostPattern::Exact(name) | HostPattern::Under(name)) = &pattern else { return None };
        domain(name)?;
        pattern
    };
    Some(Origin { scheme, host, port: port.filter(|port| *port != default) })
}
