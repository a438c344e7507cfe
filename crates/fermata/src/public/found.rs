//! What is found: the endpoints that somebody else knows fill the pools.

use std::sync::Arc;

use super::Pools;
use crate::discovery::Found;
use crate::route::{Despair, Endpoint, Newcomers, Rank, Target, Wanted};

impl Pools {
    /// What was found of a service gets its traffic, and nobody else: who found it has seen that it is ready. Who gets none any
    /// more is returned.
    pub fn adopt(&self, service: &Arc<str>, found: &[&Found]) -> Vec<Arc<Endpoint>> {
        let pools = self.pools();
        let own = pools.iter().filter(|((of, _), _)| of == service);
        let settled = own.flat_map(|((_, port), pool)| {
            let at = |one: &&Found| {
                let (_, at) = one.ports.iter().find(|(own, _)| own == port)?;
                Some(Wanted { instance: one.instance_of(service), target: Target::Ip(*at), rank: Rank::default() })
            };
            let wanted: Vec<Wanted> = found.iter().filter_map(at).collect();
            pool.settle(&wanted, Newcomers::Well, Despair::Refuse)
        });
        settled.collect()
    }
}
