//! What is found: the endpoints that somebody else knows fill the pools.

use std::sync::Arc;

use super::Pools;
use crate::discovery::Found;
use crate::route::{Despair, Endpoint, Newcomers, Rank, Target, Wanted};

impl Pools {
    /// What was found of a service takes the place of what was there: `open` get traffic, `away` get nothing new and keep their
    /// counts, for when they come back. Who is neither is returned.
    pub fn adopt(&self, service: &Arc<str>, open: &[&Found], away: &[&Found]) -> Vec<Arc<Endpoint>> {
        let pools = self.pools();
        let own = pools.iter().filter(|((of, _), _)| of == service);
        let settled = own.flat_map(|((_, port), pool)| {
            let at = |one: &&Found| {
                let (_, at) = one.ports.iter().find(|(own, _)| own == port)?;
                Some(Wanted { instance: one.instance_of(service), target: Target::Ip(*at), rank: Rank::default() })
            };
            let wanted: Vec<Wanted> = open.iter().chain(away).filter_map(at).collect();
            let gone = pool.settle(&wanted, Newcomers::Unseen(None), Despair::Refuse);
            let standing = open.iter().map(|one| (one, true)).chain(away.iter().map(|one| (one, false)));
            for (one, well) in standing {
                pool.mark(&one.instance_of(service), well);
            }
            gone
        });
        settled.collect()
    }
}
