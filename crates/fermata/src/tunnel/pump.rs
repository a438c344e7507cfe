//! Moves the bytes of one tunnel in one direction: read, let the relay judge, write, until there is nothing more.

use fermata_wire::{Close, Code, Passed, Side, Then};

use super::end::{After, HEADROOM, Reading, Received, Scratch, Sent};
use super::ending::Cause;
use super::tick::Tick;
use super::tunnel::{Carries, Tunnel};

/// Reads of one direction before the others get a turn.
const BUDGET: u32 = 8;

/// Why a pump stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stopped {
    /// The next event will wake it.
    Waits,
    /// It has had its turn, and there may be more.
    HadItsTurn,
}

/// How far to read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Until {
    /// A short read is enough: an event is in hand, and it tells of no end.
    Drained,
    /// The kernel says that there is nothing, or that it is the end: the event that told of it may be gone.
    Empty,
}

impl Tunnel {
    /// Moves what `from` has.
    pub(super) fn pump(&mut self, from: Side, until: Until, now: Tick, scratch: &mut Scratch) -> Stopped {
        for _ in 0..BUDGET {
            if !self.may_read(from) {
                return Stopped::Waits;
            }
            if self.end(from.other()).has_pending() {
                self.end(from).reading = Reading::Blocked;
                return Stopped::Waits;
            }
            match self.end(from).receive(scratch) {
                Received::Nothing => return Stopped::Waits,
                Received::Lost => {
                    self.lost(from, now, scratch);
                    return Stopped::Waits;
                }
                Received::End => {
                    self.ended(from, now, scratch);
                    return Stopped::Waits;
                }
                Received::Bytes(after) => {
                    self.end(from).heard = now;
                    self.pass(from, now, scratch);
                    if after == After::End {
                        self.ended(from, now, scratch);
                    }
                    if after == After::Drained && until == Until::Drained {
                        return Stopped::Waits;
                    }
                }
            }
        }
        Stopped::HadItsTurn
    }

    /// Passes on what is in the scratch's `plain`, behind the headroom.
    pub(super) fn pass(&mut self, from: Side, now: Tick, scratch: &mut Scratch) {
        let rules = self.card.rules;
        let chunk = HEADROOM..scratch.plain.len();
        let relay = match &mut self.carries {
            Carries::Raw(bytes) => {
                bytes[usize::from(from == Side::Service)] += chunk.len() as u64;
                self.moved = now;
                return self.forward(from, chunk, now, scratch);
            }
            Carries::WebSocket(relay) => relay,
        };
        let messages = relay.messages(from);
        let Passed { forward, then, pong: _ } = relay.pass(from, rules, &mut scratch.plain, chunk);
        let messages = relay.messages(from) - messages;
        self.forward(from, forward, now, scratch);
        if messages > 0 {
            self.moved = now;
            if from == Side::Client && !self.may_send(messages, now) {
                return self.too_many(now, scratch);
            }
        }
        match then {
            Then::More => {}
            Then::Say(frame) => self.say(from.other(), Some(frame), scratch),
            Then::Closed(_) => {
                self.because(Cause::Closed(from));
                self.await_answer(now);
                self.part_if_both_closed(now);
            }
            Then::Broken(violation) => {
                self.broken(from, &violation.close(), Cause::Violation(from, violation), now, scratch);
            }
        }
    }

    fn forward(&mut self, from: Side, bytes: std::ops::Range<usize>, now: Tick, scratch: &mut Scratch) {
        let Scratch { plain, sealed, .. } = scratch;
        match self.end(from.other()).send(&plain[bytes], sealed) {
            Sent::All | Sent::Waits => {}
            Sent::Lost => self.lost(from.other(), now, scratch),
        }
    }

    /// The stream of `from` has ended: the other side is told.
    fn ended(&mut self, from: Side, now: Tick, scratch: &mut Scratch) {
        self.end(from).reading = Reading::Ended;
        if let Carries::WebSocket(relay) = &self.carries {
            let closed = relay.closed(from).is_some();
            match from {
                Side::Service => self.service_gone(now, scratch),
                // The service may still speak to a client that only ended its own stream.
                Side::Client if !closed => self.because(Cause::Gone(Side::Client)),
                Side::Client => {}
            }
        }
        if self.end(from.other()).finish(&mut scratch.sealed) == Sent::Lost {
            self.end(from.other()).abandon();
        }
    }

    /// Once both sides have closed, the peers have a while to end their connections (RFC 6455 7.1.1).
    fn part_if_both_closed(&mut self, now: Tick) {
        if let Carries::WebSocket(relay) = &self.carries
            && relay.closed(Side::Client).is_some()
            && relay.closed(Side::Service).is_some()
        {
            self.part(now);
        }
    }

    /// The end of `side` can be written to again.
    pub(super) fn writable(&mut self, side: Side, now: Tick, scratch: &mut Scratch) -> Stopped {
        if !self.end(side).has_pending() {
            return Stopped::Waits;
        }
        match self.end(side).flush(now) {
            Sent::Waits => return Stopped::Waits,
            Sent::Lost => {
                self.lost(side, now, scratch);
                return Stopped::Waits;
            }
            Sent::All => {}
        }
        if self.end(side.other()).reading != Reading::Blocked {
            return Stopped::Waits;
        }
        self.end(side.other()).reading = Reading::Open;
        // No new edge tells of what came meanwhile.
        self.pump(side.other(), Until::Empty, now, scratch)
    }

    fn may_send(&mut self, messages: u64, now: Tick) -> bool {
        self.card.limits.max_message_rate.is_none_or(|rate| self.allowance.take(messages, rate, now))
    }

    /// Ends it for sending too much too fast.
    fn too_many(&mut self, now: Tick, scratch: &mut Scratch) {
        let close = Close::new(Code::POLICY, "more messages than the service takes");
        self.broken(Side::Client, &close, Cause::TooMany, now, scratch);
    }
}
