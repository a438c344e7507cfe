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
use fermata_spec::Gateway;
use tokio::sync::{mpsc, watch};
use tokio::task::LocalSet;

use crate::http::Upstreams;
use crate::route::Table;
use crate::serve::{self, Speaks, Worker};
use crate::tunnel::{self, Command, Engine, Ledger};

/// After an error of accept(2) that more trying makes worse (no descriptors left), this long passes.
const BREATH: Duration = Duration::from_millis(100);

/// What every thread of the data plane needs.
#[derive(Clone)]
pub struct Shared {
    /// Where requests go now.
    pub table: Arc<ArcSwap<Table>>,
    /// The file's `gateway:`.
    pub gateway: Arc<Gateway>,
    /// The figures of all tunnels.
    pub ledger: Arc<Ledger>,
}

/// All threads of the data plane.
pub struct Workers {
    threads: Vec<JoinHandle<io::Result<()>>>,
    commands: Vec<mpsc::UnboundedSender<Command>>,
    accepting: watch::Sender<bool>,
}

impl Workers {
    /// Starts a thread per core, each accepting from `listeners`.
    pub fn start(shared: &Shared, listeners: &[(TcpListener, Speaks)]) -> io::Result<Workers> {
        // Counts a container's CPU quota too (cgroups(7)), as the standard library documents.
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let (accepting, _) = watch::channel(true);
        let mut workers = Workers { threads: Vec::new(), commands: Vec::new(), accepting };
        for core in 0..cores {
            let listeners = listeners
                .iter()
                .map(|(listener, speaks)| Ok((listener.try_clone()?, speaks.clone())))
                .collect::<io::Result<Vec<_>>>()?;
            let (commands, received) = mpsc::unbounded_channel();
            let (shared, accepting) = (shared.clone(), workers.accepting.subscribe());
            let thread = std::thread::Builder::new()
                .name(format!("worker-{core}"))
                .spawn(move || work(&shared, listeners, received, &accepting))?;
            workers.threads.push(thread);
            workers.commands.push(commands);
        }
        Ok(workers)
    }

    /// Tells every engine.
    pub fn tell(&self, command: impl Fn() -> Command) {
        for commands in &self.commands {
            // A thread that has ended has no tunnels.
            let _ = commands.send(command());
        }
    }

    /// Accepts nothing more.
    pub fn stop_accepting(&self) {
        self.accepting.send_replace(false);
    }

    /// Waits until no tunnel is left.
    pub async fn rest(&self) {
        let mut waits = Vec::new();
        for commands in &self.commands {
            let (done, wait) = tokio::sync::oneshot::channel();
            if commands.send(Command::Rest(done)).is_ok() {
                waits.push(wait);
            }
        }
        for wait in waits {
            let _ = wait.await;
        }
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
    listeners: Vec<(TcpListener, Speaks)>,
    commands: tunnel::Commands,
    accepting: &watch::Receiver<bool>,
) -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let local = LocalSet::new();
    runtime.block_on(local.run_until(async {
        let engine = Rc::new(RefCell::new(Engine::new(shared.ledger.clone())?));
        let worker = Rc::new(Worker {
            table: shared.table.clone(),
            gateway: shared.gateway.clone(),
            ledger: shared.ledger.clone(),
            engine: engine.clone(),
            upstreams: Arc::new(Upstreams::default()),
        });
        for (listener, speaks) in listeners {
            let listener = tokio::net::TcpListener::from_std(listener)?;
            tokio::task::spawn_local(accept(worker.clone(), listener, speaks, accepting.clone()));
        }
        tunnel::run(engine, commands).await
    }))
}

/// Accepts from one listener until told otherwise.
async fn accept(
    worker: Rc<Worker>,
    listener: tokio::net::TcpListener,
    speaks: Speaks,
    mut accepting: watch::Receiver<bool>,
) -> Option<Infallible> {
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            _ = accepting.wait_for(|accepting| !accepting) => return None,
        };
        match accepted {
            Ok((stream, _)) => {
                let served = serve::connection(worker.clone(), stream, speaks.clone());
                tokio::task::spawn_local(async {
                    if let Err(error) = served.await {
                        tracing::debug!(%error, "a connection ended at once");
                    }
                });
            }
            // The peer left while it was waiting (accept(2)).
            Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => {}
            Err(error) => {
                tracing::warn!(%error, "cannot accept connections");
                tokio::time::sleep(BREATH).await;
            }
        }
    }
}
