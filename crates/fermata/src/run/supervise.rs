//! Runs what a [`Plan`] says: starts services in the order of `requires`, keeps them running, stops them in the reverse
//! order. The story of one instance is in [`super::life`].
//!
//! Every task is counted in a [`JoinSet`] and awaited; nothing goes on after [`Supervisor::stop`] has returned.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::Path;
use std::sync::{Arc, Mutex};

use futures_util::future::join_all;
use tokio::sync::{self, mpsc, watch};
use tokio::task::JoinSet;

use super::backoff::Backoff;
use super::docker::{Engine, Reconciliation};
use super::event::{Event, InstanceName, Line};
use super::handed::Handing;
use super::herald::Herald;
use super::life::{Life, Next, Order, Shared};
use super::plan::{Housing, InstancePlan, Plan, Problem, ServicePlan};
use super::ports::Ports;
use super::presence::{Presence, Tally};
use super::projects::Projects;
use super::state::Roster;
use super::usage::{Meters, Usage};
use super::{docker, preflight, sweep};

/// The services of a plan, running.
pub struct Supervisor {
    pub(super) services: BTreeMap<Arc<str>, Service>,
    pub(super) lives: JoinSet<()>,
    events: mpsc::UnboundedSender<Event>,
    pub(super) shared: Arc<Shared>,
    pub(super) handed: mpsc::UnboundedReceiver<(u32, Handing)>,
    /// How often all were told to hold still.
    pub(super) held: u32,
    /// Which projects may have containers.
    projects: Projects,
}

/// What goes on when everything stops.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Keep {
    /// Nothing.
    #[default]
    Nothing,
    /// Containers; processes cannot.
    Containers,
}

/// One service, running.
#[derive(Debug, Default)]
pub(super) struct Service {
    requires: Vec<Arc<str>>,
    ready: Tally,
    /// By number. The receivers of an order are gone when nothing of the instance is left.
    pub(super) instances: BTreeMap<u32, watch::Sender<Order>>,
}

impl Supervisor {
    /// Ends what an earlier run left behind, makes sure that everything of `plan` can be started, and starts it; an
    /// error means that nothing was started. `lines` may be slow or full: then the processes wait. Needs a tokio runtime
    /// and must be stopped with [`Supervisor::stop`]; a supervisor that is dropped kills its processes.
    pub async fn start(
        mut plan: Plan,
        mut roster: Roster,
        events: mpsc::UnboundedSender<Event>,
        lines: mpsc::Sender<Line>,
    ) -> Result<Supervisor, Vec<Problem>> {
        sweep::sweep(&mut roster, &events).await;
        let mut supervisor = Supervisor::new(roster, events, lines);
        supervisor.meet_containers(&mut plan.services).await?;
        supervisor.add(plan.services)?;
        Ok(supervisor)
    }

    pub(super) fn new(roster: Roster, events: mpsc::UnboundedSender<Event>, lines: mpsc::Sender<Line>) -> Supervisor {
        let (hand, handed) = mpsc::unbounded_channel();
        let projects = Projects::of(roster.folder());
        let shared = Arc::new(Shared {
            lines,
            roster: Mutex::new(roster),
            ports: Ports::default(),
            meters: Meters::default(),
            engine: sync::Mutex::default(),
            handed: hand,
        });
        Supervisor { services: BTreeMap::new(), lives: JoinSet::new(), events, shared, handed, held: 0, projects }
    }

    /// Starts those instances of `plans` that are not there yet: of new services, or more of a known one. A service comes
    /// after those that it requires. An error means that nothing was started.
    pub fn add(&mut self, mut plans: Vec<ServicePlan>) -> Result<(), Vec<Problem>> {
        // Those that have ended since are not kept for ever.
        while self.lives.try_join_next().is_some() {}
        for plan in &mut plans {
            if let Some(known) = self.services.get_mut(&plan.name) {
                known.instances.retain(|_, order| !order.is_closed());
                plan.instances.retain(|instance| !known.instances.contains_key(&instance.name.number));
            }
        }
        let problems: Vec<Problem> = plans.iter().flat_map(preflight::problems).collect();
        if !problems.is_empty() {
            return Err(problems);
        }
        self.shared.ports.reserve(plans.iter().flat_map(|plan| &plan.instances));
        for plan in plans {
            self.begin(plan);
        }
        Ok(())
    }

    fn begin(&mut self, plan: ServicePlan) {
        let plan = Arc::new(plan);
        for instance in &plan.instances {
            let life = self.life(&plan, instance);
            self.lives.spawn(life.live(Next::StartWhenReady));
        }
        self.known(&plan);
    }

    pub(super) fn known(&mut self, plan: &ServicePlan) -> &mut Service {
        if let Housing::Container(container) = &plan.housing
            && let Err(trouble) = self.projects.begin(&container.project)
        {
            self.tell(Event::Trouble(trouble));
        }
        let service = self.services.entry(plan.name.clone()).or_default();
        service.requires.clone_from(&plan.requires);
        service
    }

