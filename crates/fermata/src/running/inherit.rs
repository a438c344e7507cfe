//! An upgrade, from the new process: everything that the old one hands over is put together here, and taken over in one
//! moment. Before it nothing is read, written, started or told.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant as PlainInstant;

use arc_swap::ArcSwap;
use fermata_spec::{Spec, WebSocket};
use fermata_wire::Code;
use rustls::ServerConfig;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::authority::Authority;
use super::behind::{Behind, pass_on};
use super::seen::{Seen, Tail, Waiting, state_of};
use super::{Channels, Control, Notice, Outside, Running, system, watch};
use crate::admin::ControlSocket;
use crate::app::{Place, Prepared, StartError};
use crate::handover::manifest::{Begin, Estate};
use crate::handover::{Heir, Inherited, Message, Tie, Ward};
use crate::listening::Bound;
use crate::net::Transport;
use crate::public::{Pools, Settling, own, routes};
use crate::route::{Places, Table};
use crate::run::{Handing, Inheritance, InstanceName, Line, Roster, StateLock};
use crate::tls::{self, Certificates, Challenges};
use crate::tunnel::{Card, Frozen, Ledger, Record, TunnelId, Who};
use crate::workers::{Shared, Workers};

/// What is bound already, by the process that hands over.
pub fn bound_before(begin: Message<Begin>) -> Bound {
    let listeners = begin.said.listeners.into_iter().zip(begin.descriptors);
    Bound::inherited(
        listeners
            .map(|(one, descriptor)| (one.address, if one.udp { Transport::Udp } else { Transport::Tcp }, descriptor)),
    )
}

/// Everything, in this process's own terms.
struct PutTogether {
    estate: Estate,
    shared: Shared,
    pools: Arc<Pools>,
    certificates: Certificates,
    tls: Arc<ServerConfig>,
    workers: Workers,
    lock: StateLock,
    control: ControlSocket,
    copy: OwnedFd,
    ward: Option<Ward>,
    ties: Vec<Tie>,
    inheritance: Inheritance,
    tunnels: Vec<Frozen>,
}

impl Running {
    /// Takes over. An error means that nothing was touched, and that the old one has been told why.
    pub(super) async fn inherit(
        prepared: Prepared,
        place: Place,
        (mut heir, inherited): (Heir, Inherited),
        outside: Outside,
        channels: Channels,
    ) -> Result<(Running, ControlSocket, Option<Rc<Ward>>), StartError> {
        let all = match put_together(&prepared, &place, inherited, &channels) {
            Ok(all) => all,
            Err(error) => {
                heir.refuse(&error.to_string()).await;
                return Err(error);
            }
        };
        // Nothing that can fail is left.
        heir.take().await.map_err(system)?;

        let Prepared { spec, plan, cluster, ports, bound, certificates: loaded, secure, warnings } = prepared;
        let PutTogether { mut estate, shared, pools, certificates, tls, mut workers, mut lock, .. } = all;
        let PutTogether { control, copy, ward, ties, inheritance, tunnels, .. } = all;
        lock.sign();
        control.file().set_ours(true);
        let (count, instances) = (tunnels.len(), estate.instances.iter().filter(|one| one.runs()).count());
        workers.thaw(spread(tunnels, workers.count())).await;
        workers.accept(bound.doors(&tls));
        let behind = std::mem::take(&mut estate.behind).into_iter().zip(ties);
        let behind: Vec<Behind> =
            behind.map(|(tunnels, tie)| Behind::count(tie, tunnels, &pools, &shared.places)).collect();
        let (tell, drains) = mpsc::unbounded_channel();
        workers.tell_drains(tell);
        let passing_on = pass_on(behind.iter().map(|one| one.tie().clone()).collect(), drains);
        let (supervisor, workers) = (inheritance.begin(), Rc::new(workers));
        let checks = pools.watch_running(&plan, secure.as_ref(), &own(&spec.gateway, &ports), &channels.events);
        let watch = watch(&certificates, loaded, &outside.notices);
        let authority = Authority::of(&spec, &place, &shared.challenges, &outside.notices);
        let ward = ward.map(Rc::new);
        let now = Instant::now();
        let mut running = Running {
            plans: plan.services.iter().map(|service| (service.name.clone(), service.clone())).collect(),
            instances: seen(&estate, &spec),
            waiting: Waiting::at(&estate.awaited, estate.told_ready),
            loads: Rc::default(),
            tail: tail(&estate),
            since: now.checked_sub(estate.age).unwrap_or(now),
            spec,
            place,
            ports,
            bound,
            tls,
            certificates,
            watch,
            authority,
            board: None,
            visits: channels.visits,
            shared,
            workers,
            datagrams: BTreeMap::<SocketAddr, _>::new(),
            pools,
            checks,
            followed: BTreeMap::new(),
            findings: channels.findings,
            supervisor,
            rollouts: Vec::new(),
            drained: channels.drained,
            events: channels.events,
            called: channels.called,
            calls: JoinSet::new(),
            outside,
            control: Control { file: control.file(), copy },
            ward: ward.clone(),
            behind,
            passing_on: Some(passing_on),
            lock,
        };
        running.follow_found(&plan.found, cluster.as_ref());
        running.forward_datagrams();
        running.show();
        for warning in warnings {
            running.say(Notice::Warning(warning)).await;
        }
        running.say(Notice::TakenOver { from: estate.pid, tunnels: count, instances }).await;
        running.tell_when_ready().await;
        Ok((running, control, ward))
    }
}

