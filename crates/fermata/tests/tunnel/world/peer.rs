//! A client or a service at the far end of a tunnel's leg: a socket that never blocks, and TLS where the leg has it.

use std::io::{ErrorKind, Read, Write};
use std::os::fd::{BorrowedFd, OwnedFd};

use rustix::buffer::spare_capacity;
use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags, Shutdown, sockopt};
use rustix::time::Timespec;
use rustls::{AlertDescription, ClientConnection, Error};

use super::frames::{self, Frame};

/// How a stream ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// In good order; with TLS, announced by `close_notify`.
    Finished,
    /// The connection's stream ended, and TLS had not announced it.
    Truncated,
    /// By a reset.
    Reset,
}

/// So little that a few messages fill it; slow over loopback, whose segments are as large.
pub const TINY: usize = 32 * 1024;
/// Little, but enough for two segments of loopback: no waiting for delayed acknowledgements.
pub const SMALL: usize = 128 * 1024;

/// What the kernel may keep for a socket in each direction, before it doubles it (socket(7)).
pub fn buffers(socket: BorrowedFd<'_>, bytes: usize) {
    sockopt::set_socket_recv_buffer_size(socket, bytes).expect("a socket");
    sockopt::set_socket_send_buffer_size(socket, bytes).expect("a socket");
}

/// One peer.
pub struct Peer {
    socket: Option<OwnedFd>,
    pub tls: Option<ClientConnection>,
    /// What is still to be written to the socket.
    wire: Vec<u8>,
    written: usize,
    finishing: bool,
    /// What it has received (in the clear).
    pub got: Vec<u8>,
    /// Bytes that `got` was relieved of.
    pub taken: usize,
    pub end: Option<End>,
    /// The alert that ended its TLS session.
    pub alert: Option<AlertDescription>,
    /// Whether it reads at all.
    pub reads: bool,
    /// Whether it keeps what it reads, or only counts it.
    pub keeps: bool,
    /// The most bytes that it reads or writes with one call, drawn anew each time.
    pub pieces: Option<(usize, fastrand::Rng)>,
}

impl Peer {
    pub fn new(socket: OwnedFd, tls: Option<ClientConnection>) -> Peer {
        Peer {
            socket: Some(socket),
            tls,
            wire: Vec::new(),
            written: 0,
            finishing: false,
            got: Vec::new(),
            taken: 0,
            end: None,
            alert: None,
            reads: true,
            keeps: true,
            pieces: None,
        }
    }

    /// Writes bytes, as soon as the socket takes them.
    pub fn say(&mut self, bytes: impl AsRef<[u8]>) {
        match &mut self.tls {
            None => self.wire.extend_from_slice(bytes.as_ref()),
            Some(tls) => {
                tls.writer().write_all(bytes.as_ref()).expect("the session takes any amount");
                self.seal();
            }
        }
    }

    /// Writes bytes below TLS.
    pub fn say_on_the_wire(&mut self, bytes: impl AsRef<[u8]>) {
        self.wire.extend_from_slice(bytes.as_ref());
    }

    /// Moves what the session wants to send to the wire.
    pub fn seal(&mut self) {
        if let Some(tls) = &mut self.tls {
            while tls.wants_write() {
                tls.write_tls(&mut self.wire).expect("a vector takes everything");
            }
        }
    }

    /// Takes what would be written next off the wire.
    pub fn take_wire(&mut self) -> Vec<u8> {
        let wire = self.wire.split_off(self.written);
        self.wire.clear();
        self.written = 0;
        wire
    }

    /// Ends its stream behind what it has said.
    pub fn finish(&mut self) {
        self.announce_end();
        self.finishing = true;
    }

    /// Ends its stream behind what it has said, and TLS doesn't announce it.
    pub fn finish_without_a_word(&mut self) {
        self.finishing = true;
    }

    /// Says `close_notify`, and leaves the connection's stream open.
    pub fn announce_end(&mut self) {
        if let Some(tls) = &mut self.tls {
            tls.send_close_notify();
        }
        self.seal();
    }

    /// Closes its socket, whatever is unread (which makes it a reset, RFC 1122 4.2.2.13).
    pub fn leave(&mut self) {
        self.socket = None;
    }

    /// Resets its connection.
    pub fn reset(&mut self) {
        if let Some(socket) = self.socket.take() {
            sockopt::set_socket_linger(&socket, Some(std::time::Duration::ZERO)).expect("a socket");
        }
    }

    /// Whether all it said is with the kernel.
    pub fn has_said_all(&self) -> bool {
        self.written == self.wire.len()
    }

