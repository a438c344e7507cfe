//! A file that runs: its services, its gateway, and everything that can be asked of them while they do.
//!
//! One task owns it all and does one thing after the other, so that a reload never meets another one halfway.

mod asks;
mod authority;
mod behind;
mod board;
mod change;
mod found;
mod inherit;
mod loads;
mod rollouts;
mod seen;
mod stops;
mod upgrade;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use fermata_spec::Spec;
use fermata_wire::{Close, Code};
use rustls::ServerConfig;
use tokio::sync::mpsc;
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::Instant;

use self::asks::Onward;
use self::authority::Authority;
use self::behind::Behind;
use self::board::Board;
use self::found::{Finding, Following};
pub use self::inherit::bound_before;
use self::loads::Loads;
use self::rollouts::Active;
use self::seen::{REMEMBERED, Seen, Tail, Waiting, external, note};
use self::stops::Stops;
use self::upgrade::Called;
use crate::admin::{Asked, ControlSocket, SocketFile};
use crate::app::{Place, Prepared, StartError};
use crate::front::datagrams;
use crate::handover::{Heir, Inherited, Ward};
use crate::listening::Bound;
use crate::public::{Pools, PublicPort, Settling, own, routes};
use crate::route::Table;
use crate::run::plan::ServicePlan;
use crate::run::{Event, InstanceName, Keep, Keepsake, Line, Roster, StateLock, Supervisor};
use crate::tls::{self, Certificates, Challenges, Loaded, Watch};
use crate::workers::{Shared, Workers};

/// How long tunnels and requests may take to end when everything stops.
const STOP: Duration = Duration::from_secs(5);

/// Something to say while it runs.
#[derive(Debug)]
pub enum Notice {
    /// An instance's life.
    Instance(Event),
    /// A line that an instance wrote.
    Line(Line),
    /// Something that was done because somebody asked.
    Done(String),
    /// Something that somebody should look at.
    Warning(String),
    /// Everything is bound and every service with a readiness check has passed.
    Ready(Vec<PublicPort>),
    /// This process has taken the place of another one.
    TakenOver {
        /// The other process.
        from: u32,
        /// Tunnels that came along.
        tunnels: usize,
        /// Instances that run on.
        instances: usize,
    },
    /// The end has begun.
    Stopping {
        /// Tunnels that are being closed.
        tunnels: u64,
    },
}

/// Reads and checks the file again; an error is what is wrong with it, for people.
pub type Reread = Box<dyn Fn() -> Result<Spec, String>>;

/// What comes from outside.
pub struct Outside {
    /// Where there is something to say.
    pub notices: mpsc::Sender<Notice>,
    /// The file, for status.
    pub file: PathBuf,
    /// How it is read again.
    pub reread: Reread,
    /// What another program is called with so that it takes this file over.
    pub again: Vec<OsString>,
    /// A value for each time that it should be read again: SIGHUP, a change of the file.
    pub reload: mpsc::Receiver<()>,
    /// Where others may say so.
    pub reload_too: mpsc::Sender<()>,
}

/// A file that runs.
pub struct Running {
    spec: Spec,
    place: Place,
    ports: Vec<PublicPort>,
    bound: Bound,
    tls: Arc<ServerConfig>,
    certificates: Certificates,
    watch: Watch,
    authority: Option<Authority>,
    board: Option<Board>,
    /// Where those who come to the status address ask.
    visits: mpsc::Sender<Asked>,
    shared: Shared,
    workers: Rc<Workers>,
    datagrams: BTreeMap<SocketAddr, AbortHandle>,
    pools: Arc<Pools>,
    checks: JoinSet<()>,
    followed: BTreeMap<Arc<str>, Following>,
    /// Where what is found of them goes.
    findings: mpsc::UnboundedSender<Finding>,
    supervisor: Supervisor,
    /// What more instances of each service would be made of.
    plans: BTreeMap<Arc<str>, ServicePlan>,
    rollouts: Vec<Active>,
    /// Tells which instance has no tunnel left and may be stopped.
    drained: mpsc::UnboundedSender<InstanceName>,
    events: mpsc::UnboundedSender<Event>,
    instances: BTreeMap<String, Seen>,
    waiting: Waiting,
    /// Shared with those that are just being told.
    loads: Rc<RefCell<Loads>>,
    tail: Tail,
    outside: Outside,
    since: Instant,
    /// A program that was called to take over, until it has prepared itself.
    calls: JoinSet<()>,
    called: mpsc::UnboundedSender<Called>,
    control: Control,
    /// Where this process has taken over from one that somebody waits for.
    ward: Option<Rc<Ward>>,
    /// Older processes, which have stayed with what could not move.
    behind: Vec<Behind>,
    /// Tells them what is drained here.
    passing_on: Option<AbortHandle>,
    // Last, so that the folder is given back when nothing uses it any more.
    lock: StateLock,
}

