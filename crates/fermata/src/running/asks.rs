//! What can be asked of a running file, and the answers.

use std::sync::Arc;
use std::time::{Duration, Instant};

use fermata_wire::{Close, Code};
use tokio::sync::broadcast::error::RecvError;

use super::Running;
use super::seen::reply_of;
use crate::admin::{
    Asking, ConnectionRow, Count, EndedRow, Filter, InstanceRow, PortRow, Reply, Request, ServiceRow, Status, Target,
    TunnelFigures,
};
use crate::public::PublicPort;
use crate::run::plan::{ContainerPlan, Housing, ImagePlan, ServicePlan};
use crate::run::{Keep, Line};
use crate::running::Notice;
use crate::tunnel::{Change, Departure, Entry, Kind, TunnelId, Which};

/// Whether it goes on after a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Onward {
    Go,
    Stop(Keep),
}

impl Running {
    /// Answers one request.
    pub(super) async fn answer(&mut self, request: Request, asking: Asking) -> Onward {
        match request {
            Request::Status => {
                let (mut status, usage, loads) = (self.status().await, self.supervisor.usage(), self.loads.clone());
                // An engine takes a while to tell; meanwhile everything else goes on.
                tokio::task::spawn_local(async move {
                    let usages = usage.await;
                    loads.borrow_mut().fill(&mut status, &usages, Instant::now());
                    asking.reply(Reply::Status(status)).await;
                });
            }
            Request::Connections(filter) => {
                let entries = self.workers.list(&which(filter)).await;
                let connections = entries.iter().map(row_of).collect();
                asking.reply(Reply::Connections { connections }).await;
            }
            Request::Follow(filter) => self.follow_connections(which(filter), asking).await,
            Request::Close(filter) => {
                let close = Arc::new(Close::new(Code::GOING_AWAY, "closed by the operator"));
                let count = self.drain_all(&which(filter), &close, Duration::ZERO).await;
                asking.done(format!("{count} tunnels are being closed")).await;
            }
            Request::Drain { target, over } => self.drain(target, over, &asking).await,
            Request::Scale { service, count } => self.scale(&service, count, asking).await,
            Request::Redeploy { service, image } => self.redeploy(&service, image, asking).await,
            Request::Reload => match self.reload().await {
                Ok(changes) => {
                    self.say(Notice::Done(changes.clone())).await;
                    asking.done(changes).await;
                }
                Err(reason) => asking.refuse(reason).await,
            },
            Request::Upgrade { program, linger } => self.upgrade(program, linger, asking).await,
            Request::Logs { service, follow } => self.logs(service, follow, asking).await,
            Request::Stop { keep } => {
                let (keep, text) =
                    if keep { (Keep::Containers, "stopping; containers go on") } else { (Keep::Nothing, "stopping") };
                asking.done(text).await;
                return Onward::Stop(keep);
            }
        }
        Onward::Go
    }

    /// Tells what becomes of some tunnels, until nobody listens any more.
    async fn follow_connections(&self, which: Which, asking: Asking) {
        // First, so that nothing is missed in between; who is opened just then is told of twice.
        let mut changes = self.shared.ledger.follow();
        let connections = self.workers.list(&which).await.iter().map(row_of).collect();
        asking.reply(Reply::Connections { connections }).await;
        tokio::task::spawn_local(async move {
            loop {
                let reply = match changes.recv().await {
                    Ok(change) if !which.concerns(&change) => continue,
                    Ok(Change::Opened(entry)) => Reply::Opened(row_of(&entry)),
                    Ok(Change::Ended(departure)) => Reply::Ended(ended_row_of(&departure)),
                    Err(RecvError::Lagged(count)) => {
                        Reply::Progress { text: format!("{count} changes came faster than they could be told") }
                    }
                    Err(RecvError::Closed) => return,
                };
                if !asking.reply(reply).await {
                    return;
                }
            }
        });
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
        let count = self.drain_all(&Which::to(target.0), &close, over).await;
        asking.done(format!("{count} tunnels are being closed over {} s", over.as_secs_f32())).await;
    }

    /// Here, and in older processes.
    async fn drain_all(&self, which: &Which, close: &Arc<Close>, over: Duration) -> usize {
        let behind: usize = self.behind.iter().map(|older| older.how_many(which)).sum();
        self.workers.drain(which, close, over).await + behind
    }

    fn instance_of(&self, name: &str) -> Option<Arc<str>> {
        self.instances.get(name).map(|seen| seen.service.clone())
    }

    fn services_are(&self) -> String {
        let names: Vec<&str> = self.spec.services.iter().map(|service| &*service.name).collect();
        format!("the services are {}", names.join(", "))
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
        if let Some(reason) = self.plans.get(&service).and_then(|plan| is_bound_to_one(plan, to)) {
            return asking.refuse(reason).await;
        }
        self.change_count(&service, from, to, Some(asking)).await;
    }

