//! One end of a tunnel in the engine: a socket, its TLS session, and what it could not take yet.

use std::os::fd::{AsFd, OwnedFd};

use rustix::buffer::spare_capacity;
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags, Shutdown};

use super::tick::Tick;
use crate::net::Parts;
use crate::tls::Session;

/// How much is read at once.
pub(super) const READ: usize = 64 * 1024;

/// Buffers of a thread: an idle tunnel has none of its own.
pub(super) struct Scratch {
    /// What a socket gives, where that is ciphertext.
    read: Vec<u8>,
    /// What passes through the relay: plaintext, with room in front for what it held back.
    pub(super) plain: Vec<u8>,
    /// Records on their way out.
    pub(super) sealed: Vec<u8>,
}

impl Scratch {
    pub(super) fn new() -> Scratch {
        Scratch { read: Vec::with_capacity(READ), plain: Vec::with_capacity(HEADROOM + READ), sealed: Vec::new() }
    }

    /// Empties `plain` but for the headroom.
    pub(super) fn clear(&mut self) {
        self.plain.clear();
        self.plain.resize(HEADROOM, 0);
    }
}

/// Room in front of what was read.
pub(super) const HEADROOM: usize = fermata_wire::MAX_CARRY;

/// One end.
pub(super) struct End {
    /// `None` once it was reset.
    socket: Option<OwnedFd>,
    tls: Option<Box<Session>>,
    /// Written, but not yet taken by the socket.
    pending: Option<Box<Pending>>,
    pub(super) reading: Reading,
    writing: Writing,
    /// When bytes last came, or went after they had to wait.
    pub(super) heard: Tick,
    /// When it was last asked for a Pong.
    pub(super) pinged: Tick,
}

struct Pending {
    bytes: Vec<u8>,
    sent: usize,
}

/// What an end's reading waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reading {
    /// Bytes.
    Open,
    /// The other end, which cannot take what was read.
    Blocked,
    /// Nothing: its stream has ended.
    Ended,
}

/// How far an end's writing is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Writing {
    Open,
    /// The end of the stream follows what is pending.
    Ending,
    Ended,
}

/// What one read gave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Received {
    /// Bytes, now in the scratch's `plain` behind the headroom (none, where TLS talked to itself).
    Bytes(After),
    /// Nothing now.
    Nothing,
    /// The end of the stream.
    End,
    /// A reset, or TLS that cannot be read.
    Lost,
}

/// What can be read after some bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum After {
    /// Nothing now: a short read means that a stream socket is drained (epoll(7), question 9).
    Drained,
    /// Perhaps more.
    More,
    /// The end of the stream, which TLS has announced.
    End,
}

/// What became of a write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sent {
    /// All of it is with the kernel.
    All,
    /// Some of it waits; nobody should read more for this end.
    Waits,
    /// The peer is gone.
    Lost,
}

impl End {
    /// An end with what its leg had not sent yet.
    pub(super) fn new(parts: Parts, now: Tick) -> End {
        let pending = (!parts.unsent.is_empty()).then(|| Box::new(Pending { bytes: parts.unsent.to_vec(), sent: 0 }));
        End {
            socket: Some(parts.socket),
            tls: parts.tls,
            pending,
            reading: Reading::Open,
            writing: Writing::Open,
            heard: now,
            pinged: now,
        }
    }

    pub(super) fn socket(&self) -> Option<&OwnedFd> {
        self.socket.as_ref()
    }

    pub(super) fn has_pending(&self) -> bool {
        self.pending.is_some()
    }

    /// Whether nothing more comes from it or goes to it.
    pub(super) fn is_over(&self) -> bool {
        self.reading == Reading::Ended && self.writing == Writing::Ended
    }

    /// Reads once.
    pub(super) fn receive(&mut self, scratch: &mut Scratch) -> Received {
        let Some(socket) = &self.socket else { return Received::End };
        scratch.clear();
        let Some(tls) = &mut self.tls else { return recv(socket, &mut scratch.plain) };
        scratch.read.clear();
        scratch.read.append(&mut tls.take_partial());
        let received = recv(socket, &mut scratch.read);
        // What was partial before is partial again where nothing came.
        let mut out = Vec::new();
        let opened = tls.receive(&mut scratch.read, &mut scratch.plain, &mut out);
        let closed = tls.peer_closed();
        if self.send_raw(&out) == Sent::Lost || opened.is_err() {
            return Received::Lost;
        }
        match received {
            Received::Bytes(_) if closed => Received::Bytes(After::End),
            received => received,
        }
    }

