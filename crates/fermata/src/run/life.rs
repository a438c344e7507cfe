//! The life of one instance: waits for what it requires, starts, is tended, ends, waits, starts again, until it is told
//! to stop. Read [`Life::live`] first.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep_until};

use super::backoff::Backoff;
use super::event::{Cause, Line, Stream};
use super::handed::{Handed, Handing, RunRecord, Standing};
use super::herald::Herald;
use super::plan::{InstancePlan, ServicePlan};
use super::ports::{Assigned, Ports};
use super::process::{Output, Process};
use super::state::{Group, Roster};
use super::tend::Tender;
use super::voices::{Voice, Voices};

/// How long the last output of a process that ended by itself is awaited before its end is told.
const LAST_WORDS: Duration = Duration::from_millis(100);
/// How long output is awaited once the whole group has ended: it comes from a process that left the group.
const ECHO: Duration = Duration::from_secs(1);

/// What all instances share.
pub(super) struct Shared {
    pub(super) lines: mpsc::Sender<Line>,
    pub(super) roster: Mutex<Roster>,
    pub(super) ports: Ports,
    /// Where instances go that are told to hold still, each with the number of the order.
    pub(super) handed: mpsc::UnboundedSender<(u32, Handing)>,
}

/// What an instance is to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Order {
    Live,
    /// Hand itself over, and do nothing until the next order. Each time another number.
    HoldStill(u32),
    /// Somebody else has taken it over.
    Leave,
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
pub(super) struct Run {
    process: Process,
    ports: Assigned,
    invocation: String,
    voices: Vec<Voice>,
}

/// What ends a run, or the tending of it.
enum End {
    Told(Order),
    Failed(Cause),
}

/// What comes next.
pub(super) enum Next {
    /// The first start, once what it requires is ready.
    StartWhenReady,
    StartAt(Instant),
    GoOn(Run),
    Stop,
    Leave,
}

impl Life {
    /// Returns once the instance has been told to stop and nothing of it is left, or when another Fermata has it.
    pub(super) async fn live(mut self, first: Next) {
        let mut next = first;
        loop {
            next = match next {
                Next::StartWhenReady => {
                    let mut needs = std::mem::take(&mut self.needs);
                    let left = self.wait(all_ready(&mut needs), || Standing::Waits).await;
                    self.needs = needs;
                    left.unwrap_or_else(|| self.begin())
                }
                Next::StartAt(at) => {
                    let rests = || Standing::Rests(at.saturating_duration_since(Instant::now()));
                    self.wait(sleep_until(at), rests).await.unwrap_or_else(|| self.begin())
                }
                Next::GoOn(run) => self.tend(run).await,
                Next::Stop => return self.herald.stopped(),
                Next::Leave => return,
            };
        }
    }

    /// Waits; `None` once that is over, unless something else is to come.
    async fn wait(&mut self, over: impl Future<Output = ()>, standing: impl Fn() -> Standing) -> Option<Next> {
        let mut over = pin!(over);
        loop {
            let order = tokio::select! {
                biased;
                order = told(&mut self.order) => order,
                () = &mut over => return None,
            };
            match order {
                Order::HoldStill(number) => {
                    self.hand_over(number, standing(), Vec::new());
                    if let Order::Leave = still_told(&mut self.order).await {
                        return Some(Next::Leave);
                    }
                }
                Order::Leave => return Some(Next::Leave),
                Order::Live | Order::Stop => return Some(Next::Stop),
            }
        }
    }

    /// One start of the process.
    fn begin(&mut self) -> Next {
        self.herald.starts();
        match self.start() {
            Ok(run) => Next::GoOn(run),
            Err(why) => self.failed(Cause::NotStarted(why)),
        }
    }

    /// A run, from its start to the end of its process group, or until it is to hold still.
    async fn tend(&mut self, run: Run) -> Next {
        let Run { process, ports, invocation, voices } = run;
        self.herald.is_at(ports.addresses());
        let mut voices = self.listen(voices);
        let tender = Tender::new(&self.service, &ports, &invocation, &self.herald);
        let end = tokio::select! {
            biased;
            order = told(&mut self.order) => End::Told(order),
            exit = process.exited() => End::Failed(Cause::Exit(exit)),
            why = tender.tend(&mut self.herald) => End::Failed(Cause::Unhealthy(why)),
        };
        let next = match end {
            End::Told(Order::HoldStill(number)) => {
                let run = Run { process, ports, invocation, voices: voices.hold().await };
                return self.hold_still(number, run).await;
            }
            End::Told(_) => {
                self.herald.stops();
                Next::Stop
            }
            End::Failed(cause) => {
                if matches!(cause, Cause::Exit(_)) {
                    voices.fall_silent(LAST_WORDS).await;
                }
                self.failed(cause)
            }
        };
        if let Err(unkillable) = process.end(self.service.stop_grace).await {
            self.herald.trouble(unkillable);
        }
        voices.fall_silent(ECHO).await;
        voices.shutdown().await;
        self.note(|roster| roster.forget(&invocation));
        next
    }

