//! Close codes (RFC 6455 7.4) and the Close that Fermata itself says.

use std::borrow::Cow;
use std::fmt;

/// A close code, as it stands in the first two bytes of a Close frame (RFC 6455 5.5.1).
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Code(pub u16);

impl Code {
    /// The purpose was fulfilled.
    pub const NORMAL: Code = Code(1000);
    /// A server goes down, or a page was left.
    pub const GOING_AWAY: Code = Code(1001);
    /// The other side broke the protocol.
    pub const PROTOCOL_ERROR: Code = Code(1002);
    /// Never sent: a Close frame without a code (RFC 6455 7.1.5).
    pub const NO_STATUS: Code = Code(1005);
    /// Never sent: the connection ended without a Close frame (RFC 6455 7.1.5).
    pub const ABNORMAL: Code = Code(1006);
    /// A message breaks a rule of the receiver.
    pub const POLICY: Code = Code(1008);
    /// A message is larger than the receiver takes.
    pub const TOO_BIG: Code = Code(1009);
    /// The service failed.
    pub const SERVER_ERROR: Code = Code(1011);
    /// The service restarts; come back (IANA WebSocket Close Code Number Registry).
    pub const RESTART: Code = Code(1012);
    /// Overload; come back later (IANA WebSocket Close Code Number Registry).
    pub const TRY_AGAIN_LATER: Code = Code(1013);

    /// What the code means, in a few words; `None` for codes that applications define.
    pub fn meaning(self) -> Option<&'static str> {
        Some(match self.0 {
            1000 => "normal closure",
            1001 => "going away",
            1002 => "protocol error",
            1003 => "unsupported data",
            1005 => "no status code was sent",
            1006 => "ended without a Close frame",
            1007 => "invalid payload data",
            1008 => "policy violation",
            1009 => "message too big",
            1010 => "an extension is missing",
            1011 => "internal error",
            1012 => "service restart",
            1013 => "try again later",
            1014 => "bad gateway",
            1015 => "TLS handshake failed",
            _ => return None,
        })
    }

    /// Whether the code may stand in a frame (RFC 6455 7.4.1, 7.4.2).
    pub fn may_be_sent(self) -> bool {
        matches!(self.0, 1000..=1003 | 1007..=1014 | 3000..=4999)
    }
}

impl fmt::Debug for Code {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(out)
    }
}

impl fmt::Display for Code {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.meaning() {
            Some(meaning) => write!(out, "{} ({meaning})", self.0),
            None => self.0.fmt(out),
        }
    }
}

/// A Close that Fermata says: a code, and a reason for the person who reads it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Close {
    /// Why, for programs.
    pub code: Code,
    /// Why, for people; at most 123 bytes of UTF-8 reach the peer (RFC 6455 5.5, 5.5.1).
    pub reason: Cow<'static, str>,
}

impl Close {
    /// The longest reason that fits a control frame: 125 bytes less the code's two.
    pub const MAX_REASON: usize = 123;

    /// A Close with a fixed reason.
    pub const fn new(code: Code, reason: &'static str) -> Close {
        Close { code, reason: Cow::Borrowed(reason) }
    }

    /// Code and reason as a Close frame's payload; a longer reason is cut between characters. A code that may not stand
    /// in a frame is left out, and the reason with it.
    pub fn payload(&self) -> Vec<u8> {
        if !self.code.may_be_sent() {
            return Vec::new();
        }
        let mut end = self.reason.len().min(Close::MAX_REASON);
        while !self.reason.is_char_boundary(end) {
            end -= 1;
        }
        let mut payload = self.code.0.to_be_bytes().to_vec();
        payload.extend_from_slice(&self.reason.as_bytes()[..end]);
        payload
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_is_cut_between_characters() {
        let close = Close { code: Code::RESTART, reason: Cow::Owned("𝄐".repeat(40)) };
        let payload = close.payload();
        assert_eq!(payload[..2], 1012u16.to_be_bytes());
        assert_eq!(std::str::from_utf8(&payload[2..]), Ok("𝄐".repeat(30).as_str()));
    }

    #[test]
    fn a_close_without_a_code_that_may_be_sent_is_empty() {
        assert_eq!(Close::new(Code::ABNORMAL, "the connection is gone").payload(), b"");
    }

    #[test]
    fn codes_that_never_stand_in_a_frame_are_known() {
        for code in [999, 1004, 1005, 1006, 1015, 1016, 2999, 5000] {
            assert!(!Code(code).may_be_sent(), "{code}");
        }
        for code in [1000, 1001, 1012, 1013, 1014, 3000, 4999] {
            assert!(Code(code).may_be_sent(), "{code}");
        }
    }
}