/// The control socket, as far as it is not being served.
struct Control {
    file: Arc<SocketFile>,
    copy: OwnedFd,
}

/// What is told to the one task that owns it all.
struct Channels {
    events: mpsc::UnboundedSender<Event>,
    lines: mpsc::Sender<Line>,
    drained: mpsc::UnboundedSender<InstanceName>,
    called: mpsc::UnboundedSender<Called>,
    visits: mpsc::Sender<Asked>,
    findings: mpsc::UnboundedSender<Finding>,
}

/// Where a running file comes from.
pub enum Origin {
    /// It begins.
    Fresh(StateLock),
    /// Another process hands it over.
    Inherited(Heir, Box<Inherited>),
}

/// How it ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// Every tunnel was told, and every instance had its time.
    Well,
    /// Where it stood, because somebody asked twice.
    AtOnce,
    /// In other processes: with this exit code, where it is known.
    As(Option<i32>),
}

/// Runs a prepared file until a `stop` comes or somebody asks it to, then ends every tunnel, request and instance well; a
/// second stop ends that too. Takes a current-thread runtime and a `LocalSet`.
///
/// Somebody may also have another program take over: then this returns when what stays here has ended.
pub async fn run(
    prepared: Prepared,
    place: Place,
    origin: Origin,
    outside: Outside,
    stops: mpsc::Receiver<()>,
) -> Result<Ended, StartError> {
    let mut stops = Stops::new(stops);
    let (asked, mut asks) = mpsc::channel(16);
    let mut serving = JoinSet::new();
    let (events, mut happened) = mpsc::unbounded_channel();
    let (lines, mut written) = mpsc::channel(256);
    let (drained, mut are_drained) = mpsc::unbounded_channel();
    let mut clock = tokio::time::interval(Duration::from_secs(1));
    let (called, mut calls) = mpsc::unbounded_channel();
    let (visits, mut visitors) = mpsc::channel(16);
    let (findings, mut found) = mpsc::unbounded_channel();
    let channels = Channels { events, lines, drained, called, visits, findings };
    let mut running = match origin {
        Origin::Fresh(lock) => {
            let control = ControlSocket::bind(&place.state).map_err(system)?;
            let ours = Control { file: control.file(), copy: control.descriptor().map_err(system)? };
            serving.spawn_local(control.serve(asked));
            let notices = outside.notices.clone();
            let beginning = Running::begin(prepared, place, (lock, ours), outside, channels);
            let (outcome, early) = tokio::select! {
                outcome = meanwhile(beginning, &mut happened, notices) => outcome,
                // What an earlier run left behind may take its grace to end, and images theirs to come.
                () = stops.next() => return Ok(Ended::Well),
            };
            let mut running = outcome?;
            for event in early {
                running.follow(event).await;
            }
            running
        }
        Origin::Inherited(heir, inherited) => {
            let reload = outside.reload_too.clone();
            let inherited = Running::inherit(prepared, place, (heir, *inherited), outside, channels).await?;
            let (running, control, ward) = inherited;
            if let Some(ward) = ward {
                stops.listen_to(ward, reload);
            }
            serving.spawn_local(control.serve(asked));
            running
        }
    };
    let mut keep = Keep::Nothing;
    loop {
        tokio::select! {
            () = stops.next() => break,
            Some(called) = calls.recv() => {
                if let Some(replaced) = running.hand_over(called, &mut happened, &mut written).await {
                    return running.stay_behind(replaced, &mut stops).await;
                }
            }
            Some(event) = happened.recv() => {
                // What an instance wrote before it ended is heard first.
                for _ in 0..REMEMBERED {
                    let Ok(line) = written.try_recv() else { break };
                    running.hear(line).await;
                }
                running.follow(event).await;
            }
            Some(line) = written.recv() => running.hear(line).await,
            Some(finding) = found.recv() => running.find(finding).await,
            Some(instance) = are_drained.recv() => running.supervisor.dismiss(&instance),
            _ = clock.tick() => running.check_rollouts().await,
            Some(()) = running.outside.reload.recv() => {
                let outcome = running.reload().await;
                let notice = outcome.map_or_else(Notice::Warning, Notice::Done);
                running.say(notice).await;
            }
            Some(Asked { request, asking }) = visitors.recv() => drop(running.answer(request, asking).await),
            Some(Asked { request, asking }) = asks.recv() => {
                if let Onward::Stop(what) = running.answer(request, asking).await {
                    keep = what;
                    break;
                }
            }
        }
    }
    // From here on the status address tells that this ends.
    drop(visitors);
    tokio::select! {
        outcome = running.end(keep, &mut happened, &mut written) => outcome.map(|()| Ended::Well),
        // What is dropped in the middle of its end kills its processes.
        () = stops.next() => Ok(Ended::AtOnce),
    }
}

