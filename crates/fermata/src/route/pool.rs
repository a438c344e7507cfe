//! A pool: the endpoints of one service behind one container port, who of them is well, and the pick of one of them.

use std::collections::{HashMap, HashSet};
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use fermata_spec::Balance;

use super::endpoint::{Endpoint, Lease, Rank, Target};
use super::lineup::Lineup;

/// After so many failed connections in a row an endpoint is left alone for a while.
const EJECTED_AFTER: u32 = 3;
/// For so long; each further failure adds as much.
const EJECTED_FOR: Duration = Duration::from_secs(10);
/// But no longer.
const EJECTED_FOR_MOST: Duration = Duration::from_mins(1);

/// How one of the endpoints is picked.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Manner {
    /// By which rule.
    pub balance: Balance,
    /// How long a new one gets less than its share; by `source` it gets all of its clients at once.
    pub slow_start: Option<Duration>,
}

/// An endpoint that a pool should have.
#[derive(Debug, Clone)]
pub struct Wanted {
    /// The name of its instance.
    pub instance: Arc<str>,
    /// Where it listens.
    pub target: Target,
    /// Its place among the others.
    pub rank: Rank,
}

/// What becomes of those that a pool does not have yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Newcomers {
    /// They get traffic.
    Well,
    /// They get traffic when they have been found well, and not before this time.
    Unseen(Option<Instant>),
}

/// What is done when nobody is well.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Despair {
    /// Requests are refused.
    #[default]
    Refuse,
    /// All get traffic: more likely it is the checks that are wrong.
    TryAll,
}

/// The endpoints of one service.
#[derive(Debug)]
pub struct Pool {
    service: Arc<str>,
    members: ArcSwap<Members>,
    turn: AtomicUsize,
}

#[derive(Debug, Default)]
struct Members {
    all: Vec<Member>,
    despair: Despair,
    lineup: Lineup,
    mood: Mood,
    /// When somebody comes back who is left alone, or is not there yet.
    next: Option<Instant>,
}

/// Whom the lineup is made of.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Mood {
    /// Those who are well.
    #[default]
    Calm,
    /// All of them, as nobody is.
    Desperate,
}

#[derive(Debug, Clone)]
struct Member {
    endpoint: Arc<Endpoint>,
    well: bool,
    /// Left alone until then, for its connections fail, or since it is not to begin before.
    until: Option<Instant>,
}

impl Member {
    fn is_free(&self, now: Instant) -> bool {
        self.until.is_none_or(|until| until <= now)
    }
}

impl Members {
    fn of(all: Vec<Member>, despair: Despair, now: Instant) -> Members {
        let next = all.iter().filter_map(|one| one.until).filter(|until| *until > now).min();
        let first = |wanted: &dyn Fn(&&Member) -> bool| {
            let line = all.iter().filter(wanted).map(|one| one.endpoint.rank.line).min()?;
            let of_it = |one: &&Member| one.endpoint.rank.line == line;
            Some(all.iter().filter(wanted).filter(of_it).map(|one| one.endpoint.clone()).collect::<Vec<_>>())
        };
        let calm = first(&|one| one.well && one.is_free(now))
            // Connections to all of them fail: one that is tried is better than none.
            .or_else(|| first(&|one| one.well));
        let (mood, open) = match calm {
            Some(open) => (Mood::Calm, open),
            None if despair == Despair::TryAll && !all.is_empty() => {
                (Mood::Desperate, all.iter().map(|one| one.endpoint.clone()).collect())
            }
            None => (Mood::Calm, Vec::new()),
        };
        Members { lineup: Lineup::of(open), all, despair, mood, next }
    }
}

impl Pool {
    /// A pool without endpoints.
    pub fn new(service: Arc<str>) -> Pool {
        Pool { service, members: ArcSwap::default(), turn: AtomicUsize::new(0) }
    }

    /// The service whose instances these are.
    pub fn service(&self) -> &Arc<str> {
        &self.service
    }

    /// All endpoints, well or not.
    pub fn endpoints(&self) -> Vec<Arc<Endpoint>> {
        self.members.load().all.iter().map(|one| one.endpoint.clone()).collect()
    }

    /// The endpoints that are well.
    pub fn well(&self) -> Vec<Arc<Endpoint>> {
        self.members.load().all.iter().filter(|one| one.well).map(|one| one.endpoint.clone()).collect()
    }

    /// How many get traffic now.
    pub fn count(&self) -> usize {
        self.members.load().lineup.len()
    }

    /// Adds an endpoint that gets traffic at once, or leaves the one of the same instance and target with its count.
    pub fn add(&self, instance: &Arc<str>, target: Target) {
        self.put(Endpoint::new(instance.clone(), target, Rank::default()));
    }

