//! A file that runs: its services, its gateway, and everything that can be asked of them while they do.
//!
//! One task owns it all and does one thing after the other, so that a reload never meets another one halfway.

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use fermata_spec::Spec;
use fermata_wire::{Close, Code};
use rustls::ServerConfig;
use tokio::sync::mpsc;
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::Instant;

use crate::admin::{
    Asked, Asking, ConnectionRow, ControlSocket, Filter, InstanceRow, PortRow, Reply, Request, ServiceRow, Status,
    Target, TunnelFigures,
};
use crate::app::{Place, Prepared, StartError};
use crate::front::datagrams;
use crate::listening::Bound;
use crate::public::{Pools, PublicPort, routes};
use crate::reload::Changes;
use crate::route::Table;
use crate::run::{Event, Line, Plan, Roster, StateLock, Supervisor};
use crate::tls::{self, Certificates, Watch};
use crate::tunnel::{Entry, Kind, Ledger, TunnelId, Which};
use crate::workers::{Shared, Workers};

/// How long tunnels and requests may take to end when everything stops.
const STOP: Duration = Duration::from_secs(5);
/// Lines of output that are remembered for `fermata logs`.
const REMEMBERED: usize = 1000;

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
    /// A value for each time that it should be read again: SIGHUP, a change of the file.
    pub reload: mpsc::Receiver<()>,
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
    shared: Shared,
    workers: Workers,
    datagrams: BTreeMap<SocketAddr, AbortHandle>,
    pools: Arc<Pools>,
    checks: JoinSet<()>,
    supervisor: Supervisor,
    events: mpsc::UnboundedSender<Event>,
    instances: BTreeMap<String, Seen>,
    waiting: Waiting,
    tail: Tail,
    outside: Outside,
    since: Instant,
    // Last, so that the folder is given back when nothing uses it any more.
    _lock: StateLock,
}

/// What is known of an instance.
#[derive(Debug, Clone)]
struct Seen {
    service: Arc<str>,
    state: &'static str,
    address: String,
    since: Option<Instant>,
    restarts: u32,
}

/// The last lines of output, and who wants more of them.
#[derive(Default)]
struct Tail {
    lines: VecDeque<Line>,
    followers: Vec<(Option<String>, Asking)>,
}

/// Runs a prepared file until `stop` is done or somebody asks it to, then ends every tunnel, request and instance well.
/// Takes a current-thread runtime and a `LocalSet`.
pub async fn run(
    prepared: Prepared,
    place: Place,
    lock: StateLock,
    outside: Outside,
    stop: impl Future<Output = ()>,
) -> Result<(), StartError> {
    let control = ControlSocket::bind(&place.state).map_err(system)?;
    let (asked, mut asks) = mpsc::channel(16);
    let mut serving = JoinSet::new();
    serving.spawn_local(control.serve(asked));
    let (events, mut happened) = mpsc::unbounded_channel();
    let (lines, mut written) = mpsc::channel(256);
    let mut running = Running::begin(prepared, place, lock, outside, events, lines).await?;
    let mut stop = std::pin::pin!(stop);
    loop {
        tokio::select! {
            () = &mut stop => break,
            Some(event) = happened.recv() => running.follow(event).await,
            Some(line) = written.recv() => running.hear(line).await,
            Some(()) = running.outside.reload.recv() => {
                let outcome = running.reload().await;
                let notice = outcome.map_or_else(Notice::Warning, Notice::Done);
                running.say(notice).await;
            }
            Some(Asked { request, asking }) = asks.recv() => {
                if running.answer(request, asking).await == Onward::Stop {
                    break;
                }
            }
        }
    }
    running.end(&mut happened, &mut written).await
}

/// Whether it goes on after a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Onward {
    Go,
    Stop,
}

fn system(error: std::io::Error) -> StartError {
    StartError::System(error.to_string())
}