    /// An instance that does not live yet.
    pub(super) fn life(&mut self, plan: &Arc<ServicePlan>, instance: &InstancePlan) -> Life {
        let needs = plan.requires.iter().filter_map(|name| self.services.get(name));
        let needs: Vec<watch::Receiver<usize>> = needs.map(|need| need.ready.subscribe()).collect();
        let service = self.known(plan);
        let order = watch::Sender::new(Order::Live);
        let presence = Presence::new(&service.ready);
        let told = order.subscribe();
        service.instances.insert(instance.name.number, order);
        Life {
            service: plan.clone(),
            instance: instance.clone(),
            needs,
            order: told,
            herald: Herald::new(instance.name.clone(), self.events.clone(), presence),
            shared: self.shared.clone(),
            backoff: Backoff::new(),
        }
    }

    /// Tells an instance to stop and does not wait: [`Event::Stopped`] tells when nothing of it is left.
    pub fn dismiss(&self, instance: &InstanceName) {
        let service = self.services.get(&instance.service);
        if let Some(order) = service.and_then(|service| service.instances.get(&instance.number)) {
            order.send_replace(Order::Stop);
        }
    }

    /// What every instance that runs now uses, by its name. It may take a while, and needs nothing else of this.
    pub fn usage(&self) -> impl Future<Output = BTreeMap<String, Usage>> + use<> {
        let meters = self.shared.meters.clone();
        async move { meters.read().await }
    }

    /// The instances of a service that have not been told to stop.
    pub fn instances(&self, service: &str) -> Vec<InstanceName> {
        let Some((service, known)) = self.services.get_key_value(service) else { return Vec::new() };
        let live = known.instances.iter().filter(|(_, order)| !order.is_closed() && *order.borrow() == Order::Live);
        live.map(|(number, _)| InstanceName::new(service.clone(), *number)).collect()
    }

    /// Stops every service once all that require it have stopped, and returns when nothing is left of any that is not kept.
    pub async fn stop(mut self, keep: Keep) {
        let stops = self.services.iter().map(async |(name, service)| {
            let users = self.services.values().filter(|other| other.requires.contains(name));
            join_all(users.flat_map(|user| user.instances.values()).map(watch::Sender::closed)).await;
            join_all(service.instances.values().map(|order| ended(order, keep))).await;
        });
        join_all(stops).await;
        while self.lives.join_next().await.is_some() {}
        if keep == Keep::Nothing {
            self.clear(&[]).await;
        }
    }

    /// Where services run in containers: an engine that answers, images that are there, and what an earlier run left.
    async fn meet_containers(&self, plans: &mut [ServicePlan]) -> Result<(), Vec<Problem>> {
        let contained = plans.iter().find_map(|plan| match &plan.housing {
            Housing::Machine => None,
            Housing::Container(container) => Some((plan.name.clone(), container.project.clone())),
        });
        let Some((first, project)) = contained else {
            self.clear(&[]).await;
            return Ok(());
        };
        let at = format!("services.{first}.image");
        let engine = self.shared.engine().await.map_err(|why| vec![Problem::new(at, why)])?;
        self.clear(&[&project]).await;
        docker::reconcile(&engine, &project, plans, |progress| self.tell(Event::Progress { about: None, progress }))
            .await
    }

    /// Removes what there may be of the containers of every project but those that are wanted.
    async fn clear(&self, wanted: &[&str]) {
        let projects = self.projects.all();
        let unwanted = projects.iter().flatten().filter(|project| !wanted.contains(&project.as_str()));
        for project in unwanted {
            let cleared = match self.shared.engine().await {
                Ok(engine) => {
                    let tell = |progress| self.tell(Event::Progress { about: None, progress });
                    docker::clear(&engine, project, tell).await
                }
                Err(why) => Err(format!("containers of {project} may still be there: {why}")),
            };
            if let Err(trouble) = cleared.and_then(|()| self.projects.end(project)) {
                self.tell(Event::Trouble(trouble));
            }
        }
        if let Err(trouble) = &projects {
            self.tell(Event::Trouble(trouble.clone()));
        }
    }

    fn tell(&self, event: Event) {
        // Nobody may listen.
        let _ = self.events.send(event);
    }
}

/// What would become of the containers of a plan, and of those that earlier runs with this state folder left; asked of the
/// engine, which is not changed. Nothing where there is nothing to ask.
pub async fn foresee(plan: &Plan, state: &Path) -> Result<Vec<Reconciliation>, String> {
    let own = plan.services.iter().find_map(|service| match &service.housing {
        Housing::Machine => None,
        Housing::Container(container) => Some(container.project.clone()),
    });
    let mut projects: BTreeSet<Arc<str>> = Projects::of(state).all()?.iter().map(|name| name.as_str().into()).collect();
    projects.extend(own.clone());
    let mut all = Vec::new();
    if projects.is_empty() {
        return Ok(all);
    }
    let engine = Engine::connect().await?;
    for project in projects {
        let services = if Some(&project) == own.as_ref() { &plan.services[..] } else { &[] };
        all.push(Reconciliation::foresee(&engine, &project, services).await?);
    }
    Ok(all)
}

impl fmt::Debug for Supervisor {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Supervisor").field("services", &self.services).finish_non_exhaustive()
    }
}

/// Tells an instance to stop, and returns when nothing is left of it.
async fn ended(order: &watch::Sender<Order>, keep: Keep) {
    order.send_replace(match keep {
        Keep::Nothing => Order::Stop,
        Keep::Containers => Order::Leave,
    });
    order.closed().await;
}
