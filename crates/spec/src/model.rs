//! The checked model of a service.yml: what every back end reads.
//!
//! A value of these types has passed every check; nothing here is a string that still has to be understood.
//! Durations are durations, ports are in 1–65535, names in `requires` exist. Only [`crate::read`] makes a [`Spec`].

use std::collections::HashMap;
use std::net::IpAddr;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

/// A whole checked service.yml.
#[derive(Debug, Clone, PartialEq)]
pub struct Spec {
    /// The services in the order of the file: where two match one request, the first gets it.
    pub services: Vec<Service>,
    /// `databases:`, run only on request.
    pub databases: Vec<Database>,
    /// `tls:`.
    pub tls: Tls,
    /// `gateway:`.
    pub gateway: Gateway,
    /// `load_balancer:`, where the file has one.
    pub load_balancer: Option<LoadBalancer>,
    /// `firewall:`.
    pub firewall: Firewall,
    /// Where each value stands in the text, for later diagnostics about it.
    pub places: Places,
}

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
    /// `websocket:`.
    pub websocket: WebSocket,
}

/// What makes a service's instances.
#[derive(Debug, Clone, PartialEq, Eq)]
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
    /// Public HTTP port.
    pub http: Option<u16>,
    /// Public HTTPS port.
    pub https: Option<u16>,
    /// Public raw TCP port.
    pub tcp: Option<u16>,
    /// Public raw UDP port.
    pub udp: Option<u16>,
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

/// `health`.
#[derive(Debug, Clone, PartialEq, Default)]
#[expect(clippy::large_enum_variant, reason = "one for each service, and most services have checks")]
pub enum Health {
    /// Left out, or `none`: an instance is ready as soon as its port accepts connections.
    #[default]
    None,
    /// `default`: the image's own HEALTHCHECK, or a TCP connection where there is none.
    Default,
    /// Named checks.
    Checks {
        /// Gate for traffic.
        ready: Option<Check>,
        /// Restart on failure.
        alive: Option<Check>,
        /// Suspends the other two until it passes.
        startup: Option<Check>,
    },
}

/// One health check.
#[derive(Debug, Clone, PartialEq)]
pub struct Check {
    /// What is done.
    pub kind: CheckKind,
    /// Port, or the first container port.
    pub port: Option<u16>,
    /// Default 5 s.
    pub timeout: Duration,
    /// Default 1.
    pub success_threshold: u32,
    /// Default 1.
    pub failure_threshold: u32,
    /// Default 1 s.
    pub initial_delay: Duration,
    /// Default 5 s.
    pub period: Duration,
}

/// What a health check does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CheckKind {
    /// GET over HTTP; 200–399 passes (Kubernetes' rule for httpGet probes).
    Http {
        /// Path.
        endpoint: String,
        /// Extra headers.
        headers: Vec<(String, String)>,
    },
    /// GET over HTTPS, certificate not verified (as Kubernetes does).
    Https {
        /// Path.
        endpoint: String,
        /// Extra headers.
        headers: Vec<(String, String)>,
    },
    /// A TCP connection.
    Tcp,
    /// A command that exits with 0.
    Exec(String),
    /// A WebSocket handshake to a path. Fermata's own.
    WebSocket {
        /// Path.
        endpoint: String,
        /// Extra headers.
        headers: Vec<(String, String)>,
    },
}

/// `constraints`.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Constraints {
    /// `resources.requests`.
    pub requests: Resources,
    /// `resources.limits`.
    pub limits: Resources,
    /// `min_count`.
    pub min_count: Option<u32>,
    /// `max_count`.
    pub max_count: Option<u32>,
    /// `max_unavailable`; default 50 %.
    pub max_unavailable: Share,
    /// `max_surge`; default 50 %.
    pub max_surge: Share,
    /// `servers.names`.
    pub server_names: Vec<String>,
    /// `servers.tags`, `key=value`.
    pub server_tags: Vec<String>,
    /// `tolerations`, as they are.
    pub tolerations: Option<serde_json::Value>,
}

/// Memory in bytes, CPU in thousandths.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Resources {
    /// Bytes.
    pub memory: Option<u64>,
    /// Thousandths of a CPU.
    pub cpu: Option<u32>,
}

/// A percentage or a number of instances.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Share {
    /// 0–100.
    Percent(u32),
    /// Instances.
    Count(u32),
}

impl Default for Share {
    fn default() -> Self {
        Share::Percent(50)
    }
}

/// One volume.
#[derive(Debug, Clone, PartialEq)]
pub struct Volume {
    /// Absolute path in the container.
    pub mount_path: String,
    /// What is mounted.
    pub source: VolumeSource,
    /// Default false.
    pub read_only: bool,
    /// `mount_propagation`.
    pub mount_propagation: Option<String>,
    /// `sub_path`.
    pub sub_path: Option<String>,
    /// `sub_path_expr`.
    pub sub_path_expr: Option<String>,
}