impl Running {
    async fn begin(
        prepared: Prepared,
        place: Place,
        lock: StateLock,
        outside: Outside,
        events: mpsc::UnboundedSender<Event>,
        lines: mpsc::Sender<Line>,
    ) -> Result<Running, StartError> {
        let Prepared { spec, plan, ports, bound, files, certificates: loaded, warnings } = prepared;
        let certificates = Certificates::default();
        certificates.offer(loaded);
        let tls = tls::server_config(&certificates).map_err(|error| StartError::System(error.to_string()))?;
        let pools = Arc::new(Pools::default());
        let table = Table::new(spec.gateway.clone(), routes(&spec, &pools));
        let shared = Shared { table: Arc::new(ArcSwap::from_pointee(table)), ledger: Arc::new(Ledger::default()) };
        let workers = Workers::start(&shared).map_err(system)?;
        workers.accept(bound.doors(&tls));
        let mut waiting = Waiting::default();
        waiting.expect(pools.add_running(&plan));
        waiting.expect(plan.services.iter().map(|service| (service.name.clone(), service.instances.len())));
        let instances = external(&plan);
        let checks = pools.watch_running(&plan, &events);
        let watch = watch(&certificates, files, &outside.notices);
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
            shared,
            workers,
            datagrams: BTreeMap::new(),
            pools,
            checks,
            supervisor,
            events,
            instances,
            waiting,
            tail: Tail::default(),
            outside,
            since: Instant::now(),
            _lock: lock,
        };
        running.forward_datagrams();
        for warning in warnings {
            running.say(Notice::Warning(warning)).await;
        }
        running.tell_when_ready().await;
        Ok(running)
    }

    async fn say(&self, notice: Notice) {
        // Without a listener there is nobody to tell; everything goes on.
        let _ = self.outside.notices.send(notice).await;
    }

    /// An instance has done something.
    async fn follow(&mut self, event: Event) {
        self.pools.follow(&event);
        self.note(&event);
        self.waiting.follow(&event);
        self.say(Notice::Instance(event)).await;
        self.tell_when_ready().await;
    }

    async fn tell_when_ready(&mut self) {
        if self.waiting.is_over_now() {
            self.say(Notice::Ready(self.ports.clone())).await;
        }
    }

    fn note(&mut self, event: &Event) {
        let (instance, state) = match event {
            Event::Starting(instance) => (instance, "starting"),
            Event::Waiting { instance, .. } => (instance, "starting"),
            Event::Ready { instance, .. } => (instance, "ready"),
            Event::NotReady { instance, .. } => (instance, "not ready"),
            Event::Exited { instance, .. } => (instance, "waiting"),
            Event::Stopping(instance) => (instance, "stopping"),
            Event::Stopped(instance) => return drop(self.instances.remove(&instance.to_string())),
            Event::Swept { .. } | Event::Trouble(_) => return,
        };
        let seen = self.instances.entry(instance.to_string()).or_insert_with(|| Seen {
            service: instance.service.clone(),
            state,
            address: String::new(),
            since: None,
            restarts: 0,
        });
        seen.state = state;
        match event {
            Event::Starting(_) => seen.since = Some(Instant::now()),
            Event::Exited { .. } => {
                seen.since = None;
                seen.restarts += 1;
            }
            Event::Ready { addresses, .. } if !addresses.is_empty() => {
                let all: Vec<String> = addresses.iter().map(|(_, address)| address.to_string()).collect();
                seen.address = all.join(" ");
            }
            _ => {}
        }
    }

    /// An instance has written a line.
    async fn hear(&mut self, line: Line) {
        let Tail { lines, followers } = &mut self.tail;
        let mut stay = Vec::new();
        for (service, asking) in followers.drain(..) {
            let wanted = service.as_deref().is_none_or(|name| name == &*line.instance.service);
            if !wanted || asking.reply(reply_of(&line)).await {
                stay.push((service, asking));
            }
        }
        *followers = stay;
        if lines.len() == REMEMBERED {
            lines.pop_front();
        }
        lines.push_back(line.clone());
        self.say(Notice::Line(line)).await;
    }

    async fn answer(&mut self, request: Request, asking: Asking) -> Onward {
        match request {
            Request::Status => drop(asking.reply(Reply::Status(self.status())).await),
            Request::Connections(filter) => {
                let entries = self.workers.list(&which(filter)).await;
                let connections = entries.into_iter().map(row_of).collect();
                asking.reply(Reply::Connections { connections }).await;
            }
            Request::Close(filter) => {
                let close = Arc::new(Close::new(Code::GOING_AWAY, "closed by the operator"));
                let count = self.workers.drain(&which(filter), &close, Duration::ZERO).await;
                asking.done(format!("{count} tunnels are being closed")).await;
            }
            Request::Drain { target, over } => self.drain(target, over, &asking).await,
            Request::Reload => match self.reload().await {
                Ok(changes) => {
                    self.say(Notice::Done(changes.clone())).await;
                    asking.done(changes).await;
                }
                Err(reason) => asking.refuse(reason).await,
            },
            Request::Logs { service, follow } => self.logs(service, follow, asking).await,
            Request::Stop => {
                asking.done("stopping").await;
                return Onward::Stop;
            }
        }
        Onward::Go
    }

    async fn logs(&mut self, service: Option<String>, follow: bool, asking: Asking) {
        if let Some(name) = &service
            && !self.spec.services.iter().any(|one| *one.name == **name)
        {
            return asking.refuse(format!("there is no service \"{name}\"; {}", self.services_are())).await;
        }
        let wanted = |line: &&Line| service.as_deref().is_none_or(|name| name == &*line.instance.service);
        for line in self.tail.lines.iter().filter(wanted) {
            if !asking.reply(reply_of(line)).await {
                return;
            }
        }
        if follow {
            self.tail.followers.push((service, asking));
        } else {
            asking.done("").await;
        }
    }

    async fn drain(&self, target: Target, over: Option<Duration>, asking: &Asking) {
        let owner =
            self.spec.services.iter().find(|service| {
                *service.name == *target.0 || self.instance_of(&target.0).as_ref() == Some(&service.name)
            });
        let Some(service) = owner else {
            let reason = format!("there is no service or instance \"{}\"; {}", target.0, self.services_are());
            return asking.refuse(reason).await;
        };
        let over = over.unwrap_or(service.websocket.drain);
        if *target.0 != *service.name {
            self.pools.remove(&service.name, &target.0);
        }
        let close = Arc::new(Close::new(Code::RESTART, "the service restarts"));
        let count = self.workers.drain(&Which::to(target.0), &close, over).await;
        asking.done(format!("{count} tunnels are being closed over {} s", over.as_secs_f32())).await;
    }

    fn instance_of(&self, name: &str) -> Option<Arc<str>> {
        self.instances.get(name).map(|seen| seen.service.clone())
    }

    fn services_are(&self) -> String {
        let names: Vec<&str> = self.spec.services.iter().map(|service| &*service.name).collect();
        format!("the services are {}", names.join(", "))
    }

    /// Reads the file again and becomes what it says; an error changes nothing.
    async fn reload(&mut self) -> Result<String, String> {
        let spec = (self.outside.reread)()?;
        let prepared = Prepared::new(spec, &self.place, &self.bound).map_err(|error| error.to_string())?;
        let changes = Changes::between(&self.spec, &prepared.spec);
        self.become_(prepared, &changes).await.map_err(|problem| problem.to_string())?;
        Ok(format!("reloaded: {changes}"))
    }

    async fn become_(&mut self, next: Prepared, changes: &Changes) -> Result<(), StartError> {
        let Prepared { spec, plan, ports, bound, files, certificates, warnings } = next;
        let before = std::mem::replace(&mut self.spec, spec);
        self.ports = ports;
        self.bound = bound;
        self.certificates.offer(certificates);
        self.watch = watch(&self.certificates, files, &self.outside.notices);
        for (name, seen) in external(&plan) {
            self.instances.entry(name).or_insert(seen);
        }
        for name in changes.removed.iter().chain(&changes.replaced) {
            if plan.running.iter().any(|service| service.name == *name) {
                // What was running elsewhere may be elsewhere now.
                for endpoint in self.pools.endpoints(name) {
                    self.pools.remove(name, &endpoint.instance);
                }
            }
        }
        self.pools.add_running(&plan);
        self.checks = self.pools.watch_running(&plan, &self.events);
        let table = Table::new(self.spec.gateway.clone(), routes(&self.spec, &self.pools));
        self.shared.table.store(Arc::new(table));
        self.workers.accept(self.bound.doors(&self.tls));
        self.forward_datagrams();
        let close = Arc::new(Close::new(Code::RESTART, "the service was removed"));
        for name in &changes.removed {
            let drain = before.services.iter().find(|service| service.name == *name);
            let over = drain.map(|service| service.websocket.drain).unwrap_or_default();
            self.workers.drain(&Which::to(name.clone()), &close, over).await;
        }
        for warning in warnings {
            self.say(Notice::Warning(warning)).await;
        }
        Ok(())
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

    fn status(&self) -> Status {
        let services = self.spec.services.iter().map(|service| {
            let endpoints = self.pools.endpoints(&service.name);
            let own = self.instances.iter().filter(|(_, seen)| seen.service == service.name);
            let instances = own.map(|(name, seen)| InstanceRow {
                name: name.clone(),
                state: seen.state.into(),
                address: seen.address.clone(),
                live: endpoints.iter().filter(|one| *one.instance == **name).map(|one| one.live()).sum(),
                uptime: seen.since.map(|since| since.elapsed().as_secs()),
                restarts: seen.restarts,
            });
            ServiceRow {
                name: service.name.to_string(),
                tunnels: self.pools.guests(&service.name).count(),
                instances: instances.collect(),
            }
        });
        let ledger = &self.shared.ledger;
        let ended = ledger.endings().into_iter().map(|((cause, code), count)| (format!("{cause}/{}", code.0), count));
        Status {
            version: env!("CARGO_PKG_VERSION").into(),
            pid: std::process::id(),
            uptime: self.since.elapsed().as_secs(),
            file: self.outside.file.display().to_string(),
            ports: self.ports.iter().map(port_row).collect(),
            services: services.collect(),
            tunnels: TunnelFigures { live: ledger.live(), ended: ended.collect() },
        }
    }

    /// The end: no more connections, every tunnel is told, then the services stop.
    async fn end(
        self,
        happened: &mut mpsc::UnboundedReceiver<Event>,
        written: &mut mpsc::Receiver<Line>,
    ) -> Result<(), StartError> {
        let Running { workers, shared, supervisor, outside, datagrams, .. } = self;
        let say = async |notice| drop(outside.notices.send(notice).await);
        say(Notice::Stopping { tunnels: shared.ledger.live() }).await;
        workers.accept(Vec::new());
        datagrams.values().for_each(AbortHandle::abort);
        let close = Arc::new(Close::new(Code::GOING_AWAY, "the gateway is stopping"));
        workers.drain(&Which::all(), &close, Duration::ZERO).await;
        // What is left after that is cut.
        let _ = tokio::time::timeout(STOP, workers.rest()).await;
        let mut stopping = std::pin::pin!(supervisor.stop());
        loop {
            tokio::select! {
                () = &mut stopping => break,
                Some(event) = happened.recv() => say(Notice::Instance(event)).await,
                Some(line) = written.recv() => say(Notice::Line(line)).await,
            }
        }
        while let Ok(line) = written.try_recv() {
            say(Notice::Line(line)).await;
        }
        while let Ok(event) = happened.try_recv() {
            say(Notice::Instance(event)).await;
        }
        workers.end().map_err(system)
    }
}

