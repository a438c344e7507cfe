//! What would be started, where, with what and in which order: a value that can be printed and compared.
//!
//! Pure: nothing is looked up, opened or started here. [`super::planner`] makes a plan from a file, `up --dry-run` prints
//! it (its text is in [`super::show`]), and [`super::Supervisor`] does what it says.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use fermata_spec::{Address, ClusterService, Protocol, ProxyVersion, Resources, SecurityContext};
use http::Method;
use tokio::sync::OnceCell;

use super::event::InstanceName;
use super::reference::expand;
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

/// What a container has beside its program, health and ports.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContainerPlan {
    /// What all containers of this file belong to, and the name of their network.
    pub project: Arc<str>,
    /// The image.
    pub image: ImagePlan,
    /// What that was when the first container was made of it.
    pub settled: Settled,
    /// Whether its ports are at 127.0.0.1 too, under their own numbers: for processes that require it.
    pub published: bool,
    /// Who it runs as, and what it may.
    pub security: SecurityContext,
    /// What it gets for certain.
    pub requests: Resources,
    /// What it gets at most.
    pub limits: Resources,
    /// Its volumes.
    pub mounts: Vec<MountPlan>,
    /// Labels of the file's own.
    pub labels: Vec<(String, String)>,
    /// Run inside it once it has started.
    pub post_start: Option<Vec<Value>>,
    /// Run inside it before it is stopped.
    pub pre_stop: Option<Vec<Value>>,
}

/// Where an image comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ImagePlan {
    /// It has this name: the engine has it, or pulls it.
    Named(String),
    /// It is built.
    Built(BuildPlan),
}

/// What an image is built from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BuildPlan {
    /// What it is called then.
    pub name: String,
    /// The folder that the build sees.
    pub root: PathBuf,
    /// The Dockerfile, from there.
    pub dockerfile: String,
}

/// The id of the image that containers of one plan are made of, once that has been found out: an image's name may mean
/// another one later, and a source be edited, but an instance that ends and starts again must not change by that. It is
/// shared by all copies of a plan, and no part of what is planned: two plans are equal whatever is in here.
#[derive(Debug, Clone, Default)]
pub struct Settled(pub(super) Arc<OnceCell<String>>);

impl PartialEq for Settled {
    fn eq(&self, _: &Settled) -> bool {
        true
    }
}

impl Eq for Settled {}

impl ImagePlan {
    /// What it is called.
    pub fn name(&self) -> &str {
        match self {
            ImagePlan::Named(name) => name,
            ImagePlan::Built(build) => &build.name,
        }
    }
}

impl fmt::Display for ImagePlan {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ImagePlan::Named(name) => out.write_str(name),
            ImagePlan::Built(build) => {
                write!(out, "{}, built from {}", build.name, build.root.join(&build.dockerfile).display())
            }
        }
    }
}

/// One volume of a container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MountPlan {
    /// What of this machine; nothing: an empty volume of the container's own.
    pub host: Option<PathBuf>,
    /// Where in the container.
    pub path: String,
    /// Whether it can only be read there.
    pub read_only: bool,
    /// `mount_propagation`.
    pub propagation: Option<String>,
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

/// How it is seen that an instance is ready and alive.
#[derive(Debug, Clone, PartialEq)]
pub struct HealthPlan {
    /// What gates its traffic.
    pub ready: Readiness,
    /// What restarts it on failure.
    pub alive: Option<CheckPlan>,
    /// What suspends the other two until it passes.
    pub startup: Option<CheckPlan>,
}

/// When an instance gets traffic.
#[derive(Debug, Clone, PartialEq)]
pub enum Readiness {
    /// As soon as it has been started: it has no port that could be tried.
    Started,
    /// Once this container port accepts a TCP connection.
    Connects(u16),
    /// While a check passes.
    Check(CheckPlan),
    /// While the image's own HEALTHCHECK passes; where it has none, once this container port accepts a connection.
    Image(Option<u16>),
}

/// A health check whose command and port are settled.
#[derive(Debug, Clone, PartialEq)]
pub struct CheckPlan {
    /// What is done.
    pub act: Act,
    /// How a connection says first that it is nobody's but the checker's: for what expects the PROXY protocol.
    pub proxy: Option<ProxyVersion>,
    /// How long one try may take.
    pub timeout: Duration,
    /// Passes in a row that change "no" to "yes".
    pub success_threshold: u32,
    /// Failures in a row that change "yes" to "no".
    pub failure_threshold: u32,
    /// The time from the start to the first try.
    pub initial_delay: Duration,
    /// The time between tries.
    pub period: Duration,
}

/// What a health check does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Act {
    /// Makes a TCP connection.
    Tcp {
        /// Container port.
        port: u16,
    },
    /// Asks over HTTP and looks at the status.
    Http {
        /// Clear or TLS.
        scheme: Scheme,
        /// What is asked, and which statuses pass.
        ask: Ask,
        /// Container port.
        port: u16,
        /// Path.
        endpoint: String,
        /// Extra headers.
        headers: Vec<(String, String)>,
    },
    /// Runs a command.
    Exec(Vec<Value>),
}

