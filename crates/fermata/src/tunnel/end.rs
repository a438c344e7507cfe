//! One end of a tunnel in the engine: a socket, its TLS session, and what it could not take yet.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use fermata_wire::proxy::Tls;
use rustix::buffer::spare_capacity;
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags, Shutdown, sockopt};

use super::record::{EndRecord, Length};
use super::tick::{Fraction, Tick, Trip};
use crate::net::Parts;
use crate::tls::Session;

/// How much is read at once.
pub(super) const READ: usize = 64 * 1024;

/// Room in front of what was read.
pub(super) const HEADROOM: usize = fermata_wire::MAX_CARRY;

/// Buffers of a thread: an idle tunnel has none of its own.
pub(super) struct Scratch {
    /// What a socket gives, where that is ciphertext.
    read: Vec<u8>,
    /// What passes through the relay: plaintext, with room in front for what it held back.
    pub(super) plain: Vec<u8>,
    /// Records on their way out.
    pub(super) sealed: Vec<u8>,
    /// How far the present tick has gone.
    pub(super) fraction: Fraction,
}

impl Scratch {
    pub(super) fn new() -> Scratch {
        Scratch {
            read: Vec::with_capacity(READ),
            plain: Vec::with_capacity(HEADROOM + READ),
            sealed: Vec::new(),
            fraction: Fraction::default(),
        }
    }

    /// Empties `plain` but for the headroom.
    pub(super) fn clear(&mut self) {
        self.plain.clear();
        self.plain.resize(HEADROOM, 0);
    }
}

/// One end.
pub(super) struct End {
    /// `None` once nobody uses it any more.
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
    /// The way of that Ping, or of the one before.
    trip: Trip,
}

struct Pending {
    bytes: Vec<u8>,
    sent: usize,
}

/// How far an end's reading is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reading {
    /// An event will tell of more.
    Open,
    /// There may be more that no event will tell of: it was left unread, since the other end cannot take it or others
    /// had to have their turn.
    Behind,
    /// The same, and it is in the engine's list of those who wait for a turn.
    Queued,
    /// Its stream has ended.
    Ended,
}

/// How far an end's writing is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Writing {
    Open,
    /// The end of the stream follows what is pending.
    Ending,
    Ended,
    /// The peer takes nothing any more. What it said before may still be unread.
    Failed,
}

/// Their numbers stand in records: they never change.
impl Reading {
    fn number(self) -> u8 {
        match self {
            Reading::Open => 0,
            // The list is its engine's; another one makes its own.
            Reading::Behind | Reading::Queued => 1,
            Reading::Ended => 2,
        }
    }

    fn of(number: u8) -> Option<Reading> {
        [Reading::Open, Reading::Behind, Reading::Ended].into_iter().find(|one| one.number() == number)
    }
}

/// The same.
impl Writing {
    fn number(self) -> u8 {
        match self {
            Writing::Open => 0,
            Writing::Ending => 1,
            Writing::Ended => 2,
            Writing::Failed => 3,
        }
    }

