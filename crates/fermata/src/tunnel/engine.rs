//! The engine of one thread: an epoll of its own, and all tunnels whose sockets are in it.
//!
//! Its rules, measured and explained in the epoll(7) sense: each socket is registered once, edge-triggered, for reading,
//! writing and hang-up, and never changed; an event is a hint, never a fact, since it may be older than the tunnel in its
//! slot; what was left unread is in a list until it has its turn, since no event tells of it again; slots are freed only
//! after a whole batch.
//!
//! It refuses to wait, and to know what time it is: [`Engine::turn`] does what is ready, [`Engine::sweep`] what is due, and
//! `work` calls them when there is something.

use std::collections::VecDeque;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::time::{Duration, Instant};

use fermata_wire::{Close, Side};
use rustix::buffer::spare_capacity;
use rustix::event::epoll::{self, CreateFlags, Event, EventData, EventFlags};
use rustix::io::Errno;
use rustix::time::Timespec;
use slab::Slab;

use super::card::Card;
use super::end::{Reading, Scratch};
use super::frozen::Frozen;
use super::ledger::{Change, Entry, Ledger, Volume};
use super::pump::Until;
use super::slot::{BOTH, Stage, Tunnel};
use super::spread::{Others, Spread};
use super::thrift::Thrift;
use super::tick::{Fraction, Tick};
use crate::net::Parts;
use crate::os;

/// Events taken at once.
const BATCH: usize = 256;
/// Reads that the events of a turn may take: a few milliseconds, then the thread's other tasks go on.
const READS: u32 = 256;
/// Ends from the list that a turn looks at.
const TURNS: usize = 32;
/// Tunnels that a sweep attends to before others go on.
const ATTENDED: usize = 256;

/// An engine's time begins this long before the engine: what a tunnel from another one remembers came about earlier.
const BEFORE: Duration = Duration::from_hours(24 * 365);

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

/// What is left after a turn or a sweep.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Left {
    /// Nothing, until there is an event or the clock goes on.
    Nothing,
    /// More of the same, once others had their turn.
    More,
}

