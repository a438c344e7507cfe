//! One tunnel in the engine: its two ends, its relay, and how far it is.
//!
//! Every rule of how a tunnel lives and ends is here and in `pump`; the engine only says when.

use std::sync::Arc;
use std::time::{Duration, Instant};

use fermata_wire::{Close, ClosedBy, Code, Relay, Side};

use super::card::Card;
use super::end::{End, Reading, Scratch, Sent};
use super::ending::{Cause, Ending};
use super::engine::Kind;
use super::ledger::Entry;
use super::tick::Tick;

/// A Close waits this long for a message's end, then for a frame's.
const SOFT: Duration = Duration::from_secs(2);
/// This long after that the tunnel ends, whatever the peers do. Together with [`SOFT`] the 5 s that a stop may take.
const HARD: Duration = Duration::from_secs(3);
/// Once both sides have closed, or one is gone, the peers get this long to end their connections.
const PARTING: Duration = Duration::from_secs(5);
/// Once one side has closed, the other gets this long to answer; it may have a long message to end.
const CLOSING: Duration = Duration::from_secs(30);

/// What a tunnel carries.
pub(super) enum Carries {
    /// WebSocket frames.
    WebSocket(Relay),
    /// Bytes: from the client and from the service.
    Raw([u64; 2]),
}

/// How far a tunnel is.
#[derive(Debug)]
pub(super) enum Stage {
    Live,
    /// Close is to be said at this time.
    Scheduled(Tick, Arc<Close>),
    /// Close was said, or waits for the end of a message.
    Asked(Tick),
    /// The last wait before both ends are closed.
    Parting(Tick),
}

/// One tunnel.
pub(super) struct Tunnel {
    pub(super) client: End,
    pub(super) service: End,
    pub(super) carries: Carries,
    pub(super) card: Box<Card>,
    pub(super) stage: Stage,
    pub(super) cause: Option<Cause>,
    /// When a message last passed.
    pub(super) moved: Tick,
    pub(super) allowance: Allowance,
}

/// How many messages a client may send at once: as many as in a second, refilled as time goes by.
pub(super) struct Allowance {
    left: u32,
    at: Tick,
}

impl Allowance {
    pub(super) fn new(rate: Option<u32>, now: Tick) -> Allowance {
        Allowance { left: rate.unwrap_or(u32::MAX), at: now }
    }

    /// Takes `messages` out; false when there are not so many.
    pub(super) fn take(&mut self, messages: u64, rate: u32, now: Tick) -> bool {
        let refill = now.millis_since(self.at).saturating_mul(u64::from(rate)) / 1000;
        if refill > 0 {
            self.at = now;
        }
        let left = u64::from(self.left).saturating_add(refill).min(u64::from(rate));
        self.left = left.saturating_sub(messages) as u32;
        messages <= left
    }
}

impl Tunnel {
    pub(super) fn end(&mut self, side: Side) -> &mut End {
        match side {
            Side::Client => &mut self.client,
            Side::Service => &mut self.service,
        }
    }

    /// Whether both ends are over.
    pub(super) fn is_over(&self) -> bool {
        self.client.is_over() && self.service.is_over()
    }

    /// Remembers why, if it isn't known yet: the first cause is the one.
    pub(super) fn because(&mut self, cause: Cause) {
        self.cause.get_or_insert(cause);
    }

    /// Ends after [`PARTING`] at the latest.
    pub(super) fn part(&mut self, now: Tick) {
        self.end_by(now.after(PARTING));
    }

    /// One side has said Close: the other has [`CLOSING`] for its answer, unless it has less already.
    pub(super) fn await_answer(&mut self, now: Tick) {
        if let Stage::Live | Stage::Scheduled(..) = self.stage {
            self.end_by(now.after(CLOSING));
        }
    }

    fn end_by(&mut self, latest: Tick) {
        let due = match self.stage {
            Stage::Parting(due) => due.min(latest),
            _ => latest,
        };
        self.stage = Stage::Parting(due);
    }

    /// Says a frame of our own toward `side`.
    pub(super) fn say(&mut self, side: Side, frame: Option<Vec<u8>>, scratch: &mut Scratch) {
        if let Some(frame) = frame
            && self.end(side).send(&frame, &mut scratch.sealed) == Sent::Lost
        {
            self.end(side).abandon();
        }
    }

