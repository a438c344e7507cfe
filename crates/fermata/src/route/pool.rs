//! A pool: the endpoints of one service behind one container port, and the pick of one of them.

use std::fmt;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use fermata_spec::Balance;
use serde::{Deserialize, Serialize};

/// Where an endpoint listens.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Target {
    /// TCP (or UDP, where the public port is one).
    Ip(SocketAddr),
    /// A host name that is resolved when it is dialled.
    Name(String, u16),
    /// A UNIX stream socket.
    Unix(PathBuf),
}

impl fmt::Display for Target {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Target::Ip(address) => address.fmt(out),
            Target::Name(name, port) => write!(out, "{name}:{port}"),
            Target::Unix(path) => write!(out, "unix:{}", path.display()),
        }
    }
}

/// One address of one instance.
#[derive(Debug)]
pub struct Endpoint {
    /// The instance's name, `web.1`.
    pub instance: Arc<str>,
    /// Where it listens.
    pub target: Target,
    /// Since when it may be picked.
    since: Instant,
    /// Requests and tunnels that use it now.
    live: Arc<AtomicU32>,
}

/// How one of the endpoints is picked.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Manner {
    /// By which rule.
    pub balance: Balance,
    /// How long a new one gets less than its share; by `source` it gets all of its clients at once.
    pub slow_start: Option<Duration>,
}

/// A new endpoint begins with this part of its share: enough to be tried, and to warm up.
const COLD: f64 = 0.1;

impl Endpoint {
    /// An endpoint that nothing uses yet.
    pub fn new(instance: Arc<str>, target: Target) -> Endpoint {
        Endpoint { instance, target, since: Instant::now(), live: Arc::default() }
    }

    /// The part of its share that it gets: all of it once it is as old as a slow start takes.
    fn warmth(&self, manner: Manner, now: Instant) -> f64 {
        let Some(slow_start) = manner.slow_start.filter(|time| !time.is_zero()) else { return 1.0 };
        let age = now.saturating_duration_since(self.since);
        (age.as_secs_f64() / slow_start.as_secs_f64()).clamp(COLD, 1.0)
    }

    /// How loaded it would be with one more, by the share that it gets.
    fn load(&self, manner: Manner, now: Instant) -> f64 {
        (f64::from(self.live()) + 1.0) / self.warmth(manner, now)
    }

    /// For how long it may have been picked.
    pub fn age(&self) -> Duration {
        self.since.elapsed()
    }

    /// Requests and tunnels that use it now.
    pub fn live(&self) -> u32 {
        self.live.load(Ordering::Relaxed)
    }
}

/// The endpoints of one service that may be picked now.
#[derive(Debug)]
pub struct Pool {
    service: Arc<str>,
    endpoints: ArcSwap<Vec<Arc<Endpoint>>>,
    turn: AtomicUsize,
}

impl Pool {
    /// A pool without endpoints.
    pub fn new(service: Arc<str>) -> Pool {
        Pool { service, endpoints: ArcSwap::default(), turn: AtomicUsize::new(0) }
    }

    /// The service whose instances these are.
    pub fn service(&self) -> &Arc<str> {
        &self.service
    }

    /// The endpoints that may be picked now.
    pub fn endpoints(&self) -> Arc<Vec<Arc<Endpoint>>> {
        self.endpoints.load_full()
    }

    /// Adds an endpoint, or leaves the one of the same instance and target with its count.
    pub fn add(&self, instance: &Arc<str>, target: Target) {
        self.put(Endpoint::new(instance.clone(), target));
    }

    /// Adds an endpoint that another process has had for so long.
    pub fn put_back(&self, instance: &Arc<str>, target: Target, age: Duration) {
        let fresh = Endpoint::new(instance.clone(), target);
        self.put(Endpoint { since: fresh.since.checked_sub(age).unwrap_or(fresh.since), ..fresh });
    }

    fn put(&self, fresh: Endpoint) {
        let fresh = Arc::new(fresh);
        self.endpoints.rcu(|known| {
            let mut all = Vec::clone(known);
            if !all.iter().any(|one| one.instance == fresh.instance && one.target == fresh.target) {
                all.push(fresh.clone());
            }
            all
        });
    }

    /// Gives an endpoint the name of another instance; its age and what uses it count on.
    pub fn rename(&self, endpoint: &Arc<Endpoint>, instance: &Arc<str>) {
        let Endpoint { target, since, live, .. } = &**endpoint;
        let (instance, target, since, live) = (instance.clone(), target.clone(), *since, live.clone());
        let renamed = Arc::new(Endpoint { instance, target, since, live });
        let other = |one: &Arc<Endpoint>| if Arc::ptr_eq(one, endpoint) { renamed.clone() } else { one.clone() };
        self.endpoints.rcu(|known| known.iter().map(other).collect::<Vec<_>>());
    }

