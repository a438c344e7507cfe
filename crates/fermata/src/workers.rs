//! The threads of the data plane: one per core, each with a runtime, a tunnel engine, and a share of every listener.

use std::cell::RefCell;
use std::convert::Infallible;
use std::io;
use std::net::TcpListener;
use std::rc::Rc;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use arc_swap::ArcSwap;
use fermata_wire::Close;
use tokio::runtime::{Builder, LocalOptions};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::{AbortHandle, JoinSet};

use crate::http::Upstreams;
use crate::route::{Places, Table};
use crate::serve::{self, Leaving, Speaks, Stay, Worker};
use crate::tls::Challenges;
use crate::tunnel::{self, Command, Engine, Entry, Frozen, Ledger, Spread, Volume, Which};

/// After an error of accept(2) that more trying makes worse (no descriptors left), this long passes.
const BREATH: Duration = Duration::from_millis(100);

/// What every thread of the data plane needs.
#[derive(Clone)]
pub struct Shared {
    /// Where requests go now.
    pub table: Arc<ArcSwap<Table>>,
    /// The figures of all tunnels.
    pub ledger: Arc<Ledger>,
    /// How much the whole gateway carries.
    pub places: Arc<Places>,
    /// What a certificate authority may ask.
    pub challenges: Challenges,
}

/// All threads of the data plane.
pub struct Workers {
    threads: Vec<JoinHandle<io::Result<()>>>,
    commands: Vec<mpsc::UnboundedSender<Command>>,
    doors: watch::Sender<Doors>,
    /// Its receivers are the connections that have not ended or become tunnels.
    leaving: watch::Sender<Stay>,
    /// Where else it is to be known that tunnels are drained.
    drains: Option<mpsc::UnboundedSender<Drain>>,
}

/// Some tunnels are being drained.
#[derive(Debug, Clone)]
pub struct Drain {
    /// Which.
    pub which: Which,
    /// What they are told.
    pub close: Arc<Close>,
    /// Over this time.
    pub over: Duration,
}

/// The listeners that are accepted from now.
pub type Doors = Arc<Vec<Door>>;

/// One listener, and what is spoken on it.
#[derive(Clone)]
pub struct Door {
    /// Bound once, and kept over reloads.
    pub listener: Arc<TcpListener>,
    /// What is spoken.
    pub speaks: Speaks,
}

impl Door {
    /// Whether nothing about it has changed.
    fn is(&self, other: &Door) -> bool {
        Arc::ptr_eq(&self.listener, &other.listener)
            && std::mem::discriminant(&self.speaks) == std::mem::discriminant(&other.speaks)
    }
}

impl Workers {
    /// Starts a thread per core; nothing is accepted before [`Workers::accept`].
    pub fn start(shared: &Shared) -> io::Result<Workers> {
        // Counts a container's CPU quota too (cgroups(7)), as the standard library documents.
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let mut workers = Workers {
            threads: Vec::new(),
            commands: Vec::new(),
            doors: watch::Sender::default(),
            leaving: watch::Sender::default(),
            drains: None,
        };
        for core in 0..cores {
            let (commands, received) = mpsc::unbounded_channel();
            let (shared, doors, leaving) = (shared.clone(), workers.doors.subscribe(), workers.leaving.subscribe());
            let thread = std::thread::Builder::new()
                .name(format!("worker-{core}"))
                .spawn(move || work(&shared, received, doors, leaving))?;
            workers.threads.push(thread);
            workers.commands.push(commands);
        }
        Ok(workers)
    }

    /// From now on accepts from these listeners, on every thread, and from no others.
    pub fn accept(&self, doors: Vec<Door>) {
        self.doors.send_replace(Arc::new(doors));
    }

    /// Says `close` to some tunnels, spread over a time; returns how many they are.
    pub async fn drain(&self, which: &Which, close: &Arc<Close>, over: Duration) -> usize {
        if let Some(drains) = &self.drains {
            // Nobody may be there who wants to know.
            let _ = drains.send(Drain { which: which.clone(), close: close.clone(), over });
        }
        self.drain_spread(which, close, over, None).await
    }