    /// Begins to drain: says `close` to the client as soon as a message ends. The client's answer passes to the service
    /// and closes there, after everything that the client still had to say. A raw tunnel just ends.
    pub(super) fn drain(&mut self, close: &Close, cause: Cause, now: Tick, scratch: &mut Scratch) {
        self.because(cause);
        match &mut self.carries {
            Carries::WebSocket(relay) => {
                let frame = relay.close(Side::Client, close, mask());
                self.say(Side::Client, frame, scratch);
                self.stage = Stage::Asked(now.after(SOFT));
            }
            Carries::Raw(_) => {
                self.client.finish(&mut scratch.sealed);
                self.service.finish(&mut scratch.sealed);
                self.part(now);
            }
        }
    }

    /// The service is gone: tells the client, and waits for its part of the closing.
    pub(super) fn service_gone(&mut self, now: Tick, scratch: &mut Scratch) {
        let Carries::WebSocket(relay) = &mut self.carries else { return };
        if relay.closed(Side::Service).is_none() {
            let frame = relay.close_now(Side::Client, &SERVICE_GONE, mask());
            self.because(Cause::Gone(Side::Service));
            self.say(Side::Client, frame, scratch);
        }
        self.part(now);
    }

    /// One side broke a rule: the other is told, and its own Close goes back to the one that did.
    pub(super) fn broken(&mut self, from: Side, close: &Close, cause: Cause, now: Tick, scratch: &mut Scratch) {
        let Carries::WebSocket(relay) = &mut self.carries else { return };
        let frame = relay.close_now(from.other(), close, mask());
        self.because(cause);
        self.say(from.other(), frame, scratch);
        self.stage = Stage::Asked(now.after(SOFT));
    }

    /// A side is lost: reset, or it takes nothing any more.
    pub(super) fn lost(&mut self, side: Side, now: Tick, scratch: &mut Scratch) {
        let websocket = matches!(self.carries, Carries::WebSocket(_));
        self.end(side).abandon();
        if websocket && side == Side::Service {
            self.service_gone(now, scratch);
            self.client.finish(&mut scratch.sealed);
        } else if self.cause.is_some() {
            // It had said all it had to say: no abort.
            self.end(side.other()).finish(&mut scratch.sealed);
            self.part(now);
        } else {
            self.because(Cause::Gone(side));
            self.end(side.other()).reset();
        }
    }

    /// Does what is due; returns when it wants to be asked again.
    pub(super) fn attend(&mut self, now: Tick, scratch: &mut Scratch) -> Tick {
        match &self.stage {
            Stage::Live => self.keep_alive(now, scratch),
            Stage::Scheduled(due, close) => {
                if now < *due {
                    return (*due).min(self.next_keepalive(now));
                }
                let close = close.clone();
                self.drain(&close, Cause::Drained, now, scratch);
                self.next_due()
            }
            Stage::Asked(due) if now >= *due => {
                self.hurry(scratch);
                self.stage = Stage::Parting(now.after(HARD));
                self.next_due()
            }
            Stage::Parting(due) if now >= *due => {
                self.give_up();
                Tick::NEVER
            }
            Stage::Asked(due) | Stage::Parting(due) => *due,
        }
    }

    /// When the stage wants to be looked at, keepalive aside.
    pub(super) fn next_due(&self) -> Tick {
        match self.stage {
            Stage::Live => Tick::NEVER,
            Stage::Scheduled(due, _) | Stage::Asked(due) | Stage::Parting(due) => due,
        }
    }

    /// The soft deadline has passed: a Close that waits may stand between frames, and a side whose partner has closed
    /// is told so.
    fn hurry(&mut self, scratch: &mut Scratch) {
        let Carries::WebSocket(relay) = &mut self.carries else { return };
        let to_client = relay.hurry(Side::Client).or_else(|| match relay.closed(Side::Client) {
            // A violation of the client's was told to the service, which hasn't closed.
            Some(ClosedBy::Us) => {
                let close = Close::new(relay.code(Side::Client), "");
                relay.close_now(Side::Client, &close, mask())
            }
            _ => None,
        });
        let to_service = relay.close_now(Side::Service, &GOING_AWAY, mask());
        self.say(Side::Client, to_client, scratch);
        self.say(Side::Service, to_service, scratch);
    }

    /// The hard deadline has passed.
    fn give_up(&mut self) {
        self.because(Cause::Ended);
        self.client.reset();
        self.service.reset();
    }

    fn keep_alive(&mut self, now: Tick, scratch: &mut Scratch) -> Tick {
        if let Some(idle) = self.card.limits.idle_timeout
            && now >= self.moved.after(idle)
        {
            self.drain(&IDLE, Cause::Idle, now, scratch);
            return self.next_due();
        }
        for side in [Side::Client, Side::Service] {
            if self.owes_pong(side) {
                let asked = self.end(side).pinged.max(self.end(side).heard);
                if now >= asked.after(self.card.limits.pong_timeout) {
                    self.dead(side, now, scratch);
                    return self.next_due();
                }
            } else if let Some(keepalive) = self.card.limits.keepalive
                && now >= self.end(side).heard.after(keepalive)
            {
                self.ping(side, now, scratch);
            }
        }
        self.next_keepalive(now)
    }

