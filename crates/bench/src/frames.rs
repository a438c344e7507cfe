//! Frames of one size, over and over: what the load says and what the service answers.

/// A stream of equal binary messages of one frame each (RFC 6455 5.2).
#[derive(Debug)]
pub(crate) struct Frames {
    /// As many frames as are written at once, and at least one.
    bytes: Vec<u8>,
    /// Of one frame.
    pub(crate) length: usize,
}

/// At least this much is written at once where it is owed.
const CHUNK: usize = 128 * 1024;

impl Frames {
    /// Masked, as a client sends them.
    pub(crate) fn of_client(payload: usize) -> Frames {
        Frames::new(payload, Some(fastrand::u32(..).to_ne_bytes()))
    }

    /// Not masked, as a service sends them.
    pub(crate) fn of_service(payload: usize) -> Frames {
        Frames::new(payload, None)
    }

    fn new(payload: usize, mask: Option<[u8; 4]>) -> Frames {
        let mut frame = vec![0x82];
        let masked = if mask.is_some() { 0x80 } else { 0 };
        match payload {
            0..126 => frame.push(masked | payload as u8),
            126..0x1_0000 => {
                frame.push(masked | 0x7e);
                frame.extend_from_slice(&(payload as u16).to_be_bytes());
            }
            _ => {
                frame.push(masked | 0x7f);
                frame.extend_from_slice(&(payload as u64).to_be_bytes());
            }
        }
        frame.extend(mask.iter().flatten());
        frame.extend((0..payload).map(|_| fastrand::u8(..)));
        let length = frame.len();
        Frames { bytes: frame.repeat(1 + CHUNK / length), length }
    }

    /// The next bytes of the stream, `phase` bytes behind a frame's start, and no more than `owed`.
    pub(crate) fn next(&self, phase: usize, owed: usize) -> &[u8] {
        let end = self.bytes.len().min(phase + owed);
        &self.bytes[phase..end]
    }
}

/// What comes in: messages of a known length, and Pings between them.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    /// Bytes of the message that is under way.
    within: usize,
}

impl Seen {
    /// Takes bytes of messages of `length` bytes each; returns how many messages ended, and the Pongs that are due.
    pub(crate) fn take(&mut self, mut bytes: &[u8], length: usize, pong: Pong) -> (usize, Vec<u8>) {
        let (mut done, mut pongs) = (0, Vec::new());
        while let Some(&first) = bytes.first() {
            if self.within == 0 && first == 0x89 {
                // A Ping is short, and a proxy writes it at once.
                let taken = pong.answer(bytes, &mut pongs);
                bytes = &bytes[taken..];
                continue;
            }
            let step = bytes.len().min(length - self.within);
            self.within += step;
            bytes = &bytes[step..];
            if self.within == length {
                self.within = 0;
                done += 1;
            }
        }
        (done, pongs)
    }
}

/// Who answers a Ping.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Pong {
    /// A client, whose frames are masked.
    Client,
    /// A service.
    Service,
}

impl Pong {
    /// Answers the Ping that `bytes` begins with; returns how long it was.
    fn answer(self, bytes: &[u8], pongs: &mut Vec<u8>) -> usize {
        let length = usize::from(bytes.get(1).copied().unwrap_or_default() & 0x7f);
        let (head, key) = match self {
            Pong::Client => (2, [0; 4]),
            Pong::Service => (6, bytes[2..6].try_into().unwrap_or_default()),
        };
        let payload = bytes[head..head + length].iter().enumerate().map(|(at, byte)| byte ^ key[at % 4]);
        match self {
            // Masked with zeros: its payload as it is.
            Pong::Client => pongs.extend([0x8a, 0x80 | length as u8, 0, 0, 0, 0]),
            Pong::Service => pongs.extend([0x8a, length as u8]),
        }
        pongs.extend(payload);
        head + length
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_goes_on_where_it_was() {
        let frames = Frames::of_service(3);
        let whole = frames.next(0, 5).to_vec();
        assert_eq!(whole[..2], [0x82, 3]);
        assert_eq!(frames.next(2, 3), &whole[2..]);
        assert_eq!(Frames::of_client(65536).length, 65536 + 14);
        assert_eq!(Frames::of_service(200).length, 204);
    }

    #[test]
    fn messages_are_counted_and_pings_answered() {
        let mut seen = Seen::default();
        assert_eq!(seen.take(&[0x82, 2, 1, 1, 0x82], 4, Pong::Client), (1, vec![]));
        let ping = [2, 1, 1, 0x89, 1, 7, 0x82, 2, 1, 1];
        assert_eq!(seen.take(&ping, 4, Pong::Client), (2, vec![0x8a, 0x81, 0, 0, 0, 0, 7]));
        let masked = [0x89, 0x81, 1, 2, 3, 4, 7 ^ 1];
        assert_eq!(Seen::default().take(&masked, 4, Pong::Service), (0, vec![0x8a, 1, 7]));
    }
}
