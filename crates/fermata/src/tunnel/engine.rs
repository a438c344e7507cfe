//! The engine of one thread: an epoll of its own, and all tunnels whose sockets are in it.
//!
//! Its rules, measured and explained in the epoll(7) sense: each socket is registered once, edge-triggered, for reading,
//! writing and hang-up, and never changed; slots are freed only after a whole batch of events, since a later event of
//! the batch may still name them; a tunnel that has had its turn waits in a list until the others had theirs.
//!
//! It refuses to wait: [`Engine::turn`] does what is ready, and `work` asks it when there is something.

use std::collections::VecDeque;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::time::{Duration, Instant};

use fermata_wire::{Close, Relay, Side};
use rustix::buffer::spare_capacity;
use rustix::event::epoll::{self, CreateFlags, Event, EventData, EventFlags};
use rustix::time::Timespec;
use slab::Slab;

use super::card::Card;
use super::end::{End, Scratch};
use super::ledger::{Entry, Ledger};
use super::pump::{Stopped, Until};
use super::tick::Tick;
use super::tunnel::{Allowance, Carries, Stage, Tunnel};
use crate::net::Parts;

/// Events taken at once.
const BATCH: usize = 256;

/// What a tunnel carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// WebSocket frames, which are followed.
    WebSocket,
    /// Bytes.
    Raw,
}

/// A tunnel that has just been opened.
pub struct Opened {
    /// The end that connected to us.
    pub client: Parts,
    /// The end that we connected to.
    pub service: Parts,
    /// What it carries.
    pub kind: Kind,
    /// Who it is.
    pub card: Card,
}

/// All tunnels of one thread.
pub struct Engine {
    epoll: OwnedFd,
    tunnels: Slab<Tunnel>,
    /// When each slot wants to be looked at; dense, so that a sweep over many idle tunnels is a scan of a few pages.
    due: Vec<Tick>,
    /// Ends that had their turn and may have more.
    turns: VecDeque<Token>,
    events: Vec<Event>,
    over: Vec<usize>,
    scratch: Scratch,
    ledger: Arc<Ledger>,
    start: Instant,
}

/// Names one end of one tunnel in an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Token {
    slot: usize,
    side: Side,
}

impl Token {
    fn to_u64(self) -> u64 {
        (self.slot as u64) << 1 | u64::from(self.side == Side::Service)
    }

    fn from_u64(data: u64) -> Token {
        Token { slot: (data >> 1) as usize, side: if data & 1 == 0 { Side::Client } else { Side::Service } }
    }
}

impl Engine {
    /// An engine without tunnels.
    pub fn new(ledger: Arc<Ledger>) -> io::Result<Engine> {
        Ok(Engine {
            epoll: epoll::create(CreateFlags::CLOEXEC)?,
            tunnels: Slab::new(),
            due: Vec::new(),
            turns: VecDeque::new(),
            events: Vec::with_capacity(BATCH),
            over: Vec::new(),
            scratch: Scratch::new(),
            ledger,
            start: Instant::now(),
        })
    }