/// What comes of a beginning. What takes its time meanwhile is said at once; what happens to instances is for whoever has begun.
async fn meanwhile<T>(
    beginning: impl Future<Output = T>,
    happened: &mut mpsc::UnboundedReceiver<Event>,
    notices: mpsc::Sender<Notice>,
) -> (T, Vec<Event>) {
    let mut beginning = std::pin::pin!(beginning);
    let mut early = Vec::new();
    loop {
        tokio::select! {
            outcome = &mut beginning => return (outcome, early),
            Some(event) = happened.recv() => match event {
                Event::Progress { .. } | Event::Swept { .. } | Event::Trouble(_) => {
                    // Without a listener there is nobody to tell.
                    let _ = notices.send(Notice::Instance(event)).await;
                }
                event => early.push(event),
            },
        }
    }
}

fn system(error: impl std::fmt::Display) -> StartError {
    StartError::System(error.to_string())
}

impl Running {
    async fn begin(
        prepared: Prepared,
        place: Place,
        (lock, control): (StateLock, Control),
        outside: Outside,
        Channels { events, lines, drained, called, visits, findings }: Channels,
    ) -> Result<Running, StartError> {
        let Prepared { spec, plan, cluster, ports, bound, certificates: loaded, secure, warnings } = prepared;
        let certificates = Certificates::default();
        certificates.offer(&loaded);
        let tls = tls::server_config(&certificates).map_err(system)?;
        let pools = Arc::new(Pools::default());
        let table = Table::new(spec.gateway.clone(), routes(&spec, &pools, secure.as_ref()));
        let table = Arc::new(ArcSwap::from_pointee(table));
        let shared =
            Shared { table, ledger: Arc::default(), places: Arc::default(), challenges: Challenges::default() };
        let workers = Rc::new(Workers::start(&shared).map_err(system)?);
        workers.accept(bound.doors(&tls));
        let mut waiting = Waiting::default();
        plan.running.iter().for_each(|service| drop(pools.settle(service, Settling::First)));
        waiting.expect(Pools::awaited(&plan));
        waiting.expect(plan.found.iter().map(|service| (service.name.clone(), 1)));
        waiting.expect(plan.services.iter().map(|service| (service.name.clone(), service.instances.len())));
        let instances = external(&plan);
        let checks = pools.watch_running(&plan, secure.as_ref(), &own(&spec.gateway, &ports), &events);
        let watch = watch(&certificates, loaded, &outside.notices);
        let authority = Authority::of(&spec, &place, &shared.challenges, &outside.notices);
        let plans = plan.services.iter().map(|service| (service.name.clone(), service.clone())).collect();
        let found = plan.found.clone();
        let supervisor =
            Supervisor::start(plan, Roster::open(&lock), events.clone(), lines).await.map_err(StartError::Plan)?;
        let mut running = Running {
            spec,
            place,
            ports,
            bound,
            tls,
            certificates,
            watch,
            authority,
            board: None,
            visits,
            shared,
            workers,
            datagrams: BTreeMap::new(),
            pools,
            checks,
            followed: BTreeMap::new(),
            findings,
            supervisor,
            plans,
            rollouts: Vec::new(),
            drained,
            events,
            instances,
            waiting,
            loads: Rc::default(),
            tail: Tail::default(),
            outside,
            since: Instant::now(),
            calls: JoinSet::new(),
            called,
            control,
            ward: None,
            behind: Vec::new(),
            passing_on: None,
            lock,
        };
        running.follow_found(&found, cluster.as_ref());
        running.forward_datagrams();
        running.show();
        for warning in warnings {
            running.say(Notice::Warning(warning)).await;
        }
        running.keep_drawn().await;
        running.tell_when_ready().await;
        Ok(running)
    }

