//! The few bytes that are held back between two reads.

use std::ops::Range;

use super::saved::{Saved, put_bytes};
use crate::frame::MAX_HEAD;

/// The most bytes that are held back between two calls of [`super::Relay::pass`]: one less than the longest thing that
/// must be seen whole, which is a head.
pub const MAX_CARRY: usize = MAX_HEAD - 1;

/// What must be seen whole, as far as it has come.
#[derive(Debug)]
pub(super) struct Carry {
    bytes: [u8; MAX_CARRY],
    length: u8,
}

impl Carry {
    pub(super) const EMPTY: Carry = Carry { bytes: [0; MAX_CARRY], length: 0 };

    pub(super) fn hold(&mut self, bytes: &[u8]) {
        self.bytes[..bytes.len()].copy_from_slice(bytes);
        self.length = bytes.len() as u8;
    }

    /// Puts what was held back before `chunk`, and returns where it begins now.
    #[inline]
    pub(super) fn give_back(&mut self, buffer: &mut [u8], chunk: &Range<usize>) -> usize {
        let start = chunk.start - usize::from(self.length);
        if self.length > 0 {
            buffer[start..chunk.start].copy_from_slice(&self.bytes[..usize::from(self.length)]);
            self.length = 0;
        }
        start
    }

    pub(super) fn save(&self, out: &mut Vec<u8>) {
        put_bytes(out, &self.bytes[..usize::from(self.length)]);
    }

    pub(super) fn load(saved: &mut Saved<'_>) -> Option<Carry> {
        let bytes = saved.bytes().filter(|bytes| bytes.len() <= MAX_CARRY)?;
        let mut carry = Carry::EMPTY;
        carry.hold(bytes);
        Some(carry)
    }
}
