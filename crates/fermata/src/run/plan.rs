//! What would be started, where, with what and in which order: a value that can be printed and compared.
//!
//! Pure: nothing is looked up, opened or started here. [`super::planner`] makes a plan from a file, `up --dry-run` prints
//! it (its text is in [`super::show`]), and [`super::Supervisor`] does what it says.

mod container;
mod external;
mod health;
mod program;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use fermata_spec::Protocol;

pub use container::{BuildPlan, ContainerPlan, ImagePlan, MountPlan};
pub use external::{FoundPlan, GatePlan, PlacePlan, RunningPlan, Turn};
pub use health::{Act, Ask, CheckPlan, HealthPlan, Readiness, Scheme};
pub use program::{Launch, Program, Surroundings, Value};

use super::event::InstanceName;
use super::variables;

/// What would be started.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    /// Services to start, each after those it requires.
    pub services: Vec<ServicePlan>,
    /// Services that run already.
    pub running: Vec<RunningPlan>,
    /// Services whose endpoints are found.
    pub found: Vec<FoundPlan>,
}

/// One service to start.
#[derive(Debug, Clone, PartialEq)]
pub struct ServicePlan {
    /// Its name.
    pub name: Arc<str>,
    /// Services of this plan that must be ready before it is started.
    pub requires: Vec<Arc<str>>,
    /// What each instance runs.
    pub program: Program,
    /// Where it runs.
    pub housing: Housing,
    /// How it is seen that an instance is ready and alive.
    pub health: HealthPlan,
    /// Time between TERM and KILL.
    pub stop_grace: Duration,
    /// Its instances.
    pub instances: Vec<InstancePlan>,
}

/// What the instances of a service run in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Housing {
    /// This machine, as processes of it.
    Machine,
    /// Each in a container of the Docker Engine.
    Container(Arc<ContainerPlan>),
}

/// One instance to start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InstancePlan {
    /// Its name.
    pub name: InstanceName,
    /// Where it is told to listen: each container port once, in the order of the file.
    pub ports: Vec<PortPlan>,
}

/// One container port of an instance.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PortPlan {
    /// The port as the file names it.
    pub container: u16,
    /// What is spoken on it: UDP only where the file says nothing else.
    pub protocol: Protocol,
    /// The port of 127.0.0.1 that the instance is to listen on.
    pub local: Local,
}

/// A port of 127.0.0.1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Local {
    /// The container port itself.
    Same,
    /// Any free one, chosen anew at each start.
    Free,
}

/// Whether there are other instances of a service: beside them none can have the container port itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Company {
    /// There are none.
    Alone,
    /// There are some, or they are just ending.
    Others,
}

/// Something in the file that cannot be run as it stands.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{path}: {text}")]
pub struct Problem {
    /// The value that it is about, as `fermata_spec::Places` names them.
    pub path: String,
    /// What is wrong and what to do.
    pub text: String,
}

impl Problem {
    pub(super) fn new(path: impl Into<String>, text: impl fmt::Display) -> Problem {
        Problem { path: path.into(), text: text.to_string() }
    }
}

impl ServicePlan {
    /// Its variables whose values were drawn.
    pub fn drawn(&self) -> impl Iterator<Item = ((String, String), String)> {
        let variables = self.program.surroundings.variables.iter();
        let drawn = variables.filter(|(_, value)| variables::is_drawn(&value.written));
        drawn.map(|(name, value)| ((self.name.to_string(), name.clone()), value.text.clone()))
    }

    /// `words` as a container of these ports gets them.
    pub(super) fn words_inside(&self, words: &[Value], ports: &[PortPlan]) -> Vec<String> {
        let pairs: Vec<(u16, u16)> = ports.iter().map(|port| (port.container, port.container)).collect();
        let Launch { program, arguments, .. } = self.program.surroundings.launch(words, &pairs);
        [program].into_iter().chain(arguments).collect()
    }

    /// The same service with instances of these numbers, in this company.
    #[must_use]
    pub fn with_instances(&self, numbers: &[u32], company: Company) -> ServicePlan {
        let ports = |numbered: &InstancePlan| {
            let local = |port: &PortPlan| match (company, numbers) {
                (Company::Alone, [_]) => port.local,
                _ => Local::Free,
            };
            numbered.ports.iter().map(|port| PortPlan { local: local(port), ..*port }).collect()
        };
        let instances = self.instances.first().into_iter().flat_map(|like| {
            numbers
                .iter()
                .map(|&number| InstancePlan { name: InstanceName::new(self.name.clone(), number), ports: ports(like) })
        });
        ServicePlan { instances: instances.collect(), ..self.clone() }
    }
}
