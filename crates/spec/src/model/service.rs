//! A service, and what its keys of one value say.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::{Constraints, Health, LoadBalancer, ProxyVersion, Volume, WebSocket};

/// One service.
#[derive(Debug, Clone, PartialEq)]
pub struct Service {
    /// Its name in the file, and its DNS name among services.
    pub name: Arc<str>,
    /// What makes its instances.
    pub source: Source,
    /// Its ports, in the order of the file.
    pub ports: Vec<Port>,
    /// Server names this service answers to on its public HTTP ports; empty: every name.
    pub traffic_matches: Vec<HostPattern>,
    /// `env_vars`, references not yet resolved.
    pub env_vars: Vec<(String, String)>,
    /// `work_dir`.
    pub work_dir: Option<String>,
    /// How many instances; 1 where the file says nothing.
    pub replicas: u32,
    /// Services that must be ready before this one starts. Never cyclic.
    pub requires: Vec<Arc<str>>,
    /// Time between TERM and KILL. 10 s where the file says nothing (Docker's default, docker stop(1)).
    pub stop_grace: Duration,
    /// `health`.
    pub health: Health,
    /// `constraints`.
    pub constraints: Constraints,
    /// `volumes`.
    pub volumes: Vec<Volume>,
    /// `tags`, as key and value (empty where only a key was given).
    pub tags: Vec<(String, String)>,
    /// `annotations`.
    pub annotations: Vec<(String, String)>,
    /// `type`.
    pub workload: Workload,
    /// `security_context`.
    pub security_context: SecurityContext,
    /// `post_start_command`.
    pub post_start_command: Option<String>,
    /// `pre_stop_command`.
    pub pre_stop_command: Option<String>,
    /// `deploy_command`.
    pub deploy_command: Option<String>,
    /// `log_folder`.
    pub log_folder: Option<String>,
    /// `service_account_name`.
    pub service_account_name: Option<String>,
    /// How a request finds one of the instances.
    pub balance: Balance,
    /// Whether a visitor stays on one instance.
    pub sticky: Sticky,
    /// Every connection to an instance begins with who the client is.
    pub proxy_protocol: Option<ProxyVersion>,
    /// A new instance gets its full share after this long. `None`: at once.
    pub slow_start: Option<Duration>,
    /// The surplus of the others is closed over this time when instances were added. `None`: it stays.
    pub rebalance: Option<Duration>,
    /// `websocket:`.
    pub websocket: WebSocket,
}

/// What makes a service's instances.
#[derive(Debug, Clone, PartialEq)]
pub enum Source {
    /// A container image, run by the Docker Engine; `command` replaces the image's CMD.
    Image {
        /// `namespace/image:tag`.
        image: String,
        /// `command`.
        command: Option<String>,
    },
    /// Source to build an image from (`build_root`, `dockerfile_path`, `git_url`…).
    Build {
        /// `build_root`, relative to the file's folder.
        root: Option<String>,
        /// `dockerfile_path`, relative to `build_root`.
        dockerfile: Option<String>,
        /// `git_url`.
        git_url: Option<String>,
        /// `git_branch`.
        git_branch: Option<String>,
        /// `command`.
        command: Option<String>,
    },
    /// A local process, started through the shell's word rules but without a shell.
    Command(String),
    /// Already running: at these addresses, or, where empty, at `127.0.0.1:<container port>`.
    Running(Vec<Address>),
    /// The servers of a load balancer. No key of a service says so: the service is what `fermata lb` makes of
    /// `load_balancer`.
    Servers(Arc<LoadBalancer>),
    /// Pods of a Kubernetes cluster: whatever this Service of it leads to.
    Kubernetes(ClusterService),
}

/// A Service of a Kubernetes cluster.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ClusterService {
    /// Its name.
    pub name: String,
    /// Its namespace; `None`: the cluster's default.
    pub namespace: Option<String>,
}

/// Where a service already runs.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Address {
    /// An IP address or a DNS name; the container port where no port is given.
    Host {
        /// Name or address, without brackets.
        host: String,
        /// The port, if the file names one.
        port: Option<u16>,
    },
    /// A UNIX stream socket.
    Unix(String),
}

/// One entry of `ports`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Port {
    /// Where the service listens.
    pub container: u16,
    /// Where it listens for WebSockets that come in by `http` and `https`, if that is another port.
    pub websocket: Option<u16>,
    /// Public HTTP port.
    pub http: Option<u16>,
    /// Public HTTPS port.
    pub https: Option<u16>,
    /// Public raw TCP port.
    pub tcp: Option<u16>,
    /// Public raw UDP port.
    pub udp: Option<u16>,
    /// Public port whose TLS is passed on, by the name that it asks for: one of a load balancer.
    pub tls: Option<u16>,
}

/// One entry of `traffic_matches`, lower case.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum HostPattern {
    /// `_`: everything.
    Any,
    /// A name.
    Exact(String),
    /// `*.domain`, kept as `domain`: any name that ends in `.domain`.
    Under(String),
}

impl HostPattern {
    /// Whether a name, in lower case, is one of those.
    pub fn includes(&self, name: &str) -> bool {
        match self {
            HostPattern::Any => true,
            HostPattern::Exact(own) => own == name,
            HostPattern::Under(domain) => {
                name.strip_suffix(domain.as_str()).is_some_and(|rest| rest.len() > 1 && rest.ends_with('.'))
            }
        }
    }
}

/// As it is written.
impl fmt::Display for HostPattern {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            HostPattern::Any => out.write_str("_"),
            HostPattern::Exact(name) => out.write_str(name),
            HostPattern::Under(domain) => write!(out, "*.{domain}"),
        }
    }
}

/// `type`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Workload {
    /// `service` and `deployment`.
    #[default]
    Deployment,
    /// `daemon_set`: one per node.
    DaemonSet,
}

/// `security_context`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
#[allow(missing_docs, reason = "each is the Kubernetes field of the same name")]
pub struct SecurityContext {
    pub fs_group: Option<i64>,
    pub host_ipc: Option<bool>,
    pub host_network: Option<bool>,
    pub host_pid: Option<bool>,
    pub privileged: Option<bool>,
    pub run_as_group: Option<i64>,
    pub run_as_non_root: Option<bool>,
    pub run_as_user: Option<i64>,
    pub supplemental_groups: Vec<i64>,
}

/// `balance`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Balance {
    /// Fewest live connections and tunnels.
    #[default]
    Leastconn,
    /// One after the other.
    Roundrobin,
    /// The less loaded of two drawn at random.
    Random,
    /// Consistent hash of the client's address.
    Source,
}

/// `sticky`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Sticky {
    /// Each request is balanced on its own.
    #[default]
    Off,
    /// A cookie pins the visitor.
    Cookie,
}