    /// What was drawn for services stays for the next time.
    async fn keep_drawn(&self) {
        let keepsake = Keepsake::of(&self.place.state, &self.place.folder);
        if let Err(error) = keepsake.keep(self.plans.values().flat_map(ServicePlan::drawn)) {
            let text = format!("values of AUTO_GENERATE cannot be kept for the next start: {error}");
            self.say(Notice::Warning(text)).await;
        }
    }

    async fn say(&self, notice: Notice) {
        // Without a listener there is nobody to tell; everything goes on.
        let _ = self.outside.notices.send(notice).await;
    }

    /// An instance has done something.
    async fn follow(&mut self, event: Event) {
        self.pools.follow(&event);
        note(&mut self.instances, &event);
        self.waiting.follow(&event);
        self.say(Notice::Instance(event.clone())).await;
        self.tell_when_ready().await;
        self.follow_rollouts(&event).await;
    }

    /// An instance has written a line.
    async fn hear(&mut self, line: Line) {
        self.tail.hear(&line).await;
        self.say(Notice::Line(line)).await;
    }

    async fn tell_when_ready(&mut self) {
        if self.waiting.is_over_now() {
            self.say(Notice::Ready(self.ports.clone())).await;
        }
    }

    /// Forwards from the UDP sockets of now, and no others.
    fn forward_datagrams(&mut self) {
        let wanted = self.bound.udp();
        self.datagrams.retain(|address, task| {
            let stays = wanted.contains_key(address);
            if !stays {
                task.abort();
            }
            stays
        });
        for (address, socket) in wanted {
            if self.datagrams.contains_key(address) {
                continue;
            }
            match socket.try_clone().and_then(tokio::net::UdpSocket::from_std) {
                Ok(socket) => {
                    let forwarding = datagrams::forward(socket, self.shared.table.clone());
                    self.datagrams.insert(*address, tokio::task::spawn_local(forwarding).abort_handle());
                }
                Err(error) => tracing::error!(%error, %address, "cannot receive from a public port"),
            }
        }
    }

    /// The end: no more connections, every tunnel is told, then the services stop.
    async fn end(
        self,
        keep: Keep,
        happened: &mut mpsc::UnboundedReceiver<Event>,
        written: &mut mpsc::Receiver<Line>,
    ) -> Result<(), StartError> {
        let Running { workers, shared, supervisor, outside, datagrams, checks, bound, behind, board: _board, .. } =
            self;
        // Whoever has stayed behind ends at the same time.
        drop(behind);
        let say = async |notice| drop(outside.notices.send(notice).await);
        say(Notice::Stopping { tunnels: shared.ledger.live() }).await;
        drop(bound);
        datagrams.values().for_each(AbortHandle::abort);
        let close = Arc::new(Close::new(Code::GOING_AWAY, "the gateway is stopping"));
        // What is left after that is cut.
        let _ = tokio::time::timeout(STOP, workers.leave(close)).await;
        let mut stopping = std::pin::pin!(supervisor.stop(keep));
        loop {
            tokio::select! {
                // What an instance wrote before it ended is heard first, and everything before the end.
                biased;
                Some(line) = written.recv() => say(Notice::Line(line)).await,
                Some(event) = happened.recv() => say(Notice::Instance(event)).await,
                () = &mut stopping => break,
            }
        }
        drop(checks);
        match Rc::try_unwrap(workers) {
            Ok(workers) => workers.end().map_err(system),
            // A drain still holds them: its tunnels are gone, and the process is about to be.
            Err(_) => Ok(()),
        }
    }
}

fn watch(certificates: &Certificates, loaded: Loaded, notices: &mpsc::Sender<Notice>) -> Watch {
    let notices = notices.clone();
    // Who hears nothing any more misses a warning.
    tls::watch(certificates.clone(), loaded, move |problem| drop(notices.try_send(Notice::Warning(problem))))
}
