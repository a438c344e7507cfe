//! Makes a [`Plan`] from the services of a file, or tells everything that is in the way.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::sync::Arc;

use aws_lc_rs::digest::{SHA256, digest};
use fermata_spec::{Address, Check, CheckKind, Health, Service, Source, Spec, Volume, VolumeSource};
use http::Method;

use super::event::InstanceName;
use super::plan::{
    Act, Ask, BuildPlan, CheckPlan, ContainerPlan, FoundPlan, HealthPlan, Housing, ImagePlan, InstancePlan, Local,
    MountPlan, Plan, PortPlan, Problem, Program, Readiness, RunningPlan, Scheme, ServicePlan, Surroundings, Value,
};
use super::variables::Variables;
use super::{conflicts, elsewhere, ports};

/// Where `fermata up` was called from.
#[derive(Debug, Clone, Default)]
pub struct Caller {
    /// The folder of the service.yml: relative paths start here.
    pub folder: PathBuf,
    /// The state folder: two Fermatas with different ones keep out of each other's containers.
    pub state: PathBuf,
    /// Environment variables.
    pub env: BTreeMap<OsString, OsString>,
    /// What `AUTO_GENERATE` has come to before.
    pub drawn: Drawn,
}

/// Values that were drawn, by service and variable. They are drawn once: a service that was started with one is still
/// known by it.
pub type Drawn = BTreeMap<(String, String), String>;

impl Plan {
    /// Plans all services of `spec`. `random` fills a slice with bytes fit for the passwords that `AUTO_GENERATE` asks
    /// for.
    pub fn of(spec: &Spec, caller: &Caller, random: impl FnMut(&mut [u8])) -> Result<Plan, Vec<Problem>> {
        let mut planner = Planner {
            services: &spec.services,
            folder: &caller.folder,
            // The engine takes absolute paths alone.
            state: std::path::absolute(&caller.state).unwrap_or_else(|_| caller.state.clone()),
            project: project(caller),
            inherited: Arc::new(caller.env.clone()),
            variables: Variables::new(&spec.services, caller, random),
            problems: conflicts::of_ports(spec),
        };
        let mut plan = Plan { services: Vec::new(), running: Vec::new(), found: Vec::new() };
        for place in in_order(&spec.services) {
            let service = &spec.services[place];
            match &service.source {
                Source::Command(command) => plan.services.extend(planner.started(place, service, command)),
                Source::Kubernetes(found) => plan.found.push(FoundPlan {
                    name: service.name.clone(),
                    service: found.clone(),
                    ports: ports::containers(&service.ports).into_iter().map(|(container, _)| container).collect(),
                }),
                Source::Running(addresses) => plan.running.push(planner.running(place, service, addresses)),
                Source::Servers(balancer) => {
                    let surroundings = planner.surroundings(place, service);
                    match elsewhere::servers(service, balancer, surroundings) {
                        Ok(servers) => plan.running.push(servers),
                        Err(problems) => planner.problems.extend(problems),
                    }
                }
                Source::Image { image, command } => {
                    let image = ImagePlan::Named(image.clone());
                    plan.services.extend(planner.contained(place, service, image, command.as_deref()));
                }
                Source::Build { root: Some(root), dockerfile, command, .. } => {
                    let image = planner.built(service, root, dockerfile.as_deref());
                    plan.services.extend(planner.contained(place, service, image, command.as_deref()));
                }
                Source::Build { git_url, .. } => planner.problems.push(Problem::new(
                    format!(
                        "services.{}.{}",
                        service.name,
                        if git_url.is_some() { "git_url" } else { "dockerfile_path" }
                    ),
                    "source is not fetched here; clone it, and say in build_root where it is",
                )),
            }
        }
        if planner.problems.is_empty() { Ok(plan) } else { Err(planner.problems) }
    }
}

