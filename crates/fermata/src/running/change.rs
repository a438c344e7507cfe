//! A reload: the file as it is now takes the place of the file as it was, without a listener closed or a tunnel cut that the
//! change doesn't concern.

use std::sync::Arc;
use std::time::Duration;

use fermata_spec::Spec;
use fermata_wire::{Close, Code};

use super::seen::external;
use super::{Running, watch};
use crate::app::{Prepared, StartError};
use crate::public::{Settling, own, routes};
use crate::reload::Changes;
use crate::route::{Endpoint, Secure, Table};
use crate::run::Plan;
use crate::run::plan::ServicePlan;
use crate::running::Notice;
use crate::tunnel::Which;

impl Running {
    /// Reads the file again and becomes what it says; an error changes nothing.
    pub(super) async fn reload(&mut self) -> Result<String, String> {
        let spec = (self.outside.reread)()?;
        self.place.drawn.extend(self.plans.values().flat_map(ServicePlan::drawn));
        let prepared = Prepared::new(spec, &self.place, &self.bound).map_err(|error| error.to_string())?;
        let changes = Changes::between(&self.spec, &prepared.spec);
        self.turn_into(prepared, &changes).await?;
        Ok(format!("reloaded: {changes}"))
    }

    async fn turn_into(&mut self, next: Prepared, changes: &Changes) -> Result<(), String> {
        let Prepared { spec, plan, cluster, ports, bound, certificates, secure, warnings } = next;
        let touched =
            || changes.removed.iter().chain(&changes.replaced).chain(changes.scaled.iter().map(|(name, ..)| name));
        if let Some(name) = touched().find(|name| self.is_rolling(name)) {
            return Err(format!("a change of {name} is under way; reload again when it is done"));
        }
        let planned = |name: &Arc<str>| plan.services.iter().find(|service| service.name == *name).cloned();
        // Instances of both would have the same names.
        if let Some(name) =
            changes.replaced.iter().find(|name| self.plans.contains_key(*name) && planned(name).is_none())
        {
            return Err(format!(
                "{name} runs here, and by the file it is to run elsewhere: no reload can do that; give it another name there, so \
                 that one service goes as the other comes, or stop fermata and start it again; nothing has changed"
            ));
        }
        let added: Vec<ServicePlan> = changes.added.iter().filter_map(planned).collect();
        // The last thing that can fail.
        self.supervisor.add(added.clone()).map_err(|problems| StartError::Plan(problems).to_string())?;
        let before = std::mem::replace(&mut self.spec, spec);
        self.ports = ports;
        self.bound = bound;
        self.certificates.offer(&certificates);
        self.watch = watch(&self.certificates, certificates, &self.outside.notices);
        self.renew_authority();
        self.adopt_external(&before, &plan, changes, secure.as_ref()).await;
        self.follow_found(&plan.found, cluster.as_ref());
        let table = Table::new(self.spec.gateway.clone(), routes(&self.spec, &self.pools, secure.as_ref()));
        self.shared.table.store(Arc::new(table));
        self.workers.accept(self.bound.doors(&self.tls));
        self.forward_datagrams();
        self.show();
        self.plans.extend(added.into_iter().map(|plan| (plan.name.clone(), plan)));
        for name in changes.replaced.iter().filter(|name| !self.plans.contains_key(*name)) {
            self.rebalance(name);
        }
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
        self.keep_drawn().await;
        Ok(())
    }

    /// What runs elsewhere may be elsewhere now: tunnels to where it is no more are drained, over the time that the file as
    /// it was gives them.
    async fn adopt_external(&mut self, before: &Spec, plan: &Plan, changes: &Changes, secure: Option<&Secure>) {
        for name in changes.removed.iter().chain(&changes.replaced) {
            if self.plans.contains_key(name) {
                continue;
            }
            if plan.found.iter().any(|service| service.name == *name) {
                // What is found takes the place of what is there.
                continue;
            }
            let next = plan.running.iter().find(|service| service.name == *name);
            let gone = match next {
                Some(next) => self.pools.settle(next, Settling::Again),
                None => self.pools.unsettle(name),
            };
            if changes.removed.contains(name) {
                // All of it is drained, whatever it was.
                continue;
            }
            let service = before.services.iter().find(|service| service.name == *name);
            let drain = service.map(|service| service.websocket.drain).unwrap_or_default();
            let wait = next.map(|next| next.wait_after_removing).unwrap_or_default();
            self.drain_gone(name, gone, drain, wait).await;
        }
        // Whatever was taken out by hand comes back.
        for service in &plan.running {
            let settling = if changes.added.contains(&service.name) { Settling::First } else { Settling::Again };
            self.pools.settle(service, settling);
        }
        self.show_external(plan);
        self.checks = self.pools.watch_running(plan, secure, &own(&self.spec.gateway, &self.ports), &self.events);
    }

    /// What runs elsewhere now, for status; whose health is known keeps it.
    fn show_external(&mut self, plan: &Plan) {
        let mut external = external(plan);
        for (name, seen) in &mut external {
            if let Some(known) = self.instances.get(name) {
                seen.state = known.state;
            }
        }
        let is_found = |name: &Arc<str>| plan.found.iter().any(|service| service.name == *name);
        self.instances.retain(|_, seen| self.plans.contains_key(&seen.service) || is_found(&seen.service));
        self.instances.extend(external);
    }

    /// Tunnels to where their service is no more are told to come back, after a wait where the file says so.
    async fn drain_gone(&self, service: &Arc<str>, gone: Vec<Arc<Endpoint>>, over: Duration, wait: Duration) {
        let close = Arc::new(Close::new(Code::RESTART, "the instance was removed"));
        let there = gone.iter().map(|one| Which { at: Some(one.target.clone()), ..Which::to(service.clone()) });
        let there: Vec<Which> = there.collect();
        if wait.is_zero() {
            for which in &there {
                self.workers.drain(which, &close, over).await;
            }
            return;
        }
        let (workers, pools, service) = (self.workers.clone(), self.pools.clone(), service.clone());
        tokio::task::spawn_local(async move {
            tokio::time::sleep(wait).await;
            // Who has come back meanwhile keeps its tunnels.
            let back = pools.endpoints(&service);
            let is_gone = |which: &&Which| back.iter().all(|one| Some(&one.target) != which.at.as_ref());
            for which in there.iter().filter(is_gone) {
                workers.drain(which, &close, over).await;
            }
        });
    }
}
