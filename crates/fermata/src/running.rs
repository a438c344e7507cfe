//! A file that runs: its services, its gateway, and everything that can be asked of them while they do.
//!
//! One task owns it all and does one thing after the other, so that a reload never meets another one halfway.

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
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

use crate::admin::{
    Asked, Asking, ConnectionRow, ControlSocket, Count, Filter, InstanceRow, PortRow, Reply, Request, ServiceRow,
    Status, Target, TunnelFigures,
};
use crate::app::{Place, Prepared, StartError};
use crate::front::datagrams;
use crate::listening::Bound;
use crate::public::{Pools, PublicPort, routes};
use crate::reload::Changes;
use crate::rollout::{Pace, Rollout, Step};
use crate::route::Table;
use crate::run::plan::ServicePlan;
use crate::run::{Event, InstanceName, Line, Plan, Roster, StateLock, Supervisor};
use crate::tls::{self, Certificates, Watch};
use crate::tunnel::{Entry, Kind, Ledger, TunnelId, Which};
use crate::workers::{Shared, Workers};

/// How long tunnels and requests may take to end when everything stops.
const STOP: Duration = Duration::from_secs(5);
/// A new instance must be ready this long after its start, or its rollout is given up.
const READY_WITHIN: Duration = Duration::from_secs(120);
/// Once the drain of an instance is over its peers have this long for their part; then it is stopped all the same.
const AFTER_DRAIN: Duration = Duration::from_secs(10);
/// Lines of output of the failed instance that a rollout's failure shows.
const LAST_WORDS: usize = 5;
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
    workers: Rc<Workers>,
    datagrams: BTreeMap<SocketAddr, AbortHandle>,
    pools: Arc<Pools>,
    checks: JoinSet<()>,
    supervisor: Supervisor,
    /// What more instances of each service would be made of.
    plans: BTreeMap<Arc<str>, ServicePlan>,
    rollouts: Vec<Active>,
    /// Tells which instance has no tunnel left and may be stopped.
    drained: mpsc::UnboundedSender<InstanceName>,
    events: mpsc::UnboundedSender<Event>,
    instances: BTreeMap<String, Seen>,
    waiting: Waiting,
    tail: Tail,
    outside: Outside,
    since: Instant,
    // Last, so that the folder is given back when nothing uses it any more.
    _lock: StateLock,
}