/// All that can fail.
fn put_together(
    prepared: &Prepared,
    place: &Place,
    inherited: Inherited,
    channels: &Channels,
) -> Result<PutTogether, StartError> {
    let Inherited { estate, descriptors, tunnels } = inherited;
    let Prepared { spec, plan, .. } = prepared;
    let certificates = Certificates::default();
    certificates.offer(&prepared.certificates);
    let tls = tls::server_config(&certificates).map_err(system)?;
    let mut descriptors = descriptors.into_iter();
    let mut next = || descriptors.next().ok_or_else(|| system("a descriptor is missing"));
    let lock = StateLock::inherit(&place.state, next()?);
    let control = ControlSocket::inherit(&place.state, next()?);
    let copy = control.descriptor().map_err(system)?;
    let ward = if estate.guarded { Some(Ward::new(next()?).map_err(system)?) } else { None };
    let ties: Result<Vec<Tie>, StartError> =
        estate.behind.iter().map(|_| next().and_then(|socket| Tie::new(socket).map_err(system))).collect();
    let ties = ties?;
    let mut handings = Vec::new();
    for record in &estate.instances {
        let descriptors: Result<Vec<OwnedFd>, StartError> = (0..record.descriptors()).map(|_| next()).collect();
        handings.push(Handing { record: record.clone(), descriptors: descriptors? });
    }
    let pools = Arc::new(Pools::default());
    let table = Table::new(spec.gateway.clone(), routes(spec, &pools, prepared.secure.as_ref()));
    for one in &estate.endpoints {
        // One that the file has no more gets no traffic.
        if let Some(service) = spec.services.iter().find(|service| *service.name == *one.service) {
            pools.put_back(&service.name, one.port, &one.instance, one.target.clone(), one.age);
        }
    }
    plan.running.iter().for_each(|service| drop(pools.settle(service, Settling::First)));
    let ledger = Arc::new(Ledger::default());
    let endings = estate.endings.iter().map(|(cause, code, count)| (cause.clone(), Code(*code), *count));
    ledger.go_on(TunnelId(estate.last_tunnel), estate.past, endings);
    let shared = Shared {
        table: Arc::new(ArcSwap::from_pointee(table)),
        ledger,
        places: Arc::default(),
        challenges: Challenges::default(),
    };
    let (roster, events, lines) = (Roster::open(&lock), channels.events.clone(), channels.lines.clone());
    let inheritance = Inheritance::new(&plan.services, handings, roster, events, lines).map_err(system)?;
    let tunnels = Arrivals::of(spec, &pools, &shared.places).all(tunnels)?;
    let workers = Workers::start(&shared).map_err(system)?;
    let made = PutTogether {
        estate,
        shared,
        pools,
        certificates,
        tls,
        workers,
        lock,
        control,
        copy,
        ward,
        ties,
        inheritance,
        tunnels,
    };
    Ok(made)
}

