//! A lineup: the endpoints that get traffic now, and the choice of one of them. It is made anew when something changes, so
//! that a choice among a thousand costs what one among three does.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::net::IpAddr;
use std::sync::{Arc, OnceLock};
use std::time::Instant;

use fermata_spec::Balance;

use super::endpoint::{Endpoint, Lease};
use super::pool::Manner;

/// Up to so many endpoints are all compared for the fewest connections. Among more, the least loaded of [`DRAWN`] is taken:
/// that keeps the fullest within a few connections of the average, whatever their number (Mitzenmacher, "The power of two
/// choices in randomized load balancing", 2001).
const COMPARED: usize = 16;
/// How many are drawn then.
const DRAWN: usize = 3;
/// Places on the ring of the heaviest endpoint; with 160 of each, shares differ by less than a tenth (as ketama has them).
const PLACES: u32 = 160;
/// Turns in all, at most: enough for any weights that people write.
const TURNS: u64 = 1 << 16;

/// Those that may be picked.
#[derive(Debug, Default)]
pub(super) struct Lineup {
    open: Vec<Arc<Endpoint>>,
    /// Numbers of `open`, each as often as its weight is, and spread out; empty where all have the same weight.
    turns: Vec<u32>,
    ring: OnceLock<Vec<(u64, u32)>>,
    names: OnceLock<HashMap<Arc<str>, u32>>,
}

impl Lineup {
    pub(super) fn of(open: Vec<Arc<Endpoint>>) -> Lineup {
        let turns = turns(&open);
        Lineup { open, turns, ring: OnceLock::new(), names: OnceLock::new() }
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.open.len()
    }

    /// The one of this name.
    pub(super) fn named(&self, instance: &str) -> Option<&Arc<Endpoint>> {
        let names = self.names.get_or_init(|| {
            // The first of a name, as a search would find it.
            let all = self.open.iter().enumerate().rev();
            all.map(|(at, endpoint)| (endpoint.instance.clone(), at as u32)).collect()
        });
        self.open.get(*names.get(instance)? as usize)
    }

    /// Chooses one that is not among `tried`. `turn` is another number each time.
    pub(super) fn choose(
        &self,
        manner: Manner,
        client: IpAddr,
        tried: &[Lease],
        now: Instant,
        turn: usize,
    ) -> Option<&Arc<Endpoint>> {
        let untried = |one: &&Arc<Endpoint>| !tried.iter().any(|lease| lease.is_on(one));
        let less_loaded =
            |one: &&Arc<Endpoint>, other: &&Arc<Endpoint>| one.load(manner, now).total_cmp(&other.load(manner, now));
        let chosen = match manner.balance {
            Balance::Leastconn if self.open.len() <= COMPARED => self.from(turn).filter(untried).min_by(less_loaded),
            Balance::Leastconn => self.draw::<DRAWN>().into_iter().flatten().filter(untried).min_by(less_loaded),
            Balance::Random => self.draw::<2>().into_iter().flatten().filter(untried).min_by(less_loaded),
            // A cold one is passed over as often as its share is smaller.
            Balance::Roundrobin => {
                let warm = |one: &&Arc<Endpoint>| fastrand::f64() < one.warmth(manner, now);
                (0..self.open.len()).filter_map(|more| self.at(turn.wrapping_add(more))).filter(untried).find(warm)
            }
            Balance::Source => self.on_ring(client).find(untried),
        };
        chosen.or_else(|| self.from(turn).find(untried))
    }

    /// All of them, beginning at another one each time, so that equals take turns.
    fn from(&self, turn: usize) -> impl Iterator<Item = &Arc<Endpoint>> {
        let (before, after) = self.open.split_at(turn % self.open.len().max(1));
        after.iter().chain(before)
    }

    /// Whose turn it is.
    fn at(&self, turn: usize) -> Option<&Arc<Endpoint>> {
        match self.turns.len() {
            0 => self.open.get(turn % self.open.len().max(1)),
            turns => self.open.get(self.turns[turn % turns] as usize),
        }
    }

    fn draw<const COUNT: usize>(&self) -> [Option<&Arc<Endpoint>>; COUNT] {
        std::array::from_fn(|_| self.at(fastrand::usize(..)))
    }

    /// Consistent hashing: when an endpoint leaves, only its own clients move (Karger and others, 1997).
    fn on_ring(&self, client: IpAddr) -> impl Iterator<Item = &Arc<Endpoint>> {
        let ring = self.ring.get_or_init(|| ring(&self.open));
        let place = hash(&client);
        let first = ring.partition_point(|(point, _)| *point < place);
        let (before, after) = ring.split_at(first);
        after.iter().chain(before).filter_map(|(_, at)| self.open.get(*at as usize))
    }
}

/// Each as often as its weight, as evenly as can be: the k-th of w turns stands at (k + 1/2) / w of a round.
fn turns(open: &[Arc<Endpoint>]) -> Vec<u32> {
    let weight = |one: &Arc<Endpoint>| u64::from(one.rank.weight);
    let Some(first) = open.first().map(weight) else { return Vec::new() };
    if open.iter().all(|one| weight(one) == first) {
        return Vec::new();
    }
    let divisor = open.iter().map(weight).fold(0, greatest_common_divisor).max(1);
    let sum: u64 = open.iter().map(weight).sum();
    let shrink = (sum / divisor).div_ceil(TURNS).max(1) * divisor;
    let mut places: Vec<(f64, u32)> = Vec::new();
    for (at, one) in (0..).zip(open) {
        let count = (weight(one) / shrink).max(1) as u32;
        places.extend((0..count).map(|turn| ((f64::from(turn) + 0.5) / f64::from(count), at)));
    }
    places.sort_by(|one, other| one.0.total_cmp(&other.0).then(one.1.cmp(&other.1)));
    places.into_iter().map(|(_, at)| at).collect()
}

fn greatest_common_divisor(one: u64, other: u64) -> u64 {
    if other == 0 { one } else { greatest_common_divisor(other, one % other) }
}

fn ring(open: &[Arc<Endpoint>]) -> Vec<(u64, u32)> {
    let heaviest = open.iter().map(|one| u32::from(one.rank.weight)).max().unwrap_or(1).max(1);
    let mut ring = Vec::new();
    for (at, one) in (0..).zip(open) {
        let places = (PLACES * u32::from(one.rank.weight) / heaviest).max(1);
        ring.extend((0..places).map(|place| (hash(&(&one.instance, place)), at)));
    }
    ring.sort_unstable();
    ring
}

fn hash(what: &impl Hash) -> u64 {
    // Its keys are fixed: every process of every balancer sends a client to the same endpoint.
    let mut hasher = DefaultHasher::new();
    what.hash(&mut hasher);
    hasher.finish()
}
