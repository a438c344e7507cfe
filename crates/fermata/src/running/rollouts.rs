//! Rollouts under way: does what each [`Rollout`] says, and tells it what happens.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use fermata_wire::{Close, Code};
use tokio::time::Instant;

use super::Running;
use crate::admin::{Asking, Reply};
use crate::app::StartError;
use crate::rebalance;
use crate::rollout::{Pace, Rollout, SoFar, Step};
use crate::run::plan::{Company, Housing, ServicePlan};
use crate::run::{Event, InstanceName, Line};
use crate::running::Notice;
use crate::tunnel::Which;

/// A new instance must be ready this long after its start, or its rollout is given up.
const READY_WITHIN: Duration = Duration::from_mins(2);
/// Once the drain of an instance is over its peers have this long for their part; then it is stopped all the same.
const AFTER_DRAIN: Duration = Duration::from_secs(10);
/// Lines of output of the failed instance that a rollout's failure shows.
const LAST_WORDS: usize = 5;

/// A rollout under way.
pub(super) struct Active {
    pub(super) rollout: Rollout,
    plan: ServicePlan,
    /// What its old instances' clients are told.
    close: Arc<Close>,
    drain: Duration,
    asking: Option<Asking>,
    /// What it is, for the last word: "redeployed web".
    what: String,
    ready_by: Instant,
    /// What the service was made of before, for the case that it does not work out.
    before: Option<ServicePlan>,
    /// Where it undoes another one that failed: why that one did.
    undoes: Option<String>,
}

impl Running {
    /// Tells every rollout what has happened.
    pub(super) async fn follow_rollouts(&mut self, event: &Event) {
        for at in (0..self.rollouts.len()).rev() {
            if let Event::Progress { about: Some(instance), progress } = event
                && self.rollouts[at].rollout.is_of(instance)
            {
                // An image may take long to come.
                self.rollouts[at].ready_by = Instant::now() + READY_WITHIN;
                if progress.is_for_lines() {
                    self.progress(at, progress.to_string()).await;
                }
            }
            if let Some(step) = self.rollouts[at].rollout.follow(event) {
                self.take(at, step).await;
            }
        }
    }

    pub(super) fn is_rolling(&self, service: &str) -> bool {
        self.rollouts.iter().any(|active| &*active.rollout.service == service)
    }

    /// The instances of a service that are meant to stay.
    pub(super) fn living(&self, service: &str) -> Vec<InstanceName> {
        self.supervisor.instances(service)
    }

    /// A service that the file has no more.
    pub(super) async fn remove(&mut self, name: &Arc<str>, drain: Duration) {
        let close = Arc::new(Close::new(Code::RESTART, "the service was removed"));
        match self.plans.remove(name) {
            Some(plan) => {
                let rollout = Rollout::new(name.clone(), self.living(name), 0, Pace::AllAtOnce);
                let what = format!("removed {name}");
                self.roll(Active {
                    rollout,
                    plan,
                    close,
                    drain,
                    asking: None,
                    what,
                    ready_by: Instant::now(),
                    before: None,
                    undoes: None,
                })
                .await;
            }
            None => {
                // Runs elsewhere: only its tunnels end.
                self.workers.drain(&Which::to(name.clone()), &close, drain).await;
            }
        }
    }

    /// Other instances for a service, by its own pace.
    pub(super) async fn replace(&mut self, plan: ServicePlan, what: String, asking: Option<Asking>) {
        let (name, old) = (plan.name.clone(), self.living(&plan.name));
        let Some(service) = self.spec.services.iter().find(|service| service.name == name) else { return };
        let pace = match &plan.housing {
            // Two cannot be at one port of the machine.
            Housing::Container(container) if container.is_published() => Pace::OldFirst(1),
            _ => Pace::of(&service.constraints, plan.instances.len()),
        };
        let drain = service.websocket.drain;
        let close = Arc::new(Close::new(Code::RESTART, "the service restarts"));
        let rollout = Rollout::new(name.clone(), old, plan.instances.len(), pace);
        // A file that was reloaded stays what the service should be; what somebody asked for does not.
        let before = self.plans.insert(name, plan.clone()).filter(|_| asking.is_some());
        let ready_by = Instant::now();
        self.roll(Active { rollout, plan, close, drain, asking, what, ready_by, before, undoes: None }).await;
    }

