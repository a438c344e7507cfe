//! How a tunnel ends: who says Close to whom, who is waited for, and how long.
//!
//! A Close of Fermata's own goes to the client, whose answer passes to the service and closes there, behind everything
//! that the client still had to say. Each leg whose closing handshake is done is left to its peers' good manners for a
//! while, and then ended.

use std::sync::Arc;
use std::time::Duration;

use fermata_wire::{Close, ClosedBy, Code, Relay, Side, Violation};

use super::end::{Reading, Scratch};
use super::ending::Cause;
use super::slot::{BOTH, Carries, Stage, Tunnel, mask};
use super::tick::Tick;

/// A Close waits this long for a message's end, then for a frame's.
const SOFT: Duration = Duration::from_secs(2);
/// This long after that the tunnel ends, whatever the peers do. Together with [`SOFT`] the 5 s that a stop may take.
const HARD: Duration = Duration::from_secs(3);
/// Once both sides have closed, or one is gone, the peers get this long to end their connections.
const PARTING: Duration = Duration::from_secs(5);
/// Once one side has closed, the other gets this long to answer; it may have a long message to end.
const CLOSING: Duration = Duration::from_secs(30);

const SERVICE_GONE: Close = Close::new(Code::SERVER_ERROR, "the service ended the connection");
const NO_ANSWER: Close = Close::new(Code::GOING_AWAY, "the client did not close in time");
const TOO_MANY: Close = Close::new(Code::POLICY, "more messages than the service takes");

impl Tunnel {
    /// Is to be drained at `due`, or earlier where that is known already.
    pub(super) fn schedule(&mut self, due: Tick, close: &Arc<Close>) {
        match &mut self.stage {
            Stage::Live => self.stage = Stage::Scheduled(due, close.clone()),
            Stage::Scheduled(at, said) if due < *at => (*at, *said) = (due, close.clone()),
            Stage::Asked(at) => *at = (*at).min(due.after(SOFT)),
            Stage::Scheduled(..) | Stage::Parting(_) | Stage::Over => {}
        }
    }

    /// When its stage wants to be looked at.
    pub(super) fn stage_due(&self) -> Tick {
        match self.stage {
            Stage::Live | Stage::Over => Tick::NEVER,
            Stage::Scheduled(due, _) | Stage::Asked(due) | Stage::Parting(due) => due,
        }
    }

    /// Does what is due; returns when it wants to be asked again.
    pub(super) fn attend(&mut self, now: Tick, scratch: &mut Scratch) -> Tick {
        match &self.stage {
            Stage::Scheduled(due, close) if *due <= now => {
                let close = close.clone();
                self.drain(&close, Cause::Drained, now, scratch);
            }
            Stage::Asked(due) if *due <= now => {
                self.hurry(scratch);
                self.stage = Stage::Parting(now.after(HARD));
            }
            Stage::Parting(due) if *due <= now => self.give_up(),
            Stage::Live | Stage::Scheduled(..) => return self.keep_alive(now, scratch).min(self.stage_due()),
            Stage::Asked(_) | Stage::Parting(_) | Stage::Over => {}
        }
        self.stage_due()
    }

    /// Says `close` to the client as soon as a message ends. A raw tunnel just ends.
    pub(super) fn drain(&mut self, close: &Close, cause: Cause, now: Tick, scratch: &mut Scratch) {
        self.because(cause);
        match &mut self.carries {
            Carries::WebSocket(relay) => {
                let frame = relay.close(Side::Client, close, mask());
                self.say(Side::Client, frame, scratch);
                self.ask(now.after(SOFT));
            }
            Carries::Raw(_) => {
                self.client.finish(&mut scratch.sealed);
                self.service.finish(&mut scratch.sealed);
                self.part(now);
            }
        }
    }

    /// The Close of `from` has passed: the other side has a while to answer.
    pub(super) fn closed(&mut self, from: Side, now: Tick) {
        self.because(Cause::Closed(from));
        self.ask(now.after(CLOSING));
    }

    /// `from` broke a rule, and nothing it says counts any more. The other side is told; its own Close goes back to `from`
    /// behind everything that it still had to answer. Where it has none, the soft deadline tells `from`.
    pub(super) fn refuse(&mut self, from: Side, violation: Violation, now: Tick, scratch: &mut Scratch) {
        let Carries::WebSocket(relay) = &mut self.carries else { return };
        let told = relay.close_now(from.other(), &violation.close(), mask());
        self.because(Cause::Violation(from, violation));
        self.say(from.other(), told, scratch);
        self.ask(now.after(SOFT));
    }

    /// The client sends more messages than it may: what it has sent whole still counts.
    pub(super) fn refuse_more(&mut self, now: Tick, scratch: &mut Scratch) {
        let Carries::WebSocket(relay) = &mut self.carries else { return };
        let frames = BOTH.map(|side| relay.close(side, &TOO_MANY, mask()));
        self.because(Cause::TooMany);
        for (side, frame) in BOTH.into_iter().zip(frames) {
            self.say(side, frame, scratch);
        }
        self.ask(now.after(SOFT));
    }