    /// How many bytes it got rid of, on the wire.
    pub fn written(&self) -> usize {
        self.written
    }

    /// Whether something waits to be read, or its stream has ended.
    pub fn is_readable(&self) -> bool {
        self.socket().is_some_and(|socket| {
            let mut fds = [PollFd::from_borrowed_fd(socket, PollFlags::IN)];
            poll(&mut fds, Some(&Timespec { tv_sec: 0, tv_nsec: 0 })).expect("a socket can be polled") > 0
        })
    }

    /// Has the kernel keep little for it: writes soon have to wait.
    pub fn buffers(&self, bytes: usize) {
        if let Some(socket) = self.socket() {
            buffers(socket, bytes);
        }
    }

    /// What it has received, and how that ended.
    pub fn saw(&self) -> (&[u8], Option<End>) {
        (&self.got, self.end)
    }

    /// The whole frames that it has received.
    pub fn frames(&self) -> Vec<Frame> {
        frames::read(&self.got).0
    }

    /// Whether it has received this frame.
    pub fn has(&self, frame: &Frame) -> bool {
        self.frames().contains(frame)
    }

    /// Whether it has received a Close.
    pub fn has_close(&self) -> bool {
        self.frames().iter().any(|frame| frame.opcode == 8)
    }

    /// The socket, to wait for.
    pub fn socket(&self) -> Option<BorrowedFd<'_>> {
        use std::os::fd::AsFd;
        self.socket.as_ref().map(AsFd::as_fd)
    }

    /// Whether it waits for room to write.
    pub fn wants_to_write(&self) -> bool {
        !self.has_said_all() || self.finishing
    }

    fn piece(&mut self, most: usize) -> usize {
        self.pieces.as_mut().map_or(most, |(size, rng)| rng.usize(1..=*size)).min(most)
    }

    /// Writes and reads once each, as far as it can; returns whether anything moved.
    pub fn step(&mut self) -> bool {
        let wrote = self.step_out();
        self.step_in() || wrote
    }

    fn step_out(&mut self) -> bool {
        let mut moved = false;
        if !self.has_said_all() {
            let piece = self.piece(self.wire.len() - self.written);
            let Some(socket) = &self.socket else { return false };
            let flags = SendFlags::DONTWAIT | SendFlags::NOSIGNAL;
            match rustix::net::send(socket, &self.wire[self.written..self.written + piece], flags) {
                Ok(sent) => {
                    self.written += sent;
                    moved = true;
                }
                Err(Errno::AGAIN) => {}
                Err(_) => {
                    self.wire.truncate(self.written);
                    moved = true;
                }
            }
        }
        if self.finishing && self.has_said_all() {
            self.finishing = false;
            // The other side may have reset meanwhile.
            let _ = self.socket.as_ref().map(|socket| rustix::net::shutdown(socket, Shutdown::Write));
            moved = true;
        }
        moved
    }

    fn step_in(&mut self) -> bool {
        if !self.reads || self.end.is_some() {
            return false;
        }
        let most = self.piece(64 * 1024);
        let Some(socket) = &self.socket else { return false };
        let mut bytes = Vec::with_capacity(most);
        match rustix::net::recv(socket, spare_capacity(&mut bytes), RecvFlags::DONTWAIT) {
            Ok((_, 0)) => self.end = Some(self.end_of_stream()),
            Ok(_) => self.receive(&bytes),
            Err(Errno::AGAIN) => return false,
            Err(_) => self.end = Some(End::Reset),
        }
        true
    }

    fn end_of_stream(&mut self) -> End {
        let announced = self.tls.as_mut().is_none_or(|tls| {
            tls.read_tls(&mut std::io::empty()).expect("the end of a stream can be read");
            match tls.process_new_packets() {
                Ok(state) => state.peer_has_closed(),
                Err(_) => false,
            }
        });
        if announced { End::Finished } else { End::Truncated }
    }

    fn receive(&mut self, mut bytes: &[u8]) {
        let start = self.got.len();
        match &mut self.tls {
            None => self.got.extend_from_slice(bytes),
            Some(tls) => {
                while !bytes.is_empty() {
                    tls.read_tls(&mut bytes).expect("a slice can be read");
                    match tls.process_new_packets() {
                        Err(Error::AlertReceived(alert)) => return self.alert = Some(alert),
                        outcome => drop(outcome.expect("records that can be read")),
                    }
                    match tls.reader().read_to_end(&mut self.got) {
                        Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                        other => drop(other.expect("plaintext can be read")),
                    }
                }
            }
        }
        if !self.keeps {
            self.taken += self.got.len() - start;
            self.got.truncate(start);
        }
    }
}