    /// Adds an endpoint that another process has had for so long, and that is well.
    pub fn put_back(&self, instance: &Arc<str>, target: Target, age: Duration) {
        let fresh = Endpoint::new(instance.clone(), target, Rank::default());
        self.put(Endpoint { since: fresh.since.checked_sub(age).unwrap_or(fresh.since), ..fresh });
    }

    fn put(&self, fresh: Endpoint) {
        let fresh = Member { endpoint: Arc::new(fresh), well: true, until: None };
        self.change(|all| {
            let same = |one: &Member| {
                one.endpoint.instance == fresh.endpoint.instance && one.endpoint.target == fresh.endpoint.target
            };
            if !all.iter().any(same) {
                all.push(fresh.clone());
            }
        });
    }

    /// Has these endpoints and no others. Who is there already stays with its count, age and health, under whatever name;
    /// who is not wanted any more gets nothing new, and is returned.
    pub fn settle(&self, wanted: &[Wanted], newcomers: Newcomers, despair: Despair) -> Vec<Arc<Endpoint>> {
        let fresh: Vec<Member> = wanted
            .iter()
            .map(|one| Member {
                endpoint: Arc::new(Endpoint::new(one.instance.clone(), one.target.clone(), one.rank)),
                well: newcomers == Newcomers::Well,
                until: if let Newcomers::Unseen(until) = newcomers { until } else { None },
            })
            .collect();
        let now = Instant::now();
        let before = self.members.rcu(|known| {
            let mut there: HashMap<&Target, &Member> =
                known.all.iter().map(|one| (&one.endpoint.target, one)).collect();
            let all = fresh.iter().map(|fresh| match there.remove(&fresh.endpoint.target) {
                None => fresh.clone(),
                Some(known) => {
                    let (instance, rank) = (fresh.endpoint.instance.clone(), fresh.endpoint.rank);
                    let same = known.endpoint.instance == instance && known.endpoint.rank == rank;
                    let renamed = || Arc::new(Endpoint { instance, rank, ..Endpoint::clone(&known.endpoint) });
                    let endpoint = if same { known.endpoint.clone() } else { renamed() };
                    let well = known.well || newcomers == Newcomers::Well;
                    Member { endpoint, well, until: known.until }
                }
            });
            Members::of(all.collect(), despair, now)
        });
        let targets: HashSet<&Target> = wanted.iter().map(|one| &one.target).collect();
        let goes = |one: &&Member| !targets.contains(&one.endpoint.target);
        before.all.iter().filter(goes).map(|one| one.endpoint.clone()).collect()
    }

    /// Takes the endpoints of an instance out; what uses them goes on.
    pub fn remove(&self, instance: &str) {
        self.take_out(|one| &*one.instance == instance);
    }

    fn take_out(&self, which: impl Fn(&Endpoint) -> bool) {
        self.change(|all| all.retain(|one| !which(&one.endpoint)));
    }

    /// A check has found an instance well, or not. One that has become well is warmed up anew, and its failures are
    /// forgotten.
    pub fn mark(&self, instance: &str, well: bool) {
        let is = |one: &Member| &*one.endpoint.instance == instance && one.well != well;
        if !self.members.load().all.iter().any(is) {
            return;
        }
        let now = Instant::now();
        self.change(|all| {
            for one in all.iter_mut().filter(|one| is(one)) {
                one.well = well;
                if well {
                    one.endpoint.reached();
                    one.endpoint = Arc::new(Endpoint { since: now, ..Endpoint::clone(&one.endpoint) });
                }
            }
        });
    }

    /// Whether an instance is well; `None` where it is not here.
    pub fn is_well(&self, instance: &str) -> Option<bool> {
        self.members.load().all.iter().find(|one| &*one.endpoint.instance == instance).map(|one| one.well)
    }

    /// A connection to a lease's endpoint has failed. One that fails again and again is left alone for a while.
    pub fn failed(&self, lease: &Lease) {
        let failures = lease.endpoint().failed();
        let Some(more) = failures.checked_sub(EJECTED_AFTER) else { return };
        let time = (EJECTED_FOR * (more + 1).min(60)).min(EJECTED_FOR_MOST);
        let until = Instant::now() + time;
        self.change(|all| {
            for one in all.iter_mut().filter(|one| lease.is_on(&one.endpoint)) {
                one.until = one.until.max(Some(until));
            }
        });
        tracing::warn!(service = %self.service, instance = %lease.instance(), target = %lease.target(), failures, seconds = time.as_secs(), "left alone: connections to it fail");
    }

    /// A connection to a lease's endpoint stands.
    pub fn reached(&self, lease: &Lease) {
        lease.endpoint().reached();
    }

