//! The client's end of an open WebSocket, with an eye on every rule that the server may break.
//!
//! `wire` reads the heads; this puts messages together and answers Pings. It refuses to compress.

use std::io;
use std::time::Duration;

use fermata_wire::frame::{Head, MAX_CONTROL, Opcode};
use fermata_wire::{Close, Code};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;

use super::dialect;
use super::stream::Stream;

/// The largest message that is put together; what a probe sends is far smaller.
const MAX_MESSAGE: u64 = 16 << 20;

/// Something that the server said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Heard {
    Text(String),
    Binary(Vec<u8>),
    Pong(Vec<u8>),
    /// The Close, with its code if it has one. It is answered.
    Close(Option<Code>, String),
}

/// Why nothing more can be heard.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum End {
    /// The connection ended without a Close.
    HungUp,
    /// The server does not read what is sent to it.
    Stuck(Duration),
    /// It broke, in the words of the system.
    Broke(String),
    /// The server broke a rule.
    Violation(Violation),
}

/// Which rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Violation {
    /// The bytes are no frames; this is how they begin.
    NoFrames(String),
    /// A server must not mask (RFC 6455 5.1).
    Masked,
    /// A reserved bit without an extension that gave it a meaning (RFC 6455 5.2).
    ReservedBits,
    /// A control frame with more than 125 bytes, or in pieces (RFC 6455 5.5).
    Control,
    /// A piece without a beginning, or a beginning within a message (RFC 6455 5.4).
    Fragments,
    /// A text that is no UTF-8 (RFC 6455 8.1).
    NotUtf8,
    /// A Close with a single byte, or a code that must not be sent (RFC 6455 5.5.1, 7.4).
    BadClose,
    /// A message too large to be meant for a probe.
    Huge(u64),
}

/// An open WebSocket.
pub(super) struct Socket {
    stream: Stream,
    /// How long a frame may take to go out.
    patience: Duration,
    read: Vec<u8>,
    /// A message of which more is to come.
    parts: Option<(Opcode, Vec<u8>)>,
    frames: u64,
    /// Whether our Close is on its way; there is one only (RFC 6455 5.5.1).
    closed: bool,
    over: bool,
}

impl Socket {
    /// After the 101, with the bytes that came along with it.
    pub(super) fn new(stream: Stream, read: Vec<u8>, patience: Duration) -> Socket {
        Socket { stream, patience, read, parts: None, frames: 0, closed: false, over: false }
    }

    /// Sends one frame.
    pub(super) async fn send(&mut self, opcode: Opcode, payload: &[u8]) -> Result<(), End> {
        let frame = masked(opcode, payload, fastrand::u32(..).to_be_bytes());
        let sent = async {
            self.stream.write_all(&frame).await?;
            self.stream.flush().await
        };
        // Who never reads must not keep us waiting for ever, whatever we were about.
        match timeout(self.patience, sent).await {
            Ok(sent) => sent.map_err(|error| end_of(&error)),
            Err(_) => Err(End::Stuck(self.patience)),
        }
    }

    /// Sends the Close.
    pub(super) async fn close(&mut self, close: &Close) -> Result<(), End> {
        self.closed = true;
        self.send(Opcode::Close, &close.payload()).await
    }

    /// Whether a frame has begun to come.
    pub(super) fn has_part(&self) -> bool {
        !self.read.is_empty()
    }

    /// Whether nothing more will come.
    pub(super) fn is_over(&self) -> bool {
        self.over
    }

    /// What the server says next. Can be dropped while it waits.
    pub(super) async fn next(&mut self) -> Result<Heard, End> {
        let heard = self.hear().await;
        self.over |= matches!(heard, Err(_) | Ok(Heard::Close(..)));
        heard
    }

    async fn hear(&mut self) -> Result<Heard, End> {
        loop {
            while let Some(head) = Head::read(&self.read) {
                self.check(&head).map_err(End::Violation)?;
                let (start, length) = (usize::from(head.size), head.length as usize);
                if self.read.len() - start < length {
                    break;
                }
                let payload = self.read[start..start + length].to_vec();
                self.read.drain(..start + length);
                self.frames += 1;
                if let Some(heard) = self.take(&head, payload).await? {
                    return Ok(heard);
                }
            }
            match self.stream.read_buf(&mut self.read).await {
                Ok(0) => return Err(self.ended()),
                Ok(_) => {}
                Err(error) => return Err(end_of(&error)),
            }
        }
    }

    /// Ends this side of the connection, without a Close: what comes can still be read.
    pub(super) async fn half_close(&mut self) {
        // Whether this went out is seen by what the other side does.
        let _ = self.stream.shutdown().await;
    }

