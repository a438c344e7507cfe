//! Moves the bytes of one tunnel in one direction: read, let the relay judge, write, until there is nothing more.

use std::ops::Range;

use fermata_wire::{Passed, Side, Then};

use super::end::{After, HEADROOM, Reading, Received, Scratch};
use super::ending::Cause;
use super::slot::{Carries, Tunnel};
use super::tick::Tick;

/// Reads of one direction before the others get a turn.
const BUDGET: u32 = 8;

/// How far to read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Until {
    /// A short read is enough: an event is in hand, and it tells of no end.
    Drained,
    /// The kernel says that there is nothing, or that it is the end: the event that told of it may be gone.
    Empty,
}

impl Tunnel {
    /// Moves what `from` has; returns how many reads that took.
    pub(super) fn pump(&mut self, from: Side, until: Until, now: Tick, scratch: &mut Scratch) -> u32 {
        self.end(from).reading = Reading::Open;
        for read in 0..BUDGET {
            if self.end(from.other()).has_pending() {
                self.end(from).reading = Reading::Behind;
                return read;
            }
            let after = match self.end(from).receive(scratch) {
                Received::Bytes(after) => after,
                Received::Nothing => return read + 1,
                // A write may have met the reset first, and then reading sees no more than an end.
                Received::End if !self.end(from).has_failed() => {
                    self.ended(from, now, scratch);
                    return read + 1;
                }
                Received::End | Received::Lost => {
                    self.lost(from, Cause::Gone(from), now, scratch);
                    return read + 1;
                }
            };
            self.end(from).heard = now;
            self.pass(from, now, scratch);
            match after {
                After::Broken => self.lost(from, Cause::BadTls(from), now, scratch),
                After::End => self.ended(from, now, scratch),
                After::Drained if until == Until::Drained => return read + 1,
                After::Drained | After::More => {}
            }
            if self.end(from).reading == Reading::Ended {
                return read + 1;
            }
        }
        self.end(from).reading = Reading::Behind;
        BUDGET
    }

    /// Passes on what is in the scratch's `plain`, behind the headroom.
    pub(super) fn pass(&mut self, from: Side, now: Tick, scratch: &mut Scratch) {
        let chunk = HEADROOM..scratch.plain.len();
        let relay = match &mut self.carries {
            Carries::Raw(bytes) => {
                bytes[usize::from(from == Side::Service)] += chunk.len() as u64;
                self.moved = now;
                return self.forward(from, chunk, scratch);
            }
            Carries::WebSocket(relay) => relay,
        };
        let before = relay.messages(from);
        let Passed { forward, then, pong } = relay.pass(from, self.rules, &mut scratch.plain, chunk);
        let messages = relay.messages(from) - before;
        // A long message is no idleness.
        if messages > 0 || (relay.is_within_message(from) && !forward.is_empty()) {
            self.moved = now;
        }
        if pong {
            self.end(from).pong_came(now, scratch.fraction);
        }
        self.forward(from, forward, scratch);
        match then {
            Then::More => {}
            Then::Say(frame) => self.say(from.other(), Some(frame), scratch),
            Then::Closed(_) => self.closed(from, now),
            Then::Broken(violation) => {
                self.refuse(from, violation, now, scratch);
            }
        }
        if from == Side::Client
            && let Some(allowance) = &mut self.allowance
            && !allowance.take(messages, now)
            && self.is_live()
        {
            self.refuse_more(now, scratch);
        }
    }

    fn forward(&mut self, from: Side, bytes: Range<usize>, scratch: &mut Scratch) {
        let Scratch { plain, sealed, .. } = scratch;
        self.end(from.other()).send(&plain[bytes], sealed);
    }

    /// There is an error at the end of `side`.
    pub(super) fn troubled(&mut self, side: Side, now: Tick, scratch: &mut Scratch) {
        // Reading finds out for itself, and an event may be older than its socket.
        if matches!(self.end(side).reading, Reading::Open | Reading::Queued) || !self.end(side).take_error() {
            return;
        }
        match (self.end(side).reading, &self.carries) {
            // What it said last waits to be read, as soon as the other end can take it.
            (Reading::Behind, Carries::WebSocket(_)) => self.end(side).fail(),
            _ => self.lost(side, Cause::Gone(side), now, scratch),
        }
    }
}
