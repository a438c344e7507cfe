//! The load: all clients and the service that answers them, in one thread around one epoll.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::buffer::spare_capacity;
use rustix::event::epoll::{self, CreateFlags, Event, EventData, EventFlags};
use rustix::net::sockopt;
use rustix::time::Timespec;
use rustls::{ClientConfig, ClientConnection};
use rustls_pki_types::ServerName;
use slab::Slab;

use crate::echo;
use crate::frames::{Frames, Pong};
use crate::tls::{self, Tickets};
use crate::wire::{Came, Wire};

/// Handshakes that are under way at once.
const OPENING: usize = 32;
/// The same where each takes a ticket that an earlier one has brought: rustls' client keeps eight.
const RESUMING: usize = 4;
/// Without any progress for this long, something is wrong.
const STUCK: Duration = Duration::from_secs(20);
/// Tokens of the listeners; connections come behind.
const LISTENERS: u64 = 2;

/// All clients, and the service.
pub(crate) struct Load {
    epoll: OwnedFd,
    tcp: TcpListener,
    unix: UnixListener,
    ends: Slab<End>,
    events: Vec<Event>,
    buffer: Vec<u8>,
    plain: Vec<u8>,
    from_client: Frames,
    from_service: Frames,
    start: Instant,
    /// What clients do when a message is answered.
    then: Then,
    pub(crate) count: Count,
}

struct End {
    who: Who,
    wire: Wire,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Who {
    Client,
    Service,
}

/// What a client does when something is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Then {
    /// Nothing.
    Rest,
    /// It says the next.
    Again,
    /// Once it is open it ends.
    End,
}

/// What has happened.
#[derive(Debug, Default, Clone)]
pub(crate) struct Count {
    /// Tunnels that opened.
    pub(crate) opened: usize,
    /// Of these, how many resumed a TLS session.
    pub(crate) resumed: usize,
    /// Messages that were answered.
    pub(crate) answered: usize,
    /// Clients that were refused or cut.
    pub(crate) lost: usize,
    /// From when a message was to be sent to its answer, in nanoseconds.
    pub(crate) latencies: Vec<u64>,
}

/// Where clients connect.
#[derive(Clone)]
pub(crate) struct Door {
    pub(crate) address: SocketAddr,
    pub(crate) tls: Option<Arc<ClientConfig>>,
}

impl Load {
    /// The service listens from now on: on a port, and at `unix`.
    pub(crate) fn new(unix: &Path) -> io::Result<Load> {
        let tcp = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        // The standard library asks for a backlog of 128 or 4096, by its version: a second listen changes it (listen(2)).
        rustix::net::listen(&tcp, 4096)?;
        let unix = UnixListener::bind(unix)?;
        rustix::net::listen(&unix, 4096)?;
        tcp.set_nonblocking(true)?;
        unix.set_nonblocking(true)?;
        let epoll = epoll::create(CreateFlags::CLOEXEC)?;
        epoll::add(&epoll, &tcp, EventData::new_u64(0), EventFlags::IN)?;
        epoll::add(&epoll, &unix, EventData::new_u64(1), EventFlags::IN)?;
        Ok(Load {
            epoll,
            tcp,
            unix,
            ends: Slab::new(),
            events: Vec::with_capacity(256),
            buffer: vec![0; 128 * 1024],
            plain: Vec::new(),
            from_client: Frames::of_client(64),
            from_service: Frames::of_service(64),
            start: Instant::now(),
            then: Then::Rest,
            count: Count::default(),
        })
    }

    /// Where the service listens.
    pub(crate) fn service(&self) -> io::Result<SocketAddr> {
        self.tcp.local_addr()
    }

    /// Messages have this much payload from now on. Nobody may be open.
    pub(crate) fn speak(&mut self, payload: usize) {
        self.from_client = Frames::of_client(payload);
        self.from_service = Frames::of_service(payload);
    }

