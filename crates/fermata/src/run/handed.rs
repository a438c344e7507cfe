//! An instance as it is handed to another Fermata, which goes on with it: the process runs on and is not asked.
//!
//! A record, and beside it the descriptors that belong to it: the process, and the pipes that it writes to. What another
//! Fermata writes is not trusted: what makes no sense is refused, and a process is taken over only by its descriptor.

use std::net::IpAddr;
use std::os::fd::OwnedFd;
use std::time::Duration;

use fermata_spec::Protocol;
use serde::{Deserialize, Serialize};

use super::docker::HeardRecord;
use super::event::Stream;
use super::plan::{InstancePlan, Local, PortPlan};

/// An instance, and what belongs to it.
#[derive(Debug)]
pub struct Handing {
    /// What is known of it.
    pub record: Handed,
    /// In the order in which the record mentions them.
    pub descriptors: Vec<OwnedFd>,
}

/// What is known of an instance.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Handed {
    /// Its service.
    pub service: String,
    /// Its number.
    pub number: u32,
    ports: Vec<HandedPort>,
    /// The wait before the next start that fails.
    pub(super) backoff: Duration,
    pub(super) state: Standing,
}

/// How far it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Standing {
    /// Services that it requires are not ready yet.
    Waits,
    /// It ended, and starts again after this time.
    Rests(Duration),
    /// It runs as a process.
    Runs(RunRecord),
    /// It runs in a container.
    Contained(ContainerRecord),
}

/// A container that runs. The engine has all that there is to hand over: this says which it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct ContainerRecord {
    pub(super) id: String,
    /// What containers of its plan are made of.
    pub(super) image: Option<String>,
    pub(super) host: IpAddr,
    /// Container port and the port there.
    pub(super) pairs: Vec<(u16, u16)>,
    pub(super) up: Duration,
    pub(super) ready: bool,
    /// What of its output has been given on.
    #[serde(flatten)]
    pub(super) heard: HeardRecord,
}

/// A process that runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct RunRecord {
    pub(super) pid: i32,
    pub(super) start: u64,
    pub(super) invocation: String,
    /// Container port and local port.
    pub(super) pairs: Vec<(u16, u16)>,
    /// Those of the local ports that are its own only for now.
    pub(super) free: Vec<u16>,
    pub(super) up: Duration,
    pub(super) ready: bool,
    /// What it writes to that is still open, and the beginning of a line.
    pub(super) voices: Vec<(Stream, Vec<u8>)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct HandedPort {
    container: u16,
    udp: bool,
    /// Whether it is to listen on the container port itself.
    same: bool,
}

impl Handed {
    pub(super) fn new(instance: &InstancePlan, backoff: Duration, state: Standing) -> Handed {
        let ports = instance.ports.iter().map(|port| HandedPort {
            container: port.container,
            udp: port.protocol == Protocol::Udp,
            same: port.local == Local::Same,
        });
        Handed {
            service: instance.name.service.to_string(),
            number: instance.name.number,
            ports: ports.collect(),
            backoff,
            state,
        }
    }

    /// The ports of its next run.
    pub(super) fn ports(&self) -> Vec<PortPlan> {
        let ports = self.ports.iter().map(|port| PortPlan {
            container: port.container,
            protocol: if port.udp { Protocol::Udp } else { Protocol::Tcp },
            local: if port.same { Local::Same } else { Local::Free },
        });
        ports.collect()
    }

    /// How many descriptors belong to it.
    pub fn descriptors(&self) -> usize {
        match &self.state {
            Standing::Waits | Standing::Rests(_) | Standing::Contained(_) => 0,
            Standing::Runs(run) => 1 + run.voices.len(),
        }
    }

    /// Whether it runs.
    pub fn runs(&self) -> bool {
        matches!(self.state, Standing::Runs(_) | Standing::Contained(_))
    }
}
