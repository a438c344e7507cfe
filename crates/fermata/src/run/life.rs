//! The life of one instance: waits for what it requires, starts, is tended, ends, waits, starts again, until it is told
//! to stop. Read [`Life::live`] first.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{self, mpsc, watch};
use tokio::time::{Instant, sleep_until};

use super::backoff::Backoff;
use super::body::{Body, Remains};
use super::docker::{Begun, Container, Engine, Origin};
use super::event::{Cause, Line, Stream};
use super::handed::{ContainerRecord, Handed, Handing, RunRecord, Standing};
use super::herald::Herald;
use super::plan::{ContainerPlan, Housing, InstancePlan, ServicePlan, Value};
use super::ports::{Assigned, Ports};
use super::process::{Exit, Output, Process};
use super::state::{Group, Roster};
use super::tend::Tender;
use super::usage::Meters;
use super::voices::Voice;

/// How long the last output of a process that ended by itself is awaited before its end is told.
const LAST_WORDS: Duration = Duration::from_millis(100);
/// How long output is awaited once the whole group has ended: it comes from a process that left the group.
const ECHO: Duration = Duration::from_secs(1);

/// What all instances share.
pub(super) struct Shared {
    pub(super) lines: mpsc::Sender<Line>,
    pub(super) roster: Mutex<Roster>,
    pub(super) ports: Ports,
    pub(super) meters: Meters,
    /// Once it has been needed.
    pub(super) engine: sync::Mutex<Option<Engine>>,
    /// Where instances go that are told to hold still, each with the number of the order.
    pub(super) handed: mpsc::UnboundedSender<(u32, Handing)>,
}

impl Shared {
    /// The Docker Engine; connected to where it has not been yet.
    pub(super) async fn engine(&self) -> Result<Engine, String> {
        let mut engine = self.engine.lock().await;
        if let Some(engine) = &*engine {
            return Ok(engine.clone());
        }
        Ok(engine.insert(Engine::connect().await?).clone())
    }
}

/// What an instance is to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Order {
    Live,
    /// Hand itself over, and do nothing until the next order. Each time another number.
    HoldStill(u32),
    /// Somebody else has taken it over, or will: what can go on without Fermata does.
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
    body: Body,
    ports: Assigned,
    /// How long it has been up, if it was found and not made.
    found: Option<Duration>,
}