    /// Opens `count` tunnels.
    pub(crate) fn open(&mut self, door: &Door, count: usize) -> io::Result<()> {
        self.then = Then::Rest;
        let before = self.count.opened;
        let mut begun = 0;
        let mut progress = (Instant::now(), 0);
        while self.count.opened - before < count {
            while begun < count && begun - (self.count.opened - before) < OPENING {
                self.connect(door)?;
                begun += 1;
            }
            self.turn(Duration::from_millis(100))?;
            self.check(&mut progress, self.count.opened)?;
        }
        Ok(())
    }

    /// Opens and ends tunnels for a while; returns how many opened, and in which time.
    pub(crate) fn handshakes(
        &mut self,
        door: &Door,
        tickets: Tickets,
        time: Duration,
    ) -> io::Result<(Count, Duration)> {
        self.then = Then::End;
        self.count = Count::default();
        let start = Instant::now();
        let opening = if tickets == Tickets::Used { RESUMING } else { OPENING };
        let mut begun = 0;
        let mut progress = (start, 0);
        // On a machine that does other things the first may take longer than all of them should.
        while start.elapsed() < time || self.count.opened == 0 {
            while begun - self.count.opened < opening {
                self.connect(door)?;
                begun += 1;
            }
            self.turn(Duration::ZERO)?;
            self.check(&mut progress, self.count.opened)?;
        }
        let done = (self.count.clone(), start.elapsed());
        self.close_all()?;
        Ok(done)
    }

    /// Every client has `depth` messages under way, and says another whenever one is answered.
    pub(crate) fn begin_closed_loop(&mut self, depth: usize) -> io::Result<()> {
        self.then = Then::Again;
        self.say_everywhere(depth)
    }

    /// Every client says `messages`; returns once all have been answered.
    pub(crate) fn say_once(&mut self, messages: usize) -> io::Result<()> {
        self.then = Then::Rest;
        let wanted = self.count.answered + messages * self.clients().len();
        self.say_everywhere(messages)?;
        let mut progress = (Instant::now(), 0);
        while self.count.answered < wanted {
            self.turn(Duration::from_millis(100))?;
            self.check(&mut progress, self.count.answered)?;
        }
        Ok(())
    }

    /// Every client says `messages`, one at a time: each is answered before the next is said.
    pub(crate) fn say_in_turn(&mut self, messages: usize) -> io::Result<()> {
        self.then = Then::Rest;
        for client in self.clients().repeat(messages) {
            let wanted = self.count.answered + 1;
            self.ends[client].wire.owe(1, &self.from_client)?;
            let mut progress = (Instant::now(), 0);
            while self.count.answered < wanted {
                self.turn(Duration::from_millis(100))?;
                self.check(&mut progress, self.count.answered)?;
            }
        }
        Ok(())
    }

    /// Opens and cuts tunnels, one at a time.
    pub(crate) fn open_in_turn(&mut self, door: &Door, count: usize) -> io::Result<()> {
        (0..count).try_for_each(|_| {
            self.open(door, 1)?;
            self.close_all()
        })
    }

    fn say_everywhere(&mut self, messages: usize) -> io::Result<()> {
        for client in self.clients() {
            self.ends[client].wire.owe(messages, &self.from_client)?;
        }
        Ok(())
    }

    /// Lets things happen for a while, without a rest: no proxy pays for waking us, which real clients elsewhere don't ask
    /// of it either. Returns how long that was.
    pub(crate) fn run(&mut self, time: Duration) -> io::Result<Duration> {
        let (start, before) = (Instant::now(), self.count.answered);
        let mut progress = (start, before);
        // On a machine that does other things the first answer may take longer than all of them should.
        while start.elapsed() < time || self.count.answered == before {
            self.turn(Duration::ZERO)?;
            self.check(&mut progress, self.count.answered)?;
        }
        Ok(start.elapsed())
    }

    /// The same, where next to nothing happens.
    pub(crate) fn wait(&mut self, time: Duration) -> io::Result<Duration> {
        let start = Instant::now();
        while start.elapsed() < time {
            let left = time.saturating_sub(start.elapsed());
            self.turn(left.min(Duration::from_millis(100)))?;
        }
        Ok(start.elapsed())
    }

