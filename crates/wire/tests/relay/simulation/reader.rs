//! A strict reader of one side's stream, as RFC 6455 has it, frame by frame.

use fermata_wire::{Frames, Side};

/// A whole frame, unmasked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Frame {
    pub(crate) opcode: u8,
    pub(crate) fin: bool,
    pub(crate) payload: Vec<u8>,
}

/// Reads what comes from `from`. Panics where that is not RFC 6455.
#[derive(Debug)]
pub(crate) struct Reader {
    from: Side,
    frames: Frames,
    /// Of the frame that is not whole yet.
    bytes: Vec<u8>,
    in_message: bool,
    closed: bool,
}

impl Reader {
    pub(crate) fn new(from: Side, frames: Frames) -> Reader {
        Reader { from, frames, bytes: Vec::new(), in_message: false, closed: false }
    }

    pub(crate) fn between_frames(&self) -> bool {
        self.bytes.is_empty()
    }

    pub(crate) fn between_messages(&self) -> bool {
        self.bytes.is_empty() && !self.in_message
    }

    pub(crate) fn closed(&self) -> bool {
        self.closed
    }

    /// The frames that are whole with these bytes.
    pub(crate) fn read(&mut self, bytes: &[u8]) -> Vec<Frame> {
        assert!(bytes.is_empty() || !self.closed, "{bytes:?} follows a Close");
        self.bytes.extend_from_slice(bytes);
        let (mut frames, mut at) = (Vec::new(), 0);
        while let Some((frame, size)) = self.whole(&self.bytes[at..]) {
            match frame.opcode {
                0 => assert!(self.in_message, "a continuation of nothing"),
                1 | 2 => assert!(!self.in_message, "a message within a message"),
                _ => assert!(frame.fin && frame.payload.len() <= 125, "{frame:?} is no control frame"),
            }
            if frame.opcode < 8 {
                self.in_message = !frame.fin;
            }
            at += size;
            self.closed = frame.opcode == 8;
            frames.push(frame);
            assert!(!self.closed || at == self.bytes.len(), "more than a Close");
        }
        self.bytes.drain(..at);
        frames
    }

    fn whole(&self, bytes: &[u8]) -> Option<(Frame, usize)> {
        let [first, second, ..] = *bytes else { return None };
        let rsv1 = if self.frames == Frames::Deflate && matches!(first & 15, 1 | 2) { 0x40 } else { 0 };
        assert_eq!(first & 0x70 & !rsv1, 0, "reserved bits in {first:#x}");
        assert!(matches!(first & 15, 0..=2 | 8..=10), "opcode in {first:#x}");
        assert_eq!(second >= 0x80, self.from == Side::Client, "masked or not");
        let (length, head) = match second & 0x7f {
            126 => (bytes.get(2..4)?.iter().fold(0, |sum, byte| sum << 8 | usize::from(*byte)), 4),
            127 => (bytes.get(2..10)?.iter().fold(0, |sum, byte| sum << 8 | usize::from(*byte)), 10),
            short => (usize::from(short), 2),
        };
        let head = if self.from == Side::Client { head + 4 } else { head };
        let mut payload = bytes.get(head..head + length)?.to_vec();
        if self.from == Side::Client {
            let key = &bytes[head - 4..head];
            payload.iter_mut().zip(key.iter().cycle()).for_each(|(byte, key)| *byte ^= key);
        }
        Some((Frame { opcode: first & 15, fin: first >= 0x80, payload }, head + length))
    }
}

/// A frame as `from` writes it.
pub(crate) fn write(from: Side, first: u8, payload: &[u8], key: [u8; 4]) -> Vec<u8> {
    let mask = if from == Side::Client { 0x80 } else { 0 };
    let mut bytes = vec![first];
    match payload.len() {
        short @ 0..126 => bytes.push(mask | short as u8),
        long => {
            bytes.push(mask | 0x7e);
            bytes.extend(u16::try_from(long).expect("no larger ones here").to_be_bytes());
        }
    }
    if from == Side::Client {
        bytes.extend(key);
        bytes.extend(payload.iter().zip(key.iter().cycle()).map(|(byte, key)| byte ^ key));
    } else {
        bytes.extend_from_slice(payload);
    }
    bytes
}
