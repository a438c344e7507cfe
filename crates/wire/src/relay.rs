//! The relay: follows the frames of both directions of a tunnel, and knows when something may be said between them.
//!
//! It copies nothing and keeps no payload. What it holds back is never more than [`MAX_CARRY`] bytes: a head that is not
//! complete yet, so that every byte it lets pass belongs to a frame it has judged. That is why a Close or a Ping of
//! Fermata's own can be placed exactly at a boundary, however the bytes were cut.
//!
//! It refuses to be a WebSocket endpoint: it answers no Ping, inflates nothing, checks no UTF-8. Those are the business
//! of the two ends.

mod carry;
mod flow;
mod ping;
mod rules;
mod saved;

use std::num::NonZeroU32;
use std::ops::Range;

use crate::close::{Close, Code};
use crate::frame::{self, Opcode};
pub use carry::MAX_CARRY;
use flow::{Boundary, Flow, Waiting};
pub use rules::{Frames, Rules, Violation};

/// The two ends of a tunnel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// Who connected to us.
    Client,
    /// Whom we connected to.
    Service,
}

impl Side {
    /// The other end.
    #[must_use]
    pub fn other(self) -> Side {
        match self {
            Side::Client => Side::Service,
            Side::Service => Side::Client,
        }
    }
}

/// Who ended a direction with a Close frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClosedBy {
    /// The end that sends in this direction.
    Peer,
    /// Fermata.
    Us,
}

/// What [`Relay::pass`] lets through, and what follows it.
#[derive(Debug, PartialEq, Eq)]
pub struct Passed {
    /// These bytes of the buffer go on to the other side.
    pub forward: Range<usize>,
    /// What comes after them.
    pub then: Then,
    /// A Pong to a Ping of ours was among the bytes, and was taken out.
    pub pong: bool,
}

/// What follows the bytes that pass.
#[derive(Debug, PartialEq, Eq)]
pub enum Then {
    /// Nothing: more may come.
    More,
    /// The sender's Close has passed, with this code ([`Code::NO_STATUS`] for none); whatever it sends later is dropped.
    Closed(Code),
    /// This frame, a Close that waited for a boundary, is to be written now; whatever comes later is dropped.
    Say(Vec<u8>),
    /// The sender broke a rule; [`Relay::close_now`] tells the other side, and whatever comes later is dropped.
    Broken(Violation),
}

/// Both directions of one tunnel.
#[derive(Debug)]
pub struct Relay {
    client: Flow,
    service: Flow,
}

impl Default for Relay {
    fn default() -> Self {
        Relay::new()
    }
}

impl Relay {
    /// A tunnel whose handshake has just been done.
    pub const fn new() -> Relay {
        Relay { client: Flow::new(), service: Flow::new() }
    }

    /// Judges the bytes `chunk` of `buffer`, just received from `from`.
    ///
    /// The [`MAX_CARRY`] bytes before `chunk` must be free: bytes held back earlier are put there. `buffer` is changed
    /// further only where a Pong is taken out.
    ///
    /// # Panics
    /// When `chunk` does not lie within `buffer`, or begins before [`MAX_CARRY`].
    pub fn pass(&mut self, from: Side, rules: Rules, buffer: &mut [u8], chunk: Range<usize>) -> Passed {
        assert!(chunk.start >= MAX_CARRY, "a chunk begins behind {MAX_CARRY} free bytes");
        self.flow_mut(from).pass(from, rules, buffer, chunk)
    }

    /// Says `close` to `toward` as soon as a message ends there: now, then the frame is returned and to be written at
    /// once; or later, then [`Relay::pass`] returns it. Nothing happens where a Close has been said or waits already.
    ///
    /// `mask` is for frames toward a service (RFC 6455 5.3) and ignored toward a client.
    pub fn close(&mut self, toward: Side, close: &Close, mask: [u8; 4]) -> Option<Vec<u8>> {
        let close = waiting(toward, close, mask, Boundary::Message);
        self.flow_mut(toward.other()).say(close)
    }