    /// Sends `batch` messages `every` so often, each from the next client, whatever is answered meanwhile: the latency of a
    /// message counts from when it was to be sent, so that a late answer is late for all that had to wait (no coordinated
    /// omission).
    pub(crate) fn pace(&mut self, batch: usize, every: Duration, time: Duration) -> io::Result<Duration> {
        self.then = Then::Rest;
        let mut clients = self.clients();
        fastrand::shuffle(&mut clients);
        let (start, mut sent) = (Instant::now(), 0);
        let offset = start.duration_since(self.start);
        let last = (time.as_nanos() / every.as_nanos()) as usize * batch;
        let end = self.count.answered + last;
        while self.count.answered < end {
            while sent < last {
                let due = every * (sent / batch) as u32;
                if due > start.elapsed() {
                    break;
                }
                let wire = &mut self.ends[clients[sent % clients.len()]].wire;
                wire.due.push_back((offset + due).as_nanos() as u64);
                wire.owe(1, &self.from_client)?;
                sent += 1;
            }
            // Asks again at once, so that nothing is late because of us.
            self.turn(Duration::ZERO)?;
            if start.elapsed() > time + STUCK {
                return Err(io::Error::other("messages were not answered"));
            }
        }
        Ok(start.elapsed())
    }

    /// Cuts all clients, and waits until the service has seen the last of them go.
    pub(crate) fn close_all(&mut self) -> io::Result<()> {
        self.then = Then::Rest;
        let clients: Vec<usize> =
            self.ends.iter().filter(|(_, end)| end.who == Who::Client).map(|(at, _)| at).collect();
        for client in clients {
            self.remove(client);
        }
        let start = Instant::now();
        while !self.ends.is_empty() && start.elapsed() < STUCK {
            self.turn(Duration::from_millis(10))?;
        }
        let lost = self.count.lost;
        self.count = Count::default();
        match (lost, self.ends.len()) {
            (0, 0) => Ok(()),
            (0, left) => Err(io::Error::other(format!("{left} connections to the service stayed open"))),
            (lost, _) => Err(io::Error::other(format!("{lost} clients were refused or cut"))),
        }
    }

    fn clients(&self) -> Vec<usize> {
        self.ends.iter().filter(|(_, end)| end.who == Who::Client && end.wire.is_open()).map(|(at, _)| at).collect()
    }

    fn check(&self, (since, before): &mut (Instant, usize), now: usize) -> io::Result<()> {
        if self.count.lost > 0 {
            return Err(io::Error::other(format!("{} clients were refused or cut", self.count.lost)));
        }
        if now != *before {
            (*since, *before) = (Instant::now(), now);
        }
        if since.elapsed() > STUCK {
            return Err(io::Error::other("nothing has happened for 20 seconds"));
        }
        Ok(())
    }

    fn connect(&mut self, door: &Door) -> io::Result<()> {
        let socket = TcpStream::connect(door.address)?;
        socket.set_nodelay(true)?;
        socket.set_nonblocking(true)?;
        let tls = door.tls.as_ref().map(|config| {
            let name = ServerName::try_from(tls::NAME).map_err(io::Error::other)?;
            ClientConnection::new(config.clone(), name).map_err(io::Error::other)
        });
        let mut wire = Wire::new(socket.into(), tls.transpose()?);
        wire.say(&echo::request(), &self.from_client)?;
        self.add(Who::Client, wire)
    }

    fn add(&mut self, who: Who, wire: Wire) -> io::Result<()> {
        let slot = self.ends.insert(End { who, wire });
        let flags = EventFlags::IN | EventFlags::OUT | EventFlags::RDHUP | EventFlags::ET;
        Ok(epoll::add(&self.epoll, &self.ends[slot].wire.socket, EventData::new_u64(slot as u64 + LISTENERS), flags)?)
    }

    fn remove(&mut self, slot: usize) {
        self.ends.remove(slot).wire.reset();
    }