/// What came of a start.
enum Started {
    Runs(Run),
    /// It has ended already: how, and what it wrote.
    Ended(Exit, Vec<(Stream, String)>),
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
    /// A container that another Fermata hands over.
    GoOnWith(ContainerRecord),
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
                    match left {
                        Some(next) => next,
                        None => self.begin().await,
                    }
                }
                Next::StartAt(at) => {
                    let rests = || Standing::Rests(at.saturating_duration_since(Instant::now()));
                    match self.wait(sleep_until(at), rests).await {
                        Some(next) => next,
                        None => self.begin().await,
                    }
                }
                Next::GoOnWith(record) => match self.goes_on_with(&record).await {
                    Ok(run) => Next::GoOn(run),
                    Err(why) => self.failed(Cause::NotStarted(why)),
                },
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

    /// One start. Images may take long to come: an order to end is heard meanwhile.
    async fn begin(&mut self) -> Next {
        self.herald.starts();
        let mut order = self.order.clone();
        let ended = tokio::select! {
            biased;
            ended = told_to_end(&mut order) => ended,
            started = self.start() => return match started {
                Ok(Started::Runs(run)) => self.begun(run),
                Ok(Started::Ended(exit, said)) => {
                    for (stream, text) in said {
                        let line = Line { instance: self.instance.name.clone(), stream, text };
                        // Where nobody listens any more, it has ended all the same.
                        let _ = self.shared.lines.send(line).await;
                    }
                    self.failed(Cause::Exit(exit))
                }
                Err(why) => self.failed(Cause::NotStarted(why)),
            },
        };
        if ended == Order::Leave {
            return Next::Leave;
        }
        self.abandon_start().await;
        Next::Stop
    }

    fn begun(&mut self, run: Run) -> Next {
        if let Some(up) = run.found {
            self.herald.finds(up);
        }
        Next::GoOn(run)
    }

    /// A run, from its start to the end of its process group, or until it is to hold still.
    async fn tend(&mut self, run: Run) -> Next {
        let Run { mut body, ports, .. } = run;
        self.herald.is_at(ports.addresses());
        let mut voices = body.listen(&self.instance.name, &self.shared.lines, |error| {
            self.herald.trouble(format_args!("its output cannot be read: {error}"));
        });
        let tender = Tender::new(&self.service, &ports, &body, &self.herald);
        self.shared.meters.put(&self.instance.name, body.meter());
        let end = tokio::select! {
            biased;
            order = told(&mut self.order) => End::Told(order),
            exit = body.exited() => End::Failed(Cause::Exit(exit)),
            why = tender.tend(&mut self.herald) => End::Failed(Cause::Unhealthy(why)),
        };
        self.shared.meters.take(&self.instance.name);
        let next = match end {
            End::Told(Order::HoldStill(number)) => {
                body.hold(voices).await;
                return self.hold_still(number, Run { body, ports, found: None }).await;
            }
            End::Told(Order::Leave) if body.outlives_us() => {
                self.herald.progress("its container goes on; the next fermata up finds it".to_owned().into());
                voices.shutdown().await;
                return Next::Leave;
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
        let remains = body.remains();
        if let Err(trouble) = body.end(self.service.stop_grace).await {
            self.herald.trouble(trouble);
        }
        voices.fall_silent(ECHO).await;
        voices.shutdown().await;
        match remains {
            Remains::Invocation(invocation) => self.note(|roster| roster.forget(&invocation)),
            Remains::Container(container) => {
                if let Err(trouble) = container.remove().await {
                    self.herald.trouble(trouble);
                }
            }
        }
        next
    }

    /// Hands a run over, and goes on with it unless somebody else does.
    async fn hold_still(&mut self, number: u32, run: Run) -> Next {
        match run.record(&self.herald) {
            Ok((standing, descriptors)) => self.hand_over(number, standing, descriptors),
            Err(error) => self.herald.trouble(format_args!("it cannot be handed over: {error}")),
        }
        match still_told(&mut self.order).await {
            Order::Leave => {
                run.body.release();
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

    async fn start(&self) -> Result<Started, String> {
        match &self.service.housing {
            Housing::Machine => self.start_process().map(Started::Runs),
            Housing::Container(plan) => self.start_container(plan).await,
        }
    }

    async fn start_container(&self, plan: &Arc<ContainerPlan>) -> Result<Started, String> {
        let engine = self.shared.engine().await?;
        let (service, instance, ports) = (&self.service, &self.instance, &self.shared.ports);
        let tell = |progress| self.herald.progress(progress);
        Ok(match Container::start(&engine, service, plan, instance, ports, tell).await? {
            Begun::Ended(exit, said) => Started::Ended(exit, said),
            Begun::Runs(container, ports, origin) => {
                let found = match origin {
                    Origin::Made => None,
                    Origin::Adopted(up) => Some(up),
                };
                Started::Runs(Run { body: Body::Container(container), ports, found })
            }
        })
    }

    async fn goes_on_with(&self, record: &ContainerRecord) -> Result<Run, String> {
        let Housing::Container(plan) = &self.service.housing else {
            return Err("it ran in a container, and the file says that it is a process".to_owned());
        };
        let engine = self.shared.engine().await?;
        let inside = |words: &Vec<Value>| self.service.words_inside(words, &self.instance.ports);
        let container = Container::handed(&engine, plan, record, plan.pre_stop.as_ref().map(inside));
        let ports = self.shared.ports.elsewhere(record.host, record.pairs.clone());
        Ok(Run { body: Body::Container(Box::new(container)), ports, found: None })
    }

    /// A start that was given up halfway leaves nothing.
    async fn abandon_start(&self) {
        if let Housing::Container(plan) = &self.service.housing
            && let Ok(engine) = self.shared.engine().await
            && let Err(trouble) = Container::forget(&engine, plan, &self.instance.name).await
        {
            self.herald.trouble(trouble);
        }
    }

    fn start_process(&self) -> Result<Run, String> {
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
                let body = Body::Process { process, invocation, voices: voices_of(output) };
                Ok(Run { body, ports, found: None })
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

    /// Writes down that a run of it is this Fermata's now.
    pub(super) fn inherits(&self, run: &Run) {
        if let Some(group) = run.group(&self.instance, self.service.stop_grace) {
            self.note(|roster| roster.begin(group));
        }
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
        let body = Body::Process { process, invocation: record.invocation.clone(), voices };
        Ok(Run { body, ports, found: None })
    }

    /// From now on it is this Fermata's.
    pub(super) fn claim(&mut self) {
        self.body.claim();
    }

    /// As the roster has it.
    pub(super) fn group(&self, instance: &InstancePlan, stop_grace: Duration) -> Option<Group> {
        let Body::Process { process, invocation, .. } = &self.body else { return None };
        Some(Group {
            instance: instance.name.to_string(),
            invocation: invocation.clone(),
            stop_grace,
            leader: Some(process.leader()),
        })
    }

    fn record(&self, herald: &Herald) -> io::Result<(Standing, Vec<OwnedFd>)> {
        let (process, invocation, voices) = match &self.body {
            Body::Process { process, invocation, voices } => (process, invocation, voices),
            Body::Container(container) => {
                return Ok((Standing::Contained(self.contained(container, herald)), Vec::new()));
            }
        };
        let mut descriptors = vec![process.pidfd()?];
        for voice in voices {
            descriptors.push(voice.pipe.as_fd().try_clone_to_owned()?);
        }
        let record = RunRecord {
            pid: process.id(),
            start: process.start,
            invocation: invocation.clone(),
            pairs: self.ports.pairs.clone(),
            free: self.ports.free().to_vec(),
            up: herald.up(),
            ready: herald.is_ready(),
            voices: voices.iter().map(|voice| (voice.stream, voice.begun.clone())).collect(),
        };
        Ok((Standing::Runs(record), descriptors))
    }

    fn contained(&self, container: &Container, herald: &Herald) -> ContainerRecord {
        let (id, image, heard) = container.standing();
        let (host, pairs) = (self.ports.host(), self.ports.pairs.clone());
        ContainerRecord { id, image, host, pairs, up: herald.up(), ready: herald.is_ready(), heard }
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

/// Returns when it says to stop or to leave.
async fn told_to_end(order: &mut watch::Receiver<Order>) -> Order {
    let ends = |order: &Order| matches!(order, Order::Stop | Order::Leave);
    order.wait_for(ends).await.map_or(Order::Stop, |order| *order)
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