    /// More or fewer of the same.
    pub(super) async fn change_count(&mut self, name: &Arc<str>, from: usize, to: usize, asking: Option<Asking>) {
        let Some(plan) = self.plans.get(name).cloned() else { return };
        let drain = self.spec.services.iter().find(|service| service.name == *name);
        let drain = drain.map(|service| service.websocket.drain).unwrap_or_default();
        // The youngest go first.
        let leave = self.living(name).into_iter().rev().take(from.saturating_sub(to)).collect();
        let rollout = Rollout::new(name.clone(), leave, to.saturating_sub(from), Pace::AllAtOnce);
        let close = Arc::new(Close::new(Code::RESTART, "the service has fewer instances now"));
        let what = format!("scaled {name} from {from} to {to}");
        let ready_by = Instant::now();
        self.roll(Active { rollout, plan, close, drain, asking, what, ready_by, before: None, undoes: None }).await;
    }

    pub(super) async fn roll(&mut self, active: Active) {
        self.rollouts.push(active);
        let at = self.rollouts.len() - 1;
        let step = self.rollouts[at].rollout.begin();
        self.take(at, step).await;
    }

    /// Does what a rollout says.
    pub(super) async fn take(&mut self, at: usize, step: Step) {
        match step {
            Step::Start(count) => self.start_instances(at, count).await,
            Step::Retire(instances) => {
                self.progress(at, format!("draining {}", names(&instances))).await;
                for instance in instances {
                    self.retire(at, instance);
                }
            }
            Step::Done => {
                let Active { rollout, asking, what, undoes, .. } = self.rollouts.remove(at);
                if !self.plans.contains_key(&rollout.service) {
                    self.pools.forget(&rollout.service);
                }
                if rollout.adds {
                    self.rebalance(&rollout.service);
                }
                match (undoes, asking) {
                    (Some(why), asking) => self.refuse(asking, why).await,
                    (None, Some(asking)) => asking.done(what).await,
                    (None, None) => self.say(Notice::Done(what)).await,
                }
            }
            Step::GiveUp { stop, reason, so_far } => self.give_up(at, stop, reason, so_far).await,
        }
    }

    pub(super) async fn start_instances(&mut self, at: usize, count: usize) {
        let Active { rollout, plan, .. } = &self.rollouts[at];
        let taken: Vec<u32> = self.numbers(&rollout.service);
        let fresh: Vec<u32> = (1..).filter(|number| !taken.contains(number)).take(count).collect();
        let company = if taken.is_empty() { Company::Alone } else { Company::Others };
        let plan = plan.with_instances(&fresh, company);
        let instances: Vec<InstanceName> = plan.instances.iter().map(|one| one.name.clone()).collect();
        if instances.is_empty() {
            let reason = "the file says replicas: 0; give it a number there".to_owned();
            return self.give_up(at, Vec::new(), reason, SoFar::default()).await;
        }
        if let Err(problems) = self.supervisor.add(vec![plan]) {
            return self.give_up(at, Vec::new(), StartError::Plan(problems).to_string(), SoFar::default()).await;
        }
        self.progress(at, format!("starting {}", names(&instances))).await;
        let active = &mut self.rollouts[at];
        active.ready_by = Instant::now() + READY_WITHIN;
        active.rollout.started(instances);
    }

    /// Numbers that instances of a service have, those that are ending included.
    pub(super) fn numbers(&self, service: &str) -> Vec<u32> {
        let own = self.instances.iter().filter(|(_, seen)| &*seen.service == service);
        let seen = own.filter_map(|(name, _)| name.rsplit_once('.')?.1.parse().ok());
        let mut numbers: Vec<u32> = seen.chain(self.living(service).iter().map(|one| one.number)).collect();
        numbers.sort_unstable();
        numbers.dedup();
        numbers
    }

