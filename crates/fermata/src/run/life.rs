//! The life of one instance: waits for what it requires, starts, is tended, ends, waits, starts again, until it is told
//! to stop. Read [`Life::live`] first.

use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::net::unix::pipe;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use super::backoff::Backoff;
use super::event::{Cause, Line, Stream};
use super::herald::Herald;
use super::lines;
use super::plan::{InstancePlan, ServicePlan};
use super::ports::{Assigned, Ports};
use super::process::{Output, Process};
use super::state::{Group, Leader, Roster};
use super::tend::Tender;

/// How long the last output of a process that ended by itself is awaited before its end is told.
const LAST_WORDS: Duration = Duration::from_millis(100);
/// How long output is awaited once the whole group has ended: it comes from a process that left the group.
const ECHO: Duration = Duration::from_secs(1);

/// What all instances share.
pub(super) struct Shared {
    pub(super) lines: mpsc::Sender<Line>,
    pub(super) roster: Mutex<Roster>,
    pub(super) ports: Ports,
}

/// What an instance is to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Order {
    Live,
    Stop,
}

/// One instance.
pub(super) struct Life {
    pub(super) service: Arc<ServicePlan>,
    pub(super) instance: InstancePlan,
    /// How many instances are ready of each service that it requires.
    pub(super) needs: Vec<watch::Receiver<usize>>,
    pub(super) order: watch::Receiver<Order>,
    pub(super) herald: Herald,
    pub(super) shared: Arc<Shared>,
    pub(super) backoff: Backoff,
}

/// One run of an instance.
struct Run {
    process: Process,
    output: Output,
    ports: Assigned,
    invocation: String,
}

/// What ends a run.
enum End {
    Told,
    Failed(Cause),
}

/// What follows a run.
enum Next {
    Stop,
    StartAfter(Duration),
}

impl Life {
    /// Returns once the instance has been told to stop and nothing of it is left.
    pub(super) async fn live(mut self) {
        let mut order = self.order.clone();
        let mut needs = std::mem::take(&mut self.needs);
        let mut next = tokio::select! {
            biased;
            () = told_to_stop(&mut order) => Next::Stop,
            () = all_ready(&mut needs) => self.run().await,
        };
        while let Next::StartAfter(wait) = next {
            next = tokio::select! {
                biased;
                () = told_to_stop(&mut order) => Next::Stop,
                () = sleep(wait) => self.run().await,
            };
        }
        self.herald.stopped();
    }

    /// One run, from the start of the process to the end of its group.
    async fn run(&mut self) -> Next {
        self.herald.starts();
        let Run { process, output, ports, invocation } = match self.start() {
            Ok(run) => run,
            Err(why) => return self.failed(Cause::NotStarted(why)),
        };
        self.herald.is_at(ports.addresses());
        let mut voices = self.forward(output);
        let tender = Tender::new(&self.service, &ports, &invocation);
        let end = tokio::select! {
            biased;
            () = told_to_stop(&mut self.order) => End::Told,
            exit = process.exited() => End::Failed(Cause::Exit(exit)),
            why = tender.tend(&mut self.herald) => End::Failed(Cause::Unhealthy(why)),
        };
        let next = match end {
            End::Told => {
                self.herald.stops();
                Next::Stop
            }
            End::Failed(cause) => {
                if matches!(cause, Cause::Exit(_)) {
                    fall_silent(&mut voices, LAST_WORDS).await;
                }
                self.failed(cause)
            }
        };
        if let Err(unkillable) = process.end(self.service.stop_grace).await {
            self.herald.trouble(unkillable);
        }
        fall_silent(&mut voices, ECHO).await;
        voices.shutdown().await;
        self.note(|roster| roster.forget(&invocation));
        next
    }

    fn start(&self) -> Result<Run, String> {
        let wanted = &self.instance.ports;
        let ports = self.shared.ports.assign(wanted).map_err(|err| format!("there is no free port: {err}"))?;
        let launch = self.service.program.launch(&ports.pairs);
        let invocation = format!("{:016x}", fastrand::u64(..));
        self.note(|roster| {
            roster.begin(Group {
                instance: self.instance.name.to_string(),
                invocation: invocation.clone(),
                stop_grace: self.service.stop_grace,
                leader: None,
            })
        });
        match Process::start(&launch, &invocation) {
            Ok((process, output)) => {
                let leader = Leader { pid: process.id(), start: process.start };
                self.note(|roster| roster.started(&invocation, leader));
                Ok(Run { process, output, ports, invocation })
            }
            Err(why) => {
                self.note(|roster| roster.forget(&invocation));
                Err(why)
            }
        }
    }

    fn failed(&mut self, cause: Cause) -> Next {
        let restart_in = self.backoff.after(self.herald.up());
        self.herald.exited(cause, restart_in);
        Next::StartAfter(restart_in)
    }

    /// Gives on what the process writes, at the speed at which it is taken.
    fn forward(&self, output: Output) -> JoinSet<()> {
        let mut voices = JoinSet::new();
        let streams = [(Stream::Stdout, OwnedFd::from(output.stdout)), (Stream::Stderr, output.stderr.into())];
        for (stream, pipe) in streams {
            let (name, lines) = (self.instance.name.clone(), self.shared.lines.clone());
            match pipe::Receiver::from_owned_fd(pipe) {
                Ok(source) => {
                    voices.spawn(async move {
                        let give = |text| {
                            let line = Line { instance: name.clone(), stream, text };
                            // Where nobody listens any more, the process may still write.
                            let given = lines.send(line);
                            async { drop(given.await) }
                        };
                        // What cannot be read on has ended.
                        let _ = lines::read(source, give).await;
                    });
                }
                Err(err) => self.herald.trouble(format_args!("its output cannot be read: {err}")),
            }
        }
        voices
    }

    fn note(&self, note: impl FnOnce(&mut Roster) -> Option<String>) {
        let trouble = note(&mut self.shared.roster.lock().unwrap_or_else(PoisonError::into_inner));
        if let Some(text) = trouble {
            self.herald.trouble(text);
        }
    }
}

/// Returns when the supervisor says so, or is no more.
async fn told_to_stop(order: &mut watch::Receiver<Order>) {
    let _ = order.wait_for(|order| *order == Order::Stop).await;
}

/// Returns when each service has a ready instance, now or at some time since this was called.
async fn all_ready(needs: &mut [watch::Receiver<usize>]) {
    for need in needs {
        let _ = need.wait_for(|ready| *ready > 0).await;
    }
}

/// Waits until both streams have ended, so that everything written has been given on.
async fn fall_silent(voices: &mut JoinSet<()>, at_most: Duration) {
    let _ = timeout(at_most, async { while voices.join_next().await.is_some() {} }).await;
}