    fn of(number: u8) -> Option<Writing> {
        [Writing::Open, Writing::Ending, Writing::Ended, Writing::Failed].into_iter().find(|one| one.number() == number)
    }
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
    /// A reset.
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
    /// Records that cannot be read: TLS has failed.
    Broken,
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
            trip: Trip::default(),
        }
    }

    /// Writes it down: what waits to be sent behind `bytes`, its socket behind `sockets`. Not for one with TLS.
    pub(super) fn pack<'a>(&'a self, base: Tick, bytes: &mut Vec<u8>, sockets: &mut Vec<BorrowedFd<'a>>) -> EndRecord {
        let End { socket, tls: _, pending, reading, writing, heard, pinged, trip: _ } = self;
        sockets.extend(socket.as_ref().map(OwnedFd::as_fd));
        EndRecord {
            socket: socket.is_some(),
            pending: Length::put(bytes, pending.as_ref().map_or(&[], |pending| &pending.bytes[pending.sent..])),
            reading: reading.number(),
            writing: writing.number(),
            heard: heard.offset(base),
            pinged: pinged.offset(base),
        }
    }

    /// The end that was written down.
    pub(super) fn unpack(
        record: EndRecord,
        base: Tick,
        bytes: &mut &[u8],
        sockets: &mut impl Iterator<Item = OwnedFd>,
    ) -> Option<End> {
        let pending = record.pending.take(bytes)?;
        Some(End {
            socket: if record.socket { Some(sockets.next()?) } else { None },
            tls: None,
            pending: (!pending.is_empty()).then(|| Box::new(Pending { bytes: pending.to_vec(), sent: 0 })),
            reading: Reading::of(record.reading)?,
            writing: Writing::of(record.writing)?,
            heard: Tick::of(base, record.heard),
            pinged: Tick::of(base, record.pinged),
            trip: Trip::default(),
        })
    }

    /// A Ping went to it.
    pub(super) fn ping_went(&mut self, now: Tick, fraction: Fraction) {
        (self.pinged, self.trip) = (now, Trip::begin(fraction));
    }

    /// Its Pong came.
    pub(super) fn pong_came(&mut self, now: Tick, fraction: Fraction) {
        self.trip = self.trip.end(now.ticks_since(self.pinged), fraction);
    }

    /// How long its last Pong took.
    pub(super) fn round_trip(&self) -> Option<Duration> {
        self.trip.time()
    }

    /// The version of TLS that is spoken here, as people write it.
    pub(super) fn tls_version(&self) -> Option<&'static str> {
        match self.tls.as_ref()?.version() {
            Tls::V1_2 => Some("1.2"),
            Tls::V1_3 => Some("1.3"),
            Tls::Other => None,
        }
    }

    /// Whether it has a TLS session.
    pub(super) fn has_tls(&self) -> bool {
        self.tls.is_some()
    }

    pub(super) fn socket(&self) -> Option<&OwnedFd> {
        self.socket.as_ref()
    }

    /// Whether it could not take all that was written; nobody should read more for it.
    pub(super) fn has_pending(&self) -> bool {
        self.pending.is_some()
    }

    /// Whether its peer takes nothing any more.
    pub(super) fn has_failed(&self) -> bool {
        self.writing == Writing::Failed
    }

    /// Whether nothing more comes from it or goes to it.
    pub(super) fn is_over(&self) -> bool {
        self.reading == Reading::Ended && matches!(self.writing, Writing::Ended | Writing::Failed)
    }

    /// Whether TLS has announced the end of its stream: no event tells of that again.
    pub(super) fn has_announced_its_end(&self) -> bool {
        self.tls.as_ref().is_some_and(|tls| tls.peer_closed())
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
        let mut answer = Vec::new();
        let opened = tls.receive(&mut scratch.read, &mut scratch.plain, &mut answer);
        let closed = tls.peer_closed();
        self.write(&answer);
        match received {
            Received::Bytes(_) if opened.is_err() => Received::Bytes(After::Broken),
            Received::Bytes(_) if closed => Received::Bytes(After::End),
            received => received,
        }
    }

    /// Writes, encrypted where there is TLS. To an end that has been told the end nothing is said any more.
    pub(super) fn send(&mut self, plain: &[u8], sealed: &mut Vec<u8>) {
        if self.writing != Writing::Open || plain.is_empty() {
            return;
        }
        let Some(tls) = &mut self.tls else { return self.write(plain) };
        sealed.clear();
        match tls.send(plain, sealed) {
            Ok(()) => self.write(sealed),
            Err(_) => self.fail(),
        }
    }

    /// Says that no more will be written, once what is pending has gone.
    pub(super) fn finish(&mut self, sealed: &mut Vec<u8>) {
        if self.writing != Writing::Open {
            return;
        }
        if let Some(tls) = &mut self.tls {
            sealed.clear();
            // A session that failed has nothing more to say.
            if tls.close(sealed).is_ok() {
                self.write(sealed);
            }
        }
        if self.writing == Writing::Open {
            self.writing = Writing::Ending;
            self.shut_when_all_is_sent();
        }
    }

    /// Sends what is pending, as far as the socket takes it.
    pub(super) fn flush(&mut self, now: Tick) {
        let (Some(pending), Some(socket)) = (&mut self.pending, &self.socket) else { return };
        while pending.sent < pending.bytes.len() {
            match send(socket, &pending.bytes[pending.sent..]) {
                Ok(sent) => {
                    pending.sent += sent;
                    self.heard = now;
                }
                Err(Errno::AGAIN) => return,
                Err(_) => return self.fail(),
            }
        }
        self.pending = None;
        self.shut_when_all_is_sent();
    }

    /// Has the kernel probe a silent peer, and end the connection where it doesn't answer (tcp(7), `SO_KEEPALIVE`): for
    /// what knows no Ping, and beneath those that do.
    pub(super) fn probe(&self, silence: Duration, patience: Duration) {
        const PROBES: u32 = 4;
        let second = Duration::from_secs(1);
        if let Some(socket) = &self.socket {
            // Of a socket whose peer is gone already, the next read or write tells.
            let _ = sockopt::set_tcp_keepidle(socket, silence.max(second))
                .and_then(|()| sockopt::set_tcp_keepintvl(socket, (patience / PROBES).max(second)))
                .and_then(|()| sockopt::set_tcp_keepcnt(socket, PROBES))
                .and_then(|()| sockopt::set_socket_keepalive(socket, true));
        }
    }

    /// Has the kernel end the connection when what was sent stays unacknowledged, or the peer's window closed, for so long
    /// (tcp(7), `TCP_USER_TIMEOUT`).
    pub(super) fn give_up_after(&self, silence: Duration) {
        if let Some(socket) = &self.socket {
            let millis = u32::try_from(silence.as_millis()).unwrap_or(u32::MAX);
            // The same; and zero would be the system's own patience.
            let _ = sockopt::set_tcp_user_timeout(socket, millis.max(1000));
        }
    }

    /// Whether an error waits at the socket; asking takes it away (socket(7), `SO_ERROR`).
    pub(super) fn take_error(&self) -> bool {
        self.socket.as_ref().is_some_and(|socket| !matches!(sockopt::socket_error(socket), Ok(Ok(()))))
    }

    /// Closes the socket so that the peer sees an abort (a reset, RFC 9293 3.10.5).
    pub(super) fn reset(&mut self) {
        if let Some(socket) = &self.socket {
            // On a UNIX socket, or one that is gone already, there is nothing to abort.
            let _ = sockopt::set_socket_linger(socket, Some(Duration::ZERO));
        }
        self.abandon();
    }

    /// Expects and says nothing more.
    pub(super) fn abandon(&mut self) {
        self.socket = None;
        self.pending = None;
        self.reading = Reading::Ended;
        self.writing = Writing::Ended;
    }

    /// The peer takes nothing any more. What it said before that is read all the same: its Close may be there.
    pub(super) fn fail(&mut self) {
        self.pending = None;
        self.writing = Writing::Failed;
        if self.reading == Reading::Open {
            self.reading = Reading::Behind;
        }
    }

    fn shut_when_all_is_sent(&mut self) {
        if self.writing == Writing::Ending && self.pending.is_none() {
            self.writing = Writing::Ended;
            if let Some(socket) = &self.socket {
                // The peer may have gone meanwhile; reading tells.
                let _ = rustix::net::shutdown(socket, Shutdown::Write);
            }
        }
    }

    fn write(&mut self, bytes: &[u8]) {
        if bytes.is_empty() || matches!(self.writing, Writing::Ended | Writing::Failed) {
            return;
        }
        if let Some(pending) = &mut self.pending {
            return pending.bytes.extend_from_slice(bytes);
        }
        let Some(socket) = &self.socket else { return };
        match send(socket, bytes) {
            Ok(sent) if sent == bytes.len() => {}
            Ok(sent) => self.pending = Some(Box::new(Pending { bytes: bytes[sent..].to_vec(), sent: 0 })),
            Err(Errno::AGAIN) => self.pending = Some(Box::new(Pending { bytes: bytes.to_vec(), sent: 0 })),
            Err(_) => self.fail(),
        }
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
