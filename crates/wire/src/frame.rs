//! The head of a frame (RFC 6455 5.2), read from bytes and written to them.

/// The longest head: two bytes, a 64-bit length, a masking key.
pub const MAX_HEAD: usize = 14;

/// The longest payload of a control frame (RFC 6455 5.5).
pub const MAX_CONTROL: u64 = 125;

/// What a frame is for (RFC 6455 11.8).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Opcode {
    /// The next part of a fragmented message.
    Continuation,
    /// A text message, or its first part.
    Text,
    /// A binary message, or its first part.
    Binary,
    /// The last frame of its direction.
    Close,
    /// Asks for a Pong.
    Ping,
    /// Answers a Ping, or stands for itself.
    Pong,
    /// 3–7 and 11–15: for extensions.
    Reserved(u8),
}

impl Opcode {
    /// From the low four bits of a frame's first byte.
    #[inline]
    pub fn from_bits(bits: u8) -> Opcode {
        match bits & 0x0f {
            0 => Opcode::Continuation,
            1 => Opcode::Text,
            2 => Opcode::Binary,
            8 => Opcode::Close,
            9 => Opcode::Ping,
            10 => Opcode::Pong,
            other => Opcode::Reserved(other),
        }
    }

    /// To the low four bits of a frame's first byte.
    pub fn bits(self) -> u8 {
        match self {
            Opcode::Continuation => 0,
            Opcode::Text => 1,
            Opcode::Binary => 2,
            Opcode::Close => 8,
            Opcode::Ping => 9,
            Opcode::Pong => 10,
            Opcode::Reserved(bits) => bits,
        }
    }

    /// Control frames may stand between the fragments of a message (RFC 6455 5.5).
    #[inline]
    pub fn is_control(self) -> bool {
        matches!(self, Opcode::Close | Opcode::Ping | Opcode::Pong | Opcode::Reserved(8..))
    }
}

/// A frame's head.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Head {
    /// Whether the message ends with this frame.
    pub fin: bool,
    /// RSV1, RSV2, RSV3 as the bits 0x40, 0x20, 0x10.
    pub rsv: u8,
    /// What the frame is for.
    pub opcode: Opcode,
    /// The masking key, where the payload is masked.
    pub mask: Option<[u8; 4]>,
    /// Bytes of the payload.
    pub length: u64,
    /// Bytes of the head itself.
    pub size: u8,
}

impl Head {
    /// Reads a head from the start of `bytes`; `None` while it isn't complete.
    ///
    /// A length that could have been written shorter is read all the same: RFC 6455 5.2 forbids it to senders, and
    /// nothing becomes ambiguous by it ([`Head::length_is_short`] tells, for control frames, where it matters).
    #[inline]
    pub fn read(bytes: &[u8]) -> Option<Head> {
        let (&first, &second) = (bytes.first()?, bytes.get(1)?);
        let (length, at) = match second & 0x7f {
            126 => (u64::from(u16::from_be_bytes(bytes.get(2..4)?.try_into().ok()?)), 4),
            127 => (u64::from_be_bytes(bytes.get(2..10)?.try_into().ok()?), 10),
            short => (u64::from(short), 2),
        };
        let (mask, size) =
            if second & 0x80 == 0 { (None, at) } else { (Some(bytes.get(at..at + 4)?.try_into().ok()?), at + 4) };
        Some(Head {
            fin: first & 0x80 != 0,
            rsv: first & 0x70,
            opcode: Opcode::from_bits(first),
            mask,
            length,
            size: size as u8,
        })
    }

    /// Whether the length stands in the second byte: up to 125 it must (RFC 6455 5.2, "the minimal number of bytes").
    pub fn length_is_short(&self) -> bool {
        usize::from(self.size) == 2 + self.mask.map_or(0, |key| key.len())
    }

    /// The payload in `frame`, which begins with this head, as far as it is there.
    pub fn unmasked<'a>(&self, frame: &'a [u8]) -> impl Iterator<Item = u8> + use<'a> {
        let key = self.mask.unwrap_or_default();
        frame[usize::from(self.size)..].iter().zip(key.into_iter().cycle()).map(|(byte, key)| byte ^ key)
    }
}

/// A whole control frame: masked when it goes toward a service (RFC 6455 5.3 asks for a fresh, unpredictable key).
///
/// # Panics
/// When the payload is longer than a control frame may carry: callers write these payloads themselves.
pub fn control(opcode: Opcode, payload: &[u8], mask: Option<[u8; 4]>) -> Vec<u8> {
    assert!(payload.len() as u64 <= MAX_CONTROL, "a control frame carries at most {MAX_CONTROL} bytes");
    let mut frame = Vec::with_capacity(payload.len() + 6);
    frame.push(0x80 | opcode.bits());
    frame.push(payload.len() as u8 | if mask.is_some() { 0x80 } else { 0 });
    match mask {
        None => frame.extend_from_slice(payload),
        Some(key) => {
            frame.extend_from_slice(&key);
            frame.extend(payload.iter().zip(key.iter().cycle()).map(|(byte, key)| byte ^ key));
        }
    }
    frame
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_is_read_only_when_it_is_complete() {
        let cases: [(&[u8], u64); 4] = [
            (&[0x81, 0x05], 5),
            (&[0x81, 0x85, 1, 2, 3, 4], 5),
            (&[0x82, 0x7e, 0x01, 0x00], 256),
            (&[0x82, 0xff, 0, 0, 0, 0, 0, 1, 0, 0, 1, 2, 3, 4], 65_536),
        ];
        for (bytes, length) in cases {
            for cut in 0..bytes.len() {
                assert_eq!(Head::read(&bytes[..cut]), None, "{bytes:?} cut at {cut}");
            }
            let head = Head::read(bytes).expect("complete");
            assert_eq!((head.length, usize::from(head.size)), (length, bytes.len()));
        }
    }

    #[test]
    fn a_masked_control_frame_unmasks_to_its_payload() {
        let frame = control(Opcode::Ping, b"hello", Some([9, 8, 7, 6]));
        let head = Head::read(&frame).expect("complete");
        assert_eq!((head.opcode, head.mask, head.length), (Opcode::Ping, Some([9, 8, 7, 6]), 5));
        let payload: Vec<u8> = frame[6..].iter().zip([9, 8, 7, 6].iter().cycle()).map(|(a, b)| a ^ b).collect();
        assert_eq!(payload, b"hello");
    }
}
