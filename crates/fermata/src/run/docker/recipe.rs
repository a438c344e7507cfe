//! What a container is made of. Pure: a plan and the image's id in, the engine's request out.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};

use bollard::models::{
    ContainerCreateBody, EndpointSettings, HostConfig, HostConfigLogConfig, Mount, MountBindOptions,
    MountBindOptionsPropagationEnum, MountType, NetworkingConfig, PortBinding,
};
use fermata_spec::Protocol;

use super::engine::Reach;
use crate::run::event::InstanceName;
use crate::run::plan::{ContainerPlan, Launch, MountPlan, PortPlan, ServicePlan};

/// Labels of everything that Fermata makes.
pub(super) const PROJECT: &str = "fermata.project";
pub(super) const SERVICE: &str = "fermata.service";
pub(super) const NUMBER: &str = "fermata.number";
pub(super) const RECIPE: &str = "fermata.recipe";

/// How one service's containers are made.
pub(super) struct Recipe<'a> {
    pub(super) plan: &'a ContainerPlan,
    pub(super) launch: Launch,
    pub(super) ports: &'a [PortPlan],
    /// The image's id: a tag may mean another image tomorrow.
    pub(super) image: &'a str,
    pub(super) reach: Reach,
}

impl<'a> Recipe<'a> {
    pub(super) fn of(
        service: &ServicePlan,
        plan: &'a ContainerPlan,
        ports: &'a [PortPlan],
        image: &'a str,
        reach: Reach,
    ) -> Self {
        let pairs: Vec<(u16, u16)> = ports.iter().map(|port| (port.container, port.container)).collect();
        Recipe { plan, launch: service.program.launch(&pairs), ports, image, reach }
    }

    /// Tells containers apart that are made of different things. Not fit for secrets, and so not shown with any: it may be
    /// another with another build of Fermata, which then replaces containers that it could have kept.
    pub(super) fn digest(&self) -> String {
        let mut hasher = DefaultHasher::new();
        (self.plan, self.image, self.reach).hash(&mut hasher);
        let Launch { program, arguments, env, folder } = &self.launch;
        (program, arguments, env, folder).hash(&mut hasher);
        for port in self.ports {
            (port.container, port.protocol == Protocol::Udp).hash(&mut hasher);
        }
        format!("{:016x}", hasher.finish())
    }

    /// The engine's request for one instance.
    pub(super) fn body(&self, instance: &InstanceName) -> ContainerCreateBody {
        let Launch { program, arguments, env, folder } = &self.launch;
        let words = (!program.is_empty()).then(|| [program].into_iter().chain(arguments).cloned().collect());
        let env = env.iter().map(|(name, value)| format!("{}={}", name.to_string_lossy(), value.to_string_lossy()));
        let folder = folder.to_string_lossy().into_owned();
        let host_network = self.plan.security.host_network == Some(true);
        let published = self.reach == Reach::Published && !host_network;
        ContainerCreateBody {
            image: Some(self.image.to_owned()),
            hostname: (!host_network).then(|| format!("{}-{}", instance.service, instance.number)),
            cmd: words,
            env: Some(env.collect()),
            working_dir: (!folder.is_empty()).then_some(folder),
            user: self.user(),
            labels: Some(self.labels(instance)),
            exposed_ports: published.then(|| self.ports.iter().map(|port| key(*port)).collect()),
            host_config: Some(self.host_config(published)),
            networking_config: (!host_network).then(|| self.networking(instance)),
            ..ContainerCreateBody::default()
        }
    }

    fn user(&self) -> Option<String> {
        let security = &self.plan.security;
        match (security.run_as_user, security.run_as_group) {
            (Some(user), Some(group)) => Some(format!("{user}:{group}")),
            (Some(user), None) => Some(user.to_string()),
            (None, _) => None,
        }
    }