/// The places of the services: those that are required before those that require them, otherwise as in the file.
fn in_order(services: &[Service]) -> Vec<usize> {
    fn visit(place: usize, services: &[Service], order: &mut Vec<usize>, open: &mut Vec<usize>) {
        // `open` cannot matter: a checked file has no circles.
        if order.contains(&place) || open.contains(&place) {
            return;
        }
        open.push(place);
        for name in &services[place].requires {
            if let Some(required) = services.iter().position(|other| other.name == *name) {
                visit(required, services, order, open);
            }
        }
        order.push(place);
    }
    let mut order = Vec::with_capacity(services.len());
    for place in 0..services.len() {
        visit(place, services, &mut order, &mut Vec::new());
    }
    order
}

/// The name of everything that a file runs in containers: the file's folder for people, and what tells it from others.
fn project(caller: &Caller) -> Arc<str> {
    let name = caller.folder.file_name().map(|name| name.to_string_lossy().to_lowercase()).unwrap_or_default();
    let name: String = name.chars().filter(|letter| letter.is_ascii_alphanumeric() || *letter == '-').collect();
    let place = [caller.folder.as_os_str().as_bytes(), caller.state.as_os_str().as_bytes()].join(&0);
    let digest: String = digest(&SHA256, &place).as_ref()[..4].iter().map(|byte| format!("{byte:02x}")).collect();
    format!("fermata-{}-{digest}", name.trim_matches('-')).into()
}

struct Planner<'a, R> {
    services: &'a [Service],
    folder: &'a PathBuf,
    state: PathBuf,
    project: Arc<str>,
    inherited: Arc<BTreeMap<OsString, OsString>>,
    variables: Variables<'a, R>,
    problems: Vec<Problem>,
}

impl<'a, R: FnMut(&mut [u8])> Planner<'a, R> {
    fn started(&mut self, place: usize, service: &'a Service, command: &'a str) -> Option<ServicePlan> {
        let surroundings = self.surroundings(place, service);
        let health = self.health(service);
        let words = self.words(&format!("services.{}.command", service.name), command)?;
        let is_started = |name: &&Arc<str>| {
            self.services.iter().any(|other| other.name == **name && is_started(other) && other.replicas > 0)
        };
        Some(ServicePlan {
            name: service.name.clone(),
            requires: service.requires.iter().filter(is_started).cloned().collect(),
            program: Program { words, surroundings },
            housing: Housing::Machine,
            health,
            stop_grace: service.stop_grace,
            instances: instances(service),
        })
    }

    fn built(&self, service: &Service, root: &str, dockerfile: Option<&str>) -> ImagePlan {
        ImagePlan::Built(BuildPlan {
            // Names of images are in lower case (distribution/reference).
            name: format!("{}-{}", self.project, service.name.to_lowercase()),
            root: self.folder.join(root),
            dockerfile: dockerfile.unwrap_or("Dockerfile").to_owned(),
        })
    }