impl Act {
    /// The container port that it is about.
    pub fn port(&self) -> Option<u16> {
        match self {
            Act::Tcp { port } | Act::Http { port, .. } => Some(*port),
            Act::Exec(_) => None,
        }
    }
}

/// Clear or TLS; a certificate is not verified.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names say it")]
pub enum Scheme {
    Http,
    Https,
}

/// What is asked over HTTP.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ask {
    /// A request with this method; 200–399 passes.
    Page(Method),
    /// A WebSocket handshake; 101 passes.
    WebSocket,
}

/// A command and what it runs in; its ports are not known yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Program {
    /// Its words, `$(VAR)` not yet expanded.
    pub words: Vec<Value>,
    /// What it runs in.
    pub surroundings: Surroundings,
}

/// What the commands of a service run in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Surroundings {
    /// The service's own variables.
    pub variables: Vec<(String, Value)>,
    /// The environment that Fermata was called in, which they get too.
    pub inherited: Arc<BTreeMap<OsString, OsString>>,
    /// The working directory.
    pub folder: PathBuf,
}

/// A resolved value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Value {
    /// What the program gets.
    pub text: String,
    /// What the file says, and so what may be shown.
    pub written: String,
}

/// Everything that starting a process takes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Launch {
    /// The program as the command names it.
    pub program: String,
    /// Its arguments.
    pub arguments: Vec<String>,
    /// The whole environment.
    pub env: BTreeMap<OsString, OsString>,
    /// The working directory.
    pub folder: PathBuf,
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

impl Value {
    /// Whether it stands in the file just so, and may be shown.
    pub fn is_literal(&self) -> bool {
        self.text == self.written
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

impl HealthPlan {
    /// Whether anything but its port is looked at.
    pub fn is_checked(&self) -> bool {
        let ready = matches!(self.ready, Readiness::Check(_) | Readiness::Image(_));
        ready || self.alive.is_some() || self.startup.is_some()
    }
}

impl Program {
    /// Everything that starting it takes, where the container ports are at `ports`.
    pub fn launch(&self, ports: &[(u16, u16)]) -> Launch {
        self.surroundings.launch(&self.words, ports)
    }
}

impl Surroundings {
    /// Everything that starting `words` takes, where the container ports are at `ports`.
    pub fn launch(&self, words: &[Value], ports: &[(u16, u16)]) -> Launch {
        let mut env = BTreeMap::clone(&self.inherited);
        env.retain(|name, _| !is_for_fermata_alone(name));
        env.extend(self.variables.iter().map(|(name, value)| (name.into(), value.text.clone().into())));
        env.extend(port_variables(ports).map(|(name, port)| (name.into(), port.to_string().into())));
        let variable = |name: &str| env.get(OsStr::new(name)).map(|value| value.to_string_lossy());
        let mut words = words.iter().map(|word| expand(&word.text, variable)).collect::<Vec<_>>().into_iter();
        let program = words.next().unwrap_or_default();
        Launch { program, arguments: words.collect(), env, folder: self.folder.clone() }
    }

    /// `word` with those variables expanded that may be shown.
    pub(super) fn shown(&self, word: &Value, ports: &[PortPlan]) -> String {
        let known: Vec<(u16, u16)> = ports
            .iter()
            .filter(|port| port.local == Local::Same)
            .map(|port| (port.container, port.container))
            .collect();
        // Where the first port is not known yet, neither is PORT.
        let known = if known.len() == ports.len() { known } else { Vec::new() };
        expand(&word.written, |name| {
            if let Some((_, port)) = port_variables(&known).find(|(each, _)| each == name) {
                return Some(Cow::Owned(port.to_string()));
            }
            let own = self.variables.iter().rev().find(|(each, _)| each == name);
            own.filter(|(_, value)| value.is_literal()).map(|(_, value)| Cow::Borrowed(value.text.as_str()))
        })
    }
}

/// `PORT` and `PORT_<container>`.
pub(super) fn port_variables(ports: &[(u16, u16)]) -> impl Iterator<Item = (String, u16)> {
    let first = ports.first().map(|(_, local)| ("PORT".to_owned(), *local));
    first.into_iter().chain(ports.iter().map(|(container, local)| (format!("PORT_{container}"), *local)))
}

/// Variables by which systemd speaks with the program that it started, which is Fermata and none of its services
/// (`sd_notify(3)`, `sd_listen_fds(3)`, `sd_watchdog_enabled(3)`).
fn is_for_fermata_alone(name: &OsStr) -> bool {
    const NAMES: [&str; 6] =
        ["NOTIFY_SOCKET", "LISTEN_FDS", "LISTEN_PID", "LISTEN_FDNAMES", "WATCHDOG_USEC", "WATCHDOG_PID"];
    NAMES.iter().any(|each| name == *each)
}
