//! A small world around a tunnel engine: clients and services over real sockets, in one thread, with a clock of its own.
//!
//! Nothing in it waits for time to pass. A test says what is to be true, and the world moves bytes until it is; where
//! nothing moves any more it waits for the sockets, and gives up with a picture of where everything stands.
#![allow(
    dead_code,
    unused_imports,
    unreachable_pub,
    missing_docs,
    reason = "each test uses its own part of it, and nobody else does"
)]

pub mod frames;
pub mod peer;
pub mod wiring;

use std::collections::BTreeMap;
use std::fmt::Write;
use std::net::{IpAddr, Ipv4Addr};
use std::os::fd::BorrowedFd;
use std::sync::Arc;
use std::time::{Duration, Instant};

use fermata::net::Parts;
use fermata::route::{Guests, Places, Pool, Target};
use fermata::tunnel::{Card, Engine, Frozen, Kind, Ledger, Left, Opened, Record, TunnelId, Who};
use fermata_spec::WebSocket;
use fermata_wire::{Close, Code, Rules};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::time::Timespec;

pub use frames::Frame;
pub use peer::{End, Peer};
pub use wiring::{WIRINGS, Wiring};

/// A test that waits this long for a socket has found a lost wake-up.
const PATIENCE: Timespec = Timespec { tv_sec: 20, tv_nsec: 0 };
/// Where nothing has happened for this long, nothing will: for tests that count what is on the way, which a longer wait
/// could only find to be more.
const QUIET: Timespec = Timespec { tv_sec: 0, tv_nsec: 200_000_000 };

/// The world.
pub struct World {
    pub engine: Engine,
    pub ledger: Arc<Ledger>,
    pub tunnels: Vec<Held>,
    start: Instant,
    passed: Duration,
    pool: Pool,
    guests: Arc<Guests>,
    places: Arc<Places>,
    pub limits: Arc<WebSocket>,
    pub rules: Rules,
}

/// The two far ends of one tunnel.
pub struct Held {
    pub client: Peer,
    pub service: Peer,
}

impl World {
    /// Without limits, and without keepalive.
    pub fn new() -> World {
        World::with(WebSocket { keepalive: None, ..WebSocket::default() })
    }

    pub fn with(limits: WebSocket) -> World {
        let pool = Pool::new("web".into());
        pool.add(&"web.1".into(), Target::Name("localhost".into(), 1));
        let ledger = Arc::new(Ledger::default());
        let max_message = limits.max_message.map_or(u32::MAX, |most| most as u32);
        World {
            engine: Engine::new(ledger.clone()).expect("an epoll can be made"),
            ledger,
            tunnels: Vec::new(),
            start: Instant::now(),
            passed: Duration::ZERO,
            pool,
            guests: Arc::default(),
            places: Arc::default(),
            limits: Arc::new(limits),
            rules: Rules { max_message, ..Rules::default() },
        }
    }

    pub fn now(&self) -> Instant {
        self.start + self.passed
    }

    pub fn card(&self) -> Card {
        let client = IpAddr::V4(Ipv4Addr::LOCALHOST);
        Card {
            id: self.ledger.name(),
            lease: self.pool.take("web.1", &[]).expect("an endpoint"),
            admission: self.guests.admit(client, None, None).expect("a place"),
            place: self.places.take(None).expect("a place"),
            since: self.now(),
            tls: false,
            protocol: None,
            rules: self.rules,
            limits: self.limits.clone(),
        }
    }

    /// Opens a tunnel between two fresh peers.
    pub fn open(&mut self, wiring: Wiring, kind: Kind) -> &mut Held {
        let ((client, client_leg), (service, service_leg)) = (wiring.client(), wiring.service());
        self.adopt(client_leg, service_leg, kind);
        self.tunnels.push(Held { client, service });
        self.tunnels.last_mut().expect("just pushed")
    }

    /// Gives two legs to the engine.
    pub fn adopt(&mut self, client: Parts, service: Parts, kind: Kind) {
        let card = self.card();
        self.engine.adopt(Opened { client, service, kind, card }).expect("sockets can be registered");
    }