    /// Writes, encrypted where there is TLS.
    pub(super) fn send(&mut self, plain: &[u8], sealed: &mut Vec<u8>) -> Sent {
        if self.writing != Writing::Open || plain.is_empty() {
            // To an end that has been told the end nothing is said any more.
            return if self.pending.is_some() { Sent::Waits } else { Sent::All };
        }
        let Some(tls) = &mut self.tls else { return self.send_raw(plain) };
        sealed.clear();
        if tls.send(plain, sealed).is_err() {
            return Sent::Lost;
        }
        self.send_raw(sealed)
    }

    /// Says that no more will be written, once what is pending has gone.
    pub(super) fn finish(&mut self, sealed: &mut Vec<u8>) -> Sent {
        if self.writing != Writing::Open {
            return Sent::All;
        }
        self.writing = Writing::Ending;
        let mut sent = Sent::All;
        if let Some(tls) = &mut self.tls {
            sealed.clear();
            if tls.close(sealed).is_ok() {
                sent = self.send_raw(sealed);
            }
        }
        if sent == Sent::All && self.pending.is_none() {
            self.shut();
        }
        sent
    }

    /// Sends what is pending, as far as the socket takes it.
    pub(super) fn flush(&mut self, now: Tick) -> Sent {
        let Some(pending) = &mut self.pending else { return Sent::All };
        let Some(socket) = &self.socket else { return Sent::Lost };
        while pending.sent < pending.bytes.len() {
            match send(socket, &pending.bytes[pending.sent..]) {
                Ok(0) | Err(Errno::AGAIN) => return Sent::Waits,
                Ok(sent) => {
                    pending.sent += sent;
                    self.heard = now;
                }
                Err(_) => return Sent::Lost,
            }
        }
        self.pending = None;
        if self.writing == Writing::Ending {
            self.shut();
        }
        Sent::All
    }

    /// Closes the socket so that the peer sees an abort (a reset, RFC 9293 3.10.5).
    pub(super) fn reset(&mut self) {
        if let Some(socket) = self.socket.take() {
            // On a UNIX socket, or one that is gone already, there is nothing to abort.
            let _ = rustix::net::sockopt::set_socket_linger(&socket, Some(std::time::Duration::ZERO));
        }
        self.abandon();
    }

    /// Expects and says nothing more: the peer is gone.
    pub(super) fn abandon(&mut self) {
        self.pending = None;
        self.reading = Reading::Ended;
        self.writing = Writing::Ended;
    }

    fn shut(&mut self) {
        self.writing = Writing::Ended;
        if let Some(socket) = &self.socket {
            // The peer may have gone meanwhile; reading tells.
            let _ = rustix::net::shutdown(socket, Shutdown::Write);
        }
    }

    fn send_raw(&mut self, bytes: &[u8]) -> Sent {
        if bytes.is_empty() {
            return Sent::All;
        }
        if let Some(pending) = &mut self.pending {
            pending.bytes.extend_from_slice(bytes);
            return Sent::Waits;
        }
        let Some(socket) = &self.socket else { return Sent::Lost };
        let sent = match send(socket, bytes) {
            Ok(sent) => sent,
            Err(Errno::AGAIN) => 0,
            Err(_) => return Sent::Lost,
        };
        if sent == bytes.len() {
            return Sent::All;
        }
        self.pending = Some(Box::new(Pending { bytes: bytes[sent..].to_vec(), sent: 0 }));
        Sent::Waits
    }
}

/// Reads behind what `into` holds, as much as it has room for.
fn recv(socket: &OwnedFd, into: &mut Vec<u8>) -> Received {
    into.reserve(READ);
    let room = into.capacity() - into.len();
    loop {
        return match rustix::net::recv(socket.as_fd(), spare_capacity(into), RecvFlags::DONTWAIT) {
            Ok((_, 0)) => Received::End,
            Ok((_, read)) => Received::Bytes(if read < room { After::Drained } else { After::More }),
            Err(Errno::INTR) => continue,
            Err(Errno::AGAIN) => Received::Nothing,
            Err(_) => Received::Lost,
        };
    }
}

fn send(socket: &OwnedFd, bytes: &[u8]) -> rustix::io::Result<usize> {
    loop {
        match rustix::net::send(socket, bytes, SendFlags::DONTWAIT | SendFlags::NOSIGNAL) {
            Err(Errno::INTR) => {}
            outcome => return outcome,
        }
    }
}