    /// Readable when [`Engine::turn`] has something to do.
    pub fn epoll(&self) -> BorrowedFd<'_> {
        self.epoll.as_fd()
    }

    /// How many tunnels live here.
    pub fn live(&self) -> usize {
        self.tunnels.len()
    }

    /// Takes a tunnel over. What its legs had read already goes first.
    pub fn adopt(&mut self, opened: Opened) -> io::Result<()> {
        let now = self.now();
        let Opened { mut client, mut service, kind, card } = opened;
        let unread =
            [(Side::Client, std::mem::take(&mut client.unread)), (Side::Service, std::mem::take(&mut service.unread))];
        let allowance = Allowance::new(card.limits.max_message_rate, now);
        let tunnel = Tunnel {
            client: End::new(client, now),
            service: End::new(service, now),
            carries: match kind {
                Kind::WebSocket => Carries::WebSocket(Relay::new()),
                Kind::Raw => Carries::Raw([0, 0]),
            },
            card: Box::new(card),
            stage: Stage::Live,
            cause: None,
            moved: now,
            allowance,
        };
        self.ledger.opened();
        let slot = self.tunnels.insert(tunnel);
        self.due.resize(self.due.len().max(slot + 1), Tick::NEVER);
        for (from, bytes) in unread {
            if !bytes.is_empty() {
                self.scratch.clear();
                self.scratch.plain.extend_from_slice(&bytes);
                self.tunnels[slot].pass(from, now, &mut self.scratch);
            }
        }
        let registered =
            [Side::Client, Side::Service].into_iter().try_for_each(|side| self.register(Token { slot, side }));
        self.due[slot] = self.tunnels[slot].attend(now, &mut self.scratch);
        if let Err(error) = registered {
            self.tunnels[slot].client.reset();
            self.tunnels[slot].service.reset();
            self.settle(slot);
            self.free();
            return Err(error);
        }
        self.settle(slot);
        self.free();
        Ok(())
    }

    /// Once, for everything: adding reports what is readable already, and a TCP socket tells of room to write only after
    /// it had none.
    fn register(&mut self, token: Token) -> io::Result<()> {
        let flags = EventFlags::IN | EventFlags::OUT | EventFlags::RDHUP | EventFlags::ET;
        match self.tunnels[token.slot].end(token.side).socket() {
            Some(socket) => Ok(epoll::add(&self.epoll, socket, EventData::new_u64(token.to_u64()), flags)?),
            None => Ok(()),
        }
    }

    /// Does what is ready; returns how much that was. Zero means that [`Engine::epoll`] tells when there is more.
    pub fn turn(&mut self) -> io::Result<usize> {
        let now = self.now();
        self.events.clear();
        epoll::wait(&self.epoll, spare_capacity(&mut self.events), Some(&Timespec { tv_sec: 0, tv_nsec: 0 }))?;
        let mut done = self.events.len();
        for at in 0..self.events.len() {
            let Event { flags, data } = self.events[at];
            self.event(Token::from_u64(data.u64()), flags, now);
        }
        for _ in 0..self.turns.len() {
            let Some(token) = self.turns.pop_front() else { break };
            done += 1;
            let tunnel = &mut self.tunnels[token.slot];
            let stopped = tunnel.pump(token.side, Until::Empty, now, &mut self.scratch);
            self.stopped(token, stopped);
        }
        self.free();
        Ok(done)
    }

    fn event(&mut self, token: Token, flags: EventFlags, now: Tick) {
        let Some(tunnel) = self.tunnels.get_mut(token.slot) else { return };
        let ends = EventFlags::RDHUP | EventFlags::HUP | EventFlags::ERR;
        if flags.contains(EventFlags::ERR) && !tunnel.may_read(token.side) {
            // Nobody reads this end now, so nobody else would notice that it was reset.
            tunnel.lost(token.side, now, &mut self.scratch);
        }
        if flags.contains(EventFlags::OUT) && tunnel.end(token.side).has_pending() {
            let stopped = tunnel.writable(token.side, now, &mut self.scratch);
            self.stopped(Token { side: token.side.other(), ..token }, stopped);
        }
        if flags.intersects(EventFlags::IN | ends) {
            let until = if flags.intersects(ends) { Until::Empty } else { Until::Drained };
            let stopped = self.tunnels[token.slot].pump(token.side, until, now, &mut self.scratch);
            self.stopped(token, stopped);
        } else {
            self.settle(token.slot);
        }
    }

    fn stopped(&mut self, token: Token, stopped: Stopped) {
        if stopped == Stopped::HadItsTurn && !self.turns.contains(&token) {
            self.turns.push_back(token);
        }
        self.settle(token.slot);
    }

    /// After anything has happened to a tunnel: notes when it wants to be looked at, and whether it is over.
    fn settle(&mut self, slot: usize) {
        let tunnel = &self.tunnels[slot];
        self.due[slot] = self.due[slot].min(tunnel.next_due());
        if tunnel.is_over() && !self.over.contains(&slot) {
            self.over.push(slot);
        }
    }

    /// Frees what is over; only between batches of events.
    fn free(&mut self) {
        while let Some(slot) = self.over.pop() {
            let tunnel = self.tunnels.remove(slot);
            self.due[slot] = Tick::NEVER;
            self.turns.retain(|token| token.slot != slot);
            self.ledger.ended(&tunnel.card, &tunnel.ending());
        }
    }

    /// Does what is due by the clock: keepalive, deadlines, scheduled closes. Call it every [`Engine::SWEEP`].
    pub fn sweep(&mut self) {
        let now = self.now();
        for slot in 0..self.due.len() {
            if self.due[slot] <= now
                && let Some(tunnel) = self.tunnels.get_mut(slot)
            {
                self.due[slot] = tunnel.attend(now, &mut self.scratch);
                self.settle(slot);
            }
        }
        self.free();
    }

    /// How often the clock is looked at.
    pub const SWEEP: Duration = Tick::LENGTH;

    /// Says `close` to every tunnel that `which` chooses, spread evenly over the time `over`, each at a random place in its
    /// part of it. Returns how many they are; those that are ending already are not among them.
    pub fn drain(&mut self, which: impl Fn(&Card) -> bool, close: &Arc<Close>, over: Duration) -> usize {
        let now = self.now();
        let mut chosen: Vec<usize> = self
            .tunnels
            .iter()
            .filter(|(_, tunnel)| matches!(tunnel.stage, Stage::Live | Stage::Scheduled(..)) && which(&tunnel.card))
            .map(|(slot, _)| slot)
            .collect();
        fastrand::shuffle(&mut chosen);
        let count = chosen.len();
        let share = over.as_secs_f64() / chosen.len().max(1) as f64;
        for (at, slot) in chosen.into_iter().enumerate() {
            let wait = Duration::from_secs_f64((at as f64 + fastrand::f64()) * share);
            let due = if over.is_zero() { now } else { now.after(wait) };
            let tunnel = &mut self.tunnels[slot];
            tunnel.stage = Stage::Scheduled(due, close.clone());
            self.due[slot] = tunnel.attend(now, &mut self.scratch);
            self.settle(slot);
        }
        self.free();
        count
    }

    /// What is to be said of each tunnel that `which` chooses.
    pub fn list(&self, which: impl Fn(&Card) -> bool) -> Vec<Entry> {
        let now = self.now();
        self.tunnels.iter().filter(|(_, tunnel)| which(&tunnel.card)).map(|(_, tunnel)| tunnel.entry(now)).collect()
    }

    fn now(&self) -> Tick {
        Tick::since(self.start)
    }
}
