//! Watches a WebSocket while it is silent: Pings, Pongs that don't come, and no message for too long.

use std::num::NonZeroU32;

use fermata_wire::{Close, Code, Side};

use super::end::Scratch;
use super::ending::Cause;
use super::slot::{BOTH, Carries, Tunnel, mask};
use super::tick::Tick;

/// A service is told that its client is gone, a client that its service has failed.
const fn no_pong(dead: Side) -> Close {
    match dead {
        Side::Client => Close::new(Code::GOING_AWAY, "the other side does not answer"),
        Side::Service => Close::new(Code::SERVER_ERROR, "the service does not answer"),
    }
}

const IDLE: Close = Close::new(Code::GOING_AWAY, "no message for too long");

impl Tunnel {
    /// Does what silence asks for now; returns when it could ask for more.
    pub(super) fn keep_alive(&mut self, now: Tick, scratch: &mut Scratch) -> Tick {
        let Carries::WebSocket(_) = self.carries else { return Tick::NEVER };
        let idle = self.card.limits.idle_timeout.map_or(Tick::NEVER, |idle| self.moved.after(idle));
        if idle <= now {
            self.drain(&IDLE, Cause::Idle, now, scratch);
            return Tick::NEVER;
        }
        let mut next = idle;
        for side in BOTH {
            match self.watch(side, now, scratch) {
                Some(due) => next = next.min(due),
                None => return Tick::NEVER,
            }
        }
        next
    }

    /// The same for one side; `None` where it was dead.
    fn watch(&mut self, side: Side, now: Tick, scratch: &mut Scratch) -> Option<Tick> {
        let limits = &self.card.limits;
        let (keepalive, pong_timeout) = (limits.keepalive, limits.pong_timeout);
        let (heard, pinged) = (self.end(side).heard, self.end(side).pinged);
        // Who answers is asked again after `keepalive`, however long an answer may take.
        let again = keepalive.map_or(Tick::NEVER, |keepalive| now.after(keepalive));
        if self.owes_pong(side) {
            let due = heard.max(pinged).after(pong_timeout);
            return if due <= now { self.dead(side, now, scratch) } else { Some(due.min(again)) };
        }
        let Some(keepalive) = keepalive else { return Some(Tick::NEVER) };
        let silent = heard.after(keepalive);
        if silent > now {
            return Some(silent);
        }
        if self.ping(side, now, scratch) {
            return Some(again.min(now.after(pong_timeout)));
        }
        // No Ping may stand within a frame. A side that takes nothing of it is as good as silent.
        if self.end(side).has_pending() && silent.after(pong_timeout) <= now {
            return self.dead(side, now, scratch);
        }
        Some(now.after(Tick::LENGTH))
    }

    fn owes_pong(&self, side: Side) -> bool {
        matches!(&self.carries, Carries::WebSocket(relay) if relay.owes_pong(side))
    }

    fn ping(&mut self, side: Side, now: Tick, scratch: &mut Scratch) -> bool {
        let Carries::WebSocket(relay) = &mut self.carries else { return false };
        let frame = relay.ping(side, NonZeroU32::MIN | fastrand::u32(..), mask());
        let asked = frame.is_some();
        if asked {
            self.end(side).ping_went(now, scratch.fraction);
        }
        self.say(side, frame, scratch);
        asked
    }

    /// A side that doesn't answer is reset; the other is told.
    fn dead(&mut self, side: Side, now: Tick, scratch: &mut Scratch) -> Option<Tick> {
        let Carries::WebSocket(relay) = &mut self.carries else { return None };
        let frame = relay.close_now(side.other(), &no_pong(side), mask());
        self.because(Cause::NoPong(side));
        self.end(side).reset();
        self.say(side.other(), frame, scratch);
        self.end(side.other()).finish(&mut scratch.sealed);
        self.part(now);
        None
    }
}
