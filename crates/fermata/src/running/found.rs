//! Endpoints that are found: those of a service that runs in a cluster, followed while the file has it.
//!
//! What leaves is drained as an instance that is stopped: its tunnels are told, one after the other, that the service restarts
//! (Close 1012). What is only not ready gets nothing new, and its tunnels go on. Where nobody is ready, what leaves and still
//! serves gets what is new, rather than nobody; those tunnels are told as soon as somebody is ready, or as it goes.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;

use fermata_wire::{Close, Code};
use tokio::sync::mpsc;
use tokio::task::AbortHandle;

use super::Running;
use super::seen::Seen;
use crate::discovery::{self, Cluster, Found, Said, Standing, Wanted};
use crate::route::Target;
use crate::run::plan::FoundPlan;
use crate::running::Notice;
use crate::tunnel::Which;

/// What was found of a service.
pub(super) type Finding = (Arc<str>, Said);

/// A service whose endpoints are followed. Dropping it ends that.
pub(super) struct Following {
    plan: FoundPlan,
    cluster: Arc<Cluster>,
    /// Every endpoint that has not begun to leave.
    staying: Vec<Found>,
    task: AbortHandle,
}

impl Drop for Following {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Running {
    /// Follows the services of `plan`, and no others; who is followed already goes on.
    pub(super) fn follow_found(&mut self, plan: &[FoundPlan], cluster: Option<&Arc<Cluster>>) {
        let mut before = std::mem::take(&mut self.followed);
        let Some(cluster) = cluster else { return };
        for wanted in plan {
            let known = before.remove(&wanted.name);
            let following = match known {
                Some(known) if known.plan == *wanted && known.cluster == *cluster => known,
                known => {
                    let staying = known.map(|known| known.staying.clone());
                    let staying = staying.unwrap_or_else(|| self.seen_before(&wanted.name));
                    let task = follow(wanted, cluster.clone(), self.findings.clone());
                    Following { plan: wanted.clone(), cluster: cluster.clone(), staying, task }
                }
            };
            self.followed.insert(wanted.name.clone(), following);
        }
    }

    /// Who was there as far as another process, before an upgrade, has told: whoever of them is gone by now has to leave.
    fn seen_before(&self, service: &Arc<str>) -> Vec<Found> {
        let seen = self.instances.iter().filter(|(_, seen)| seen.service == *service);
        let found = seen.filter_map(|(name, seen)| {
            let standing = [Standing::Ready, Standing::Away].into_iter().find(|one| word(*one) == seen.state)?;
            let at = seen.address.split(' ').filter_map(|text| text.parse::<SocketAddr>().ok());
            let name = name.strip_prefix(&format!("{service}."))?;
            Some(Found { name: name.into(), ports: at.map(|at| (at.port(), at)).collect(), standing })
        });
        found.collect()
    }

    /// Something was found, or cannot be.
    pub(super) async fn find(&mut self, (service, said): Finding) {
        // It may have left the file since.
        let Some(following) = self.followed.get_mut(&service) else { return };
        match said {
            Said::Trouble(text) => self.say(Notice::Warning(text)).await,
            Said::Again => self.say(Notice::Done(format!("the endpoints of {service} are followed again"))).await,
            Said::Endpoints(found) => {
                let staying: Vec<Found> = found.iter().filter(|one| !one.standing.is_leaving()).cloned().collect();
                let before = std::mem::replace(&mut following.staying, staying.clone());
                let open = discovery::open(&found);
                let away = found.iter().filter(|one| one.standing == Standing::Away).collect::<Vec<&Found>>();
                let known = self.pools.well(&service);
                let is_new = |target: &Target| !known.iter().any(|one| one.target == *target);
                let more =
                    !known.is_empty() && open.iter().flat_map(|one| &one.ports).any(|(_, at)| is_new(&Target::Ip(*at)));
                let gone = self.pools.adopt(&service, &open, &away);
                let stays = |target: &Target| {
                    staying.iter().flat_map(|one| &one.ports).any(|(_, at)| *target == Target::Ip(*at))
                };
                let mut leave: BTreeMap<String, Vec<Target>> = BTreeMap::new();
                let known = before
                    .iter()
                    .flat_map(|one| one.ports.iter().map(|(_, at)| (one.instance_of(&service).to_string(), *at)));
                let known = known.map(|(name, at)| (name, Target::Ip(at)));
                let gone = gone.into_iter().map(|endpoint| (endpoint.instance.to_string(), endpoint.target.clone()));
                for (name, target) in known.chain(gone).filter(|(_, target)| !stays(target)) {
                    let targets = leave.entry(name).or_default();
                    if !targets.contains(&target) {
                        targets.push(target);
                    }
                }
                self.show_found(&service, &found).await;
                self.drain_found(&service, leave).await;
                if more {
                    self.rebalance(&service);
                }
                self.waiting.has_come(&service);
                self.tell_when_ready().await;
            }
        }
    }

    /// Tunnels to where somebody leaves.
    async fn drain_found(&self, service: &Arc<str>, leave: BTreeMap<String, Vec<Target>>) {
        let drain = self.spec.services.iter().find(|one| one.name == *service).map(|one| one.websocket.drain);
        let (drain, close) = (drain.unwrap_or_default(), Arc::new(Close::new(Code::RESTART, "the service restarts")));
        for (name, targets) in leave {
            let mut count = 0;
            for target in targets {
                let which = Which { at: Some(target), ..Which::to(name.as_str()) };
                count += self.workers.drain(&which, &close, drain).await;
            }
            let tunnels = format!("{count} tunnels are being closed over {} s", drain.as_secs_f32());
            self.say(Notice::Done(format!("{name} leaves: {tunnels}"))).await;
        }
    }

    /// Keeps what `status` shows true to what was found, and tells of those that are new to traffic.
    async fn show_found(&mut self, service: &Arc<str>, found: &[Found]) {
        let mut now: BTreeMap<String, Seen> = BTreeMap::new();
        for one in found {
            let addresses: Vec<String> = one.ports.iter().map(|(_, at)| at.to_string()).collect();
            let seen = Seen {
                service: service.clone(),
                state: word(one.standing),
                address: addresses.join(" "),
                since: None,
                restarts: 0,
                reason: None,
            };
            now.insert(one.instance_of(service).to_string(), seen);
        }
        let state =
            |name: &String, all: &BTreeMap<String, Seen>| all.get(name).map(|seen| (seen.state, seen.address.clone()));
        for (name, seen) in now.iter().filter(|(name, seen)| {
            seen.state != "stopping" && state(name, &self.instances) != Some((seen.state, seen.address.clone()))
        }) {
            self.say(Notice::Done(format!("{name} at {} is {}", seen.address, seen.state))).await;
        }
        self.instances.retain(|name, seen| seen.service != *service || now.contains_key(name));
        self.instances.extend(now);
    }
}

/// How it stands, for `status`.
fn word(standing: Standing) -> &'static str {
    match standing {
        Standing::Ready => "ready",
        Standing::Away => "not ready",
        Standing::Leaving | Standing::Ending => "stopping",
    }
}

fn follow(plan: &FoundPlan, cluster: Arc<Cluster>, findings: mpsc::UnboundedSender<Finding>) -> AbortHandle {
    let (name, wanted) =
        (plan.name.clone(), Wanted { cluster, service: plan.service.clone(), ports: plan.ports.clone() });
    let following = async move {
        // Whoever listens may have stopped.
        let never = discovery::follow(wanted, |said| drop(findings.send((name.clone(), said)))).await;
        match never {}
    };
    tokio::task::spawn_local(following).abort_handle()
}
