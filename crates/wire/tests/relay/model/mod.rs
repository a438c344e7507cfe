//! One direction of a tunnel as a story: bytes, and what is asked of the relay after how many of them. Told twice: by the
//! relay, with the bytes cut as you like ([`run`]), and by a slow and simple reader that sees them all at once
//! ([`expect`]). Both must come to the same [`Outcome`].

mod expect;
mod input;
mod run;

use std::num::NonZeroU32;

use fermata_wire::{Close, ClosedBy, Code, Rules, Side, Violation};

pub(crate) use expect::expect;
pub(crate) use input::read;
pub(crate) use run::{run, run_moving};

/// The bytes of a side, and what happens meanwhile.
#[derive(Debug, Clone)]
pub(crate) struct Story {
    pub(crate) from: Side,
    pub(crate) rules: Rules,
    pub(crate) bytes: Vec<u8>,
    /// What is asked once so many bytes have come; in order.
    pub(crate) script: Vec<(usize, Command)>,
}

/// What can be asked of the relay.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Command {
    /// A Close toward the other side, after a message.
    Close(u16),
    /// That Close after any frame.
    Hurry,
    /// A Close toward the other side, now or never.
    CloseNow(u16),
    /// A Ping to the other side, between the frames of this one.
    PingThere,
    /// A Ping to this side, whose Pong will come among its bytes.
    PingBack,
}

/// What came of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Outcome {
    /// What reaches the other side, without what we say ourselves.
    pub(crate) forwarded: Vec<u8>,
    /// What we say to the other side, and before which forwarded byte.
    pub(crate) said: Vec<(usize, Vec<u8>)>,
    /// Pings back to the sender: after how many of its bytes.
    pub(crate) pinged: Vec<usize>,
    /// Whether a Pong was taken out.
    pub(crate) pong: bool,
    /// The code of a Close that passed, as it was told when it did.
    pub(crate) closed: Option<u16>,
    pub(crate) violation: Option<Violation>,
    pub(crate) closed_by: Option<ClosedBy>,
    pub(crate) said_all: bool,
    pub(crate) owes_pong: bool,
    pub(crate) code: u16,
    pub(crate) bytes: u64,
    pub(crate) messages: u64,
}

impl Outcome {
    /// All that the other side reads.
    pub(crate) fn seen(&self) -> Vec<u8> {
        let (mut seen, mut from) = (Vec::new(), 0);
        for (at, frame) in &self.said {
            seen.extend_from_slice(&self.forwarded[from..*at]);
            seen.extend_from_slice(frame);
            from = *at;
        }
        seen.extend_from_slice(&self.forwarded[from..]);
        seen
    }
}

/// The masking key of all that is said to a service here.
pub(crate) const KEY: [u8; 4] = [0xa5, 0x17, 0xf0, 0x3c];

/// The number of the Ping to the other side.
pub(crate) const THERE: NonZeroU32 = NonZeroU32::new(0x0102_0304).unwrap();

/// The number that is asked for in a Ping to the sender, when `earlier` went there before.
pub(crate) fn back(earlier: usize) -> NonZeroU32 {
    NonZeroU32::MIN.saturating_add(earlier as u32)
}

fn close(code: u16) -> Close {
    Close::new(Code(code), "asked for")
}