    /// Hands a run over, and goes on with it unless somebody else does.
    async fn hold_still(&mut self, number: u32, run: Run) -> Next {
        match run.record(&self.herald) {
            Ok((record, descriptors)) => self.hand_over(number, Standing::Runs(record), descriptors),
            Err(error) => self.herald.trouble(format_args!("it cannot be handed over: {error}")),
        }
        match still_told(&mut self.order).await {
            Order::Leave => {
                run.process.release();
                Next::Leave
            }
            _ => Next::GoOn(run),
        }
    }

    fn hand_over(&self, number: u32, standing: Standing, descriptors: Vec<OwnedFd>) {
        let record = Handed::new(&self.instance, self.backoff.next(), standing);
        // Whoever asked may have stopped waiting.
        let _ = self.shared.handed.send((number, Handing { record, descriptors }));
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
                self.note(|roster| roster.started(&invocation, process.leader()));
                Ok(Run { process, ports, invocation, voices: voices_of(output) })
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
        Next::StartAt(Instant::now() + restart_in)
    }

    /// Gives on what the process writes.
    fn listen(&self, voices: Vec<Voice>) -> Voices {
        let (voices, errors) = Voices::listen(voices, &self.instance.name, &self.shared.lines);
        for error in errors {
            self.herald.trouble(format_args!("its output cannot be read: {error}"));
        }
        voices
    }

    /// Writes down that a run of it is this Fermata's now.
    pub(super) fn inherits(&self, run: &Run) {
        self.note(|roster| roster.begin(run.group(&self.instance, self.service.stop_grace)));
    }

    fn note(&self, note: impl FnOnce(&mut Roster) -> Option<String>) {
        let trouble = note(&mut self.shared.roster.lock().unwrap_or_else(PoisonError::into_inner));
        if let Some(text) = trouble {
            self.herald.trouble(text);
        }
    }
}

impl Run {
    /// The run that another Fermata hands over. Nothing of it is read or written by this.
    pub(super) fn inherit(record: &RunRecord, descriptors: Vec<OwnedFd>, ports: &Ports) -> io::Result<Run> {
        let mut descriptors = descriptors.into_iter();
        let mut next = || descriptors.next().ok_or_else(|| io::Error::other("a descriptor is missing"));
        let process = Process::inherit(record.pid, next()?, record.start, &record.invocation)?;
        let mut voices = Vec::new();
        for (stream, begun) in &record.voices {
            voices.push(Voice { stream: *stream, pipe: next()?, begun: begun.clone() });
        }
        let ports = ports.keep(record.pairs.clone(), record.free.clone());
        Ok(Run { process, ports, invocation: record.invocation.clone(), voices })
    }

    /// From now on it is this Fermata's.
    pub(super) fn claim(&mut self) {
        self.process.claim();
    }

    /// As the roster has it.
    pub(super) fn group(&self, instance: &InstancePlan, stop_grace: Duration) -> Group {
        Group {
            instance: instance.name.to_string(),
            invocation: self.invocation.clone(),
            stop_grace,
            leader: Some(self.process.leader()),
        }
    }

    fn record(&self, herald: &Herald) -> io::Result<(RunRecord, Vec<OwnedFd>)> {
        let mut descriptors = vec![self.process.pidfd()?];
        for voice in &self.voices {
            descriptors.push(voice.pipe.as_fd().try_clone_to_owned()?);
        }
        let record = RunRecord {
            pid: self.process.id(),
            start: self.process.start,
            invocation: self.invocation.clone(),
            pairs: self.ports.pairs.clone(),
            free: self.ports.free().to_vec(),
            up: herald.up(),
            ready: herald.is_ready(),
            voices: self.voices.iter().map(|voice| (voice.stream, voice.begun.clone())).collect(),
        };
        Ok((record, descriptors))
    }
}

fn voices_of(output: Output) -> Vec<Voice> {
    let streams = [(Stream::Stdout, OwnedFd::from(output.stdout)), (Stream::Stderr, output.stderr.into())];
    streams.into_iter().map(|(stream, pipe)| Voice { stream, pipe, begun: Vec::new() }).collect()
}

/// Returns when the supervisor says something other than to live, or is no more.
async fn told(order: &mut watch::Receiver<Order>) -> Order {
    order.wait_for(|order| *order != Order::Live).await.map_or(Order::Stop, |order| *order)
}

/// Returns when it says something other than to hold still.
async fn still_told(order: &mut watch::Receiver<Order>) -> Order {
    order.wait_for(|order| !matches!(order, Order::HoldStill(_))).await.map_or(Order::Stop, |order| *order)
}

/// Returns when each service has a ready instance, now or at some time since this was called.
async fn all_ready(needs: &mut [watch::Receiver<usize>]) {
    for need in needs {
        let _ = need.wait_for(|ready| *ready > 0).await;
    }
}