    /// The earliest time at which keepalive or the idle limit could ask for something.
    fn next_keepalive(&mut self, now: Tick) -> Tick {
        let Carries::WebSocket(_) = self.carries else { return Tick::NEVER };
        let mut next = self.card.limits.idle_timeout.map_or(Tick::NEVER, |idle| self.moved.after(idle));
        for side in [Side::Client, Side::Service] {
            let wait = if self.owes_pong(side) {
                Some(self.end(side).pinged.max(self.end(side).heard).after(self.card.limits.pong_timeout))
            } else {
                self.card.limits.keepalive.map(|keepalive| self.end(side).heard.after(keepalive))
            };
            next = next.min(wait.unwrap_or(Tick::NEVER));
        }
        next.max(now.after(Tick::LENGTH))
    }

    fn owes_pong(&self, side: Side) -> bool {
        matches!(&self.carries, Carries::WebSocket(relay) if relay.owes_pong(side))
    }

    fn ping(&mut self, side: Side, now: Tick, scratch: &mut Scratch) {
        let Carries::WebSocket(relay) = &mut self.carries else { return };
        let frame = relay.ping(side, std::num::NonZeroU32::MIN | fastrand::u32(..), mask());
        if frame.is_some() {
            self.end(side).pinged = now;
        }
        self.say(side, frame, scratch);
    }

    /// A side that doesn't answer is reset; the other is told.
    fn dead(&mut self, side: Side, now: Tick, scratch: &mut Scratch) {
        let Carries::WebSocket(relay) = &mut self.carries else { return };
        let frame = relay.close_now(side.other(), &NO_PONG, mask());
        self.because(Cause::NoPong(side));
        self.end(side).reset();
        self.say(side.other(), frame, scratch);
        self.end(side.other()).finish(&mut scratch.sealed);
        self.part(now);
    }

    /// Its line in the list of those that live.
    pub(super) fn entry(&self, now: Tick) -> Entry {
        let (kind, bytes, messages) = match &self.carries {
            Carries::WebSocket(relay) => {
                let both = [Side::Client, Side::Service];
                (Kind::WebSocket, both.map(|side| relay.bytes(side)), both.map(|side| relay.messages(side)))
            }
            Carries::Raw(bytes) => (Kind::Raw, *bytes, [0, 0]),
        };
        let Card { id, client, lease, since, tls, .. } = &*self.card;
        Entry {
            id: *id,
            client: *client,
            service: lease.service().clone(),
            instance: lease.instance().clone(),
            kind,
            tls: *tls,
            age: since.elapsed(),
            idle: Duration::from_millis(now.millis_since(self.moved)),
            bytes,
            messages,
        }
    }

    /// Its ending, once it is over.
    pub(super) fn ending(&self) -> Ending {
        let (bytes, messages, code) = match &self.carries {
            Carries::WebSocket(relay) => {
                let both = [Side::Client, Side::Service];
                // The code that the client saw is the one that went toward it, or the one it sent itself.
                let code = match relay.closed(Side::Service) {
                    Some(_) => relay.code(Side::Service),
                    None => relay.code(Side::Client),
                };
                (both.map(|side| relay.bytes(side)), both.map(|side| relay.messages(side)), code)
            }
            Carries::Raw(bytes) => (*bytes, [0, 0], Code::ABNORMAL),
        };
        let cause = self.cause.clone().unwrap_or(Cause::Ended);
        Ending { cause, code, lived: Instant::now() - self.card.since, bytes, messages }
    }

    /// Whether a side's bytes may be read now.
    pub(super) fn may_read(&mut self, side: Side) -> bool {
        self.end(side).reading == Reading::Open
    }
}

/// A fresh key for a frame toward a service (RFC 6455 5.3).
pub(super) fn mask() -> [u8; 4] {
    fastrand::u32(..).to_ne_bytes()
}

const SERVICE_GONE: Close = Close::new(Code::SERVER_ERROR, "the service ended the connection");
const GOING_AWAY: Close = Close::new(Code::GOING_AWAY, "the client did not close in time");
const NO_PONG: Close = Close::new(Code::GOING_AWAY, "the other side does not answer");
const IDLE: Close = Close::new(Code::GOING_AWAY, "no message for too long");
