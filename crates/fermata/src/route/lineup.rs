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
    ring: OnceLock<Ring>,
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
        let ring = self.ring.get_or_init(|| Ring::of(&self.open));
        ring.from(hash(&client)).filter_map(|at| self.open.get(at as usize))
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

/// The places of the endpoints on a ring of hashes, and a way into it that does not search.
#[derive(Debug)]
struct Ring {
    places: Vec<(u64, u32)>,
    /// The first place of each part of the ring; the parts are of one size, and there are about as many as places.
    parts: Vec<u32>,
    /// What the place of a hash has beside the number of its part.
    shift: u32,
}

impl Ring {
    fn of(open: &[Arc<Endpoint>]) -> Ring {
        let places = places(open);
        // At least two parts, so that a shift is less than the width of a hash.
        let bits = places.len().max(2).ilog2();
        let shift = u64::BITS - bits;
        let mut parts = vec![0; (1 << bits) + 1];
        for (place, _) in &places {
            parts[(place >> shift) as usize + 1] += 1;
        }
        for part in 1..parts.len() {
            parts[part] += parts[part - 1];
        }
        Ring { places, parts, shift }
    }

    /// The endpoints from a hash on, all around.
    fn from(&self, hash: u64) -> impl Iterator<Item = u32> {
        let part = (hash >> self.shift) as usize;
        let [begin, end] = [part, part + 1].map(|part| self.parts[part] as usize);
        let first = begin + self.places[begin..end].partition_point(|(place, _)| *place < hash);
        let (before, after) = self.places.split_at(first);
        after.iter().chain(before).map(|(_, at)| *at)
    }
}

fn places(open: &[Arc<Endpoint>]) -> Vec<(u64, u32)> {
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
