//! How a tunnel ended: exactly one of these for each.

use std::fmt;
use std::time::Duration;

use fermata_wire::{Code, Side, Violation};

/// Why a tunnel ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cause {
    /// One side said Close, this one first.
    Closed(Side),
    /// One side went without a Close: the end of its stream, or a reset.
    Gone(Side),
    /// This side's TLS could not be read.
    BadTls(Side),
    /// Fermata said Close: its instance or Fermata itself leaves, or somebody asked for it.
    Drained,
    /// This side didn't answer a Ping.
    NoPong(Side),
    /// No message for longer than the service allows.
    Idle,
    /// This side sent what is no WebSocket frame, or more than it may.
    Violation(Side, Violation),
    /// The client sent messages faster than the service allows.
    TooMany,
    /// Both sides of a raw TCP tunnel have ended.
    Ended,
}

impl Cause {
    /// All of them, but for what was violated.
    const ALL: [Cause; 14] = {
        const ANY: Violation = Violation::ALL[0];
        use Side::{Client, Service};
        [
            Cause::Closed(Client),
            Cause::Closed(Service),
            Cause::Gone(Client),
            Cause::Gone(Service),
            Cause::BadTls(Client),
            Cause::BadTls(Service),
            Cause::Drained,
            Cause::NoPong(Client),
            Cause::NoPong(Service),
            Cause::Idle,
            Cause::Violation(Client, ANY),
            Cause::Violation(Service, ANY),
            Cause::TooMany,
            Cause::Ended,
        ]
    };

    /// The cause of this name, as counters have it.
    pub(crate) fn named(name: &str) -> Option<Cause> {
        Cause::ALL.into_iter().find(|cause| cause.name() == name)
    }

    /// The cause of this text, as logs have it.
    pub(super) fn told(text: &str) -> Option<Cause> {
        let (name, reason) = text.strip_suffix(')').and_then(|text| text.split_once(" (")).unwrap_or((text, ""));
        match Cause::named(name)? {
            Cause::Violation(side, _) => {
                let violation = Violation::ALL.into_iter().find(|one| one.reason() == reason)?;
                Some(Cause::Violation(side, violation))
            }
            cause => Some(cause),
        }
    }

    /// A short name for logs and counters.
    pub fn name(&self) -> &'static str {
        match self {
            Cause::Closed(Side::Client) => "client-close",
            Cause::Closed(Side::Service) => "service-close",
            Cause::Gone(Side::Client) => "client-gone",
            Cause::Gone(Side::Service) => "service-gone",
            Cause::BadTls(Side::Client) => "client-bad-tls",
            Cause::BadTls(Side::Service) => "service-bad-tls",
            Cause::Drained => "drained",
            Cause::NoPong(Side::Client) => "client-no-pong",
            Cause::NoPong(Side::Service) => "service-no-pong",
            Cause::Idle => "idle",
            Cause::Violation(Side::Client, _) => "client-violation",
            Cause::Violation(Side::Service, _) => "service-violation",
            Cause::TooMany => "too-many-messages",
            Cause::Ended => "ended",
        }
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Cause::Violation(_, violation) => write!(out, "{} ({})", self.name(), violation.reason()),
            _ => out.write_str(self.name()),
        }
    }
}

/// How a tunnel ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ending {
    /// Why.
    pub cause: Cause,
    /// The close code that the client saw last; [`Code::ABNORMAL`] for none.
    pub code: Code,
    /// How long it lived.
    pub lived: Duration,
    /// Bytes from the client and from the service.
    pub bytes: [u64; 2],
    /// Messages from the client and from the service.
    pub messages: [u64; 2],
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_cause_is_known_by_what_is_logged_of_it() {
        let violations = Violation::ALL.into_iter().map(|violation| Cause::Violation(Side::Client, violation));
        for cause in Cause::ALL.into_iter().chain(violations) {
            assert_eq!(Cause::told(&cause.to_string()), Some(cause));
        }
        assert_eq!(Cause::told("boredom"), None);
    }
}
