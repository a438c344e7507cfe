//! Fermata's own Pings, and how their Pongs are told from others.

use std::num::NonZeroU32;

use super::saved::Saved;
use crate::frame::{Head, MAX_HEAD, Opcode};

/// What every one of them begins with; a number follows.
const MARK: [u8; 4] = *b"held";

/// Bytes of a Ping's payload.
const LENGTH: usize = 8;

/// The longest Pong to one, which a client masks: 2 + 4 + 8 bytes. It is held back no longer than a head is.
const _: () = assert!(2 + 4 + LENGTH <= MAX_HEAD);

/// The Pings toward one side.
#[derive(Debug)]
pub(super) struct Pings {
    /// Those that were not answered carry the same, so that it doesn't matter which of them is (RFC 6455 5.5.3: a peer
    /// may answer only the last).
    number: [u8; 4],
    unanswered: u8,
    /// Whether anything has come since the last.
    heard: bool,
}

impl Pings {
    pub(super) const NONE: Pings = Pings { number: [0; 4], unanswered: 0, heard: true };

    /// The payload of one more; `None` while the last has been followed by silence.
    pub(super) fn next(&mut self, number: NonZeroU32) -> Option<[u8; LENGTH]> {
        if self.owed() {
            return None;
        }
        if self.unanswered == 0 {
            self.number = number.get().to_be_bytes();
        }
        self.unanswered = self.unanswered.saturating_add(1);
        self.heard = false;
        Some(self.payload())
    }

    pub(super) fn owed(&self) -> bool {
        self.unanswered > 0 && !self.heard
    }

    pub(super) fn hear(&mut self) {
        self.heard = true;
    }

    pub(super) fn answered(&mut self) {
        self.unanswered -= 1;
    }

    /// How much payload of a frame must be seen before it is known whether it answers one of ours.
    pub(super) fn must_see(&self, head: &Head) -> usize {
        if self.unanswered > 0 && head.opcode == Opcode::Pong && head.length == LENGTH as u64 { LENGTH } else { 0 }
    }

    /// Whether a frame answers one of ours; `frame` holds it as far as [`Pings::must_see`] asks.
    pub(super) fn are_answered_by(&self, head: &Head, frame: &[u8]) -> bool {
        self.must_see(head) > 0 && head.unmasked(frame).eq(self.payload())
    }

    pub(super) fn save(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.number);
        out.extend_from_slice(&[self.unanswered, u8::from(self.heard)]);
    }

    pub(super) fn load(saved: &mut Saved<'_>) -> Option<Pings> {
        Some(Pings { number: saved.array()?, unanswered: saved.byte()?, heard: saved.flag()? })
    }

    fn payload(&self) -> [u8; LENGTH] {
        let mut payload = [0; LENGTH];
        payload[..4].copy_from_slice(&MARK);
        payload[4..].copy_from_slice(&self.number);
        payload
    }
}
