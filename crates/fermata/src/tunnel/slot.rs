//! One tunnel as it stands in a slot of its engine: its two ends, its relay, and how far it is.
//!
//! What it does is elsewhere: `pump` moves its bytes, `drain` ends it, `keepalive` watches it while it is silent. The engine
//! only says when.

use std::sync::Arc;
use std::time::Instant;

use fermata_wire::{Close, ClosedBy, Code, Relay, Rules, Side};

use super::allowance::Allowance;
use super::card::Card;
use super::end::{End, Reading, Scratch};
use super::ending::{Cause, Ending};
use super::engine::Kind;
use super::ledger::{Entry, Volume};
use super::tick::Tick;
use crate::net::{Parts, Reach};

/// One tunnel.
pub(super) struct Tunnel {
    pub(super) client: End,
    pub(super) service: End,
    pub(super) carries: Carries,
    /// The card's: looked at with every read.
    pub(super) rules: Rules,
    /// `None` where its client may send any number of messages.
    pub(super) allowance: Option<Box<Allowance>>,
    pub(super) stage: Stage,
    pub(super) cause: Option<Cause>,
    /// When a message, or a part of one, last passed.
    pub(super) moved: Tick,
    pub(super) card: Box<Card>,
}

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
    /// A Close was said, or waits for the end of a message, until this time. Then it needs no more than the end of a
    /// frame, and who has not answered is not waited for.
    Asked(Tick),
    /// The last wait, until this time, for both ends to close.
    Parting(Tick),
    /// Both ends are over; the engine takes it out.
    Over,
}

pub(super) const BOTH: [Side; 2] = [Side::Client, Side::Service];

impl Tunnel {
    pub(super) fn new(client: Parts, service: Parts, kind: Kind, card: Card, now: Tick) -> Tunnel {
        let reaches = [client.reach, service.reach];
        let (client, service) = (End::new(client, now), End::new(service, now));
        for (end, _) in [&client, &service].into_iter().zip(reaches).filter(|(_, reach)| *reach == Reach::Network) {
            watched_by_the_kernel(end, kind, &card);
        }
        Tunnel {
            client,
            service,
            carries: match kind {
                Kind::WebSocket => Carries::WebSocket(Relay::new()),
                Kind::Raw => Carries::Raw([0, 0]),
            },
            rules: card.rules,
            allowance: card.limits.max_message_rate.map(|rate| Box::new(Allowance::new(rate, now))),
            stage: Stage::Live,
            cause: None,
            moved: now,
            card: Box::new(card),
        }
    }

    #[inline]
    pub(super) fn end(&mut self, side: Side) -> &mut End {
        match side {
            Side::Client => &mut self.client,
            Side::Service => &mut self.service,
        }
    }

    pub(super) fn end_of(&self, side: Side) -> &End {
        match side {
            Side::Client => &self.client,
            Side::Service => &self.service,
        }
    }

    /// Whether it goes on as ever: nobody has closed, and nobody has been asked to.
    pub(super) fn is_live(&self) -> bool {
        matches!(self.stage, Stage::Live | Stage::Scheduled(..))
    }

    /// Remembers why, if it isn't known yet: the first cause is the one.
    pub(super) fn because(&mut self, cause: Cause) {
        self.cause.get_or_insert(cause);
    }

    /// Says a frame of our own toward `side`.
    pub(super) fn say(&mut self, side: Side, frame: Option<Vec<u8>>, scratch: &mut Scratch) {
        if let Some(frame) = frame {
            self.end(side).send(&frame, &mut scratch.sealed);
        }
    }

    /// Draws the conclusions of whatever has just happened; returns the ends that want to be read though no event will
    /// tell of it.
    #[inline]
    pub(super) fn settle(&mut self, now: Tick, scratch: &mut Scratch) -> [bool; 2] {
        if self.client.has_failed() || self.service.has_failed() {
            self.part(now);
        }
        if !self.is_live() {
            self.leave(now, scratch);
        }
        if self.client.is_over() && self.service.is_over() {
            self.stage = Stage::Over;
        }
        BOTH.map(|side| {
            let wants = self.end(side).reading == Reading::Behind && !self.end(side.other()).has_pending();
            if wants {
                self.end(side).reading = Reading::Queued;
            }
            wants
        })
    }