    fn contained(
        &mut self,
        place: usize,
        service: &'a Service,
        image: ImagePlan,
        command: Option<&'a str>,
    ) -> Option<ServicePlan> {
        // In a container neither the caller's environment nor its folder means anything.
        let folder = service.work_dir.as_ref().map(PathBuf::from).unwrap_or_default();
        let surroundings = Surroundings { inherited: Arc::default(), folder, ..self.surroundings(place, service) };
        let at = |key: &str| format!("services.{}.{key}", service.name);
        let words = match command {
            Some(command) => self.words(&at("command"), command)?,
            None => Vec::new(),
        };
        let mut hook = |key: &str, command: &'a Option<String>| match command {
            Some(command) => self.words(&at(key), command).map(Some),
            None => Some(None),
        };
        let post_start = hook("post_start_command", &service.post_start_command)?;
        let pre_stop = hook("pre_stop_command", &service.pre_stop_command)?;
        let mut health = self.health(service);
        if service.health == Health::Default {
            health.ready = Readiness::Image(ports::connectable(&service.ports));
        }
        let volumes = service.volumes.iter().enumerate();
        let mut mounts: Vec<_> =
            volumes.map(|(number, volume)| self.mount(&at(&format!("volumes[{number}]")), volume)).collect();
        mounts.extend(self.logs(service).map(Some));
        let container = ContainerPlan {
            project: self.project.clone(),
            image,
            published_for: if service.replicas == 1 { self.processes_that_require(&service.name) } else { Vec::new() },
            security: service.security_context.clone(),
            requests: service.constraints.requests,
            limits: service.constraints.limits,
            mounts: mounts.into_iter().collect::<Option<_>>()?,
            labels: service.tags.clone(),
            post_start,
            pre_stop,
        };
        let is_known = |name: &&Arc<str>| {
            self.services.iter().any(|other| other.name == **name && is_started(other) && other.replicas > 0)
        };
        Some(ServicePlan {
            name: service.name.clone(),
            requires: service.requires.iter().filter(is_known).cloned().collect(),
            program: Program { words, surroundings },
            housing: Housing::Container(Arc::new(container)),
            health,
            stop_grace: service.stop_grace,
            instances: instances(service),
        })
    }

    /// A process has no other way to a container than a port of 127.0.0.1.
    fn processes_that_require(&self, name: &Arc<str>) -> Vec<Arc<str>> {
        let processes = self.services.iter().filter(|service| matches!(service.source, Source::Command(_)));
        processes.filter(|process| process.requires.contains(name)).map(|process| process.name.clone()).collect()
    }

    fn mount(&mut self, path: &str, volume: &Volume) -> Option<MountPlan> {
        let host = match &volume.source {
            VolumeSource::HostPath(host) => Some(self.folder.join(host)),
            VolumeSource::Kubernetes(kind, _) if kind == "empty_dir" => None,
            VolumeSource::Kubernetes(kind, _) => {
                let text = format!("{kind} exists in Kubernetes alone; write host_path or empty_dir to run it here");
                self.problems.push(Problem::new(path, text));
                return None;
            }
        };
        Some(MountPlan {
            host: host.map(|host| volume.sub_path.as_ref().map_or_else(|| host.clone(), |sub| host.join(sub))),
            path: volume.mount_path.clone(),
            read_only: volume.read_only,
            propagation: volume.mount_propagation.clone(),
            open: false,
        })
    }

    /// Files of a service's logs outlive its containers.
    fn logs(&mut self, service: &Service) -> Option<MountPlan> {
        let path = service.log_folder.clone()?;
        if !path.starts_with('/') {
            let at = format!("services.{}.log_folder", service.name);
            self.problems.push(Problem::new(at, "give the whole path in the container, as in /app/log"));
        }
        let host = self.state.join("logs").join(&*service.name);
        // Whoever the container runs as.
        Some(MountPlan { host: Some(host), path, read_only: false, propagation: None, open: true })
    }

    fn running(&mut self, place: usize, service: &'a Service, addresses: &[Address]) -> RunningPlan {
        let ready = match self.health(service).ready {
            Readiness::Check(check) => Some(check),
            Readiness::Started | Readiness::Connects(_) | Readiness::Image(_) => None,
        };
        elsewhere::addresses(service, addresses, ready, self.surroundings(place, service))
    }

    fn surroundings(&mut self, place: usize, service: &'a Service) -> Surroundings {
        let mut variables: Vec<(String, Value)> = Vec::new();
        for (name, _) in &service.env_vars {
            match self.variables.of_service(place, name) {
                Some(Ok(value)) => variables.push((name.clone(), value)),
                Some(Err(text)) => {
                    self.problems.push(Problem::new(format!("services.{}.env_vars.{name}", service.name), text));
                }
                None => {}
            }
        }
        let folder = service.work_dir.as_ref().map_or_else(|| self.folder.clone(), |folder| self.folder.join(folder));
        Surroundings { variables, inherited: self.inherited.clone(), folder }
    }

    /// The words of a command. References are resolved in each word, so that a value with a blank stays one word.
    fn words(&mut self, path: &str, command: &str) -> Option<Vec<Value>> {
        let Some(words) = shlex::split(command) else {
            self.problems.push(Problem::new(path, "a quote is opened and not closed, or the last letter is a \\"));
            return None;
        };
        if words.is_empty() {
            self.problems.push(Problem::new(path, "the command is empty; write the program to run"));
            return None;
        }
        let resolved = words.into_iter().map(|written| match self.variables.text(&written) {
            Ok(text) => Some(Value { text, written }),
            Err(text) => {
                self.problems.push(Problem::new(path, text));
                None
            }
        });
        resolved.collect()
    }

    fn health(&mut self, service: &'a Service) -> HealthPlan {
        let by_port = ports::connectable(&service.ports).map_or(Readiness::Started, Readiness::Connects);
        let Health::Checks { ready, alive, startup } = &service.health else {
            return HealthPlan { ready: by_port, alive: None, startup: None };
        };
        let mut planned = |name: &str, check: &Option<Check>| {
            let path = format!("services.{}.health.{name}", service.name);
            check.as_ref().and_then(|check| self.check(&path, service, check))
        };
        let (ready, alive, startup) = (planned("ready", ready), planned("alive", alive), planned("startup", startup));
        HealthPlan { ready: ready.map_or(by_port, Readiness::Check), alive, startup }
    }

    fn check(&mut self, path: &str, service: &Service, check: &Check) -> Option<CheckPlan> {
        let mut proxy = None;
        let act = match &check.kind {
            CheckKind::Exec(command) => Act::Exec(self.words(&format!("{path}.command"), command)?),
            over_network => {
                let port = check.port.or_else(|| service.ports.first().map(|port| port.container));
                let Some(port) = port else {
                    self.problems.push(Problem::new(path, "the service has no port to check; give the check a port"));
                    return None;
                };
                proxy = service.proxy_protocol.filter(|_| service.ports.iter().any(|one| one.container == port));
                network_act(over_network, port)
            }
        };
        Some(CheckPlan { proxy, ..paced(check, act) })
    }
}