    /// The same to no more than `most` of them.
    pub async fn drain_some(&self, which: &Which, close: &Arc<Close>, over: Duration, most: usize) -> usize {
        self.drain_spread(which, close, over, Some(most)).await
    }

    async fn drain_spread(&self, which: &Which, close: &Arc<Close>, over: Duration, most: Option<usize>) -> usize {
        let counts = self.ask(|_, told| Command::Count(which.clone(), told)).await;
        // A thread that has ended has no answer, and no tunnels either.
        let tunnels: Vec<usize> = counts.into_iter().map(Option::unwrap_or_default).collect();
        let parts = Spread::over(&tunnels, most);
        let told = self.ask(|engine, chosen| {
            let (which, close, spread) = (which.clone(), close.clone(), parts[engine].clone());
            Command::Drain { which, close, over, spread, chosen }
        });
        told.await.into_iter().flatten().sum()
    }

    /// What all tunnels that live have carried so far.
    pub async fn carried(&self) -> Volume {
        let mut all = Volume::default();
        self.ask(|_, told| Command::Sum(told)).await.into_iter().flatten().for_each(|carried| all += carried);
        all
    }

    /// What is to be said of some tunnels, the oldest first.
    pub async fn list(&self, which: &Which) -> Vec<Entry> {
        let told = self.ask(|_, told| Command::List(which.clone(), told)).await;
        let mut entries: Vec<Entry> = told.into_iter().flatten().flatten().collect();
        entries.sort_by_key(|entry| entry.id);
        entries
    }

    /// Accepts nothing more, lets every request end, says `close` to every tunnel, and returns once all have gone.
    pub async fn leave(&self, close: Arc<Close>) {
        self.leaving.send_replace(Stay::Off(close.clone()));
        // The listeners are closed with their last user: who comes now is refused by the kernel.
        self.accept(Vec::new());
        self.drain(&Which::all(), &close, Duration::ZERO).await;
        // What has become a tunnel by then is drained at once.
        self.leaving.closed().await;
        self.ask(|_, done| Command::Rest(done)).await;
    }

    /// Accepts nothing more, and returns once every request and every tunnel has come to its own end.
    pub async fn stay_behind(&self) {
        self.leaving.send_replace(Stay::Behind);
        self.accept(Vec::new());
        self.leaving.closed().await;
        self.ask(|_, done| Command::Rest(done)).await;
    }

    /// Takes every tunnel out that can go on elsewhere, by thread.
    pub async fn freeze(&self) -> Vec<Vec<Frozen>> {
        let frozen = self.ask(|_, told| Command::Freeze(told)).await;
        frozen.into_iter().map(Option::unwrap_or_default).collect()
    }

    /// Puts tunnels into the engines of the threads, in this order; more than there are threads come to the first again.
    pub async fn thaw(&self, frozen: Vec<Vec<Frozen>>) {
        for (commands, frozen) in self.commands.iter().cycle().zip(frozen) {
            let (tell, done) = oneshot::channel();
            if commands.send(Command::Thaw(frozen, tell)).is_ok() {
                let _ = done.await;
            }
        }
    }

    /// From now on tells of every drain.
    pub fn tell_drains(&mut self, drains: mpsc::UnboundedSender<Drain>) {
        self.drains = Some(drains);
    }

    /// How many threads there are.
    pub fn count(&self) -> usize {
        self.threads.len()
    }

    /// Asks every engine, by its number. A thread that has ended has no tunnels and no answer.
    async fn ask<T>(&self, command: impl Fn(usize, oneshot::Sender<T>) -> Command) -> Vec<Option<T>> {
        let ask = |(engine, commands): (usize, &mpsc::UnboundedSender<Command>)| {
            let (tell, told) = oneshot::channel();
            commands.send(command(engine, tell)).ok().map(|()| told)
        };
        let asked: Vec<_> = self.commands.iter().enumerate().map(ask).collect();
        let mut answers = Vec::new();
        for told in asked {
            answers.push(match told {
                Some(told) => told.await.ok(),
                None => None,
            });
        }
        answers
    }