    /// Takes an endpoint out; what uses it goes on.
    pub fn take_out(&self, endpoint: &Arc<Endpoint>) {
        self.endpoints.rcu(|known| known.iter().filter(|one| !Arc::ptr_eq(one, endpoint)).cloned().collect::<Vec<_>>());
    }

    /// Takes the endpoints of an instance out; what uses them goes on.
    pub fn remove(&self, instance: &str) {
        self.endpoints.rcu(|known| known.iter().filter(|one| &*one.instance != instance).cloned().collect::<Vec<_>>());
    }

    /// Picks an endpoint for `client` that is not among `tried`.
    pub fn pick(&self, manner: Manner, client: IpAddr, tried: &[Lease], now: Instant) -> Option<Lease> {
        let endpoints = self.endpoints.load();
        let open: Vec<&Arc<Endpoint>> =
            endpoints.iter().filter(|one| !tried.iter().any(|lease| Arc::ptr_eq(&lease.endpoint, one))).collect();
        let less_loaded =
            |one: &&Arc<Endpoint>, other: &&Arc<Endpoint>| one.load(manner, now).total_cmp(&other.load(manner, now));
        let picked = match manner.balance {
            Balance::Leastconn => self.in_turn(&open).min_by(less_loaded),
            Balance::Roundrobin => {
                // A cold one is passed over as often as its share is smaller.
                let warm = |one: &&Arc<Endpoint>| fastrand::f64() < one.warmth(manner, now);
                self.in_turn(&open).find(warm).or_else(|| self.in_turn(&open).next())
            }
            Balance::Random => two_of(&open).and_then(|two| two.into_iter().min_by(less_loaded)),
            Balance::Source => highest_hash(&open, client),
        }?;
        Some(self.lease(picked))
    }

    /// The endpoint of `instance`, if it may be picked now and is not among `tried`.
    pub fn take(&self, instance: &str, tried: &[Lease]) -> Option<Lease> {
        let endpoints = self.endpoints.load();
        let wished = endpoints.iter().find(|one| &*one.instance == instance)?;
        let untried = !tried.iter().any(|lease| Arc::ptr_eq(&lease.endpoint, wished));
        untried.then(|| self.lease(wished))
    }

    /// The endpoint of `instance` at `target`: one that may be picked, or, for what has used it since before it left, one
    /// of its own.
    pub fn hold(&self, instance: &str, target: &Target) -> Lease {
        let endpoints = self.endpoints.load();
        let known = endpoints.iter().find(|one| &*one.instance == instance && one.target == *target);
        match known {
            Some(endpoint) => self.lease(endpoint),
            None => self.lease(&Arc::new(Endpoint::new(instance.into(), target.clone()))),
        }
    }

    fn lease(&self, endpoint: &Arc<Endpoint>) -> Lease {
        endpoint.live.fetch_add(1, Ordering::Relaxed);
        Lease { service: self.service.clone(), endpoint: endpoint.clone() }
    }

    /// All of them, beginning at another one each time, so that equals take turns.
    fn in_turn<'a>(&self, open: &[&'a Arc<Endpoint>]) -> impl Iterator<Item = &'a Arc<Endpoint>> {
        let first = self.turn.fetch_add(1, Ordering::Relaxed) % open.len().max(1);
        let (before, after) = open.split_at(first);
        after.iter().chain(before).copied()
    }
}

fn two_of<'a>(open: &[&'a Arc<Endpoint>]) -> Option<[&'a Arc<Endpoint>; 2]> {
    let any = || open.get(fastrand::usize(..open.len().max(1))).copied();
    Some([any()?, any()?])
}

/// Rendezvous hashing: when an endpoint leaves, only its own clients move (Thaler and Ravishankar, 1998).
fn highest_hash<'a>(open: &[&'a Arc<Endpoint>], client: IpAddr) -> Option<&'a Arc<Endpoint>> {
    open.iter()
        .max_by_key(|endpoint| {
            let mut hasher = DefaultHasher::new();
            (client, &endpoint.instance).hash(&mut hasher);
            hasher.finish()
        })
        .copied()
}

/// One pick from a pool; the endpoint counts it until it is dropped.
#[derive(Debug)]
pub struct Lease {
    service: Arc<str>,
    endpoint: Arc<Endpoint>,
}

impl Lease {
    /// The service's name.
    pub fn service(&self) -> &Arc<str> {
        &self.service
    }

    /// The instance's name.
    pub fn instance(&self) -> &Arc<str> {
        &self.endpoint.instance
    }

