//! What runs elsewhere: its places fill the pools, whoever names them, and checks say which of them are well.

use std::sync::Arc;
use std::time::{Duration, Instant as PlainInstant};

use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

use super::{Pools, target_of};
use crate::net::Own;
use crate::route::{Despair, Endpoint, Line, Newcomers, Rank, Secure, Target, Wanted};
use crate::run::health::{At, Checker, Proof, Verdict};
use crate::run::plan::{GatePlan, PlacePlan, RunningPlan, Turn};
use crate::run::{Event, Plan};

/// More checks than this do not all begin at once.
const AT_ONCE: usize = 64;

/// Why the places of a service are settled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Settling {
    /// It begins: nobody is new.
    First,
    /// They have changed while it runs.
    Again,
}

impl Pools {
    /// What runs elsewhere is here now, and nowhere else: who stays keeps its count and health, under whatever name it has;
    /// who is there no more gets nothing new, and is returned. Can be called at any time.
    pub fn settle(&self, service: &RunningPlan, settling: Settling) -> Vec<Arc<Endpoint>> {
        let later = match settling {
            Settling::Again if !service.wait_after_adding.is_zero() => {
                Some(PlainInstant::now() + service.wait_after_adding)
            }
            _ => None,
        };
        let despair = if service.tries_all { Despair::TryAll } else { Despair::Refuse };
        let mut gone = self.clear(&service.name, |port| !service.ports.contains(&port));
        for port in &service.ports {
            let wanted: Vec<Wanted> = service.places.iter().map(|place| wanted(place, *port)).collect();
            let is_checked = service.checks.iter().any(|gate| gate.opens.is_none_or(|opens| opens == *port));
            let newcomers = if is_checked { Newcomers::Unseen(later) } else { Newcomers::Well };
            gone.extend(self.pool(&service.name, *port).settle(&wanted, newcomers, despair));
        }
        gone
    }

    /// On which ports an instance is well, where that is some of them and not all.
    pub fn partly_ready(&self, service: &str, instance: &str) -> Option<String> {
        let pools = self.pools();
        let own = pools.iter().filter(|((of, _), _)| &**of == service);
        let known: Vec<(u16, bool)> =
            own.filter_map(|((_, port), pool)| Some((*port, pool.is_well(instance)?))).collect();
        let well: Vec<String> = known.iter().filter(|(_, well)| *well).map(|(port, _)| port.to_string()).collect();
        (!well.is_empty() && well.len() < known.len()).then(|| format!("ready on {}", well.join(", ")))
    }

    /// A service runs elsewhere no more; who was there is returned.
    pub fn unsettle(&self, service: &Arc<str>) -> Vec<Arc<Endpoint>> {
        self.clear(service, |_| true)
    }

    fn clear(&self, service: &Arc<str>, which: impl Fn(u16) -> bool) -> Vec<Arc<Endpoint>> {
        let pools = self.pools();
        let own = pools.iter().filter(|((of, port), _)| of == service && which(*port));
        own.flat_map(|(_, pool)| pool.settle(&[], Newcomers::Well, Despair::Refuse)).collect()
    }

    /// Which services wait for checks, and for how many. Those whose places all get traffic in need don't.
    pub fn awaited(plan: &Plan) -> impl Iterator<Item = (Arc<str>, usize)> {
        let waits = plan.running.iter().filter(|service| !service.tries_all);
        waits.map(|service| (service.name.clone(), service.checks.len() * service.places.len()))
    }

    /// Checks what runs elsewhere, and tells as a supervisor would; ends when dropped. Where the way there is to be secure, whoever
    /// is asked over TLS has to prove what traffic wants proven; and none of a balancer's servers may be where it listens itself.
    pub fn watch_running(
        self: &Arc<Self>,
        plan: &Plan,
        secure: Option<&Secure>,
        own: &Own,
        events: &mpsc::UnboundedSender<Event>,
    ) -> JoinSet<()> {
        let own = Arc::new(own.clone());
        let proof = secure.map(|Secure { config, name }| Proof { config: config.clone(), name: name.clone() });
        let mut watches = JoinSet::new();
        let count: usize = plan.running.iter().map(|service| service.checks.len() * service.places.len()).sum();
        for service in &plan.running {
            for place in &service.places {
                for gate in &service.checks {
                    let spread =
                        if count > AT_ONCE { gate.check.period.mul_f64(fastrand::f64()) } else { Duration::ZERO };
                    let mut watch = Watch::of(self.clone(), service, place, gate, events.clone());
                    watch.checker = watch.checker.proven(proof.clone());
                    if service.tries_all {
                        watch.checker = watch.checker.elsewhere(own.clone());
                    }
                    watches.spawn_local(async move {
                        sleep(spread).await;
                        watch.go_on().await;
                    });
                }
            }
        }
        watches
    }
}

/// The check of one place, and what it opens.
struct Watch {
    pools: Arc<Pools>,
    checker: Checker,
    service: Arc<str>,
    ports: Vec<u16>,
    place: PlacePlan,
    port: Option<u16>,
    events: mpsc::UnboundedSender<Event>,
}

impl Watch {
    fn of(
        pools: Arc<Pools>,
        service: &RunningPlan,
        place: &PlacePlan,
        gate: &GatePlan,
        events: mpsc::UnboundedSender<Event>,
    ) -> Watch {
        let port = gate.check.act.port().or(gate.opens).or(service.ports.first().copied()).unwrap_or_default();
        let at = match target_of(&place.address, port) {
            Target::Ip(address) => At::Tcp(address),
            Target::Name(name, port) => At::Name(name, port),
            Target::Unix(path) => At::Unix(path),
        };
        Watch {
            pools,
            checker: Checker::new(&gate.check, at, |words| service.surroundings.launch(words, &[]).into()),
            service: service.name.clone(),
            ports: gate.opens.map_or_else(|| service.ports.clone(), |port| vec![port]),
            place: place.clone(),
            port: gate.opens,
            events,
        }
    }

    /// Checks for ever. One that is known to be well already has to fail as often as any other.
    async fn go_on(self) {
        let name: Arc<str> = self.place.name.to_string().into();
        let is_well = |port: &u16| self.pools.pool(&self.service, *port).is_well(&name) == Some(true);
        let mut last = self.ports.iter().all(is_well).then_some(Verdict::Passes);
        let follows = last.is_some();
        let tell = |verdict: Verdict| {
            for port in &self.ports {
                self.pools.pool(&self.service, *port).mark(&name, verdict == Verdict::Passes);
            }
            if last.as_ref() != Some(&verdict) {
                // Whoever listens may have stopped; the pools are what counts.
                drop(self.events.send(self.event(&verdict)));
                last = Some(verdict);
            }
        };
        let never =
            if follows { self.checker.follow_on(tell).await } else { self.checker.follow(Instant::now(), tell).await };
        match never {}
    }

    fn event(&self, verdict: &Verdict) -> Event {
        let (instance, port) = (self.place.name.clone(), self.port);
        match verdict {
            Verdict::Passes => Event::Well { instance, port },
            Verdict::Fails(reason) => Event::Unwell { instance, port, reason: reason.clone() },
        }
    }
}

fn wanted(place: &PlacePlan, port: u16) -> Wanted {
    let line = match place.turn {
        Turn::First => Line::First,
        Turn::Second => Line::Second,
        Turn::Backup => Line::Backup,
    };
    Wanted {
        instance: place.name.to_string().into(),
        target: target_of(&place.address, port),
        rank: Rank { weight: place.weight, line },
    }
}