    fn change(&self, how: impl Fn(&mut Vec<Member>)) {
        self.change_at(Instant::now(), how);
    }

    fn change_at(&self, now: Instant, how: impl Fn(&mut Vec<Member>)) {
        let before = self.members.rcu(|known| {
            let mut all = known.all.clone();
            how(&mut all);
            Members::of(all, known.despair, now)
        });
        let was_calm = before.mood == Mood::Calm && before.lineup.len() > 0;
        if was_calm && self.members.load().mood == Mood::Desperate {
            tracing::warn!(service = %self.service, "none looks well: all of them are tried");
        }
    }

    /// Picks an endpoint for `client` that is not among `tried`.
    pub fn pick(&self, manner: Manner, client: IpAddr, tried: &[Lease], now: Instant) -> Option<Lease> {
        if self.members.load().next.is_some_and(|next| next <= now) {
            self.change_at(now, |_| {});
        }
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        let members = self.members.load();
        members.lineup.choose(manner, client, tried, now, turn).map(|chosen| self.lease(chosen))
    }

    /// The endpoint of `instance`, if it may be picked now and is not among `tried`.
    pub fn take(&self, instance: &str, tried: &[Lease]) -> Option<Lease> {
        let members = self.members.load();
        let wished = members.lineup.named(instance)?;
        let untried = !tried.iter().any(|lease| lease.is_on(wished));
        untried.then(|| self.lease(wished))
    }

    /// The endpoint of `instance` at `target`: one that is here, or, for what has used it since before it left, one of its
    /// own.
    pub fn hold(&self, instance: &str, target: &Target) -> Lease {
        let members = self.members.load();
        let is = |one: &&Arc<Endpoint>| &*one.instance == instance && one.target == *target;
        match members.all.iter().map(|one| &one.endpoint).find(is) {
            Some(known) => self.lease(known),
            None => self.lease(&Arc::new(Endpoint::new(instance.into(), target.clone(), Rank::default()))),
        }
    }

    fn lease(&self, endpoint: &Arc<Endpoint>) -> Lease {
        Lease::new(self.service.clone(), endpoint.clone())
    }
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use super::super::endpoint::Line;
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
        let fresh = Endpoint::new("web.3".into(), Target::Name("c".into(), 1), Rank::default());
        pool.put(Endpoint { since: since + minute, ..fresh });
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

    fn wanted(number: usize, rank: Rank) -> Wanted {
        let target = Target::Ip(SocketAddr::from(([10, 0, (number / 250) as u8, (number % 250) as u8 + 1], 8080)));
        Wanted { instance: format!("web{number}").into(), target, rank }
    }

    /// A pool of servers with these weights.
    fn weighted(weights: &[u16]) -> Pool {
        let pool = Pool::new("servers".into());
        let all: Vec<_> = weights
            .iter()
            .zip(1..)
            .map(|(weight, number)| wanted(number, Rank { weight: *weight, ..Rank::default() }))
            .collect();
        assert_eq!(pool.settle(&all, Newcomers::Well, Despair::TryAll).len(), 0);
        pool
    }

    /// How many of so many picks each gets, in the order of their names' numbers.
    fn shares(pool: &Pool, balance: Balance, picks: usize) -> Vec<usize> {
        let client =
            |pick: usize| IpAddr::from(u32::try_from(pick).expect("few").wrapping_mul(2_654_435_761).to_be_bytes());
        let held: Vec<Lease> =
            (0..picks).filter_map(|pick| pool.pick(by(balance), client(pick), &[], Instant::now())).collect();
        assert_eq!(held.len(), picks);
        pool.endpoints().iter().map(|one| one.live() as usize).collect()
    }

    #[test]
    fn each_gets_as_much_as_its_weight_says() {
        assert_eq!(shares(&weighted(&[1, 2, 5]), Balance::Leastconn, 800), [100, 200, 500]);
        assert_eq!(shares(&weighted(&[10, 20, 50]), Balance::Roundrobin, 800), [100, 200, 500]);
        for balance in [Balance::Random, Balance::Source] {
            let [one, two, five] = shares(&weighted(&[1, 2, 5]), balance, 8000)[..] else { panic!("three") };
            assert!(
                (700..1300).contains(&one) && (1600..2400).contains(&two) && (4400..5600).contains(&five),
                "{balance:?}: {one} {two} {five}"
            );
        }
    }

    #[test]
    fn among_a_thousand_the_fullest_is_near_to_the_average() {
        for balance in [Balance::Leastconn, Balance::Random] {
            let shares = shares(&weighted(&[1; 1000]), balance, 20_000);
            assert!(shares.iter().all(|share| *share <= 24), "{balance:?}: {:?}", shares.iter().max());
        }
    }