/// What is mounted.
#[derive(Debug, Clone, PartialEq)]
pub enum VolumeSource {
    /// A path of the host.
    HostPath(String),
    /// Anything Kubernetes knows, under its `snake_case` name, as it is.
    Kubernetes(String, serde_json::Value),
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
#[derive(Debug, Clone, PartialEq, Eq, Default)]
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

/// `databases`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names say it")]
pub enum Database {
    Postgresql,
    Mysql,
    Redis,
    Mongodb,
    Elasticsearch,
    Rabbitmq,
    Glusterfs,
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

/// `websocket`. Times are `None` where the file says `off`.
#[derive(Debug, Clone, PartialEq)]
pub struct WebSocket {
    /// Ping when silent this long. Default 25 s.
    pub keepalive: Option<Duration>,
    /// Default 20 s.
    pub pong_timeout: Duration,
    /// Default off.
    pub idle_timeout: Option<Duration>,
    /// Default: no limit of its own.
    pub max_connections: Option<u32>,
    /// Default: none.
    pub max_connections_per_ip: Option<u32>,
    /// Bytes. Default: none.
    pub max_message: Option<u64>,
    /// Messages a second per tunnel. Default: none.
    pub max_message_rate: Option<u32>,
    /// Empty: every origin.
    pub origins: Vec<Origin>,
    /// Default 30 s.
    pub drain: Duration,
}

impl Default for WebSocket {
    fn default() -> Self {
        WebSocket {
            keepalive: Some(Duration::from_secs(25)),
            pong_timeout: Duration::from_secs(20),
            idle_timeout: None,
            max_connections: None,
            max_connections_per_ip: None,
            max_message: None,
            max_message_rate: None,
            origins: Vec::new(),
            drain: Duration::from_secs(30),
        }
    }
}

/// One allowed origin (RFC 6454), lower case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    /// `http` or `https`.
    pub scheme: String,
    /// The host.
    pub host: HostPattern,
    /// The port, where it isn't the scheme's own.
    pub port: Option<u16>,
}

/// `tls`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Tls {
    /// Certificate chains and their keys, PEM files, relative to the file's folder.
    pub certificates: Vec<Certificate>,
    /// `acme`.
    pub acme: Option<Acme>,
}

/// One certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(missing_docs, reason = "paths of PEM files")]
pub struct Certificate {
    pub cert: String,
    pub key: String,
}

/// `acme`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Acme {
    /// Contact.
    pub email: Option<String>,
    /// Names to get certificates for.
    pub domains: Vec<String>,
    /// Directory URL; default Let's Encrypt.
    pub directory: Option<String>,
}

/// `gateway`.
#[derive(Debug, Clone, PartialEq)]
pub struct Gateway {
    /// Addresses the public ports are bound on. Default `0.0.0.0` and `::`.
    pub bind: Vec<IpAddr>,
    /// Whose X-Forwarded-* and PROXY protocol are believed.
    pub trusted_proxies: Vec<Network>,
    /// All tunnels and requests together. Default: no limit but descriptors.
    pub max_connections: Option<u32>,
    /// `tester`; `None`: on loopback addresses only.
    pub tester: Option<bool>,
    /// Reading a request head. Default 10 s.
    pub head_timeout: Duration,
    /// Connecting to one instance. Default 5 s.
    pub connect_timeout: Duration,
    /// The service's answer to an upgrade, or the head of its answer to a request. Default 30 s.
    pub answer_timeout: Duration,
    /// Bytes of a request head. Default 32 KiB.
    pub max_head: usize,
}

impl Default for Gateway {
    fn default() -> Self {
        Gateway {
            bind: vec![IpAddr::from([0, 0, 0, 0]), IpAddr::from([0u16; 8])],
            trusted_proxies: Vec::new(),
            max_connections: None,
            tester: None,
            head_timeout: Duration::from_secs(10),
            connect_timeout: Duration::from_secs(5),
            answer_timeout: Duration::from_secs(30),
            max_head: 32 * 1024,
        }
    }
}

/// An address range in CIDR notation; a single address is /32 or /128.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Network {
    /// The network's address, host bits cleared.
    pub address: IpAddr,
    /// Bits that count.
    pub prefix: u8,
}

impl Network {
    /// Whether `ip` lies in this range. An IPv4 address mapped into IPv6 (RFC 4291 2.5.5.2) is an IPv4 address.
    pub fn contains(&self, ip: IpAddr) -> bool {
        match (self.address, ip.to_canonical()) {
            (IpAddr::V4(network), IpAddr::V4(ip)) => {
                let mask = u32::MAX.checked_shl(32 - u32::from(self.prefix)).unwrap_or(0);
                u32::from(network) & mask == u32::from(ip) & mask
            }
            (IpAddr::V6(network), IpAddr::V6(ip)) => {
                let mask = u128::MAX.checked_shl(128 - u32::from(self.prefix)).unwrap_or(0);
                u128::from(network) & mask == u128::from(ip) & mask
            }
            _ => false,
        }
    }
}

/// `load_balancer`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoadBalancer {
    /// `builtin` or `haproxy`.
    pub engine: LbEngine,
    /// The web servers.
    pub servers: Vec<Server>,
    /// `balance`.
    pub balance: Balance,
    /// A request line, `GET /healthz`.
    pub httpchk: Option<String>,
}

/// `engine`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum LbEngine {
    /// Fermata itself.
    #[default]
    Builtin,
    /// A real `HAProxy`, managed.
    Haproxy,
}

/// One web server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Server {
    /// Unique.
    pub name: String,
    /// Host name or address.
    pub address: String,
    /// Default 1.
    pub weight: u32,
    /// Only when no other is alive.
    pub backup: bool,
    /// Free text.
    pub zone: Option<String>,
}

/// `firewall`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Firewall {
    /// Rules beside the default ones.
    pub rules: Vec<Rule>,
}

/// One rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    /// Port.
    pub port: u16,
    /// `tcp` or `udp`.
    pub protocol: Protocol,
    /// Whence; `None`: anywhere.
    pub from: Option<Network>,
}

/// A transport protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names say it")]
pub enum Protocol {
    Tcp,
    Udp,
}

/// Where each value of the file stands: a path such as `services.web.ports[0].http` to byte offsets of the value.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Places(pub(crate) HashMap<String, Range<usize>>);

impl Places {
    /// The bytes at which the value of `path` stands, if the file has it.
    pub fn find(&self, path: &str) -> Option<Range<usize>> {
        self.0.get(path).cloned()
    }
}
