//! Services that run already, or whose endpoints somebody else knows.

use std::sync::Arc;
use std::time::Duration;

use fermata_spec::{Address, ClusterService};

use super::{CheckPlan, Surroundings};
use crate::run::event::InstanceName;

/// A service whose endpoints somebody else knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoundPlan {
    /// Its name.
    pub name: Arc<str>,
    /// What leads to it there.
    pub service: ClusterService,
    /// Container ports.
    pub ports: Vec<u16>,
}

/// A service that runs already.
#[derive(Debug, Clone, PartialEq)]
pub struct RunningPlan {
    /// Its name.
    pub name: Arc<str>,
    /// Where: as the file says, or 127.0.0.1; the container port where an address has no port.
    pub places: Vec<PlacePlan>,
    /// Container ports.
    pub ports: Vec<u16>,
    /// What must pass before it gets traffic.
    pub checks: Vec<GatePlan>,
    /// Whether all places get traffic when none looks well.
    pub tries_all: bool,
    /// A place that was added gets nothing new for so long.
    pub wait_after_adding: Duration,
    /// The tunnels of a place that was removed stay for so long.
    pub wait_after_removing: Duration,
    /// What a check of type exec runs in.
    pub surroundings: Surroundings,
}

/// One place where a service runs already.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlacePlan {
    /// Its name.
    pub name: InstanceName,
    /// Where it is.
    pub address: Address,
    /// Its share compared to the others'.
    pub weight: u16,
    /// When it is used.
    pub turn: Turn,
}

/// When a place is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Turn {
    /// Before others.
    First,
    /// When none of the first is well: it stands in another zone.
    Second,
    /// When no other is well.
    Backup,
}

/// A check, and what passing it opens.
#[derive(Debug, Clone, PartialEq)]
pub struct GatePlan {
    /// What is checked.
    pub check: CheckPlan,
    /// This container port; `None`: all of them.
    pub opens: Option<u16>,
}