/// A rollout under way.
struct Active {
    rollout: Rollout,
    plan: ServicePlan,
    /// What its old instances' clients are told.
    close: Arc<Close>,
    drain: Duration,
    asking: Option<Asking>,
    /// What it is, for the last word: "redeployed web".
    what: String,
    ready_by: Instant,
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
    lines: VecDeque<(Instant, Line)>,
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
    let (drained, mut are_drained) = mpsc::unbounded_channel();
    let mut running = Running::begin(prepared, place, lock, outside, (events, lines, drained)).await?;
    let mut clock = tokio::time::interval(Duration::from_secs(1));
    let mut stop = std::pin::pin!(stop);
    loop {
        tokio::select! {
            () = &mut stop => break,
            Some(event) = happened.recv() => {
                // What an instance wrote before it ended is heard first.
                for _ in 0..REMEMBERED {
                    let Ok(line) = written.try_recv() else { break };
                    running.hear(line).await;
                }
                running.follow(event).await;
            }
            Some(line) = written.recv() => running.hear(line).await,
            Some(instance) = are_drained.recv() => running.supervisor.dismiss(&instance),
            _ = clock.tick() => running.check_rollouts().await,
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
        (events, lines, drained): (
            mpsc::UnboundedSender<Event>,
            mpsc::Sender<Line>,
            mpsc::UnboundedSender<InstanceName>,
        ),
    ) -> Result<Running, StartError> {
        let Prepared { spec, plan, ports, bound, files, certificates: loaded, warnings } = prepared;
        let certificates = Certificates::default();
        certificates.offer(loaded);
        let tls = tls::server_config(&certificates).map_err(|error| StartError::System(error.to_string()))?;
        let pools = Arc::new(Pools::default());
        let table = Table::new(spec.gateway.clone(), routes(&spec, &pools));
        let shared = Shared { table: Arc::new(ArcSwap::from_pointee(table)), ledger: Arc::new(Ledger::default()) };
        let workers = Rc::new(Workers::start(&shared).map_err(system)?);
        workers.accept(bound.doors(&tls));
        let mut waiting = Waiting::default();
        waiting.expect(pools.add_running(&plan));
        waiting.expect(plan.services.iter().map(|service| (service.name.clone(), service.instances.len())));
        let instances = external(&plan);
        let checks = pools.watch_running(&plan, &events);
        let watch = watch(&certificates, files, &outside.notices);
        let plans = plan.services.iter().map(|service| (service.name.clone(), service.clone())).collect();
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
            plans,
            rollouts: Vec::new(),
            drained,
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
        self.say(Notice::Instance(event.clone())).await;
        self.tell_when_ready().await;
        for at in (0..self.rollouts.len()).rev() {
            if let Some(step) = self.rollouts[at].rollout.follow(&event) {
                self.take(at, step).await;
            }
        }
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
        lines.push_back((Instant::now(), line.clone()));
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
            Request::Scale { service, count } => self.scale(&service, count, asking).await,
            Request::Redeploy { service } => self.redeploy(&service, asking).await,
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
        for line in self.tail.lines.iter().map(|(_, line)| line).filter(wanted) {
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
        self.become_(prepared, &changes).await?;
        Ok(format!("reloaded: {changes}"))
    }

    async fn become_(&mut self, next: Prepared, changes: &Changes) -> Result<(), String> {
        let Prepared { spec, plan, ports, bound, files, certificates, warnings } = next;
        let touched =
            || changes.removed.iter().chain(&changes.replaced).chain(changes.scaled.iter().map(|(name, ..)| name));
        if let Some(name) = touched().find(|name| self.is_rolling(name)) {
            return Err(format!("a change of {name} is under way; reload again when it is done"));
        }
        let planned = |name: &Arc<str>| plan.services.iter().find(|service| service.name == *name).cloned();
        let added: Vec<ServicePlan> = changes.added.iter().filter_map(planned).collect();
        // The last thing that can fail.
        self.supervisor.add(added.clone()).map_err(|problems| StartError::Plan(problems).to_string())?;
        let before = std::mem::replace(&mut self.spec, spec);
        self.ports = ports;
        self.bound = bound;
        self.certificates.offer(certificates);
        self.watch = watch(&self.certificates, files, &self.outside.notices);
        self.adopt_external(&plan, changes);
        let table = Table::new(self.spec.gateway.clone(), routes(&self.spec, &self.pools));
        self.shared.table.store(Arc::new(table));
        self.workers.accept(self.bound.doors(&self.tls));
        self.forward_datagrams();
        self.plans.extend(added.into_iter().map(|plan| (plan.name.clone(), plan)));
        for name in &changes.removed {
            let drain = before.services.iter().find(|service| service.name == *name);
            let drain = drain.map(|service| service.websocket.drain).unwrap_or_default();
            self.remove(name, drain).await;
        }
        for name in &changes.replaced {
            if let Some(plan) = planned(name) {
                self.replace(plan, format!("replaced {name}"), None).await;
            }
        }
        for (name, from, to) in &changes.scaled {
            if let Some(plan) = planned(name) {
                self.plans.insert(name.clone(), plan);
                self.change_count(name, *from as usize, *to as usize, None).await;
            }
        }
        for warning in warnings {
            self.say(Notice::Warning(warning)).await;
        }
        Ok(())
    }

    /// What runs elsewhere may be elsewhere now.
    fn adopt_external(&mut self, plan: &Plan, changes: &Changes) {
        for name in changes.removed.iter().chain(&changes.replaced) {
            if !self.plans.contains_key(name) {
                for endpoint in self.pools.endpoints(name) {
                    self.pools.remove(name, &endpoint.instance);
                    self.instances.remove(&*endpoint.instance);
                }
            }
        }
        self.instances.extend(external(plan));
        self.pools.add_running(plan);
        self.checks = self.pools.watch_running(plan, &self.events);
    }

    fn is_rolling(&self, service: &str) -> bool {
        self.rollouts.iter().any(|active| &*active.rollout.service == service)
    }

    /// The instances of a service that are meant to stay.
    fn living(&self, service: &str) -> Vec<InstanceName> {
        self.supervisor.instances(service)
    }

    /// A service that the file has no more.
    async fn remove(&mut self, name: &Arc<str>, drain: Duration) {
        let close = Arc::new(Close::new(Code::RESTART, "the service was removed"));
        match self.plans.remove(name) {
            Some(plan) => {
                let rollout = Rollout::new(name.clone(), self.living(name), 0, Pace::AllAtOnce);
                let what = format!("removed {name}");
                self.roll(Active { rollout, plan, close, drain, asking: None, what, ready_by: Instant::now() }).await;
            }
            None => {
                // Runs elsewhere: only its tunnels end.
                self.workers.drain(&Which::to(name.clone()), &close, drain).await;
            }
        }
    }

    /// Other instances for a service, by its own pace.
    async fn replace(&mut self, plan: ServicePlan, what: String, asking: Option<Asking>) {
        let (name, old) = (plan.name.clone(), self.living(&plan.name));
        let Some(service) = self.spec.services.iter().find(|service| service.name == name) else { return };
        let pace = Pace::of(&service.constraints, plan.instances.len());
        let drain = service.websocket.drain;
        let close = Arc::new(Close::new(Code::RESTART, "the service restarts"));
        let rollout = Rollout::new(name.clone(), old, plan.instances.len(), pace);
        self.plans.insert(name, plan.clone());
        self.roll(Active { rollout, plan, close, drain, asking, what, ready_by: Instant::now() }).await;
    }

    /// More or fewer of the same.
    async fn change_count(&mut self, name: &Arc<str>, from: usize, to: usize, asking: Option<Asking>) {
        let Some(plan) = self.plans.get(name).cloned() else { return };
        let drain = self.spec.services.iter().find(|service| service.name == *name);
        let drain = drain.map(|service| service.websocket.drain).unwrap_or_default();
        // The youngest go first.
        let leave = self.living(name).into_iter().rev().take(from.saturating_sub(to)).collect();
        let rollout = Rollout::new(name.clone(), leave, to.saturating_sub(from), Pace::AllAtOnce);
        let close = Arc::new(Close::new(Code::RESTART, "the service has fewer instances now"));
        let what = format!("scaled {name} from {from} to {to}");
        self.roll(Active { rollout, plan, close, drain, asking, what, ready_by: Instant::now() }).await;
    }

    async fn scale(&mut self, name: &str, count: Count, asking: Asking) {
        let Some(service) = self.plannable(name, &asking).await else { return };
        let from = self.living(name).len();
        let to = match count {
            Count::Exactly(count) => count as usize,
            Count::More(more) => from + more as usize,
            Count::Fewer(fewer) => from.saturating_sub(fewer as usize),
        };
        let constraints = self.spec.services.iter().find(|one| one.name == service).map(|one| &one.constraints);
        let (least, most) = constraints.map(|one| (one.min_count, one.max_count)).unwrap_or_default();
        if most.is_some_and(|most| to > most as usize) || least.is_some_and(|least| to < least as usize) {
            let bound = |bound: Option<u32>| bound.map_or_else(|| "any".into(), |bound| bound.to_string());
            let reason =
                format!("{name} takes {} to {} instances (constraints of the file)", bound(least), bound(most));
            return asking.refuse(reason).await;
        }
        if from == to {
            return asking.done(format!("{name} has {to} instances already")).await;
        }
        self.change_count(&service, from, to, Some(asking)).await;
    }

    async fn redeploy(&mut self, name: &str, asking: Asking) {
        let Some(service) = self.plannable(name, &asking).await else { return };
        let Some(mut plan) = self.plans.get(&service).cloned() else { return };
        // As many as there are now, whatever the file began with.
        let count = self.living(name).len().max(1);
        plan.instances = (0..count).filter_map(|_| plan.instances.first().cloned()).collect();
        self.replace(plan, format!("redeployed {name}"), Some(asking)).await;
    }

    /// The service of this name, if its instances can be changed now; otherwise that has been said.
    async fn plannable(&self, name: &str, asking: &Asking) -> Option<Arc<str>> {
        let reason = match self.plans.get_key_value(name) {
            Some((name, _)) if !self.is_rolling(name) => return Some(name.clone()),
            Some(_) => format!("a change of {name} is under way; try again when it is done"),
            None if self.spec.services.iter().any(|service| *service.name == *name) => {
                format!("{name} runs elsewhere: this fermata does not start its instances")
            }
            None => format!("there is no service \"{name}\"; {}", self.services_are()),
        };
        asking.refuse(reason).await;
        None
    }

    async fn roll(&mut self, active: Active) {
        self.rollouts.push(active);
        let at = self.rollouts.len() - 1;
        let step = self.rollouts[at].rollout.begin();
        self.take(at, step).await;
    }

    /// Does what a rollout says.
    async fn take(&mut self, at: usize, step: Step) {
        match step {
            Step::Start(count) => self.start_instances(at, count).await,
            Step::Retire(instances) => {
                self.progress(at, format!("draining {}", names(&instances))).await;
                for instance in instances {
                    self.retire(at, instance);
                }
            }
            Step::Done => {
                let Active { rollout, asking, what, .. } = self.rollouts.remove(at);
                if !self.plans.contains_key(&rollout.service) {
                    self.pools.forget(&rollout.service);
                }
                match asking {
                    Some(asking) => asking.done(what.clone()).await,
                    None => self.say(Notice::Done(what)).await,
                }
            }
            Step::GiveUp { stop, reason } => self.give_up(at, stop, reason).await,
        }
    }

    async fn start_instances(&mut self, at: usize, count: usize) {
        let Active { rollout, plan, .. } = &self.rollouts[at];
        let taken: Vec<u32> = self.numbers(&rollout.service);
        let fresh: Vec<u32> = (1..).filter(|number| !taken.contains(number)).take(count).collect();
        let plan = plan.with_instances(&fresh, taken.is_empty());
        let instances: Vec<InstanceName> = plan.instances.iter().map(|one| one.name.clone()).collect();
        if instances.is_empty() {
            let reason = "the file says replicas: 0; give it a number there".to_owned();
            return self.give_up(at, Vec::new(), reason).await;
        }
        if let Err(problems) = self.supervisor.add(vec![plan]) {
            return self.give_up(at, Vec::new(), StartError::Plan(problems).to_string()).await;
        }
        self.progress(at, format!("starting {}", names(&instances))).await;
        let active = &mut self.rollouts[at];
        active.ready_by = Instant::now() + READY_WITHIN;
        active.rollout.started(instances);
    }

    /// Numbers that instances of a service have, those that are ending included.
    fn numbers(&self, service: &str) -> Vec<u32> {
        let own = self.instances.iter().filter(|(_, seen)| &*seen.service == service);
        let seen = own.filter_map(|(name, _)| name.rsplit_once('.')?.1.parse().ok());
        let mut numbers: Vec<u32> = seen.chain(self.living(service).iter().map(|one| one.number)).collect();
        numbers.sort_unstable();
        numbers.dedup();
        numbers
    }

    /// No new traffic, paced closes for what it has, and word when nothing uses it any more.
    fn retire(&self, at: usize, instance: InstanceName) {
        let Active { rollout, close, drain, .. } = &self.rollouts[at];
        let (close, drain) = (close.clone(), *drain);
        let name = instance.to_string();
        let all = self.pools.endpoints(&rollout.service);
        let endpoints: Vec<_> = all.into_iter().filter(|one| *one.instance == *name).collect();
        self.pools.remove(&rollout.service, &name);
        let (workers, drained) = (self.workers.clone(), self.drained.clone());
        tokio::task::spawn_local(async move {
            workers.drain(&Which::to(name), &close, drain).await;
            let latest = Instant::now() + drain + AFTER_DRAIN;
            while endpoints.iter().any(|one| one.live() > 0) && Instant::now() < latest {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            // After the end of everything nobody waits for it.
            let _ = drained.send(instance);
        });
    }

    async fn give_up(&mut self, at: usize, stop: Vec<InstanceName>, reason: String) {
        for instance in &stop {
            self.supervisor.dismiss(instance);
        }
        let Active { rollout, asking, ready_by, .. } = self.rollouts.remove(at);
        // An instance of the same name may have written before.
        let wrote = |(when, line): &&(Instant, Line)| *when + READY_WITHIN >= ready_by && stop.contains(&line.instance);
        let last = self.tail.lines.iter().rev().filter(wrote).take(LAST_WORDS);
        let last: Vec<&str> = last.map(|(_, line)| &*line.text).collect();
        let mut text = format!("{} stays as it was: {reason}", rollout.service);
        if !last.is_empty() {
            text += "\nits last output:";
            last.iter().rev().for_each(|line| text += &format!("\n  {line}"));
        }
        match asking {
            Some(asking) => asking.refuse(text).await,
            None => self.say(Notice::Warning(text)).await,
        }
    }

    async fn progress(&self, at: usize, text: String) {
        if let Some(asking) = &self.rollouts[at].asking {
            asking.reply(Reply::Progress { text }).await;
        }
    }

    /// Gives up rollouts whose new instances take too long.
    async fn check_rollouts(&mut self) {
        for at in (0..self.rollouts.len()).rev() {
            let active = &mut self.rollouts[at];
            if active.rollout.is_starting()
                && Instant::now() >= active.ready_by
                && let Some(step) = active.rollout.too_long()
            {
                self.take(at, step).await;
            }
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
        let Running { workers, shared, supervisor, outside, datagrams, checks, .. } = self;
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
        drop(checks);
        match Rc::try_unwrap(workers) {
            Ok(workers) => workers.end().map_err(system),
            // A drain still holds them: its tunnels are gone, and the process is about to be.
            Err(_) => Ok(()),
        }
    }
}

fn names(instances: &[InstanceName]) -> String {
    instances.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
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
