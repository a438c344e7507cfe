//! WebSocket frames as the peers write and read them (RFC 6455 5.2), independent of the code under test.

use std::fmt;

/// One frame.
#[derive(Clone, PartialEq, Eq)]
pub struct Frame {
    pub fin: bool,
    pub opcode: u8,
    pub payload: Vec<u8>,
}

/// Short, for messages of failed assertions: a whole stream fits a screen.
impl fmt::Debug for Frame {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = ["continuation", "text", "binary", "", "", "", "", "", "close", "ping", "pong"]
            .get(usize::from(self.opcode))
            .copied()
            .unwrap_or("reserved");
        write!(out, "{name}{}", if self.fin { "" } else { "…" })?;
        match (self.opcode, self.payload.as_slice()) {
            (8, [high, low, reason @ ..]) => {
                write!(out, " {} {}", u16::from_be_bytes([*high, *low]), String::from_utf8_lossy(reason))
            }
            (_, payload) if payload.len() > 40 => write!(out, " of {} bytes", payload.len()),
            (_, payload) => write!(out, " {:?}", String::from_utf8_lossy(payload)),
        }
    }
}

impl Frame {
    pub fn new(opcode: u8, payload: impl AsRef<[u8]>) -> Frame {
        Frame { fin: true, opcode, payload: payload.as_ref().to_vec() }
    }

    pub fn text(text: &str) -> Frame {
        Frame::new(1, text)
    }

    pub fn binary(payload: impl AsRef<[u8]>) -> Frame {
        Frame::new(2, payload)
    }

    pub fn close(code: u16, reason: &str) -> Frame {
        Frame::new(8, [&code.to_be_bytes()[..], reason.as_bytes()].concat())
    }

    /// The first part of a message, or, as a continuation, a later one that isn't the last.
    pub fn unfinished(self) -> Frame {
        Frame { fin: false, ..self }
    }

    /// The code of a Close.
    pub fn code(&self) -> Option<u16> {
        match self.payload.as_slice() {
            [high, low, ..] if self.opcode == 8 => Some(u16::from_be_bytes([*high, *low])),
            _ => None,
        }
    }

    /// As a service sends it.
    pub fn bare(&self) -> Vec<u8> {
        self.encode(None)
    }

    /// As a client sends it.
    pub fn masked(&self) -> Vec<u8> {
        self.encode(Some([0x5a, 0x0f, 0xc3, 0x99]))
    }

    fn encode(&self, mask: Option<[u8; 4]>) -> Vec<u8> {
        let mut bytes = vec![u8::from(self.fin) << 7 | self.opcode];
        let flag = if mask.is_some() { 0x80 } else { 0 };
        match self.payload.len() {
            short @ 0..126 => bytes.push(flag | short as u8),
            medium @ 126..65536 => {
                bytes.push(flag | 0x7e);
                bytes.extend((medium as u16).to_be_bytes());
            }
            long => {
                bytes.push(flag | 0x7f);
                bytes.extend((long as u64).to_be_bytes());
            }
        }
        bytes.extend(mask.iter().flatten());
        bytes.extend(applied(mask, &self.payload));
        bytes
    }
}

/// All frames of a stream.
///
/// # Panics
/// When it ends within one.
pub fn read_all(stream: &[u8]) -> Vec<Frame> {
    let (frames, rest) = read(stream);
    assert_eq!(rest, 0, "{rest} bytes of a frame after {frames:?}");
    frames
}

/// The whole frames of a stream, and how many bytes follow them.
pub fn read(mut stream: &[u8]) -> (Vec<Frame>, usize) {
    let mut frames = Vec::new();
    while let Some((frame, size)) = read_one(stream) {
        frames.push(frame);
        stream = &stream[size..];
    }
    (frames, stream.len())
}

fn read_one(bytes: &[u8]) -> Option<(Frame, usize)> {
    let (first, second) = (*bytes.first()?, *bytes.get(1)?);
    assert_eq!(first & 0x70, 0, "no extension was agreed on");
    let (length, at) = match second & 0x7f {
        126 => (usize::from(u16::from_be_bytes(bytes.get(2..4)?.try_into().ok()?)), 4),
        127 => (usize::try_from(u64::from_be_bytes(bytes.get(2..10)?.try_into().ok()?)).ok()?, 10),
        short => (usize::from(short), 2),
    };
    let (mask, at) =
        if second & 0x80 == 0 { (None, at) } else { (Some(bytes.get(at..at + 4)?.try_into().ok()?), at + 4) };
    let payload = applied(mask, bytes.get(at..at + length)?);
    Some((Frame { fin: first & 0x80 != 0, opcode: first & 0x0f, payload }, at + length))
}

/// RFC 6455 5.3; the same to mask and to unmask.
fn applied(mask: Option<[u8; 4]>, payload: &[u8]) -> Vec<u8> {
    let mut bytes = payload.to_vec();
    if let Some(mask) = mask {
        for piece in bytes.chunks_mut(4) {
            for (byte, key) in piece.iter_mut().zip(mask) {
                *byte ^= key;
            }
        }
    }
    bytes
}