    /// Has every tunnel that can move go on in a fresh engine, as it would in another process: written down, its sockets
    /// copied, and read again. Those that cannot move are cut. Returns how many moved.
    pub fn move_all(&mut self) -> usize {
        let frozen = self.engine.freeze(self.now());
        let (mut bytes, mut sockets) = (Vec::new(), Vec::new());
        let records: Vec<_> = frozen.iter().map(|one| one.pack(&mut bytes, &mut sockets)).collect();
        let text = serde_json::to_string(&records).expect("records are text");
        let copies: Vec<_> = sockets.iter().map(|one| one.try_clone_to_owned().expect("a copy")).collect();
        drop(sockets);
        drop(frozen);
        self.engine = Engine::new(self.ledger.clone()).expect("an epoll can be made");
        let records: Vec<Record> = serde_json::from_str(&text).expect("what was written");
        let (count, mut bytes, mut copies) = (records.len(), &bytes[..], copies.into_iter());
        for record in records {
            let card = self.card_of(&record.who).expect("known rules");
            let frozen = Frozen::unpack(record, card, &mut bytes, &mut copies).expect("what was written");
            self.engine.thaw(frozen, self.now()).expect("sockets can be registered");
        }
        assert_eq!((bytes.len(), copies.next().is_none()), (0, true), "nothing is left over");
        count
    }

    fn card_of(&self, who: &Who) -> Option<Card> {
        Some(Card {
            id: TunnelId(who.id),
            lease: self.pool.hold(&who.instance, &who.target),
            since: self.now().checked_sub(who.age)?,
            tls: who.tls,
            protocol: who.protocol.as_deref().map(Arc::from),
            rules: who.rules()?,
            ..self.card()
        })
    }

    /// The same with records and bytes that have been damaged on the way; returns how many were taken all the same.
    pub fn move_damaged(&mut self, rng: &mut fastrand::Rng) -> usize {
        let frozen = self.engine.freeze(self.now());
        let (mut bytes, mut sockets) = (Vec::new(), Vec::new());
        let records: Vec<_> = frozen.iter().map(|one| one.pack(&mut bytes, &mut sockets)).collect();
        let mut text = serde_json::to_vec(&records).expect("records are text");
        for _ in 0..rng.usize(..3) {
            let at = rng.usize(..text.len());
            if text[at].is_ascii_digit() {
                text[at] = b'0' + rng.u8(..10);
            }
        }
        for _ in 0..rng.usize(..4) {
            // A raw tunnel with nothing on the way has none.
            if let Some(at) = rng.choice(0..bytes.len()) {
                bytes[at] = rng.u8(..);
            }
        }
        let copies: Vec<_> = sockets.iter().map(|one| one.try_clone_to_owned().expect("a copy")).collect();
        drop(sockets);
        drop(frozen);
        self.engine = Engine::new(self.ledger.clone()).expect("an epoll can be made");
        let Ok(records) = serde_json::from_slice::<Vec<Record>>(&text) else { return 0 };
        let (mut bytes, mut copies) = (&bytes[..], copies.into_iter());
        let mut taken = 0;
        for record in records {
            let card = self.card_of(&record.who);
            if let Some(frozen) = card.and_then(|card| Frozen::unpack(record, card, &mut bytes, &mut copies)) {
                self.engine.thaw(frozen, self.now()).expect("sockets can be registered");
                taken += 1;
            }
        }
        taken
    }

    /// The first tunnel's client.
    pub fn client(&mut self) -> &mut Peer {
        &mut self.tunnels[0].client
    }

    /// The first tunnel's service.
    pub fn service(&mut self) -> &mut Peer {
        &mut self.tunnels[0].service
    }

    /// Moves bytes until `it` is true of the first tunnel's ends.
    pub fn until(&mut self, what: &str, it: impl Fn(&Held) -> bool) {
        self.run(what, |world| it(&world.tunnels[0]));
    }