    fn turn(&mut self, wait: Duration) -> io::Result<()> {
        self.events.clear();
        let wait = Timespec { tv_sec: wait.as_secs().cast_signed(), tv_nsec: i64::from(wait.subsec_nanos()) };
        match epoll::wait(&self.epoll, spare_capacity(&mut self.events), Some(&wait)) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        for at in 0..self.events.len() {
            let Event { flags, data } = self.events[at];
            let (token, flags) = (data.u64(), flags);
            if token < LISTENERS {
                self.accept(token)?;
            } else {
                self.event((token - LISTENERS) as usize, flags);
            }
        }
        Ok(())
    }

    fn accept(&mut self, listener: u64) -> io::Result<()> {
        loop {
            let socket: io::Result<OwnedFd> = if listener == 0 {
                self.tcp.accept().map(|(socket, _)| socket.into())
            } else {
                self.unix.accept().map(|(socket, _)| socket.into())
            };
            match socket {
                Ok(socket) => {
                    rustix::io::ioctl_fionbio(&socket, true)?;
                    // A UNIX socket has no such thing.
                    let _ = sockopt::set_tcp_nodelay(&socket, true);
                    self.add(Who::Service, Wire::new(socket, None))?;
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error),
            }
        }
    }

    fn event(&mut self, slot: usize, flags: EventFlags) {
        let Some(end) = self.ends.get_mut(slot) else { return };
        let who = end.who;
        let frames = if who == Who::Client { &self.from_client } else { &self.from_service };
        if flags.contains(EventFlags::OUT) && end.wire.write(frames).is_err() {
            return self.gone(slot);
        }
        if !flags.intersects(EventFlags::IN | EventFlags::RDHUP | EventFlags::HUP | EventFlags::ERR) {
            return;
        }
        loop {
            let Some(end) = self.ends.get_mut(slot) else { return };
            self.plain.clear();
            match end.wire.read(&mut self.buffer, &mut self.plain) {
                Ok(None) => return,
                Ok(Some(0)) | Err(_) => return self.gone(slot),
                Ok(Some(read)) => {
                    let plain = std::mem::take(&mut self.plain);
                    let outcome = self.came(slot, &plain);
                    self.plain = plain;
                    if outcome.is_err() {
                        return self.gone(slot);
                    }
                    if read < self.buffer.len() && !flags.contains(EventFlags::RDHUP) {
                        return;
                    }
                }
            }
        }
    }

    fn gone(&mut self, slot: usize) {
        if self.ends.get(slot).is_some_and(|end| end.who == Who::Client) {
            self.count.lost += 1;
        }
        self.remove(slot);
    }

    fn came(&mut self, slot: usize, bytes: &[u8]) -> io::Result<()> {
        let end = &mut self.ends[slot];
        match (end.wire.take(bytes), end.who) {
            (Came::Less, _) => Ok(()),
            (Came::Messages, _) => self.messages(slot, bytes),
            (Came::Head(head, rest), Who::Service) => {
                end.wire.say(&echo::answer(&head), &self.from_service)?;
                self.messages(slot, &rest)
            }
            (Came::Head(head, rest), Who::Client) => {
                if !head.starts_with(b"HTTP/1.1 101 ") {
                    return Err(io::ErrorKind::InvalidData.into());
                }
                self.count.opened += 1;
                self.count.resumed += usize::from(end.wire.is_resumed());
                if self.then == Then::End {
                    self.remove(slot);
                    return Ok(());
                }
                self.messages(slot, &rest)
            }
        }
    }

    fn messages(&mut self, slot: usize, bytes: &[u8]) -> io::Result<()> {
        let Load { ends, from_client, from_service, then, count, .. } = self;
        let End { who, wire } = &mut ends[slot];
        match who {
            Who::Service => {
                let (asked, pongs) = wire.seen.take(bytes, from_client.length, Pong::Service);
                wire.say(&pongs, from_service)?;
                wire.owe(asked, from_service)
            }
            Who::Client => {
                let (answered, pongs) = wire.seen.take(bytes, from_service.length, Pong::Client);
                count.answered += answered;
                let now = self.start.elapsed().as_nanos() as u64;
                count.latencies.extend(wire.due.drain(..answered.min(wire.due.len())).map(|due| now - due));
                wire.say(&pongs, from_client)?;
                wire.owe(if *then == Then::Again { answered } else { 0 }, from_client)
            }
        }
    }
}
