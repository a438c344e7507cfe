//! How a direction ends with a Close of ours: where it may stand, and what the sender says after it.

use super::{Flow, In, State};
use crate::close::Code;
use crate::frame::{Head, Opcode};
use crate::relay::saved::{Saved, put_bytes};

/// Where a Close of ours may stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::relay) enum Boundary {
    /// After a whole message.
    Message,
    /// After any whole frame.
    Frame,
}

/// A Close frame of ours that waits for its place.
#[derive(Debug)]
pub(in crate::relay) struct Waiting {
    pub(in crate::relay) frame: Vec<u8>,
    pub(in crate::relay) code: Code,
    pub(in crate::relay) after: Boundary,
}

impl Waiting {
    pub(super) fn save(waiting: Option<&Waiting>, out: &mut Vec<u8>) {
        let Some(Waiting { frame, code, after }) = waiting else { return out.push(0) };
        out.push(match after {
            Boundary::Message => 1,
            Boundary::Frame => 2,
        });
        out.extend_from_slice(&code.0.to_be_bytes());
        put_bytes(out, frame);
    }

    #[expect(clippy::option_option, reason = "nothing waits, or it cannot be read")]
    pub(super) fn load(saved: &mut Saved<'_>) -> Option<Option<Waiting>> {
        let after = match saved.byte()? {
            0 => return Some(None),
            1 => Boundary::Message,
            2 => Boundary::Frame,
            _ => return None,
        };
        let code = Code(u16::from_be_bytes(saved.array()?));
        Some(Some(Waiting { frame: saved.bytes()?.to_vec(), code, after }))
    }
}

impl Flow {
    /// Whether what has passed ends at such a boundary. Where a rule was broken no message will ever end.
    pub(in crate::relay) fn at(&self, boundary: Boundary) -> bool {
        let message_ended = self.message.is_none() || self.state == State::Broken;
        self.frame == In::Nothing && (boundary == Boundary::Frame || message_ended)
    }

    /// Says a Close: at once, and then it is returned; or when its boundary comes.
    pub(in crate::relay) fn say(&mut self, close: Waiting) -> Option<Vec<u8>> {
        if self.waiting.is_some() || self.closed().is_some() {
            return None;
        }
        if self.at(close.after) {
            return Some(self.close(close));
        }
        self.waiting = Some(Box::new(close));
        None
    }

    /// Lets a Close that waits stand after any frame, and returns it where that is now.
    pub(in crate::relay) fn hurry(&mut self) -> Option<Vec<u8>> {
        self.waiting.as_mut()?.after = Boundary::Frame;
        self.take_due()
    }

    /// Says a Close now or not at all, instead of one that waits.
    pub(in crate::relay) fn say_now(&mut self, close: Waiting) -> Option<Vec<u8>> {
        if self.closed().is_some() || !self.at(Boundary::Frame) {
            return None;
        }
        Some(self.close(close))
    }

    /// Says a Close that waits where its boundary has come.
    pub(super) fn take_due(&mut self) -> Option<Vec<u8>> {
        let after = self.waiting.as_ref()?.after;
        if !self.at(after) {
            return None;
        }
        let close = self.waiting.take()?;
        Some(self.close(*close))
    }

    fn close(&mut self, close: Waiting) -> Vec<u8> {
        self.waiting = None;
        self.code = close.code;
        self.state = if self.state == State::Broken { State::Overruled } else { State::ClosedByUs };
        close.frame
    }

    /// Our Close stands: what the sender still says is dropped, but its own Close answers ours or has crossed it.
    pub(super) fn listen(&mut self, mut bytes: &[u8]) {
        loop {
            let step = self.left.min(bytes.len() as u64);
            self.left -= step;
            bytes = &bytes[step as usize..];
            if self.left > 0 {
                return;
            }
            if self.frame == In::Close {
                self.state = State::Overruled;
                return;
            }
            let Some(head) = Head::read(bytes) else {
                return self.carry.hold(bytes);
            };
            bytes = &bytes[usize::from(head.size)..];
            self.left = head.length;
            self.frame = if head.opcode == Opcode::Close { In::Close } else { In::Other };
        }
    }
}
