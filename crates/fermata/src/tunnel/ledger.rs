//! What is known of all tunnels together, over all threads: how many live, how many ended and why.
//!
//! Each engine holds its own tunnels; here are only the figures that limits and reports need at once.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use fermata_wire::Code;
use serde::{Deserialize, Serialize};
use tokio::sync::broadcast;

use super::card::{Card, TunnelId};
use super::ending::{Cause, Ending};
use super::engine::Kind;

/// What is to be said of one live tunnel.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// Its name.
    pub id: TunnelId,
    /// The client's address.
    pub client: IpAddr,
    /// The service.
    pub service: Arc<str>,
    /// The instance.
    pub instance: Arc<str>,
    /// What it carries.
    pub kind: Kind,
    /// Whether the client came over TLS.
    pub tls: bool,
    /// Which version of it.
    pub tls_version: Option<&'static str>,
    /// The HTTP of the client's handshake.
    pub http: Option<http::Version>,
    /// Since it was opened.
    pub age: Duration,
    /// Since a message last passed.
    pub idle: Duration,
    /// From the client and from the service.
    pub bytes: [u64; 2],
    /// From the client and from the service.
    pub messages: [u64; 2],
    /// How long the last Pong of the client and of the service took.
    pub round_trips: [Option<Duration>; 2],
    /// The subprotocol that both agreed on.
    pub protocol: Option<Arc<str>>,
}

/// Something that has become of a tunnel.
#[derive(Debug, Clone, PartialEq)]
pub enum Change {
    /// It was opened.
    Opened(Entry),
    /// It has ended.
    Ended(Departure),
}

/// A tunnel that has ended.
#[derive(Debug, Clone, PartialEq)]
pub struct Departure {
    /// Its name.
    pub id: TunnelId,
    /// The client's address.
    pub client: IpAddr,
    /// The service.
    pub service: Arc<str>,
    /// The instance.
    pub instance: Arc<str>,
    /// How it ended.
    pub ending: Ending,
}

/// So many changes somebody who follows them may be behind; what is older is lost to them.
const REMEMBERED: usize = 4096;

/// The figures of all tunnels of the process.
#[derive(Debug)]
pub struct Ledger {
    next: AtomicU64,
    live: AtomicU64,
    endings: Mutex<BTreeMap<(&'static str, Code), u64>>,
    /// Of tunnels that have ended.
    past: Mutex<Volume>,
    changes: broadcast::Sender<Change>,
}

/// What tunnels have carried, from clients and from services.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Volume {
    /// Bytes.
    pub bytes: [u64; 2],
    /// Messages.
    pub messages: [u64; 2],
}

impl std::ops::AddAssign for Volume {
    fn add_assign(&mut self, other: Volume) {
        for side in [0, 1] {
            self.bytes[side] += other.bytes[side];
            self.messages[side] += other.messages[side];
        }
    }
}

impl Default for Ledger {
    fn default() -> Ledger {
        Ledger {
            next: AtomicU64::new(0),
            live: AtomicU64::new(0),
            endings: Mutex::default(),
            past: Mutex::default(),
            changes: broadcast::Sender::new(REMEMBERED),
        }
    }
}

impl Ledger {
    /// Everything that becomes of tunnels from now on.
    pub fn follow(&self) -> broadcast::Receiver<Change> {
        self.changes.subscribe()
    }

    /// Tells those who follow, if there are any.
    pub(super) fn tell(&self, change: impl FnOnce() -> Change) {
        if self.changes.receiver_count() > 0 {
            // They may have gone in between.
            let _ = self.changes.send(change());
        }
    }

    /// A fresh name for a tunnel.
    pub fn name(&self) -> TunnelId {
        TunnelId(self.next.fetch_add(1, Ordering::Relaxed) + 1)
    }

    /// Tunnels that live now.
    pub fn live(&self) -> u64 {
        self.live.load(Ordering::Relaxed)
    }

    /// How many tunnels ended, by cause and close code.
    pub fn endings(&self) -> BTreeMap<(&'static str, Code), u64> {
        self.endings.lock().map(|endings| endings.clone()).unwrap_or_default()
    }

    /// What tunnels that have ended have carried.
    pub fn past(&self) -> Volume {
        self.past.lock().map(|past| *past).unwrap_or_default()
    }

    pub(super) fn opened(&self) {
        self.live.fetch_add(1, Ordering::Relaxed);
    }

    /// The last name that was given.
    pub fn last(&self) -> TunnelId {
        TunnelId(self.next.load(Ordering::Relaxed))
    }

    /// Goes on where another one stood. Causes that nobody knows here are left out.
    pub fn go_on(&self, last: TunnelId, past: Volume, endings: impl IntoIterator<Item = (String, Code, u64)>) {
        self.next.fetch_max(last.0, Ordering::Relaxed);
        if let Ok(mut known) = self.past.lock() {
            *known += past;
        }
        if let Ok(mut known) = self.endings.lock() {
            for (name, code, count) in endings {
                if let Some(cause) = Cause::named(&name) {
                    *known.entry((cause.name(), code)).or_default() += count;
                }
            }
        }
    }

    /// A tunnel has been taken out, and has not ended.
    pub(super) fn left(&self) {
        self.live.fetch_sub(1, Ordering::Relaxed);
    }

    /// The one line and the one count of a tunnel's end.
    pub(super) fn ended(&self, card: &Card, ending: &Ending) {
        self.live.fetch_sub(1, Ordering::Relaxed);
        if let Ok(mut endings) = self.endings.lock() {
            *endings.entry((ending.cause.name(), ending.code)).or_default() += 1;
        }
        if let Ok(mut past) = self.past.lock() {
            *past += Volume { bytes: ending.bytes, messages: ending.messages };
        }
        self.tell(|| {
            let (service, instance) = (card.lease.service().clone(), card.lease.instance().clone());
            Change::Ended(Departure { id: card.id, client: card.client(), service, instance, ending: ending.clone() })
        });
        tracing::info!(
            target: "tunnel",
            id = card.id.0,
            service = %card.lease.service(),
            instance = %card.lease.instance(),
            client = %card.client(),
            tls = card.tls,
            cause = %ending.cause,
            code = ending.code.0,
            seconds = ending.lived.as_secs_f32(),
            bytes_in = ending.bytes[0],
            bytes_out = ending.bytes[1],
            messages_in = ending.messages[0],
            messages_out = ending.messages[1],
            "tunnel ended"
        );
    }
}
