//! What a container is made of. Pure: a plan and the image's id in, the engine's request out.

use std::collections::HashMap;
use std::sync::Arc;

use aws_lc_rs::digest::{SHA256, digest};
use bollard::models::{
    ContainerCreateBody, EndpointSettings, HostConfig, HostConfigLogConfig, Mount, MountBindOptions,
    MountBindOptionsPropagationEnum, MountType, NetworkingConfig, PortBinding,
};
use fermata_spec::Protocol;
use serde_json::Value as Json;

use super::engine::Reach;
use crate::run::event::InstanceName;
use crate::run::plan::{ContainerPlan, Launch, MountPlan, PortPlan, ServicePlan};

/// Labels of everything that Fermata makes.
pub(super) const PROJECT: &str = "fermata.project";
pub(super) const SERVICE: &str = "fermata.service";
pub(super) const NUMBER: &str = "fermata.number";
pub(super) const RECIPE: &str = "fermata.recipe";
/// What the image was called; the container itself is made of what that name meant then.
const IMAGE: &str = "fermata.image";

/// How one service's containers are made.
pub(super) struct Recipe<'a> {
    service: Arc<str>,
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
        Recipe { service: service.name.clone(), plan, launch: service.program.launch(&pairs), ports, image, reach }
    }

    /// Tells containers apart that are made of different things. Whoever can read it can read the environment too, so it need
    /// not hide what is in there.
    pub(super) fn digest(&self) -> String {
        // What differs between the instances of a service does not count.
        let anyone = InstanceName::new(self.service.clone(), 0);
        let post_start = self.plan.post_start.iter().flatten().map(|word| &word.text);
        let all = serde_json::json!([self.unsigned(&anyone), post_start.collect::<Vec<_>>()]);
        let digest = digest(&SHA256, sorted(all).to_string().as_bytes());
        digest.as_ref()[..8].iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// The engine's request for one instance.
    pub(super) fn body(&self, instance: &InstanceName) -> ContainerCreateBody {
        let mut body = self.unsigned(instance);
        let labels = [(RECIPE, self.digest()), (IMAGE, self.plan.image.name().to_owned())];
        body.labels.get_or_insert_default().extend(labels.map(|(name, value)| (name.to_owned(), value)));
        body
    }

    /// The same, without its digest, and without what is there for people alone.
    fn unsigned(&self, instance: &InstanceName) -> ContainerCreateBody {
        let Launch { program, arguments, env, folder } = &self.launch;
        let words = (!program.is_empty()).then(|| [program].into_iter().chain(arguments).cloned().collect());
        let env = env.iter().map(|(name, value)| format!("{}={}", name.to_string_lossy(), value.to_string_lossy()));
        let folder = folder.to_string_lossy().into_owned();
        let host_network = self.plan.security.host_network == Some(true);
        let published = (self.reach == Reach::Published || self.plan.is_published()) && !host_network;
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
        let binding = |port: PortPlan| {
            // Any free one, where nobody counts on its number.
            let number = if self.plan.is_published() { port.container.to_string() } else { String::new() };
            Some(vec![PortBinding { host_ip: Some("127.0.0.1".into()), host_port: Some(number) }])
        };
        HostConfig {
            network_mode: Some(network.to_owned()),
            port_bindings: published.then(|| self.ports.iter().map(|port| (key(*port), binding(*port))).collect()),
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

/// The same value, its keys in the order of the alphabet: a map of the request has them in any.
fn sorted(value: Json) -> Json {
    match value {
        Json::Object(map) => {
            let mut entries: Vec<(String, Json)> = map.into_iter().map(|(key, value)| (key, sorted(value))).collect();
            entries.sort_by(|one, other| one.0.cmp(&other.0));
            Json::Object(entries.into_iter().collect())
        }
        Json::Array(all) => Json::Array(all.into_iter().map(sorted).collect()),
        plain => plain,
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

#[cfg(test)]
mod tests {
    use std::path::PathBuf;
    use std::time::Duration;

    use fermata_spec::{Resources, SecurityContext};

    use super::*;
    use crate::run::plan::{
        HealthPlan, Housing, ImagePlan, InstancePlan, Local, Program, Readiness, Surroundings, Value,
    };

    fn service(image: &str, colour: &str) -> ServicePlan {
        let name: Arc<str> = "web".into();
        let value = |text: &str| Value { text: text.to_owned(), written: text.to_owned() };
        let container = ContainerPlan {
            project: "fermata-site-0a1b2c3d".into(),
            image: ImagePlan::Named(image.to_owned()),
            published_for: Vec::new(),
            security: SecurityContext { run_as_user: Some(1000), ..SecurityContext::default() },
            requests: Resources::default(),
            limits: Resources { memory: Some(64 << 20), cpu: Some(500) },
            mounts: vec![MountPlan {
                host: Some("/data".into()),
                path: "/data".to_owned(),
                read_only: true,
                propagation: None,
                open: false,
            }],
            labels: vec![("team".to_owned(), "red".to_owned()), ("a".to_owned(), String::new())],
            post_start: Some(vec![value("warm-up")]),
            pre_stop: Some(vec![value("say-goodbye")]),
        };
        let surroundings = Surroundings {
            variables: vec![("COLOUR".to_owned(), value(colour))],
            inherited: Arc::default(),
            folder: PathBuf::from("/srv"),
        };
        let port = PortPlan { container: 3000, protocol: Protocol::Tcp, local: Local::Same };
        ServicePlan {
            name: name.clone(),
            requires: Vec::new(),
            program: Program { words: vec![value("serve")], surroundings },
            housing: Housing::Container(Arc::new(container)),
            health: HealthPlan { ready: Readiness::Started, alive: None, startup: None },
            stop_grace: Duration::from_secs(10),
            instances: vec![InstancePlan { name: InstanceName::new(name, 1), ports: vec![port] }],
        }
    }

    fn digest_of(service: &ServicePlan, image: &str) -> String {
        let Housing::Container(plan) = &service.housing else { unreachable!() };
        Recipe::of(service, plan, &service.instances[0].ports, image, Reach::Address).digest()
    }

    #[test]
    fn only_what_the_file_says_is_privileged() {
        let privileged = |said: Option<bool>| {
            let mut service = service("web:1", "green");
            let Housing::Container(plan) = &service.housing else { unreachable!() };
            let security = SecurityContext { privileged: said, ..SecurityContext::default() };
            service.housing = Housing::Container(Arc::new(ContainerPlan { security, ..ContainerPlan::clone(plan) }));
            let Housing::Container(plan) = &service.housing else { unreachable!() };
            let one = &service.instances[0];
            let body = Recipe::of(&service, plan, &one.ports, "sha256:00", Reach::Address).body(&one.name);
            body.host_config.unwrap().privileged
        };
        assert_eq!([privileged(None), privileged(Some(true))], [None, Some(true)]);
    }

    #[test]
    fn mounts_propagate_as_kubernetes_words_say() {
        let propagation = |word: Option<&str>| {
            let plan = MountPlan {
                host: Some("/data".into()),
                path: "/data".to_owned(),
                read_only: false,
                propagation: word.map(str::to_owned),
                open: false,
            };
            mount(&plan).bind_options.and_then(|options| options.propagation)
        };
        assert_eq!(
            [None, Some("None"), Some("HostToContainer"), Some("Bidirectional")].map(propagation),
            [None, None, Some(MountBindOptionsPropagationEnum::RSLAVE), Some(MountBindOptionsPropagationEnum::RSHARED)]
        );
    }

    #[test]
    fn a_digest_is_the_same_with_every_build_and_another_when_the_container_would_be() {
        let known = digest_of(&service("web:1", "green"), "sha256:00");
        // Another value here replaces every container of everybody once, when they upgrade.
        assert_eq!(known, "3d99d8950dedd1d7");
        assert_eq!(digest_of(&service("web:latest", "green"), "sha256:00"), known, "a tag is only a name");
        assert_ne!(digest_of(&service("web:1", "blue"), "sha256:00"), known);
        assert_ne!(digest_of(&service("web:1", "green"), "sha256:01"), known);
    }
}