    /// Where it listens.
    pub fn target(&self) -> &Target {
        &self.endpoint.target
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.endpoint.live.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn by(balance: Balance) -> Manner {
        Manner { balance, slow_start: None }
    }

    /// How many of 900 picks, each held, a fresh endpoint gets beside two that are warm and as loaded as each other, when it
    /// is `age` old and its slow start takes a minute.
    fn share_of_the_fresh(balance: Balance, age: u64) -> usize {
        let pool = pool(&["web.1", "web.2"]);
        let since = pool.endpoints()[0].since;
        let minute = Duration::from_mins(1);
        let manner = Manner { balance, slow_start: Some(minute) };
        let fresh =
            Arc::new(Endpoint { since: since + minute, ..Endpoint::new("web.3".into(), Target::Name("c".into(), 1)) });
        pool.endpoints.rcu(|known| known.iter().cloned().chain([fresh.clone()]).collect::<Vec<_>>());
        let now = since + minute + Duration::from_secs(age);
        let held: Vec<Lease> = (0..900).filter_map(|_| pool.pick(manner, CLIENT, &[], now)).collect();
        held.iter().filter(|lease| &**lease.instance() == "web.3").count()
    }

    #[test]
    fn a_new_endpoint_gets_its_share_little_by_little() {
        // A tenth, a half and the whole of a share: of 2.1, 2.5 and 3 shares in all.
        assert!((42..=44).contains(&share_of_the_fresh(Balance::Leastconn, 0)));
        assert!((179..=181).contains(&share_of_the_fresh(Balance::Leastconn, 30)));
        assert_eq!(share_of_the_fresh(Balance::Leastconn, 60), 300);
        assert_eq!(share_of_the_fresh(Balance::Roundrobin, 60), 300);
        for balance in [Balance::Roundrobin, Balance::Random] {
            let [cold, warming] = [0, 30].map(|age| share_of_the_fresh(balance, age));
            assert!(cold > 0 && cold < warming && warming < 300, "{balance:?}: {cold}, then {warming} of 900");
        }
    }

    const CLIENT: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

    fn pool(instances: &[&str]) -> Pool {
        let pool = Pool::new("web".into());
        for (at, instance) in instances.iter().enumerate() {
            pool.add(&Arc::from(*instance), Target::Ip(SocketAddr::from(([127, 0, 0, 1], 3000 + at as u16))));
        }
        pool
    }

    fn names(leases: &[Lease]) -> Vec<&str> {
        leases.iter().map(|lease| &**lease.instance()).collect()
    }

    #[test]
    fn leastconn_fills_the_emptier_instance_after_a_scale_up() {
        let pool = pool(&["web.1"]);
        let mut held: Vec<Lease> =
            (0..40).filter_map(|_| pool.pick(by(Balance::Leastconn), CLIENT, &[], Instant::now())).collect();
        pool.add(&Arc::from("web.2"), Target::Name("b".into(), 1));
        held.extend((0..40).filter_map(|_| pool.pick(by(Balance::Leastconn), CLIENT, &[], Instant::now())));
        let second = held.iter().filter(|lease| &**lease.instance() == "web.2").count();
        assert_eq!((held.len(), second), (80, 40));
    }

    #[test]
    fn every_balance_avoids_what_was_tried_and_ends_with_none() {
        for balance in [Balance::Leastconn, Balance::Roundrobin, Balance::Random, Balance::Source] {
            let pool = pool(&["web.1", "web.2", "web.3"]);
            let mut tried = Vec::new();
            while let Some(lease) = pool.pick(by(balance), CLIENT, &tried, Instant::now()) {
                tried.push(lease);
            }
            let mut names = names(&tried);
            names.sort_unstable();
            assert_eq!(names, ["web.1", "web.2", "web.3"], "{balance:?}");
        }
    }

    #[test]
    fn source_keeps_a_client_on_its_instance_when_another_leaves() {
        let pool = pool(&["web.1", "web.2", "web.3"]);
        let first =
            pool.pick(by(Balance::Source), CLIENT, &[], Instant::now()).expect("an endpoint").instance().clone();
        let other = ["web.1", "web.2", "web.3"].into_iter().find(|name| *name != &*first).expect("another");
        pool.remove(other);
        assert_eq!(
            pool.pick(by(Balance::Source), CLIENT, &[], Instant::now()).expect("an endpoint").instance(),
            &first
        );
    }

    #[test]
    fn a_dropped_lease_is_given_back() {
        let pool = pool(&["web.1"]);
        let lease = pool.pick(by(Balance::Leastconn), CLIENT, &[], Instant::now()).expect("an endpoint");
        assert_eq!(pool.endpoints()[0].live(), 1);
        drop(lease);
        assert_eq!(pool.endpoints()[0].live(), 0);
    }
}