/// All tunnels of one thread.
pub struct Engine {
    epoll: OwnedFd,
    tunnels: Slab<Tunnel>,
    /// When each slot wants to be looked at; dense, so that a sweep over many idle tunnels is a scan of a few pages.
    due: Vec<Tick>,
    /// How far the sweep of now is.
    swept: usize,
    /// Ends that may have more to read, though no event will tell of it.
    turns: VecDeque<Token>,
    events: Vec<Event>,
    over: Vec<usize>,
    scratch: Scratch,
    ledger: Arc<Ledger>,
    start: Instant,
    thrift: Thrift,
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
        let now = Instant::now();
        Ok(Engine {
            epoll: epoll::create(CreateFlags::CLOEXEC)?,
            tunnels: Slab::new(),
            due: Vec::new(),
            swept: 0,
            turns: VecDeque::new(),
            events: Vec::with_capacity(BATCH),
            over: Vec::new(),
            scratch: Scratch::new(),
            ledger,
            start: now.checked_sub(BEFORE).unwrap_or(now),
            thrift: Thrift::default(),
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

    /// Takes a tunnel over, as old as its card says. What its legs had read already goes first.
    pub fn adopt(&mut self, opened: Opened) -> io::Result<()> {
        let Opened { mut client, mut service, kind, card } = opened;
        let (since, unread) = (card.since, [std::mem::take(&mut client.unread), std::mem::take(&mut service.unread)]);
        let now = self.tick(since);
        self.thrift.let_go(now);
        self.ledger.opened();
        let slot = self.tunnels.insert(Tunnel::new(client, service, kind, card, now));
        self.due.resize(self.due.len().max(slot + 1), Tick::NEVER);
        let tunnel = &mut self.tunnels[slot];
        self.ledger.tell(|| Change::Opened(tunnel.entry(since, now)));
        for (from, bytes) in BOTH.into_iter().zip(unread) {
            self.scratch.clear();
            self.scratch.plain.extend_from_slice(&bytes);
            tunnel.pass(from, now, &mut self.scratch);
            if tunnel.end(from).has_announced_its_end() {
                tunnel.ended(from, now, &mut self.scratch);
            }
        }
        let registered = BOTH.into_iter().try_for_each(|side| self.register(Token { slot, side }));
        if registered.is_err() {
            self.tunnels[slot].give_up();
        }
        self.due[slot] = self.tunnels[slot].attend(now, &mut self.scratch);
        self.settle(slot, now);
        self.free(since);
        registered
    }

    /// Takes every tunnel out that can go on in another engine, exactly as it stands. Nothing of it moves meanwhile.
    pub fn freeze(&mut self, at: Instant) -> Vec<Frozen> {
        let now = self.tick(at);
        let movable = |tunnel: &Tunnel| BOTH.iter().all(|side| !tunnel.end_of(*side).has_tls());
        let slots: Vec<usize> =
            self.tunnels.iter().filter(|(_, tunnel)| movable(tunnel)).map(|(slot, _)| slot).collect();
        let frozen = slots.into_iter().map(|slot| {
            let tunnel = self.tunnels.remove(slot);
            self.due[slot] = Tick::NEVER;
            for side in BOTH {
                if let Some(socket) = tunnel.end_of(side).socket() {
                    // A copy of the socket may go on elsewhere, and its events would go on here (epoll(7), question 6).
                    let _ = epoll::delete(&self.epoll, socket);
                }
            }
            self.ledger.left();
            Frozen::new(tunnel, now)
        });
        frozen.collect()
    }

    /// Takes a tunnel in that another engine has held, or this one: it goes on where it stood.
    pub fn thaw(&mut self, frozen: Frozen, at: Instant) -> io::Result<()> {
        let now = self.tick(at);
        self.ledger.opened();
        let slot = self.tunnels.insert(frozen.into_tunnel(now));
        self.due.resize(self.due.len().max(slot + 1), Tick::NEVER);
        // Registering reports what came meanwhile, the end of a stream and room to write included.
        let registered = BOTH.into_iter().try_for_each(|side| self.register(Token { slot, side }));
        if registered.is_err() {
            self.tunnels[slot].give_up();
        }
        // The next sweep asks it.
        self.due[slot] = now;
        for side in BOTH {
            let end = self.tunnels[slot].end(side);
            if end.reading == Reading::Queued {
                end.reading = Reading::Behind;
            }
        }
        self.settle(slot, now);
        self.free(at);
        registered
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

    /// Does what is ready. With nothing left, [`Engine::epoll`] tells when there is more.
    pub fn turn(&mut self, at: Instant) -> io::Result<Left> {
        let now = self.tick(at);
        self.scratch.fraction = Fraction::of(self.start, at);
        self.events.clear();
        let no_wait = Timespec { tv_sec: 0, tv_nsec: 0 };
        match epoll::wait(&self.epoll, spare_capacity(&mut self.events), Some(&no_wait)) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        let mut reads = READS;
        for at in 0..self.events.len() {
            let Event { flags, data } = self.events[at];
            self.event(Token::from_u64(data.u64()), flags, now, &mut reads);
        }
        for _ in 0..self.turns.len().min(TURNS) {
            let Some(token) = self.turns.pop_front() else { break };
            self.give_turn(token, now);
        }
        self.free(at);
        let more = self.events.len() == BATCH || !self.turns.is_empty();
        Ok(if more { Left::More } else { Left::Nothing })
    }

    fn event(&mut self, Token { slot, side }: Token, flags: EventFlags, now: Tick, reads: &mut u32) {
        let Some(tunnel) = self.tunnels.get_mut(slot) else { return };
        let ends = EventFlags::RDHUP | EventFlags::HUP | EventFlags::ERR;
        if flags.contains(EventFlags::OUT) && tunnel.end(side).has_pending() {
            tunnel.end(side).flush(now);
            if !tunnel.end(side).has_pending() {
                self.thrift.let_go(now);
            }
        }
        if flags.contains(EventFlags::ERR) {
            tunnel.troubled(side, now, &mut self.scratch);
        }
        if flags.intersects(EventFlags::IN | ends) && tunnel.end(side).reading == Reading::Open {
            if *reads == 0 {
                tunnel.end(side).reading = Reading::Behind;
            } else {
                let until = if flags.intersects(ends) { Until::Empty } else { Until::Drained };
                *reads = reads.saturating_sub(tunnel.pump(side, until, now, &mut self.scratch));
            }
        }
        self.settle(slot, now);
    }

    fn give_turn(&mut self, Token { slot, side }: Token, now: Tick) {
        let Some(tunnel) = self.tunnels.get_mut(slot) else { return };
        // Its tunnel may have ended, and another may be in its slot.
        if tunnel.end(side).reading == Reading::Queued {
            tunnel.pump(side, Until::Empty, now, &mut self.scratch);
            self.settle(slot, now);
        }
    }

    /// After anything has happened to a tunnel: notes who waits for a turn, when it wants to be looked at, and whether it
    /// is over.
    fn settle(&mut self, slot: usize, now: Tick) {
        let tunnel = &mut self.tunnels[slot];
        if matches!(tunnel.stage, Stage::Over) {
            return;
        }
        let behind = tunnel.settle(now, &mut self.scratch);
        for (side, behind) in BOTH.into_iter().zip(behind) {
            if behind {
                self.turns.push_back(Token { slot, side });
            }
        }
        self.due[slot] = self.due[slot].min(tunnel.stage_due());
        if matches!(tunnel.stage, Stage::Over) {
            self.over.push(slot);
        }
    }

    /// Frees what is over; only between batches of events.
    fn free(&mut self, at: Instant) {
        while let Some(slot) = self.over.pop() {
            let tunnel = self.tunnels.remove(slot);
            self.due[slot] = Tick::NEVER;
            self.ledger.ended(&tunnel.card, &tunnel.ending(at));
        }
    }

    /// Does what is due by the clock: keepalive, deadlines, scheduled closes. Call it every [`Engine::SWEEP`], and again
    /// soon where it has left something.
    pub fn sweep(&mut self, at: Instant) -> Left {
        let now = self.tick(at);
        self.scratch.fraction = Fraction::of(self.start, at);
        let mut attended = 0;
        while self.swept < self.due.len() && attended < ATTENDED {
            let slot = self.swept;
            self.swept += 1;
            if self.due[slot] <= now
                && let Some(tunnel) = self.tunnels.get_mut(slot)
            {
                attended += 1;
                self.due[slot] = tunnel.attend(now, &mut self.scratch);
                self.settle(slot, now);
            }
        }
        self.free(at);
        if self.swept < self.due.len() {
            return Left::More;
        }
        self.swept = 0;
        if self.thrift.is_due(now) {
            os::give_back_memory();
        }
        Left::Nothing
    }

    /// How often the clock is looked at.
    pub const SWEEP: Duration = Tick::LENGTH;

    /// How many tunnels `which` chooses that are not ending yet.
    pub fn count(&self, which: impl Fn(&Card) -> bool) -> usize {
        self.tunnels.iter().filter(|(_, tunnel)| which(&tunnel.card) && tunnel.is_live()).count()
    }

    /// Has `close` said to every tunnel that `which` chooses, spread evenly over the time `over`, each at a random place in
    /// its part of it; sweeps do it. Returns how many they are; those that are ending already are not among them.
    pub fn drain(&mut self, which: impl Fn(&Card) -> bool, close: &Arc<Close>, over: Duration, at: Instant) -> usize {
        let spread = Spread::over(&[self.count(&which)], None).remove(0);
        self.drain_spread(which, close, over, spread, at)
    }

    /// The same for the part of a drain that goes over several engines.
    pub fn drain_spread(
        &mut self,
        which: impl Fn(&Card) -> bool,
        close: &Arc<Close>,
        over: Duration,
        spread: Spread,
        at: Instant,
    ) -> usize {
        let now = self.tick(at);
        let Spread { mut places, of, others } = spread;
        let share = over.as_secs_f64() / f64::from(of.max(1));
        let mut chosen: Vec<usize> =
            self.tunnels.iter().filter(|(_, tunnel)| which(&tunnel.card)).map(|(slot, _)| slot).collect();
        fastrand::shuffle(&mut chosen);
        if others == Others::Stay {
            // Those that are to go already are the first to be taken: otherwise two such drains would take more than either.
            chosen.sort_by_key(|slot| !matches!(self.tunnels[*slot].stage, Stage::Scheduled(..)));
        }
        let mut count = 0;
        for slot in chosen {
            let tunnel = &mut self.tunnels[slot];
            let own = if tunnel.is_live() { places.pop() } else { None };
            let place = match (own, others) {
                (Some(place), _) => place,
                (None, Others::Go) => fastrand::u32(..of.max(1)),
                (None, Others::Stay) => continue,
            };
            count += usize::from(tunnel.is_live());
            let wait = Duration::from_secs_f64((f64::from(place) + fastrand::f64()) * share);
            tunnel.schedule(if over.is_zero() { now } else { now.after(wait) }, close);
            self.due[slot] = self.due[slot].min(tunnel.stage_due());
        }
        count
    }

    /// What the tunnels that live here have carried so far.
    pub fn carried(&self) -> Volume {
        let mut all = Volume::default();
        self.tunnels.iter().for_each(|(_, tunnel)| all += tunnel.carried());
        all
    }

    /// What is to be said of each tunnel that `which` chooses.
    pub fn list(&self, which: impl Fn(&Card) -> bool, at: Instant) -> Vec<Entry> {
        let now = self.tick(at);
        self.tunnels.iter().filter(|(_, tunnel)| which(&tunnel.card)).map(|(_, tunnel)| tunnel.entry(at, now)).collect()
    }

    fn tick(&self, at: Instant) -> Tick {
        Tick::since(self.start, at)
    }
}

/// What lives at the end of an engine is cut, and has its ending like any other.
impl Drop for Engine {
    fn drop(&mut self) {
        let at = Instant::now();
        for mut tunnel in self.tunnels.drain() {
            tunnel.give_up();
            self.ledger.ended(&tunnel.card, &tunnel.ending(at));
        }
    }
}
