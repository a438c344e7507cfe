//! Runs an engine inside a thread's runtime: waits for its sockets, its clock and its commands.

use std::cell::RefCell;
use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use fermata_wire::Close;
use tokio::sync::{mpsc, oneshot};
use tokio::time::MissedTickBehavior;

use super::card::Card;
use super::engine::Engine;
use crate::os::Readable;

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
    },
    /// Tell when no tunnel is left.
    Rest(oneshot::Sender<()>),
}

/// Some of the tunnels.
#[derive(Debug, Clone)]
pub enum Which {
    /// All of them.
    All,
    /// Those to one instance of a service.
    Instance(Arc<str>),
}

impl Which {
    fn has(&self, card: &Card) -> bool {
        match self {
            Which::All => true,
            Which::Instance(name) => card.lease.instance() == name,
        }
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
    loop {
        tokio::select! {
            guard = ready.readable() => {
                let mut guard = guard?;
                // Readiness is cleared only after a turn that found nothing: an edge may have come meanwhile.
                if engine.borrow_mut().turn()? == 0 {
                    guard.clear_ready();
                } else {
                    tokio::task::yield_now().await;
                }
            }
            _ = clock.tick() => engine.borrow_mut().sweep(),
            command = commands.recv() => match command {
                None => return Ok(()),
                Some(Command::Drain { which, close, over }) => {
                    engine.borrow_mut().drain(|card| which.has(card), &close, over);
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