    /// Ends the threads, whatever they still hold.
    pub fn end(self) -> io::Result<()> {
        drop(self.commands);
        self.threads.into_iter().try_for_each(|thread| {
            thread.join().unwrap_or_else(|_| Err(io::Error::other("a thread of the data plane has panicked")))
        })
    }
}

fn work(
    shared: &Shared,
    commands: tunnel::Commands,
    doors: watch::Receiver<Doors>,
    leaving: Leaving,
) -> io::Result<()> {
    // Not a `LocalSet` in a runtime: its tasks that wake each other ring the runtime's own bell, which costs a write(2) and
    // a turn of epoll_wait(2) each time.
    let runtime = Builder::new_current_thread().enable_all().build_local(LocalOptions::default())?;
    runtime.block_on(async {
        let engine = Rc::new(RefCell::new(Engine::new(shared.ledger.clone())?));
        let worker = Rc::new(Worker {
            table: shared.table.clone(),
            ledger: shared.ledger.clone(),
            places: shared.places.clone(),
            challenges: shared.challenges.clone(),
            engine: engine.clone(),
            upstreams: Arc::new(Upstreams::default()),
        });
        let accepting = tokio::task::spawn_local(accept_until_left(worker, doors, leaving));
        let outcome = tunnel::run(engine, commands).await;
        accepting.abort();
        outcome
    })
}

async fn accept_until_left(worker: Rc<Worker>, doors: watch::Receiver<Doors>, mut leaving: Leaving) {
    tokio::select! {
        () = keep_doors(worker, doors, leaving.clone()) => {}
        _ = leaving.wait_for(Stay::is_over) => {}
    }
}

/// Accepts from the doors of now, whatever they are.
async fn keep_doors(worker: Rc<Worker>, mut doors: watch::Receiver<Doors>, leaving: Leaving) {
    let mut open: Vec<(Door, AbortHandle)> = Vec::new();
    let mut tasks = JoinSet::new();
    loop {
        let mut closed = false;
        let wanted = doors.borrow_and_update().clone();
        open.retain(|(door, task)| {
            let stays = wanted.iter().any(|one| one.is(door));
            if !stays {
                task.abort();
            }
            stays
        });
        for door in wanted.iter() {
            if open.iter().any(|(known, _)| known.is(door)) {
                continue;
            }
            match door.listener.try_clone().and_then(tokio::net::TcpListener::from_std) {
                Ok(listener) => {
                    let task =
                        tasks.spawn_local(accept(worker.clone(), listener, door.speaks.clone(), leaving.clone()));
                    open.push((door.clone(), task));
                }
                Err(error) => {
                    tracing::error!(%error, "cannot accept from a public port");
                    closed = true;
                }
            }
        }
        tokio::select! {
            changed = doors.changed() => if changed.is_err() { return },
            // Descriptors may be free by then.
            () = tokio::time::sleep(BREATH), if closed => {}
        }
    }
}

/// Accepts from one listener.
async fn accept(worker: Rc<Worker>, listener: tokio::net::TcpListener, speaks: Speaks, leaving: Leaving) -> Infallible {
    let mut told = None;
    loop {
        match listener.accept().await {
            Ok(accepted) => {
                told = None;
                // Kilobytes, which a task would move from place to place.
                let served = Box::pin(serve::connection(worker.clone(), accepted, speaks.clone(), leaving.clone()));
                tokio::task::spawn_local(async {
                    if let Err(error) = served.await {
                        tracing::debug!(%error, "a connection ended at once");
                    }
                });
            }
            // The peer left while it was waiting (accept(2)).
            Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => {}
            Err(error) => {
                if told.replace(error.kind()) != Some(error.kind()) {
                    tracing::warn!(%error, "cannot accept connections");
                }
                tokio::time::sleep(BREATH).await;
            }
        }
    }
}
