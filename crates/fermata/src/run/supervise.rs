//! Runs what a [`Plan`] says: starts services in the order of `requires`, keeps them running, stops them in the reverse
//! order. The story of one instance is in [`super::life`].
//!
//! Every task is counted in a [`JoinSet`] and awaited; nothing goes on after [`Supervisor::stop`] has returned.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use futures_util::future::join_all;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;

use super::backoff::Backoff;
use super::event::{Event, Line};
use super::herald::Herald;
use super::life::{Life, Order, Shared};
use super::plan::{Local, Plan, Problem, ServicePlan};
use super::ports::Ports;
use super::presence::{Presence, Tally};
use super::state::Roster;
use super::{preflight, sweep};

/// The services of a plan, running.
#[derive(Debug)]
pub struct Supervisor {
    services: BTreeMap<Arc<str>, Service>,
    lives: JoinSet<()>,
}

/// One service, running.
#[derive(Debug)]
struct Service {
    requires: Vec<Arc<str>>,
    order: watch::Sender<Order>,
    tally: watch::Sender<Tally>,
}

impl Supervisor {
    /// Ends what an earlier run left behind, makes sure that everything of `plan` can be started, and starts it; an
    /// error means that nothing was started. `lines` may be slow or full: then the processes wait. Needs a tokio runtime
    /// and must be stopped with [`Supervisor::stop`]; a supervisor that is dropped kills its processes.
    pub async fn start(
        plan: Plan,
        mut roster: Roster,
        events: mpsc::UnboundedSender<Event>,
        lines: mpsc::Sender<Line>,
    ) -> Result<Supervisor, Vec<Problem>> {
        sweep::sweep(&mut roster, &events).await;
        let problems = preflight::problems(&plan);
        if !problems.is_empty() {
            return Err(problems);
        }
        let fixed = plan.services.iter().flat_map(|service| &service.instances).flat_map(|instance| &instance.ports);
        let reserved = fixed.filter(|port| port.local == Local::Same).map(|port| port.container);
        let ports = Ports::new(reserved);
        let shared = Arc::new(Shared { lines, roster: Mutex::new(roster), ports });
        let mut supervisor = Supervisor { services: BTreeMap::new(), lives: JoinSet::new() };
        for service in plan.services {
            supervisor.add(service, &events, &shared);
        }
        Ok(supervisor)
    }

    /// Lets a service live. Those that it requires have been added before.
    fn add(&mut self, plan: ServicePlan, events: &mpsc::UnboundedSender<Event>, shared: &Arc<Shared>) {
        let service = Service {
            requires: plan.requires.clone(),
            order: watch::Sender::new(Order::Live),
            tally: watch::Sender::new(Tally::default()),
        };
        let needs = plan.requires.iter().filter_map(|name| self.services.get(name));
        let needs: Vec<watch::Receiver<Tally>> = needs.map(|need| need.tally.subscribe()).collect();
        let plan = Arc::new(plan);
        for instance in &plan.instances {
            let life = Life {
                service: plan.clone(),
                instance: instance.clone(),
                requires: needs.clone(),
                order: service.order.subscribe(),
                herald: Herald::new(instance.name.clone(), events.clone(), Presence::new(&service.tally)),
                shared: shared.clone(),
                backoff: Backoff::new(),
            };
            self.lives.spawn(life.live());
        }
        self.services.insert(plan.name.clone(), service);
    }

    /// Stops every service once all that require it have stopped, and returns when nothing is left of any.
    pub async fn stop(mut self) {
        let stops = self.services.iter().map(|(name, service)| {
            let requires_it = |other: &&Service| other.requires.contains(name);
            let users: Vec<watch::Receiver<Tally>> =
                self.services.values().filter(requires_it).map(|other| other.tally.subscribe()).collect();
            async move {
                join_all(users.into_iter().map(gone)).await;
                service.order.send_replace(Order::Stop);
                gone(service.tally.subscribe()).await;
            }
        });
        join_all(stops).await;
        while self.lives.join_next().await.is_some() {}
    }
}

async fn gone(mut tally: watch::Receiver<Tally>) {
    let _ = tally.wait_for(|tally| tally.there == 0).await;
}
