//! A relay as bytes, for the process that takes its tunnel over.
//!
//! Exact: one that was saved and loaded behaves as one that was not, wherever its bytes were cut. Loading trusts nothing:
//! whatever the bytes are, they are refused, or what comes of them can be used. Each part is saved where its fields are;
//! here are the frame around them, and the reader of them all.

use super::Relay;
use super::flow::Flow;

/// Another number means that another Fermata wrote it, and that it must not be guessed at.
const VERSION: u8 = 1;

impl Relay {
    /// All that it knows.
    pub fn save(&self) -> Vec<u8> {
        let mut out = vec![VERSION];
        self.client.save(&mut out);
        self.service.save(&mut out);
        out
    }

    /// The relay that was saved; `None` where another version did that, or something else wrote these bytes.
    pub fn load(bytes: &[u8]) -> Option<Relay> {
        let mut saved = Saved(bytes);
        if saved.byte()? != VERSION {
            return None;
        }
        let relay = Relay { client: Flow::load(&mut saved)?, service: Flow::load(&mut saved)? };
        saved.0.is_empty().then_some(relay)
    }
}

/// What is left to be read.
pub(super) struct Saved<'a>(&'a [u8]);

impl<'a> Saved<'a> {
    pub(super) fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(taken)
    }

    pub(super) fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.take(N)?.try_into().ok()
    }

    pub(super) fn byte(&mut self) -> Option<u8> {
        self.array().map(u8::from_be_bytes)
    }

    /// A yes or a no.
    pub(super) fn flag(&mut self) -> Option<bool> {
        match self.byte()? {
            0 => Some(false),
            1 => Some(true),
            _ => None,
        }
    }

    /// A count. None comes near half of what fits, so that adding to it is safe.
    pub(super) fn count(&mut self) -> Option<u64> {
        self.array().map(u64::from_be_bytes).filter(|count| i64::try_from(*count).is_ok())
    }

    /// Bytes behind their number.
    pub(super) fn bytes(&mut self) -> Option<&'a [u8]> {
        let length = self.byte()?;
        self.take(usize::from(length))
    }
}

/// Writes bytes behind their number: no head and no control frame has more than 255.
pub(super) fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    let length = u8::try_from(bytes.len()).unwrap_or(u8::MAX);
    out.push(length);
    out.extend_from_slice(&bytes[..usize::from(length)]);
}