fn watch(certificates: &Certificates, files: Vec<(PathBuf, PathBuf)>, notices: &mpsc::Sender<Notice>) -> Watch {
    let notices = notices.clone();
    // A warning that finds the channel full comes again with the next change.
    tls::watch(certificates.clone(), files, move |problem| drop(notices.try_send(Notice::Warning(problem))))
}

/// What runs already, for status.
fn external(plan: &Plan) -> BTreeMap<String, Seen> {
    let all = plan.running.iter().flat_map(|service| {
        (1..).zip(&service.addresses).map(|(number, address)| {
            let seen = Seen {
                service: service.name.clone(),
                state: "external",
                address: crate::public::shown(address),
                since: None,
                restarts: 0,
            };
            (format!("{}.{number}", service.name), seen)
        })
    });
    all.collect()
}

fn which(filter: Filter) -> Which {
    Which {
        ids: filter.ids.into_iter().map(TunnelId).collect(),
        to: filter.target.map(|target| target.0.into()),
        client: filter.client,
    }
}

fn row_of(entry: Entry) -> ConnectionRow {
    ConnectionRow {
        id: entry.id.0,
        client: entry.client,
        service: entry.service.to_string(),
        instance: entry.instance.to_string(),
        carries: match entry.kind {
            Kind::WebSocket => "websocket".into(),
            Kind::Raw => "tcp".into(),
        },
        tls: entry.tls,
        age: entry.age.as_secs_f32(),
        idle: entry.idle.as_secs_f32(),
        bytes: entry.bytes,
        messages: entry.messages,
    }
}

fn port_row(port: &PublicPort) -> PortRow {
    PortRow {
        scheme: port.scheme.name().into(),
        port: port.port,
        services: port.services.iter().map(|(name, _)| name.to_string()).collect(),
    }
}

fn reply_of(line: &Line) -> Reply {
    Reply::Line { instance: line.instance.to_string(), text: line.text.clone() }
}

/// Which services have yet to become ready for the first time.
#[derive(Default)]
struct Waiting {
    left: BTreeMap<Arc<str>, usize>,
    told: bool,
}

impl Waiting {
    fn expect(&mut self, services: impl IntoIterator<Item = (Arc<str>, usize)>) {
        self.left.extend(services.into_iter().filter(|(_, instances)| *instances > 0));
    }

    fn follow(&mut self, event: &Event) {
        if let Event::Ready { instance, .. } = event
            && let Some(left) = self.left.get_mut(&instance.service)
        {
            *left -= 1;
            if *left == 0 {
                self.left.remove(&instance.service);
            }
        }
    }

    /// True once: when nothing is waited for any more.
    fn is_over_now(&mut self) -> bool {
        self.left.is_empty() && !std::mem::replace(&mut self.told, true)
    }
}
