//! What a frame's head may say, and how one breaks it.
//!
//! Heads alone are judged. What a payload says (UTF-8, the code in a Close, compressed data) is the business of the end
//! that reads it.

use super::Side;
use crate::close::{Close, Code};
use crate::frame::{Head, Opcode};

/// What frames of one tunnel may be, by its handshake and its service's limits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rules {
    /// What the handshake allows beyond RFC 6455's own frames.
    pub frames: Frames,
    /// The most payload bytes of one message (compressed, where the message is); `u32::MAX` for no limit.
    pub max_message: u32,
}

impl Default for Rules {
    fn default() -> Self {
        Rules { frames: Frames::Plain, max_message: u32::MAX }
    }
}

/// What a handshake's extensions allow in a frame's head.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Frames {
    /// No extension: no RSV bit, no reserved opcode (RFC 6455 5.2).
    Plain,
    /// permessage-deflate: RSV1 on the first frame of a data message (RFC 7692 6).
    Deflate,
    /// An extension that Fermata doesn't know: its bits and opcodes pass.
    Extended,
}

/// How a frame broke RFC 6455, or a limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, reason = "`reason` says each in words")]
pub enum Violation {
    NotMasked,
    Masked,
    ReservedBits,
    ReservedOpcode,
    LongControl,
    FragmentedControl,
    NothingToContinue,
    NotContinued,
    Length,
    TooBig,
}

impl Violation {
    /// All of them.
    pub const ALL: [Violation; 10] = [
        Violation::NotMasked,
        Violation::Masked,
        Violation::ReservedBits,
        Violation::ReservedOpcode,
        Violation::LongControl,
        Violation::FragmentedControl,
        Violation::NothingToContinue,
        Violation::NotContinued,
        Violation::Length,
        Violation::TooBig,
    ];

    /// The close code that tells it.
    pub fn code(self) -> Code {
        match self {
            Violation::TooBig => Code::TOO_BIG,
            _ => Code::PROTOCOL_ERROR,
        }
    }

    /// In words; each comes from RFC 6455 5.1 to 5.5.
    pub fn reason(self) -> &'static str {
        match self {
            Violation::NotMasked => "a client's frame is not masked",
            Violation::Masked => "a service's frame is masked",
            Violation::ReservedBits => "a reserved bit is set that no extension asked for",
            Violation::ReservedOpcode => "a reserved opcode that no extension asked for",
            Violation::LongControl => "a control frame is longer than 125 bytes",
            Violation::FragmentedControl => "a control frame is fragmented",
            Violation::NothingToContinue => "a continuation without a message",
            Violation::NotContinued => "a new message inside a fragmented one",
            Violation::Length => "a frame's length has its highest bit set",
            Violation::TooBig => "a message is larger than the service takes",
        }
    }

    /// As a Close.
    pub fn close(self) -> Close {
        Close::new(self.code(), self.reason())
    }
}

impl Rules {
    /// Judges a head that `from` sent while `message` bytes of a message were there (`None` between messages), and
    /// tells how many there are with this frame's.
    #[inline]
    pub(super) fn judge(self, head: &Head, from: Side, message: Option<u32>) -> Result<Option<u32>, Violation> {
        match (from, head.mask.is_some()) {
            (Side::Client, false) => return Err(Violation::NotMasked),
            (Side::Service, true) => return Err(Violation::Masked),
            (Side::Client, true) | (Side::Service, false) => {}
        }
        if head.length > i64::MAX as u64 {
            return Err(Violation::Length);
        }
        if head.rsv != 0 && !self.allow_bits(head) {
            return Err(Violation::ReservedBits);
        }
        // RFC 6455 5.4: an extension may even interleave the fragments of several messages.
        let known = self.frames != Frames::Extended;
        match (head.opcode, message) {
            (Opcode::Reserved(_), _) if known => Err(Violation::ReservedOpcode),
            (opcode, _) if opcode.is_control() => judge_control(head).map(|()| message),
            (Opcode::Continuation, None) if known => Err(Violation::NothingToContinue),
            (Opcode::Text | Opcode::Binary, Some(_)) if known => Err(Violation::NotContinued),
            (_, message) => self.grow(message.unwrap_or(0), head.length),
        }
    }

    /// RFC 7692 6: RSV1 stands on the first frame of a compressed message and nowhere else.
    fn allow_bits(self, head: &Head) -> bool {
        match self.frames {
            Frames::Plain => false,
            Frames::Deflate => head.rsv == 0x40 && matches!(head.opcode, Opcode::Text | Opcode::Binary),
            Frames::Extended => true,
        }
    }

    #[inline]
    fn grow(self, message: u32, by: u64) -> Result<Option<u32>, Violation> {
        let size = u64::from(message).saturating_add(by);
        if size > u64::from(self.max_message) && self.max_message != u32::MAX {
            return Err(Violation::TooBig);
        }
        Ok(Some(u32::try_from(size).unwrap_or(u32::MAX)))
    }
}

/// RFC 6455 5.5. That the length stands in the second byte also bounds what must be held back of such a frame.
fn judge_control(head: &Head) -> Result<(), Violation> {
    if !head.length_is_short() {
        return Err(Violation::LongControl);
    }
    if !head.fin {
        return Err(Violation::FragmentedControl);
    }
    Ok(())
}
