//! All instances together, handed from one Fermata to the next: held still here, gone on with there. Their processes
//! notice nothing.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, timeout_at};

use super::backoff::Backoff;
use super::event::{Event, InstanceName, Line};
use super::handed::{Handing, Standing};
use super::life::{Life, Next, Order, Run};
use super::plan::{InstancePlan, ServicePlan};
use super::state::Roster;
use super::supervise::Supervisor;

/// Instances that another Fermata hands over, before anything is done with them: dropped, they are still that one's.
pub struct Inheritance {
    supervisor: Supervisor,
    lives: Vec<(Life, Next)>,
}

impl Supervisor {
    /// Has every instance hold still, and gives what is known of each: nothing is read from their processes, and nothing
    /// is done for them, until [`Supervisor::go_on`] or [`Supervisor::leave`]. An error tells which of them could not, and
    /// then all go on.
    pub async fn hold_still(&mut self, within: Duration) -> Result<Vec<Handing>, String> {
        let deadline = Instant::now() + within;
        self.held += 1;
        let number = self.held;
        let mut expected: Vec<InstanceName> = Vec::new();
        let mut busy = None;
        for (service, known) in &mut self.services {
            known.instances.retain(|_, order| !order.is_closed());
            for (instance, order) in &known.instances {
                let name = InstanceName::new(service.clone(), *instance);
                match *order.borrow() {
                    Order::Live => expected.push(name),
                    _ => busy = Some(format!("{name} is being stopped")),
                }
            }
        }
        if let Some(busy) = busy {
            return Err(busy);
        }
        self.order(Order::Live, Order::HoldStill(number));
        let mut handings = Vec::new();
        while !expected.is_empty() {
            match timeout_at(deadline, self.handed.recv()).await {
                Ok(Some((of, handing))) if of == number => {
                    let record = &handing.record;
                    expected.retain(|name| *name.service != *record.service || name.number != record.number);
                    handings.push(handing);
                }
                // Of an order that nobody waited for any more.
                Ok(Some(_)) => {}
                Ok(None) | Err(_) => {
                    self.go_on();
                    let names: Vec<String> = expected.iter().map(ToString::to_string).collect();
                    return Err(format!("{} is just ending or starting", names.join(", ")));
                }
            }
        }
        Ok(handings)
    }

    /// Whatever held still lives on.
    pub fn go_on(&self) {
        self.order(Order::HoldStill(self.held), Order::Live);
    }

    /// Leaves all instances to whoever they were handed to.
    pub async fn leave(mut self) {
        self.order(Order::HoldStill(self.held), Order::Leave);
        join_all(self.services.values().flat_map(|service| service.instances.values()).map(watch::Sender::closed))
            .await;
        while self.lives.join_next().await.is_some() {}
    }

    fn order(&self, from: Order, to: Order) {
        for order in self.services.values().flat_map(|service| service.instances.values()) {
            order.send_if_modified(|order| {
                let is = *order == from;
                if is {
                    *order = to;
                }
                is
            });
        }
    }
}

impl Inheritance {
    /// Takes instances over from another Fermata. `plans` are the services of the file, in the order of `requires`; one
    /// that has no plan is refused. Nothing has been read, written or signalled then.
    pub fn new(
        plans: &[ServicePlan],
        handings: Vec<Handing>,
        roster: Roster,
        events: mpsc::UnboundedSender<Event>,
        lines: mpsc::Sender<Line>,
    ) -> Result<Inheritance, String> {
        let mut supervisor = Supervisor::new(roster, events, lines);
        let mut by_service: BTreeMap<String, Vec<Handing>> = BTreeMap::new();
        for handing in handings {
            by_service.entry(handing.record.service.clone()).or_default().push(handing);
        }
        let mut heirs = Vec::new();
        for plan in plans {
            let plan = Arc::new(plan.clone());
            supervisor.known(&plan);
            for handing in by_service.remove(&*plan.name).unwrap_or_default() {
                let taken = take_over(&mut supervisor, &plan, handing);
                heirs.push(taken.map_err(|why| format!("an instance of {} cannot be taken over: {why}", plan.name))?);
            }
        }
        match by_service.keys().next() {
            None => Ok(Inheritance { supervisor, lives: heirs }),
            Some(service) => {
                Err(format!("instances of {service} run, but the file has no such service that is started here"))
            }
        }
    }

    /// From now on they live here.
    pub fn begin(self) -> Supervisor {
        let Inheritance { mut supervisor, lives } = self;
        for (life, mut next) in lives {
            if let Next::GoOn(run) = &mut next {
                run.claim();
                life.inherits(run);
            }
            supervisor.lives.spawn(life.live(next));
        }
        supervisor
    }
}

fn take_over(supervisor: &mut Supervisor, plan: &Arc<ServicePlan>, handing: Handing) -> std::io::Result<(Life, Next)> {
    let Handing { record, descriptors } = handing;
    let name = InstanceName::new(plan.name.clone(), record.number);
    let instance = InstancePlan { name, ports: record.ports() };
    supervisor.shared.ports.reserve(std::iter::once(&instance));
    let mut life = supervisor.life(plan, &instance);
    life.backoff = Backoff::at(record.backoff);
    let next = match &record.state {
        Standing::Waits => Next::StartWhenReady,
        Standing::Rests(wait) => Next::StartAt(Instant::now() + *wait),
        Standing::Runs(run) => {
            life.herald.goes_on(run.up, run.ready);
            Next::GoOn(Run::inherit(run, descriptors, &supervisor.shared.ports)?)
        }
        Standing::Contained(run) => {
            life.herald.goes_on(run.up, run.ready);
            Next::GoOnWith(run.clone())
        }
    };
    Ok((life, next))
}