    async fn redeploy(&mut self, name: &str, image: Option<String>, asking: Asking) {
        let Some(service) = self.plannable(name, &asking).await else { return };
        let Some(mut plan) = self.plans.get(&service).cloned() else { return };
        // As many as there are now, whatever the file began with.
        let count = self.living(name).len().max(1);
        plan.instances = (0..count).filter_map(|_| plan.instances.first().cloned()).collect();
        let what = match image {
            None => format!("redeployed {name}"),
            Some(image) => {
                let Housing::Container(container) = &plan.housing else {
                    let reason = format!("{name} is a process and has no image; leave --image out");
                    return asking.refuse(reason).await;
                };
                let what = format!("redeployed {name} as {image}; put that into the file, or the next up goes back");
                let image = ImagePlan::Named(image);
                plan.housing = Housing::Container(Arc::new(ContainerPlan { image, ..ContainerPlan::clone(container) }));
                what
            }
        };
        if let Housing::Container(container) = &mut plan.housing {
            // A plan of its own: what its image is now, and not what it was.
            *container = Arc::new(ContainerPlan::clone(container));
        }
        self.replace(plan, what, Some(asking)).await;
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

    async fn status(&self) -> Status {
        let mut carried = self.shared.ledger.past();
        carried += self.workers.carried().await;
        let services = self.spec.services.iter().map(|service| {
            let endpoints = self.pools.endpoints(&service.name);
            let own = self.instances.iter().filter(|(_, seen)| seen.service == service.name);
            let image = self.plans.get(&service.name).and_then(|plan| match &plan.housing {
                Housing::Container(container) => Some(container.image.name().to_owned()),
                Housing::Machine => None,
            });
            let checked = self.plans.get(&service.name).is_some_and(|plan| plan.health.is_checked());
            let instances = own.map(|(name, seen)| InstanceRow {
                name: name.clone(),
                state: self.pools.partly_ready(&service.name, name).unwrap_or_else(|| seen.state.into()),
                address: seen.address.clone(),
                live: endpoints.iter().filter(|one| *one.instance == **name).map(|one| one.live()).sum(),
                uptime: seen.since.map(|since| since.elapsed().as_secs()),
                restarts: seen.restarts,
                health: checked.then(|| health_of(seen.state).to_owned()),
                reason: seen.reason.clone(),
                cpu: None,
                memory: None,
                image: image.clone(),
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
            engine: None,
            ports: self.ports.iter().map(port_row).collect(),
            services: services.collect(),
            ready: self.waiting.is_over(),
            tunnels: TunnelFigures {
                live: ledger.live(),
                ended: ended.collect(),
                bytes: carried.bytes,
                messages: carried.messages,
            },
        }
    }
}

/// Why a service cannot have so many instances, if it is reached at ports of this machine that only one can have.
fn is_bound_to_one(plan: &ServicePlan, to: usize) -> Option<String> {
    let Housing::Container(container) = &plan.housing else { return None };
    if to <= 1 || !container.is_published() {
        return None;
    }
    let (name, users) = (&plan.name, container.published_for.join(", "));
    let ports = plan.instances.first().into_iter().flat_map(|instance| &instance.ports);
    let places: Vec<String> = ports.map(|port| format!("127.0.0.1:{}", port.container)).collect();
    Some(format!(
        "{name} can have only one instance: {users}, as a process of this machine, reaches it at {}, which two cannot \
         have; run {users} in a container too (image), or have it use a public port of {name} and take {name} out of its \
         requires",
        places.join(" and ")
    ))
}

/// What its state says of the checks of an instance that has some.
fn health_of(state: &str) -> &'static str {
    match state {
        "ready" => "passing",
        "not ready" => "failing",
        "starting" => "checking",
        _ => "-",
    }
}

fn which(filter: Filter) -> Which {
    Which {
        ids: filter.ids.into_iter().map(TunnelId).collect(),
        to: filter.target.map(|target| target.0.into()),
        client: filter.client,
        at: None,
    }
}

fn row_of(entry: &Entry) -> ConnectionRow {
    ConnectionRow {
        id: entry.id.0,
        client: entry.client,
        service: entry.service.to_string(),
        instance: entry.instance.to_string(),
        carries: match entry.kind {
            Kind::WebSocket => "websocket".into(),
            Kind::Raw => "tcp".into(),
        },
        http: entry.http.map(|version| format!("{version:?}")),
        tls: entry.tls,
        tls_version: entry.tls_version.map(str::to_owned),
        age: entry.age.as_secs_f32(),
        idle: entry.idle.as_secs_f32(),
        bytes: entry.bytes,
        messages: entry.messages,
        protocol: entry.protocol.as_deref().map(str::to_owned),
        ping: entry.round_trips.map(|trip| trip.map(|trip| trip.as_secs_f32() * 1000.0)),
    }
}

fn ended_row_of(departure: &Departure) -> EndedRow {
    let Departure { id, client, service, instance, ending } = departure;
    EndedRow {
        id: id.0,
        client: *client,
        service: service.to_string(),
        instance: instance.to_string(),
        cause: ending.cause.to_string(),
        code: ending.code.0,
        age: ending.lived.as_secs_f32(),
        bytes: ending.bytes,
        messages: ending.messages,
    }
}

fn port_row(port: &PublicPort) -> PortRow {
    PortRow {
        scheme: port.scheme.name().into(),
        port: port.port,
        services: port.services.iter().map(|(name, _)| name.to_string()).collect(),
    }
}