    fn labels(&self, instance: &InstanceName) -> HashMap<String, String> {
        let own = [
            (PROJECT, self.plan.project.to_string()),
            (SERVICE, instance.service.to_string()),
            (NUMBER, instance.number.to_string()),
            (RECIPE, self.digest()),
        ];
        let tags = self.plan.labels.iter().cloned();
        tags.chain(own.map(|(name, value)| (name.to_owned(), value))).collect()
    }

    fn host_config(&self, published: bool) -> HostConfig {
        let ContainerPlan { security, limits, requests, .. } = self.plan;
        let network = if security.host_network == Some(true) { "host" } else { &*self.plan.project };
        // The engine has no word for "the image's user, and this group": the group is one of several then.
        let group = security.run_as_group.filter(|_| security.run_as_user.is_none());
        let groups = security.supplemental_groups.iter().chain(&security.fs_group).chain(&group);
        let groups: Vec<String> = groups.map(ToString::to_string).collect();
        let host = |wanted: Option<bool>| (wanted == Some(true)).then(|| "host".to_owned());
        let binding = PortBinding { host_ip: Some("127.0.0.1".into()), host_port: Some(String::new()) };
        HostConfig {
            network_mode: Some(network.to_owned()),
            port_bindings: published
                .then(|| self.ports.iter().map(|port| (key(*port), Some(vec![binding.clone()]))).collect()),
            mounts: Some(self.plan.mounts.iter().map(mount).collect()),
            privileged: security.privileged,
            ipc_mode: host(security.host_ipc),
            pid_mode: host(security.host_pid),
            group_add: (!groups.is_empty()).then_some(groups),
            memory: limits.memory.map(u64::cast_signed),
            memory_reservation: requests.memory.map(u64::cast_signed),
            // Thousandths of a CPU, in billionths.
            nano_cpus: limits.cpu.map(|cpu| i64::from(cpu) * 1_000_000),
            // 1024 shares are the weight of one CPU (docker run(1), --cpu-shares).
            cpu_shares: requests.cpu.map(|cpu| (i64::from(cpu) * 1024 / 1000).max(2)),
            // Unlike json-file it bounds what it keeps (docs.docker.com, local file logging driver).
            log_config: Some(HostConfigLogConfig { typ: Some("local".into()), config: None }),
            ..HostConfig::default()
        }
    }

    /// Others find the container by its service's name, and by its own.
    fn networking(&self, instance: &InstanceName) -> NetworkingConfig {
        let aliases = vec![instance.service.to_string(), format!("{}-{}", instance.service, instance.number)];
        let settings = EndpointSettings { aliases: Some(aliases), ..EndpointSettings::default() };
        NetworkingConfig { endpoints_config: Some([(self.plan.project.to_string(), settings)].into()) }
    }
}

/// The name of an instance's container.
pub(super) fn name(project: &str, instance: &InstanceName) -> String {
    format!("{project}-{}-{}", instance.service, instance.number)
}

/// A port as the engine writes it.
pub(super) fn key(port: PortPlan) -> String {
    let protocol = match port.protocol {
        Protocol::Tcp => "tcp",
        Protocol::Udp => "udp",
    };
    format!("{}/{protocol}", port.container)
}

fn mount(plan: &MountPlan) -> Mount {
    let propagation = plan.propagation.as_deref().and_then(|word| match word {
        // Kubernetes' words, in the kernel's (mount(2), mount propagation).
        "HostToContainer" => Some(MountBindOptionsPropagationEnum::RSLAVE),
        "Bidirectional" => Some(MountBindOptionsPropagationEnum::RSHARED),
        _ => None,
    });
    Mount {
        target: Some(plan.path.clone()),
        source: plan.host.as_ref().map(|host| host.to_string_lossy().into_owned()),
        typ: Some(if plan.host.is_some() { MountType::BIND } else { MountType::VOLUME }),
        read_only: Some(plan.read_only),
        bind_options: propagation
            .map(|word| MountBindOptions { propagation: Some(word), ..MountBindOptions::default() }),
        ..Mount::default()
    }
}
