//! Scalars with a meaning: durations, sizes, host patterns, addresses. Each has a [`Text`] rule for the schema and the
//! messages, and a function that reads it; a test holds the two against each other.

use std::net::IpAddr;
use std::time::Duration;

use crate::diagnostic::{codes, quote};
use crate::grammar::{Numbers, Shape, Text};
use crate::model::{Address, HostPattern, Network, Origin, Share};
use crate::reader::Field;

use super::patterns;

/// A count of seconds that no deadline of ours exceeds: a year.
const MAX_SECONDS: u64 = 366 * 24 * 60 * 60;

/// The name of an image.
pub(crate) const IMAGE: Shape = Shape::Text(&Text {
    expected: "the name of an image such as example/chat:1.4",
    pattern: r"^[^\s]+$",
    numbers: Numbers::None,
});

/// Any text.
pub(crate) const TEXT: Shape = Shape::Text(&Text { expected: "a text", pattern: "", numbers: Numbers::All });

pub(crate) const DURATION: Shape = Shape::Text(&Text {
    expected: "a duration such as 30s, 5m or 1h, or a number of seconds",
    pattern: r"^([0-9]{1,9}(ms|s|m|h|d))+$|^[0-9]{1,8}$",
    numbers: Numbers::Between(0, 31_622_400),
});

/// A duration that is not zero.
pub(crate) const INTERVAL: Shape = Shape::Text(&Text {
    expected: "a duration of more than 0, such as 30s, 5m or 1h, or a number of seconds",
    pattern: r"^(?=.*[1-9])(([0-9]{1,9}(ms|s|m|h|d))+|[0-9]{1,8})$",
    numbers: Numbers::Between(1, 31_622_400),
});

pub(crate) const TIMEOUT: Shape = Shape::Text(&Text {
    expected: "a duration such as 30s, 5m or 1h, or off",
    pattern: r"^([0-9]{1,9}(ms|s|m|h|d))+$|^[0-9]{1,8}$|^off$",
    numbers: Numbers::Between(0, 31_622_400),
});

pub(crate) const SIZE: Shape = Shape::Text(&Text {
    expected: "a size such as 512KiB or 16MiB, or a number of bytes",
    pattern: r"^0*[1-9][0-9]{0,11}([kKMG](i?B?)?|B)?$",
    numbers: Numbers::Between(1, 1_099_511_627_776),
});

pub(crate) const RATE: Shape = Shape::Text(&Text {
    expected: "a rate such as 200/s",
    pattern: r"^0*[1-9][0-9]{0,8}(/s)?$",
    numbers: Numbers::Between(1, 999_999_999),
});

pub(crate) const PORT: Shape = Shape::Integer { min: 1, max: 65535 };

/// From one up; what is counted are instances, connections, failures.
pub(crate) const COUNT: Shape = Shape::Integer { min: 1, max: u32::MAX as i64 };

/// From zero up.
pub(crate) const COUNT_OR_NONE: Shape = Shape::Integer { min: 0, max: u32::MAX as i64 };

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

pub(crate) const ORIGIN: Shape = Shape::Text(&Text {
    expected: "an origin such as https://app.example.com or https://*.example.com",
    pattern: r"^([hH][tT][tT][pP][sS]?)://[^\s/?#]+$",
    numbers: Numbers::None,
});

/// Path of an HTTP request.
pub(crate) const ENDPOINT: Shape = Shape::Text(&Text {
    expected: "a path that begins with /, such as /healthz",
    pattern: r"^/[^\s]*$",
    numbers: Numbers::None,
});

pub(crate) const MEMORY: Shape = Shape::Text(&Text {
    expected: "a memory size such as 100M, 512Mi or 2G",
    pattern: r"^[0-9]{1,12}(\.[0-9]{1,3})?([kKmMgGT]i?)?$",
    numbers: Numbers::Decimal,
});

pub(crate) const CPU: Shape = Shape::Text(&Text {
    expected: "thousandths of a CPU such as 500m, or whole ones such as 2 or 0.5",
    pattern: r"^[0-9]{1,6}(m|\.[0-9]{1,3})?$",
    numbers: Numbers::Decimal,
});

pub(crate) const SHARE: Shape = Shape::Text(&Text {
    expected: "a percentage such as 30%, or a number of instances",
    pattern: r"^(0*[0-9]{1,9}|0*(100|[0-9]{1,2})%)$",
    numbers: Numbers::Between(0, 999_999_999),
});

/// `1m30s`, `500ms`, or seconds.
pub(crate) fn duration(text: &str) -> Option<Duration> {
    let mut rest = text;
    if let Ok(seconds) = rest.parse::<u64>() {
        return (seconds <= MAX_SECONDS && is_digits(rest)).then(|| Duration::from_secs(seconds));
    }
    let mut total = Duration::ZERO;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit())?;
        let number: u64 = rest[..digits].parse().ok()?;
        rest = &rest[digits..];
        let letters = rest.find(|c: char| c.is_ascii_digit()).unwrap_or(rest.len());
        let unit = match &rest[..letters] {
            "ms" => Duration::from_millis(1),
            "s" => Duration::from_secs(1),
            "m" => Duration::from_mins(1),
            "h" => Duration::from_hours(1),
            "d" => Duration::from_hours(24),
            _ => return None,
        };
        total = total.checked_add(unit.checked_mul(u32::try_from(number).ok()?)?)?;
        rest = &rest[letters..];
    }
    (!text.is_empty() && total <= Duration::from_secs(MAX_SECONDS)).then_some(total)
}

