//! A tunnel as it is written down for another process: texts and numbers, beside the bytes and the sockets that belong to
//! it. Times are in ticks, relative to the moment in which it was written.
//!
//! Nothing here is trusted by who reads it: a record says what its writer knew, and what does not make sense is refused.

use std::net::IpAddr;
use std::time::Duration;

use fermata_wire::{Frames, Rules};
use serde::{Deserialize, Serialize};

use super::card::Card;
use crate::route::Target;

/// One tunnel.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// Who it is.
    pub who: Who,
    pub(super) carried: Carried,
    pub(super) client: EndRecord,
    pub(super) service: EndRecord,
    /// Parts of messages that its client may still send, and when that was so.
    pub(super) allowance: Option<(u32, i64)>,
    pub(super) phase: Phase,
    /// As it is logged.
    pub(super) cause: Option<String>,
    pub(super) moved: i64,
}

/// Who a tunnel is, for a process that has not seen its handshake.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Who {
    /// Its name.
    pub id: u64,
    /// The client's address.
    pub client: IpAddr,
    /// The service's name.
    pub service: String,
    /// The instance's name.
    pub instance: String,
    /// Where that listens.
    pub target: Target,
    /// Since it was opened.
    pub age: Duration,
    /// Whether its client came over TLS.
    pub tls: bool,
    /// The subprotocol.
    pub protocol: Option<String>,
    frames: u8,
    max_message: u32,
}

impl Who {
    pub(super) fn of(card: &Card) -> Who {
        Who {
            id: card.id.0,
            client: card.client(),
            service: card.lease.service().to_string(),
            instance: card.lease.instance().to_string(),
            target: card.lease.target().clone(),
            age: card.since.elapsed(),
            tls: card.tls,
            protocol: card.protocol.as_deref().map(str::to_owned),
            frames: match card.rules.frames {
                Frames::Plain => 0,
                Frames::Deflate => 1,
                Frames::Extended => 2,
            },
            max_message: card.rules.max_message,
        }
    }

    /// What its frames may be.
    pub fn rules(&self) -> Option<Rules> {
        let frames = [Frames::Plain, Frames::Deflate, Frames::Extended];
        let frames = *frames.get(usize::from(self.frames))?;
        Some(Rules { frames, max_message: self.max_message })
    }
}

/// What it carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Carried {
    WebSocket(Length),
    Raw([u64; 2]),
}

/// How far it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Phase {
    Live,
    Scheduled(i64, u16, String),
    Asked(i64),
    Parting(i64),
}

/// One end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct EndRecord {
    /// Whether it has a socket still.
    pub(super) socket: bool,
    pub(super) pending: Length,
    pub(super) reading: u8,
    pub(super) writing: u8,
    pub(super) heard: i64,
    pub(super) pinged: i64,
}

/// How many of the bytes beside the records are meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Length(usize);

impl Length {
    /// Adds these.
    pub(super) fn put(bytes: &mut Vec<u8>, more: &[u8]) -> Length {
        bytes.extend_from_slice(more);
        Length(more.len())
    }

    /// Takes as many from the front.
    pub(super) fn take<'a>(self, bytes: &mut &'a [u8]) -> Option<&'a [u8]> {
        let (taken, rest) = bytes.split_at_checked(self.0)?;
        *bytes = rest;
        Some(taken)
    }
}
