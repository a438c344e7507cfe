//! What running instances use of the machine: processes by the kernel's table, containers by their engine.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::future::join_all;
use tokio::time::timeout;

use super::docker::Container;
use super::event::InstanceName;
use super::procs;

/// How long an engine may take to tell. Without its answer, the figures of its containers are missing.
const TOLD_WITHIN: Duration = Duration::from_secs(2);

/// What an instance has used since its start, and uses now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Usage {
    /// Time that CPUs have worked for it.
    pub cpu: Duration,
    /// Bytes of memory that it holds: resident pages of processes, what counts against the limit of a container.
    pub memory: u64,
}

/// Where the usage of a running instance can be read.
#[derive(Debug, Clone)]
pub(super) enum Meter {
    /// In a process group.
    Group(i32),
    /// At the engine.
    Container(Box<Container>),
}

/// Where the usage of every instance that runs now can be read.
#[derive(Debug, Clone, Default)]
pub(super) struct Meters(Arc<Mutex<BTreeMap<InstanceName, Meter>>>);

impl Meters {
    /// It runs.
    pub(super) fn put(&self, instance: &InstanceName, meter: Meter) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(instance.clone(), meter);
    }

    /// It runs no more.
    pub(super) fn take(&self, instance: &InstanceName) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(instance);
    }

    /// What all of them use, by the names of the instances.
    pub(super) async fn read(&self) -> BTreeMap<String, Usage> {
        let meters = self.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let groups = |meter: &Meter| if let Meter::Group(group) = meter { Some(*group) } else { None };
        let groups: BTreeSet<i32> = meters.values().filter_map(groups).collect();
        let groups = if groups.is_empty() { BTreeMap::new() } else { procs::usage(&groups) };
        let usages = meters.iter().map(async |(instance, meter)| {
            let usage = match meter {
                Meter::Group(group) => groups.get(group).copied(),
                Meter::Container(container) => timeout(TOLD_WITHIN, container.usage()).await.ok().flatten(),
            };
            Some((instance.to_string(), usage?))
        });
        join_all(usages).await.into_iter().flatten().collect()
    }
}