    /// The soft deadline has passed: a Close that waits toward `toward` may now stand after any frame. Returns it where
    /// that is now.
    pub fn hurry(&mut self, toward: Side) -> Option<Vec<u8>> {
        self.flow_mut(toward.other()).hurry()
    }

    /// Says `close` to `toward` at once if a frame boundary is there, instead of one that waits. For a side whose partner
    /// is gone or has broken a rule: nothing more can come that would end a message.
    pub fn close_now(&mut self, toward: Side, close: &Close, mask: [u8; 4]) -> Option<Vec<u8>> {
        let close = waiting(toward, close, mask, Boundary::Frame);
        self.flow_mut(toward.other()).say_now(close)
    }

    /// A Ping toward `toward`, if one may stand there now and `toward` doesn't owe the Pong to one already.
    ///
    /// All Pings of a tunnel toward a side carry the `number` that was given first: draw it, so that another Fermata on
    /// the way takes no Pong for its own. [`Relay::pass`] takes out as many Pongs to it as there were Pings.
    pub fn ping(&mut self, toward: Side, number: NonZeroU32, mask: [u8; 4]) -> Option<Vec<u8>> {
        let there = self.flow(toward.other());
        if !there.is_open() || !there.at(Boundary::Frame) || !self.flow(toward).is_open() {
            return None;
        }
        let payload = self.flow_mut(toward).pings.next(number)?;
        Some(frame::control(Opcode::Ping, &payload, masked(toward, mask)))
    }

    /// Whether `side` owes a sign of life: a Ping of ours went there, and nothing has come since. Anything else that
    /// comes is as good as the Pong, since a peer may leave a Ping unanswered when another follows it (RFC 6455 5.5.3).
    pub fn owes_pong(&self, side: Side) -> bool {
        self.flow(side).pings.owed()
    }

    /// Whether the direction from `from` is closed, and whose Close stands at its end.
    pub fn closed(&self, from: Side) -> Option<ClosedBy> {
        self.flow(from).closed()
    }

    /// Whether `side` has said all that counts: its own Close has come (it has passed, or was dropped because ours stood
    /// there already), or it broke a rule and nobody listens any more.
    ///
    /// A side that has, and that a Close was written to, has finished the closing handshake (RFC 6455 7.1.4).
    pub fn said_all(&self, side: Side) -> bool {
        self.flow(side).said_all()
    }

    /// The code of the Close that ended the direction from `from`; [`Code::ABNORMAL`] where there was none.
    pub fn code(&self, from: Side) -> Code {
        self.flow(from).code()
    }

    /// Payload and heads that have passed from `from`, in bytes.
    pub fn bytes(&self, from: Side) -> u64 {
        self.flow(from).bytes()
    }

    /// Messages that have passed whole from `from`.
    pub fn messages(&self, from: Side) -> u64 {
        self.flow(from).messages()
    }

    /// Whether a message from `from` has begun and not ended.
    pub fn is_within_message(&self, from: Side) -> bool {
        self.flow(from).is_within_message()
    }

    fn flow(&self, from: Side) -> &Flow {
        match from {
            Side::Client => &self.client,
            Side::Service => &self.service,
        }
    }

    fn flow_mut(&mut self, from: Side) -> &mut Flow {
        match from {
            Side::Client => &mut self.client,
            Side::Service => &mut self.service,
        }
    }
}

fn waiting(toward: Side, close: &Close, mask: [u8; 4], after: Boundary) -> Waiting {
    let frame = frame::control(Opcode::Close, &close.payload(), masked(toward, mask));
    Waiting { frame, code: close.code, after }
}

fn masked(toward: Side, mask: [u8; 4]) -> Option<[u8; 4]> {
    (toward == Side::Service).then_some(mask)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tunnel_needs_at_most_128_bytes_for_its_frames() {
        assert!(size_of::<Relay>() <= 128, "{} bytes", size_of::<Relay>());
    }
}