/// Tunnels as they arrive from the old process.
struct Arrivals<'a> {
    pools: &'a Pools,
    places: &'a Arc<Places>,
    limits: BTreeMap<&'a str, (Arc<str>, Arc<WebSocket>)>,
}

impl<'a> Arrivals<'a> {
    fn of(spec: &'a Spec, pools: &'a Pools, places: &'a Arc<Places>) -> Arrivals<'a> {
        let limits = spec
            .services
            .iter()
            .map(|service| (&*service.name, (service.name.clone(), Arc::new(service.websocket.clone()))));
        Arrivals { pools, places, limits: limits.collect() }
    }

    fn all(&self, messages: Vec<Message<Vec<Record>>>) -> Result<Vec<Frozen>, StartError> {
        let mut tunnels = Vec::new();
        for Message { said, bytes, descriptors } in messages {
            let (mut bytes, mut sockets) = (&bytes[..], descriptors.into_iter());
            for record in said {
                let tunnel =
                    self.card(&record.who).and_then(|card| Frozen::unpack(record, card, &mut bytes, &mut sockets));
                tunnels.push(tunnel.ok_or_else(|| system("a tunnel is written down in a way that makes no sense"))?);
            }
        }
        Ok(tunnels)
    }

    /// Who a tunnel is, here. Its limits are the file's.
    fn card(&self, who: &Who) -> Option<Card> {
        let (service, limits) = match self.limits.get(&*who.service) {
            Some(known) => known.clone(),
            // Its service has left the file, and it is being drained.
            None => (who.service.as_str().into(), Arc::default()),
        };
        let now = PlainInstant::now();
        Some(Card {
            id: TunnelId(who.id),
            lease: self.pools.hold(&service, &who.instance, &who.target),
            admission: self.pools.guests(&service).admit(who.client, None, None).ok()?,
            place: self.places.take(None)?,
            since: now.checked_sub(who.age).unwrap_or(now),
            tls: who.tls,
            protocol: who.protocol.as_deref().map(Arc::from),
            rules: who.rules()?,
            limits,
        })
    }
}

/// Evenly, over so many threads.
fn spread(tunnels: Vec<Frozen>, threads: usize) -> Vec<Vec<Frozen>> {
    let mut spread: Vec<Vec<Frozen>> = (0..threads.max(1)).map(|_| Vec::new()).collect();
    for (tunnel, thread) in tunnels.into_iter().zip((0..threads.max(1)).cycle()) {
        spread[thread].push(tunnel);
    }
    spread
}

fn seen(estate: &Estate, spec: &Spec) -> BTreeMap<String, Seen> {
    let now = Instant::now();
    let known = |name: &str| spec.services.iter().find(|service| *service.name == *name).map(|one| one.name.clone());
    let each = estate.seen.iter().map(|one| {
        let seen = Seen {
            service: known(&one.service).unwrap_or_else(|| one.service.as_str().into()),
            state: state_of(&one.state),
            address: one.address.clone(),
            since: one.up.map(|up| now.checked_sub(up).unwrap_or(now)),
            restarts: one.restarts,
            reason: None,
        };
        (one.name.clone(), seen)
    });
    each.collect()
}

fn tail(estate: &Estate) -> Tail {
    let now = Instant::now();
    let lines = estate.lines.iter().map(|line| {
        let instance = InstanceName::new(line.service.as_str().into(), line.number);
        let written = Line { instance, stream: line.stream, text: line.text.clone() };
        (now.checked_sub(line.age).unwrap_or(now), written)
    });
    Tail { lines: lines.collect(), ..Tail::default() }
}