/// A duration that is not zero.
pub(crate) fn interval(text: &str) -> Option<Duration> {
    duration(text).filter(|duration| !duration.is_zero())
}

/// A duration of the original's, which version 2 writes as a number of seconds.
pub(crate) fn seconds(field: &Field<'_>, parse: fn(&str) -> Option<Duration>) -> Option<Duration> {
    let duration = field.parse(parse)?;
    let text = field.text()?;
    if !is_digits(text) && duration.subsec_millis() == 0 {
        let message = format!("{} is version 1's spelling; version 2 counts seconds", quote(text));
        field.say_help(&codes::VALUE_OLD, message, format!("write {}", duration.as_secs()));
    }
    Some(duration)
}

/// A duration, or `None` for `off`.
#[allow(clippy::option_option, reason = "the outer one: whether it can be read; the inner one: whether it is on")]
pub(crate) fn timeout(text: &str) -> Option<Option<Duration>> {
    if text == "off" { Some(None) } else { duration(text).map(Some) }
}

/// Bytes: `16MiB`, `16M` and `16MB` alike are 1024-based, as in nginx and `HAProxy`.
pub(crate) fn size(text: &str) -> Option<u64> {
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let number: u64 = text[..digits].parse().ok()?;
    let shift = match &text[digits..] {
        "" | "B" => 0,
        "k" | "K" | "kB" | "KB" | "KiB" | "Ki" | "ki" | "kiB" => 10,
        "M" | "MB" | "MiB" | "Mi" => 20,
        "G" | "GB" | "GiB" | "Gi" => 30,
        _ => return None,
    };
    let bytes = number.checked_mul(1 << shift)?;
    (1..=1 << 40).contains(&bytes).then_some(bytes)
}

/// Messages a second.
pub(crate) fn rate(text: &str) -> Option<u32> {
    let number = text.strip_suffix("/s").unwrap_or(text);
    number.parse().ok().filter(|rate| *rate > 0 && is_digits(number))
}

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
            ip.parse::<std::net::Ipv6Addr>().ok()?;
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
        host.strip_prefix('[')?.strip_suffix(']')?.parse::<std::net::Ipv6Addr>().ok()?;
        HostPattern::Exact(host.to_ascii_lowercase())
    } else {
        let pattern = host_pattern(host)?;
        let (HostPattern::Exact(name) | HostPattern::Under(name)) = &pattern else { return None };
        domain(name)?;
        pattern
    };
    Some(Origin { scheme, host, port: port.filter(|port| *port != default) })
}

/// A path of an HTTP request.
pub(crate) fn endpoint(text: &str) -> Option<String> {
    let good = text.starts_with('/') && !text.contains(|c: char| c.is_whitespace() || c.is_control());
    good.then(|| text.to_owned())
}

/// Bytes, by Kubernetes' suffixes: `M` is 10^6 and `Mi` 2^20; `m` is what people write for `M`.
pub(crate) fn memory(text: &str) -> Option<u64> {
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let unit: u64 = match &text[end..] {
        "" => 1,
        "k" | "K" => 1_000,
        "m" | "M" => 1_000_000,
        "g" | "G" => 1_000_000_000,
        "T" => 1_000_000_000_000,
        "ki" | "Ki" => 1 << 10,
        "mi" | "Mi" => 1 << 20,
        "gi" | "Gi" => 1 << 30,
        "Ti" => 1 << 40,
        _ => return None,
    };
    thousandths(&text[..end])?.checked_mul(unit).map(|bytes| bytes / 1000)
}

/// Thousandths of a CPU.
pub(crate) fn cpu(text: &str) -> Option<u32> {
    match text.strip_suffix('m') {
        Some(millis) if is_digits(millis) => millis.parse().ok(),
        Some(_) => None,
        None => u32::try_from(thousandths(text)?).ok(),
    }
}

/// `30%`, or a number of instances.
pub(crate) fn share(text: &str) -> Option<Share> {
    let number = |digits: &str| digits.parse().ok().filter(|_| is_digits(digits));
    match text.strip_suffix('%') {
        Some(percent) => number(percent).filter(|percent| *percent <= 100).map(Share::Percent),
        None => number(text).filter(|count| *count <= 999_999_999).map(Share::Count),
    }
}

/// The name of an image, not taken apart.
pub(crate) fn image(text: &str) -> Option<String> {
    (!text.is_empty() && !text.contains(char::is_whitespace)).then(|| text.to_owned())
}

/// A decimal number with at most three places, times 1000.
fn thousandths(text: &str) -> Option<u64> {
    let (whole, part) = text.split_once('.').unwrap_or((text, "0"));
    if !is_digits(whole) || !is_digits(part) || part.len() > 3 {
        return None;
    }
    let part: u64 = format!("{part:0<3}").parse().ok()?;
    whole.parse::<u64>().ok()?.checked_mul(1000)?.checked_add(part)
}

fn is_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}