    /// No new traffic, paced closes for what it has, and word when nothing uses it any more.
    pub(super) fn retire(&self, at: usize, instance: InstanceName) {
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

    /// Where the file says so, instances that have more tunnels than their share close some: these come back to those that
    /// have fewer.
    pub(super) fn rebalance(&self, name: &Arc<str>) {
        let service = self.spec.services.iter().find(|service| service.name == *name);
        let Some(over) = service.and_then(|service| service.rebalance) else { return };
        let mut tunnels: BTreeMap<Arc<str>, u32> = BTreeMap::new();
        // Who is not well takes nothing, and has no share.
        for endpoint in self.pools.well(name) {
            *tunnels.entry(endpoint.instance.clone()).or_default() += endpoint.live();
        }
        let tunnels: Vec<_> = tunnels.into_iter().collect();
        let close = Arc::new(Close::new(Code::RESTART, "another instance has room"));
        for (instance, count) in rebalance::surplus(&tunnels) {
            let (workers, close) = (self.workers.clone(), close.clone());
            tokio::task::spawn_local(async move {
                let count = workers.drain_some(&Which::to(instance.clone()), &close, over, count as usize).await;
                tracing::info!(target: "rebalance", %instance, tunnels = count, seconds = over.as_secs(), "closing its surplus");
            });
        }
    }

    /// It does not work out: what is new goes again, and what was there before comes back, as far as it has gone.
    pub(super) async fn give_up(&mut self, at: usize, stop: Vec<InstanceName>, reason: String, so_far: SoFar) {
        for instance in &stop {
            self.supervisor.dismiss(instance);
        }
        let text = self.told_with_last_words(at, &stop, &reason);
        let Active { rollout, plan, close, drain, asking, before, undoes, .. } = self.rollouts.remove(at);
        if let Some(why) = undoes {
            return self.refuse(asking, format!("{why}\nnor could it be undone: {text}")).await;
        }
        let Some(before) = before else { return self.refuse(asking, text).await };
        self.plans.insert(before.name.clone(), before.clone());
        let is_other = before.program != plan.program || matches!(plan.housing, Housing::Container(_));
        // Those of the same make do as well as those that went for them.
        let (leave, missing) = if is_other {
            (so_far.new, so_far.gone)
        } else {
            (Vec::new(), so_far.gone.saturating_sub(so_far.new.len()))
        };
        if leave.is_empty() && missing == 0 {
            return self.refuse(asking, text).await;
        }
        let rollout = Rollout::new(rollout.service, leave, missing, Pace::AllAtOnce);
        let what = format!("undone {}", rollout.service);
        let ready_by = Instant::now();
        let undoing =
            Active { rollout, plan: before, close, drain, asking, what, ready_by, before: None, undoes: Some(text) };
        // Boxed, as undoing is a rollout too.
        Box::pin(self.roll(undoing)).await;
    }

    /// Why a rollout failed, and what the instances that failed wrote last.
    fn told_with_last_words(&self, at: usize, stop: &[InstanceName], reason: &str) -> String {
        let Active { rollout, ready_by, .. } = &self.rollouts[at];
        // An instance of the same name may have written before.
        let wrote =
            |(when, line): &&(Instant, Line)| *when + READY_WITHIN >= *ready_by && stop.contains(&line.instance);
        let last = self.tail.lines.iter().rev().filter(wrote).take(LAST_WORDS);
        let last: Vec<&str> = last.map(|(_, line)| &*line.text).collect();
        let mut text = format!("{} stays as it was: {reason}", rollout.service);
        if !last.is_empty() {
            text += "\nits last output:";
            for line in last.iter().rev() {
                text.push_str("\n  ");
                text.push_str(line);
            }
        }
        text
    }

    async fn refuse(&self, asking: Option<Asking>, why: String) {
        match asking {
            Some(asking) => asking.refuse(why).await,
            None => self.say(Notice::Warning(why)).await,
        }
    }

    pub(super) async fn progress(&self, at: usize, text: String) {
        if let Some(asking) = &self.rollouts[at].asking {
            asking.reply(Reply::Progress { text }).await;
        }
    }

    /// Gives up rollouts whose new instances take too long.
    pub(super) async fn check_rollouts(&mut self) {
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
}

fn names(instances: &[InstanceName]) -> String {
    instances.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}