    /// The stream of `from` has ended: the other side is told.
    pub(super) fn ended(&mut self, from: Side, now: Tick, scratch: &mut Scratch) {
        self.end(from).reading = Reading::Ended;
        self.gone(from, Cause::Gone(from), now, scratch);
        self.end(from.other()).finish(&mut scratch.sealed);
    }

    /// A side is lost, without the end of its stream.
    pub(super) fn lost(&mut self, side: Side, cause: Cause, now: Tick, scratch: &mut Scratch) {
        self.end(side).abandon();
        let service_of_websocket = side == Side::Service && matches!(self.carries, Carries::WebSocket(_));
        if self.cause.is_none() && !service_of_websocket {
            // An abort stays an abort.
            self.because(cause);
            self.end(side.other()).reset();
        } else {
            self.gone(side, cause, now, scratch);
            self.end(side.other()).finish(&mut scratch.sealed);
            self.part(now);
        }
    }

    /// A side of a WebSocket says no more; the other hears of that as far as the stream's end doesn't tell it.
    fn gone(&mut self, side: Side, cause: Cause, now: Tick, scratch: &mut Scratch) {
        let over = self.end(side.other()).is_over();
        let Carries::WebSocket(relay) = &mut self.carries else { return };
        let (closed, sent_away) = (relay.closed(side).is_some(), relay.closed(side.other()) == Some(ClosedBy::Us));
        let frame = match side {
            _ if over => None,
            Side::Service => relay.close_now(Side::Client, &SERVICE_GONE, mask()),
            // Its client was told to go, and went without an answer that could pass.
            Side::Client if sent_away => relay.close_now(Side::Service, &NO_ANSWER, mask()),
            Side::Client => None,
        };
        if !closed {
            self.because(cause);
        }
        self.say(side.other(), frame, scratch);
        match side {
            Side::Service => self.part(now),
            // Its service may still have something to say to a client that has only ended its own stream.
            Side::Client => self.ask(now.after(CLOSING)),
        }
    }

    /// Waits until `due` for what was asked, or less where that is known already.
    fn ask(&mut self, due: Tick) {
        match &mut self.stage {
            Stage::Live | Stage::Scheduled(..) => self.stage = Stage::Asked(due),
            Stage::Asked(at) => *at = due.min(*at),
            Stage::Parting(_) | Stage::Over => {}
        }
    }

    /// Ends after [`PARTING`] at the latest.
    pub(super) fn part(&mut self, now: Tick) {
        let latest = now.after(PARTING);
        match &mut self.stage {
            Stage::Parting(due) => *due = latest.min(*due),
            Stage::Over => {}
            stage => *stage = Stage::Parting(latest),
        }
    }

    /// Ends the client's connection as its server once its closing handshake is done (RFC 6455 7.1.1). A service, as a
    /// server, does so itself; if we went first, the port we dialled from would be kept in `TIME_WAIT` (RFC 9293 3.6.1).
    pub(super) fn leave(&mut self, now: Tick, scratch: &mut Scratch) {
        let Carries::WebSocket(relay) = &self.carries else { return };
        let [client, service] = BOTH.map(|side| has_closed(relay, side));
        if client {
            self.client.finish(&mut scratch.sealed);
        }
        if client && service {
            self.part(now);
        }
    }

    /// A Close that waits may stand between frames now, and who has not answered a Close is not waited for.
    fn hurry(&mut self, scratch: &mut Scratch) {
        let Carries::WebSocket(relay) = &mut self.carries else { return };
        // For a service that doesn't answer its client.
        let unanswered = match (&self.cause, relay.closed(Side::Client)) {
            (Some(Cause::Violation(Side::Client, violation)), _) => violation.close(),
            // RFC 6455 5.5.1: with the same code.
            (_, Some(ClosedBy::Peer | ClosedBy::Us)) => Close::new(relay.code(Side::Client), ""),
            (_, None) => Close::new(Code::GOING_AWAY, ""),
        };
        for (side, close) in BOTH.into_iter().zip([unanswered, NO_ANSWER]) {
            let Carries::WebSocket(relay) = &mut self.carries else { return };
            let frame = relay.hurry(side).or_else(|| relay.close_now(side, &close, mask()));
            self.say(side, frame, scratch);
        }
    }

    /// The last deadline has passed.
    pub(super) fn give_up(&mut self) {
        let failed = BOTH.into_iter().find(|side| self.end(*side).has_failed());
        self.because(failed.map_or(Cause::Ended, Cause::Gone));
        for side in BOTH {
            match &self.carries {
                Carries::WebSocket(relay) if has_closed(relay, side) => self.end(side).abandon(),
                _ => self.end(side).reset(),
            }
        }
    }
}

/// Whether the closing handshake with `side` is done.
fn has_closed(relay: &Relay, side: Side) -> bool {
    relay.closed(side.other()).is_some() && relay.said_all(side)
}