    #[test]
    fn source_moves_only_the_clients_of_a_server_that_left() {
        let pool = weighted(&[1; 50]);
        let clients: Vec<IpAddr> = (0..2000_u32).map(|number| IpAddr::from(number.to_be_bytes())).collect();
        let place = |client: &IpAddr| {
            pool.pick(by(Balance::Source), *client, &[], Instant::now()).expect("a server").instance().clone()
        };
        let before: Vec<_> = clients.iter().map(place).collect();
        pool.remove("web7");
        for (client, before) in clients.iter().zip(before) {
            let after = place(client);
            assert!(after == before || &*before == "web7", "{client}: from {before} to {after}");
        }
    }

    fn picked(pool: &Pool, now: Instant) -> Vec<String> {
        let held: Vec<Lease> = (0..30).filter_map(|_| pool.pick(by(Balance::Roundrobin), CLIENT, &[], now)).collect();
        let mut names: Vec<String> = held.iter().map(|lease| lease.instance().to_string()).collect();
        names.sort();
        names.dedup();
        names
    }

    #[test]
    fn others_step_in_only_where_nobody_before_them_is_well() {
        let lines = [Line::First, Line::First, Line::Second, Line::Backup];
        let all: Vec<_> =
            lines.into_iter().zip(1..).map(|(line, number)| wanted(number, Rank { weight: 1, line })).collect();
        let pool = Pool::new("servers".into());
        pool.settle(&all, Newcomers::Unseen(None), Despair::TryAll);
        let now = Instant::now();
        assert_eq!(picked(&pool, now), ["web1", "web2", "web3", "web4"], "nobody is known to be well");
        for name in ["web1", "web2", "web3", "web4"] {
            pool.mark(name, true);
        }
        let mut seen = vec![picked(&pool, now)];
        for name in ["web1", "web2", "web3", "web4"] {
            pool.mark(name, false);
            seen.push(picked(&pool, now));
        }
        let after =
            [vec!["web1", "web2"], vec!["web2"], vec!["web3"], vec!["web4"], vec!["web1", "web2", "web3", "web4"]];
        assert_eq!(seen, after);
        let careful = Pool::new("app".into());
        careful.settle(&all, Newcomers::Unseen(None), Despair::Refuse);
        assert_eq!(picked(&careful, now), [""; 0]);
    }

    #[test]
    fn one_that_cannot_be_reached_is_left_alone_for_a_while() {
        let pool = weighted(&[1, 1]);
        let now = Instant::now();
        let lease = pool.take("web1", &[]).expect("it is there");
        for _ in 0..EJECTED_AFTER - 1 {
            pool.failed(&lease);
        }
        assert_eq!(picked(&pool, now), ["web1", "web2"]);
        pool.reached(&lease);
        for _ in 0..EJECTED_AFTER {
            pool.failed(&lease);
        }
        assert_eq!(picked(&pool, now), ["web2"]);
        assert!(pool.take("web1", &[]).is_none(), "nor for those who were there before");
        assert_eq!(picked(&pool, Instant::now() + EJECTED_FOR), ["web1", "web2"]);
        // Where all fail, all are tried.
        let other = pool.take("web2", &[]).expect("it is there");
        for lease in [&lease, &other].into_iter().cycle().take(2 * EJECTED_AFTER as usize) {
            pool.failed(lease);
        }
        assert_eq!(picked(&pool, Instant::now()), ["web1", "web2"]);
    }

    #[test]
    fn who_stays_in_a_list_keeps_its_count_and_health_under_any_name_and_who_is_new_waits() {
        let pool = Pool::new("servers".into());
        let first = [wanted(1, Rank::default()), wanted(2, Rank::default())];
        pool.settle(&first, Newcomers::Unseen(None), Despair::TryAll);
        pool.mark("web1", true);
        let held = pool.pick(by(Balance::Leastconn), CLIENT, &[], Instant::now()).expect("web1");
        let later = Instant::now() + Duration::from_secs(30);
        let renamed = Wanted { instance: "one".into(), ..wanted(1, Rank::default()) };
        let gone = pool.settle(&[renamed, wanted(3, Rank::default())], Newcomers::Unseen(Some(later)), Despair::TryAll);
        assert_eq!(gone.iter().map(|one| &*one.instance).collect::<Vec<_>>(), ["web2"]);
        let all: Vec<_> = pool.endpoints().iter().map(|one| (one.instance.to_string(), one.live())).collect();
        assert_eq!(all, [("one".to_owned(), 1), ("web3".to_owned(), 0)]);
        pool.mark("web3", true);
        assert_eq!(picked(&pool, Instant::now()), ["one"]);
        assert_eq!(picked(&pool, later), ["one", "web3"]);
        drop(held);
    }
}