    /// Waits for the end of the connection, whatever comes before it.
    pub(super) async fn ended_by_peer(&mut self) {
        let mut rest = [0; 1024];
        while matches!(self.stream.read(&mut rest).await, Ok(1..)) {}
    }

    fn check(&self, head: &Head) -> Result<(), Violation> {
        // Bytes that are no frames at all break some rule at once; it isn't that rule which is to blame.
        let broken = |violation| {
            let text = self.read.iter().take(16).all(|byte| byte.is_ascii_graphic() || b" \r\n\t".contains(byte));
            Err(if self.frames == 0 && text && self.read.len() > 3 {
                Violation::NoFrames(dialect::shown(&self.read))
            } else {
                violation
            })
        };
        let control = head.opcode.is_control();
        match head {
            Head { mask: Some(_), .. } => broken(Violation::Masked),
            Head { rsv: 1.., .. } | Head { opcode: Opcode::Reserved(_), .. } => broken(Violation::ReservedBits),
            _ if control && (head.length > MAX_CONTROL || !head.fin) => broken(Violation::Control),
            Head { opcode: Opcode::Continuation, .. } if self.parts.is_none() => broken(Violation::Fragments),
            Head { opcode: Opcode::Text | Opcode::Binary, .. } if self.parts.is_some() => broken(Violation::Fragments),
            Head { length, .. } if *length > MAX_MESSAGE => broken(Violation::Huge(*length)),
            _ => Ok(()),
        }
    }

    async fn take(&mut self, head: &Head, payload: Vec<u8>) -> Result<Option<Heard>, End> {
        match head.opcode {
            Opcode::Ping => {
                self.send(Opcode::Pong, &payload).await?;
                Ok(None)
            }
            Opcode::Pong => Ok(Some(Heard::Pong(payload))),
            Opcode::Close => {
                let close = read_close(&payload).map_err(End::Violation)?;
                if !std::mem::replace(&mut self.closed, true) {
                    // The answer is a courtesy: what was heard counts even if it can't be sent any more.
                    let _ = self.send(Opcode::Close, payload.get(..2).unwrap_or_default()).await;
                }
                Ok(Some(close))
            }
            _ => self.join(head, payload).map_err(End::Violation),
        }
    }

    /// Puts a message together.
    fn join(&mut self, head: &Head, payload: Vec<u8>) -> Result<Option<Heard>, Violation> {
        let (opcode, mut whole) = self.parts.take().unwrap_or((head.opcode, Vec::new()));
        whole.extend(payload);
        if whole.len() as u64 > MAX_MESSAGE {
            return Err(Violation::Huge(whole.len() as u64));
        }
        if !head.fin {
            self.parts = Some((opcode, whole));
            return Ok(None);
        }
        Ok(Some(match opcode {
            Opcode::Text => Heard::Text(String::from_utf8(whole).map_err(|_| Violation::NotUtf8)?),
            _ => Heard::Binary(whole),
        }))
    }

    fn ended(&self) -> End {
        if self.frames == 0 && !self.read.is_empty() {
            return End::Violation(Violation::NoFrames(dialect::shown(&self.read)));
        }
        End::HungUp
    }
}

fn read_close(payload: &[u8]) -> Result<Heard, Violation> {
    match payload {
        [] => Ok(Heard::Close(None, String::new())),
        [_] => Err(Violation::BadClose),
        [high, low, reason @ ..] => {
            let code = Code(u16::from_be_bytes([*high, *low]));
            let reason = std::str::from_utf8(reason).map_err(|_| Violation::BadClose)?;
            if code.may_be_sent() { Ok(Heard::Close(Some(code), reason.to_owned())) } else { Err(Violation::BadClose) }
        }
    }
}

/// A whole frame as a client sends it: masked (RFC 6455 5.3).
fn masked(opcode: Opcode, payload: &[u8], key: [u8; 4]) -> Vec<u8> {
    let mut frame = Vec::with_capacity(payload.len() + 14);
    frame.push(0x80 | opcode.bits());
    match payload.len() {
        short @ 0..=125 => frame.push(0x80 | short as u8),
        middle @ 126..=0xffff => {
            frame.push(0x80 + 126);
            frame.extend_from_slice(&(middle as u16).to_be_bytes());
        }
        long => {
            frame.push(0x80 + 127);
            frame.extend_from_slice(&(long as u64).to_be_bytes());
        }
    }
    frame.extend_from_slice(&key);
    frame.extend(payload.iter().zip(key.iter().cycle()).map(|(byte, key)| byte ^ key));
    frame
}

fn end_of(error: &io::Error) -> End {
    match error.kind() {
        io::ErrorKind::UnexpectedEof
        | io::ErrorKind::ConnectionReset
        | io::ErrorKind::BrokenPipe
        | io::ErrorKind::ConnectionAborted => End::HungUp,
        _ => End::Broke(error.to_string()),
    }
}
