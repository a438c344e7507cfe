//! Runs an engine inside a thread's runtime: waits for its sockets, its clock and its commands.

use std::cell::RefCell;
use std::io;
use std::net::IpAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use fermata_wire::Close;
use tokio::sync::{mpsc, oneshot};
use tokio::time::MissedTickBehavior;

use super::card::{Card, TunnelId};
use super::engine::{Engine, Left};
use super::frozen::Frozen;
use super::ledger::{Change, Entry, Volume};
use super::spread::Spread;
use crate::os::Readable;
use crate::route::Target;

/// Something that an engine is to do.
#[derive(Debug)]
pub enum Command {
    /// Say a Close to some tunnels, spread over a time.
    Drain {
        /// Which.
        which: Which,
        /// What is said.
        close: Arc<Close>,
        /// Over this time; zero for at once.
        over: Duration,
        /// When in it.
        spread: Spread,
        /// Is told how many they are.
        chosen: oneshot::Sender<usize>,
    },
    /// Tell how many of some tunnels are not ending yet.
    Count(Which, oneshot::Sender<usize>),
    /// Tell what all that live have carried so far.
    Sum(oneshot::Sender<Volume>),
    /// Tell of some tunnels.
    List(Which, oneshot::Sender<Vec<Entry>>),
    /// Give all tunnels out that can go on elsewhere.
    Freeze(oneshot::Sender<Vec<Frozen>>),
    /// Take tunnels in, and tell when that is done.
    Thaw(Vec<Frozen>, oneshot::Sender<()>),
    /// Tell when no tunnel is left.
    Rest(oneshot::Sender<()>),
}

/// Some of the tunnels: all conditions must hold, and no condition chooses all.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Which {
    /// Of these numbers; empty for any.
    pub ids: Vec<TunnelId>,
    /// To the service, or the instance, of this name.
    pub to: Option<Arc<str>>,
    /// From this address.
    pub client: Option<IpAddr>,
    /// To where this is.
    pub at: Option<Target>,
}

impl Which {
    /// All tunnels.
    pub fn all() -> Which {
        Which::default()
    }

    /// The tunnels to a service, or to an instance.
    pub fn to(name: impl Into<Arc<str>>) -> Which {
        Which { to: Some(name.into()), ..Which::default() }
    }

    fn has(&self, card: &Card) -> bool {
        self.names(card.id, card.lease.service(), card.lease.instance(), card.client())
            && self.at.as_ref().is_none_or(|at| at == card.lease.target())
    }

    /// Whether a change is one of theirs, wherever its instance is.
    pub fn concerns(&self, change: &Change) -> bool {
        match change {
            Change::Opened(one) => self.names(one.id, &one.service, &one.instance, one.client),
            Change::Ended(one) => self.names(one.id, &one.service, &one.instance, one.client),
        }
    }

    fn names(&self, id: TunnelId, service: &Arc<str>, instance: &Arc<str>, client: IpAddr) -> bool {
        (self.ids.is_empty() || self.ids.contains(&id))
            && self.to.as_ref().is_none_or(|name| name == service || name == instance)
            && self.client.is_none_or(|one| one == client)
    }
}

/// The commands of one engine.
pub type Commands = mpsc::UnboundedReceiver<Command>;

/// Runs until the commands' sender is gone.
pub async fn run(engine: Rc<RefCell<Engine>>, mut commands: Commands) -> io::Result<()> {
    // A second descriptor of the same epoll (dup(2)): tokio owns this one, the engine the other.
    let epoll = engine.borrow().epoll().try_clone_to_owned()?;
    let ready = Readable::new(epoll)?;
    let mut clock = tokio::time::interval(Engine::SWEEP);
    clock.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut waiting: Vec<oneshot::Sender<()>> = Vec::new();
    let mut sweeping = Left::Nothing;
    loop {
        // Without a tunnel there is nothing to be due; a fresh one makes the epoll readable.
        let ticking = sweeping == Left::Nothing && engine.borrow().live() > 0;
        tokio::select! {
            guard = ready.readable() => {
                let mut guard = guard?;
                let left = engine.borrow_mut().turn(Instant::now())?;
                match left {
                    // Whatever comes from now on makes the epoll readable anew, and tokio hears of it: it asks the kernel
                    // only after this task has given way, and it forgets no newer readiness than the guard's.
                    Left::Nothing => guard.clear_ready(),
                    Left::More => tokio::task::yield_now().await,
                }
            }
            () = tokio::task::yield_now(), if sweeping == Left::More => {
                sweeping = engine.borrow_mut().sweep(Instant::now());
            }
            _ = clock.tick(), if ticking => sweeping = engine.borrow_mut().sweep(Instant::now()),
            command = commands.recv() => match command {
                None => return Ok(()),
                // Whoever asked may have stopped waiting for the answer.
                Some(Command::Drain { which, close, over, spread, chosen }) => {
                    let which = |card: &Card| which.has(card);
                    let count = engine.borrow_mut().drain_spread(which, &close, over, spread, Instant::now());
                    let _ = chosen.send(count);
                    sweeping = Left::More;
                }
                Some(Command::Count(which, told)) => {
                    let _ = told.send(engine.borrow().count(|card| which.has(card)));
                }
                Some(Command::Sum(told)) => {
                    let _ = told.send(engine.borrow().carried());
                }
                Some(Command::List(which, told)) => {
                    let _ = told.send(engine.borrow().list(|card| which.has(card), Instant::now()));
                }
                Some(Command::Freeze(told)) => {
                    let frozen = engine.borrow_mut().freeze(Instant::now());
                    // Where nobody takes them, they go on here.
                    if let Err(back) = told.send(frozen) {
                        thaw(&engine, back);
                    }
                }
                Some(Command::Thaw(frozen, done)) => {
                    thaw(&engine, frozen);
                    let _ = done.send(());
                }
                Some(Command::Rest(done)) => waiting.push(done),
            },
        }
        if engine.borrow().live() == 0 {
            // Whoever asked may have stopped waiting.
            for done in waiting.drain(..) {
                let _ = done.send(());
            }
        }
    }
}

fn thaw(engine: &RefCell<Engine>, frozen: Vec<Frozen>) {
    let mut engine = engine.borrow_mut();
    for frozen in frozen {
        if let Err(error) = engine.thaw(frozen, Instant::now()) {
            tracing::warn!(%error, "a tunnel could not go on");
        }
    }
}