    /// What it has carried so far.
    pub(super) fn carried(&self) -> Volume {
        match &self.carries {
            Carries::WebSocket(relay) => {
                Volume { bytes: BOTH.map(|side| relay.bytes(side)), messages: BOTH.map(|side| relay.messages(side)) }
            }
            Carries::Raw(bytes) => Volume { bytes: *bytes, messages: [0, 0] },
        }
    }

    /// Its line in the list of those that live.
    pub(super) fn entry(&self, now: Instant, tick: Tick) -> Entry {
        let kind = match &self.carries {
            Carries::WebSocket(_) => Kind::WebSocket,
            Carries::Raw(_) => Kind::Raw,
        };
        let Volume { bytes, messages } = self.carried();
        let card = &*self.card;
        let Card { id, lease, since, tls, .. } = card;
        Entry {
            id: *id,
            client: card.client(),
            service: lease.service().clone(),
            instance: lease.instance().clone(),
            kind,
            tls: *tls,
            tls_version: self.client.tls_version(),
            // Only over HTTP/1.1 does a whole connection become a tunnel (RFC 6455 4.1, RFC 8441 4).
            http: (kind == Kind::WebSocket).then_some(http::Version::HTTP_11),
            age: now.saturating_duration_since(*since),
            idle: tick.time_since(self.moved),
            bytes,
            messages,
            round_trips: [self.client.round_trip(), self.service.round_trip()],
            protocol: card.protocol.clone(),
        }
    }

    /// Its ending, once it is over.
    pub(super) fn ending(&self, now: Instant) -> Ending {
        let code = match &self.carries {
            Carries::WebSocket(relay) => code_at_client(relay, self.cause.as_ref()),
            Carries::Raw(_) => Code::ABNORMAL,
        };
        let Volume { bytes, messages } = self.carried();
        let cause = self.cause.clone().unwrap_or(Cause::Ended);
        Ending { cause, code, lived: now.saturating_duration_since(self.card.since), bytes, messages }
    }
}

/// Has the kernel notice, in the same times, what Pings notice, and where none can be sent: when a peer is gone. Of one in
/// the same kernel it knows anyway.
fn watched_by_the_kernel(end: &End, kind: Kind, card: &Card) {
    let Some(keepalive) = card.limits.keepalive else { return };
    let patience = card.limits.pong_timeout;
    end.probe(keepalive, patience);
    // Nobody knows of a raw stream whether a reader who pauses, for hours perhaps, does so for a reason.
    if kind == Kind::WebSocket {
        end.give_up_after(keepalive + patience);
    }
}

/// The code of the Close that the client got, or else of its own.
fn code_at_client(relay: &Relay, cause: Option<&Cause>) -> Code {
    if cause == Some(&Cause::NoPong(Side::Client)) {
        // It was reset, whatever its service says to that.
        return Code::ABNORMAL;
    }
    match (relay.closed(Side::Service), relay.closed(Side::Client)) {
        (Some(_), _) => relay.code(Side::Service),
        (None, Some(ClosedBy::Peer)) => relay.code(Side::Client),
        (None, _) => Code::ABNORMAL,
    }
}

/// A fresh key for a frame toward a service (RFC 6455 5.3).
pub(super) fn mask() -> [u8; 4] {
    fastrand::u32(..).to_ne_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Beside 8 KB that the kernel keeps for its two sockets.
    #[test]
    fn an_idle_tunnel_is_small() {
        let (tunnel, card) = (size_of::<Tunnel>(), size_of::<Card>());
        assert!(tunnel <= 240, "{tunnel} bytes in a slot");
        assert!(card <= 128, "{card} bytes on a card");
    }
}
