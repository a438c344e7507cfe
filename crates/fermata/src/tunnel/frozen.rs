//! A tunnel that is held still between two engines: out of the one, exactly as it stood, and not yet in the other, which
//! may be another process's.
//!
//! A tunnel with a TLS session never freezes: what its session knows cannot be taken out of it, and it stays where it is.

use std::os::fd::{BorrowedFd, OwnedFd};
use std::sync::Arc;

use fermata_wire::{Close, Code, Relay};

use super::allowance::Allowance;
use super::card::Card;
use super::end::End;
use super::ending::Cause;
use super::record::{Carried, Length, Phase, Record, Who};
use super::slot::{BOTH, Carries, Stage, Tunnel};
use super::tick::Tick;

/// A tunnel between two engines.
pub struct Frozen {
    pub(super) tunnel: Tunnel,
    /// What its times are relative to.
    pub(super) at: Tick,
}

impl Frozen {
    pub(super) fn new(tunnel: Tunnel, at: Tick) -> Frozen {
        Frozen { tunnel, at }
    }

    /// Who it is.
    pub fn card(&self) -> &Card {
        &self.tunnel.card
    }

    /// Writes it down. What is bytes goes behind `bytes`, its sockets behind `sockets`.
    pub fn pack<'a>(&'a self, bytes: &mut Vec<u8>, sockets: &mut Vec<BorrowedFd<'a>>) -> Record {
        // All of it: what is added here is added to the record.
        let Tunnel { client, service, carries, rules: _, allowance, stage, cause, moved, card } = &self.tunnel;
        let carried = match carries {
            Carries::WebSocket(relay) => Carried::WebSocket(Length::put(bytes, &relay.save())),
            Carries::Raw(passed) => Carried::Raw(*passed),
        };
        Record {
            who: Who::of(card),
            carried,
            client: client.pack(self.at, bytes, sockets),
            service: service.pack(self.at, bytes, sockets),
            allowance: allowance.as_ref().map(|allowance| allowance.pack(self.at)),
            phase: match stage {
                Stage::Live => Phase::Live,
                Stage::Scheduled(due, close) => {
                    Phase::Scheduled(due.offset(self.at), close.code.0, close.reason.to_string())
                }
                Stage::Asked(due) => Phase::Asked(due.offset(self.at)),
                // One that is over is freed before anybody can freeze it; it would be again at once.
                Stage::Parting(due) => Phase::Parting(due.offset(self.at)),
                Stage::Over => Phase::Parting(0),
            },
            cause: cause.as_ref().map(Cause::to_string),
            moved: moved.offset(self.at),
        }
    }

    /// The tunnel that a record tells of, with its part of the `bytes` and of the `sockets`; `None` where the record
    /// does not make sense. `card` is who it is in this process.
    pub fn unpack(
        record: Record,
        card: Card,
        bytes: &mut &[u8],
        sockets: &mut impl Iterator<Item = OwnedFd>,
    ) -> Option<Frozen> {
        let at = Tick::MIDDLE;
        let carries = match record.carried {
            Carried::WebSocket(length) => Carries::WebSocket(Relay::load(length.take(bytes)?)?),
            Carried::Raw(passed) => Carries::Raw(passed),
        };
        let [client, service] = [record.client, record.service].map(|end| End::unpack(end, at, bytes, sockets));
        let allowance = card.limits.max_message_rate.map(|rate| match record.allowance {
            Some(packed) => Allowance::unpack(rate, packed, at),
            None => Allowance::new(rate, at),
        });
        let stage = match record.phase {
            Phase::Live => Stage::Live,
            Phase::Scheduled(due, code, reason) => {
                let close = Close { code: Code(code), reason: reason.into() };
                Stage::Scheduled(Tick::of(at, due), Arc::new(close))
            }
            Phase::Asked(due) => Stage::Asked(Tick::of(at, due)),
            Phase::Parting(due) => Stage::Parting(Tick::of(at, due)),
        };
        let cause = match record.cause {
            Some(told) => Some(Cause::told(&told)?),
            None => None,
        };
        let tunnel = Tunnel {
            client: client?,
            service: service?,
            carries,
            rules: card.rules,
            allowance: allowance.map(Box::new),
            stage,
            cause,
            moved: Tick::of(at, record.moved),
            card: Box::new(card),
        };
        Some(Frozen { tunnel, at })
    }

    /// The tunnel, with its times as an engine counts them whose time is `now`.
    pub(super) fn into_tunnel(self, now: Tick) -> Tunnel {
        let Frozen { mut tunnel, at } = self;
        let shift = |tick: &mut Tick| *tick = tick.shifted(at, now);
        for side in BOTH {
            let end = tunnel.end(side);
            shift(&mut end.heard);
            shift(&mut end.pinged);
        }
        shift(&mut tunnel.moved);
        if let Some(allowance) = &mut tunnel.allowance {
            shift(allowance.at());
        }
        match &mut tunnel.stage {
            Stage::Live | Stage::Over => {}
            Stage::Scheduled(due, _) | Stage::Asked(due) | Stage::Parting(due) => shift(due),
        }
        tunnel
    }
}

impl std::fmt::Debug for Frozen {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Frozen").field("id", &self.tunnel.card.id).finish_non_exhaustive()
    }
}
