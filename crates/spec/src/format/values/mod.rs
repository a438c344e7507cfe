//! Scalars with a meaning. Each has a rule for the schema and the messages, and a function that reads it; a test holds the
//! two against each other.

mod amount;
mod network;
mod time;

pub(crate) use amount::{CPU, MEMORY, SHARE, SIZE, cpu, memory, share, size};
pub(crate) use network::{
    ADDRESS, DOMAIN, HOST_PATTERN, IP, NETWORK, ORIGIN, SOCKET, WHENCE, address, domain, host_pattern, network, origin,
    whence,
};
pub(crate) use time::{DURATION, INTERVAL, RATE, TIMEOUT, duration, interval, meant, rate, seconds, timeout};

use crate::grammar::{Numbers, Shape, Text};

/// The name of an image.
pub(crate) const IMAGE: Shape = Shape::Text(&Text {
    expected: "the name of an image such as example/chat:1.4",
    pattern: r"^[^\s]+$",
    numbers: Numbers::None,
});

/// Any text.
pub(crate) const TEXT: Shape = Shape::Text(&Text { expected: "a text", pattern: "", numbers: Numbers::All });

pub(crate) const PORT: Shape = Shape::Integer { min: 1, max: 65535 };

/// From one up; what is counted are instances, connections, failures.
pub(crate) const COUNT: Shape = Shape::Integer { min: 1, max: u32::MAX as i64 };

/// From zero up.
pub(crate) const COUNT_OR_NONE: Shape = Shape::Integer { min: 0, max: u32::MAX as i64 };

/// Path of an HTTP request.
pub(crate) const ENDPOINT: Shape = Shape::Text(&Text {
    expected: "a path that begins with /, such as /healthz",
    pattern: r"^/[^\s]*$",
    numbers: Numbers::None,
});

/// A path of an HTTP request.
pub(crate) fn endpoint(text: &str) -> Option<String> {
    let good = text.starts_with('/') && !text.contains(|c: char| c.is_whitespace() || c.is_control());
    good.then(|| text.to_owned())
}

/// The name of an image, not taken apart.
pub(crate) fn image(text: &str) -> Option<String> {
    (!text.is_empty() && !text.contains(char::is_whitespace)).then(|| text.to_owned())
}

fn is_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}