/// A check with this act.
pub(super) fn paced(check: &Check, act: Act) -> CheckPlan {
    CheckPlan {
        act,
        proxy: None,
        timeout: check.timeout,
        success_threshold: check.success_threshold,
        failure_threshold: check.failure_threshold,
        initial_delay: check.initial_delay,
        period: check.period,
    }
}

/// Whether Fermata starts its instances.
fn is_started(service: &Service) -> bool {
    matches!(service.source, Source::Command(_) | Source::Image { .. } | Source::Build { .. })
}

pub(super) fn network_act(kind: &CheckKind, port: u16) -> Act {
    let (scheme, ask, endpoint, headers) = match kind {
        CheckKind::Tcp | CheckKind::Exec(_) => return Act::Tcp { port },
        CheckKind::Http { endpoint, headers } => (Scheme::Http, Ask::Page(Method::GET), endpoint, headers),
        CheckKind::Https { endpoint, headers } => (Scheme::Https, Ask::Page(Method::GET), endpoint, headers),
        CheckKind::WebSocket { endpoint, headers } => (Scheme::Http, Ask::WebSocket, endpoint, headers),
    };
    Act::Http { scheme, ask, port, endpoint: endpoint.clone(), headers: headers.clone() }
}

/// The instances of a service: a single one listens on the container port itself, several each on a port of its own.
fn instances(service: &Service) -> Vec<InstancePlan> {
    let local = if service.replicas == 1 { Local::Same } else { Local::Free };
    let ports: Vec<PortPlan> = ports::containers(&service.ports)
        .into_iter()
        .map(|(container, protocol)| PortPlan { container, protocol, local })
        .collect();
    (1..=service.replicas)
        .map(|number| InstancePlan { name: InstanceName::new(service.name.clone(), number), ports: ports.clone() })
        .collect()
}
