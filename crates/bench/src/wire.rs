//! One connection of the load or of the service: a socket, perhaps TLS, what is owed to the peer, what has come from it.

use std::collections::VecDeque;
use std::io::{self, Read, Write};
use std::os::fd::OwnedFd;
use std::time::Duration;

use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags, sockopt};
use rustls::{ClientConnection, HandshakeKind};

use crate::frames::{Frames, Seen};

/// One connection.
pub(crate) struct Wire {
    pub(crate) socket: OwnedFd,
    tls: Option<Box<ClientConnection>>,
    /// A head that has not come whole; `None` once messages pass.
    head: Option<Vec<u8>>,
    /// Goes before the next frame.
    urgent: Vec<u8>,
    /// Bytes of frames that are to be written, the first of them so many bytes behind a frame's start.
    owed: usize,
    phase: usize,
    pub(crate) seen: Seen,
    /// When the messages that are under way were to be sent.
    pub(crate) due: VecDeque<u64>,
}

/// What came of bytes.
pub(crate) enum Came {
    /// Not even a whole head.
    Less,
    /// The head, and what came behind it.
    Head(Vec<u8>, Vec<u8>),
    /// Bytes of messages.
    Messages,
}

impl Wire {
    pub(crate) fn new(socket: OwnedFd, tls: Option<ClientConnection>) -> Wire {
        Wire {
            socket,
            tls: tls.map(|mut tls| {
                tls.set_buffer_limit(None);
                Box::new(tls)
            }),
            head: Some(Vec::new()),
            urgent: Vec::new(),
            owed: 0,
            phase: 0,
            seen: Seen::default(),
            due: VecDeque::new(),
        }
    }

    /// Whether messages may pass.
    pub(crate) fn is_open(&self) -> bool {
        self.head.is_none()
    }

    pub(crate) fn is_resumed(&self) -> bool {
        self.tls.as_ref().is_some_and(|tls| tls.handshake_kind() == Some(HandshakeKind::Resumed))
    }

    /// Owes `messages` more, and writes as much of everything as the socket takes.
    pub(crate) fn owe(&mut self, messages: usize, frames: &Frames) -> io::Result<()> {
        self.owed += messages * frames.length;
        self.write(frames)
    }

    /// Says this before the next frame.
    pub(crate) fn say(&mut self, bytes: &[u8], frames: &Frames) -> io::Result<()> {
        self.urgent.extend_from_slice(bytes);
        self.write(frames)
    }

    /// Writes what the socket takes.
    pub(crate) fn write(&mut self, frames: &Frames) -> io::Result<()> {
        if !self.flush()? {
            return Ok(());
        }
        while self.owed > 0 || !self.urgent.is_empty() {
            let is_urgent = self.phase == 0 && !self.urgent.is_empty();
            let bytes = if is_urgent { &self.urgent[..] } else { frames.next(self.phase, self.owed) };
            let written = match &mut self.tls {
                Some(tls) => tls.writer().write(bytes)?,
                None => match send(&self.socket, bytes)? {
                    None => return Ok(()),
                    Some(written) => written,
                },
            };
            if is_urgent {
                self.urgent.drain(..written);
            } else {
                self.owed -= written;
                self.phase = (self.phase + written) % frames.length;
            }
            if !self.flush()? {
                return Ok(());
            }
        }
        Ok(())
    }

    /// Sends what TLS has to send; whether that was all.
    fn flush(&mut self) -> io::Result<bool> {
        let Some(tls) = &mut self.tls else { return Ok(true) };
        while tls.wants_write() {
            match tls.write_tls(&mut Sending(&self.socket)) {
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
                Err(error) => return Err(error),
            }
        }
        Ok(true)
    }

    /// Reads once and appends to `plain`; the number of bytes that the socket gave, `None` where it had nothing.
    pub(crate) fn read(&mut self, buffer: &mut [u8], plain: &mut Vec<u8>) -> io::Result<Option<usize>> {
        let Some(read) = recv(&self.socket, buffer)? else { return Ok(None) };
        let Some(tls) = &mut self.tls else {
            plain.extend_from_slice(&buffer[..read]);
            return Ok(Some(read));
        };
        let mut rest = &buffer[..read];
        while !rest.is_empty() {
            tls.read_tls(&mut rest)?;
            let state = tls.process_new_packets().map_err(io::Error::other)?;
            let (start, fresh) = (plain.len(), state.plaintext_bytes_to_read());
            plain.resize(start + fresh, 0);
            tls.reader().read_exact(&mut plain[start..])?;
        }
        self.flush()?;
        Ok(Some(read))
    }

    /// Takes what was read: a head first.
    pub(crate) fn take(&mut self, bytes: &[u8]) -> Came {
        let Some(head) = &mut self.head else { return Came::Messages };
        head.extend_from_slice(bytes);
        let Some(end) = head.windows(4).position(|four| four == b"\r\n\r\n") else { return Came::Less };
        let rest = head.split_off(end + 4);
        Came::Head(self.head.take().unwrap_or_default(), rest)
    }

    /// Ends it with a reset, so that no port waits for late packets (RFC 9293 3.6.1, TIME-WAIT).
    pub(crate) fn reset(&self) {
        // A UNIX socket has none.
        let _ = sockopt::set_socket_linger(&self.socket, Some(Duration::ZERO));
    }
}

struct Sending<'a>(&'a OwnedFd);

impl Write for Sending<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        send(self.0, bytes)?.ok_or_else(|| io::ErrorKind::WouldBlock.into())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// `None` where it would block.
pub(crate) fn send(socket: &OwnedFd, bytes: &[u8]) -> io::Result<Option<usize>> {
    match rustix::net::send(socket, bytes, SendFlags::DONTWAIT | SendFlags::NOSIGNAL) {
        Ok(sent) => Ok(Some(sent)),
        Err(Errno::AGAIN) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// The same for reading; 0 at the end.
pub(crate) fn recv(socket: &OwnedFd, buffer: &mut [u8]) -> io::Result<Option<usize>> {
    match rustix::net::recv(socket, buffer, RecvFlags::DONTWAIT) {
        Ok((read, _)) => Ok(Some(read)),
        Err(Errno::AGAIN) => Ok(None),
        Err(error) => Err(error.into()),
    }
}