    /// Moves bytes until no tunnel is left in the engine, and both peers have seen an end (or are gone).
    pub fn until_over(&mut self) {
        self.run("that every tunnel is over", |world| world.engine.live() == 0);
        self.run("that every peer has seen the end", |world| {
            world.peers().all(|peer| peer.end.is_some() || peer.socket().is_none() || !peer.reads)
        });
    }

    /// Moves bytes until `it` is true.
    pub fn run(&mut self, what: &str, it: impl Fn(&World) -> bool) {
        while !it(self) {
            if !self.step() && !it(self) {
                self.wait(what);
            }
        }
    }

    /// One turn of the engine, and one step of every peer; returns whether anything moved.
    pub fn step(&mut self) -> bool {
        let left = self.engine.turn(self.now()).expect("a turn");
        let mut moved = left == Left::More;
        for held in &mut self.tunnels {
            moved |= held.client.step();
            moved |= held.service.step();
        }
        moved
    }

    fn peers(&self) -> impl Iterator<Item = &Peer> {
        self.tunnels.iter().flat_map(|held| [&held.client, &held.service])
    }

    /// Moves bytes as long as some are there to be moved now.
    pub fn until_nothing_moves_at_once(&mut self) {
        while self.step() {}
    }

    /// Moves bytes until everybody waits for somebody else.
    pub fn until_nothing_moves(&mut self) {
        while self.step() || self.poll(QUIET) > 0 {}
    }

    fn wait(&self, what: &str) {
        assert!(self.poll(PATIENCE) > 0, "waited in vain for {what}\n{}", self.picture());
    }

    /// Waits for any of the sockets; returns how many have something.
    fn poll(&self, limit: Timespec) -> usize {
        let awaited = self.peers().filter_map(|peer| {
            let reading = if peer.reads && peer.end.is_none() { PollFlags::IN } else { PollFlags::empty() };
            let writing = if peer.wants_to_write() { PollFlags::OUT } else { PollFlags::empty() };
            // Without a flag poll(2) still tells of errors, again and again.
            let flags = reading | writing;
            peer.socket().filter(|_| !flags.is_empty()).map(|socket| (socket, flags))
        });
        let mut all: Vec<PollFd<'_>> = awaited.map(|(socket, flags)| PollFd::from_borrowed_fd(socket, flags)).collect();
        let epoll: BorrowedFd<'_> = self.engine.epoll();
        all.push(PollFd::from_borrowed_fd(epoll, PollFlags::IN));
        poll(&mut all, Some(&limit)).expect("sockets can be polled")
    }

    fn picture(&self) -> String {
        let mut picture = format!("{} tunnels live, ended: {:?}\n", self.engine.live(), self.endings());
        for (at, held) in self.tunnels.iter().enumerate().take(3) {
            for (name, peer) in [("client", &held.client), ("service", &held.service)] {
                let (frames, rest) = frames::read(&peer.got);
                let _ = writeln!(
                    picture,
                    "{name} {at}: wrote {}, all: {}, got {} bytes, end: {:?}, frames: {:.400} + {rest}",
                    peer.written(),
                    peer.has_said_all(),
                    peer.got.len() + peer.taken,
                    peer.end,
                    format!("{frames:?}"),
                );
            }
        }
        picture
    }

    /// Lets time pass, a sweep at a time; bytes stay where they are unless the engine itself says something.
    pub fn pass(&mut self, duration: Duration) {
        let end = self.passed + duration;
        while self.passed < end {
            self.passed = (self.passed + Engine::SWEEP).min(end);
            while self.engine.sweep(self.now()) == Left::More {}
        }
    }

    /// Drains every tunnel.
    pub fn drain(&mut self, code: u16, over: Duration) -> usize {
        let close = Arc::new(Close::new(Code(code), "have to go"));
        let count = self.engine.drain(|_| true, &close, over, self.now());
        while self.engine.sweep(self.now()) == Left::More {}
        count
    }

    /// How many tunnels ended, by cause and close code.
    pub fn endings(&self) -> BTreeMap<(&'static str, u16), u64> {
        self.ledger.endings().into_iter().map(|((cause, code), count)| ((cause, code.0), count)).collect()
    }
}
