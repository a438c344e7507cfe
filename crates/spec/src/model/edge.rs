//! What stands beside the services: certificates, gateway, load balancer, firewall, databases.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;
use std::time::Duration;

use super::{Balance, Check, Haproxy, HostPattern, Sticky, WebSocket};
use crate::format::values::network;

/// Where every http and https port of a gateway says whether it has a service to send requests to: what load balancers
/// ask, since a WebSocket's path answers no plain request with 200.
pub const HEALTH_PATH: &str = "/.fermata/health";

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
    /// PEM file of the root that vouches for the directory's own TLS, relative to the file's folder; default the system's.
    pub root: Option<String>,
    /// The public http port that the authority's questions arrive at (RFC 8555 8.3). Default 80.
    pub challenge_port: u16,
}

/// `gateway`.
#[derive(Debug, Clone, PartialEq)]
pub struct Gateway {
    /// Addresses the public ports are bound on. Default `0.0.0.0` and `::`.
    pub bind: Vec<IpAddr>,
    /// Whose X-Forwarded-* and PROXY protocol are believed.
    pub trusted_proxies: Vec<Network>,
    /// Where trusted proxies begin every connection with a header of the PROXY protocol.
    pub proxy_protocol: ProxyPorts,
    /// All tunnels and requests together. Default: no limit but descriptors.
    pub max_connections: Option<u32>,
    /// `tester`; `None`: on loopback addresses only.
    pub tester: Option<bool>,
    /// Where `/metrics`, `/healthz` and a page with the state of everything are served. `None`: nowhere.
    pub status: Option<SocketAddr>,
    /// Reading a request head. Default 10 s.
    pub head_timeout: Duration,
    /// Connecting to one instance. Default 5 s.
    pub connect_timeout: Duration,
    /// The service's answer to an upgrade, or the head of its answer to a request. Default 30 s.
    pub answer_timeout: Duration,
    /// Bytes of a request head. Default 32 KiB.
    pub max_head: usize,
}

impl Gateway {
    /// Whether public ports are bound on an address. `is_ours` tells whether one is of this machine.
    pub fn binds(&self, ip: IpAddr, is_ours: impl Fn(IpAddr) -> bool) -> bool {
        let ip = ip.to_canonical();
        self.bind
            .iter()
            .any(|bound| *bound == ip || (bound.is_unspecified() && bound.is_ipv4() == ip.is_ipv4() && is_ours(ip)))
    }
}

impl Default for Gateway {
    fn default() -> Self {
        Gateway {
            bind: vec![IpAddr::from([0, 0, 0, 0]), IpAddr::from([0u16; 8])],
            trusted_proxies: Vec::new(),
            proxy_protocol: ProxyPorts::None,
            max_connections: None,
            tester: None,
            status: None,
            head_timeout: Duration::from_secs(10),
            connect_timeout: Duration::from_secs(5),
            answer_timeout: Duration::from_secs(30),
            max_head: 32 * 1024,
        }
    }
}

/// `proxy_protocol` of the gateway: public ports, UDP apart.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum ProxyPorts {
    /// Nowhere.
    #[default]
    None,
    /// On every port.
    All,
    /// On these.
    Some(Vec<u16>),
}

impl ProxyPorts {
    /// Whether a port is one of them.
    pub fn includes(&self, port: u16) -> bool {
        match self {
            ProxyPorts::None => false,
            ProxyPorts::All => true,
            ProxyPorts::Some(ports) => ports.contains(&port),
        }
    }
}

/// A version of the PROXY protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ProxyVersion {
    /// A line of text.
    V1,
    /// Binary; it also tells whether the client came over TLS.
    V2,
}

/// `kubernetes`: the cluster in which endpoints are found.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Cluster {
    /// URL of the API server. `None`: in a pod, the one that Kubernetes names to it.
    pub server: Option<String>,
    /// PEM file of the authority that vouches for it, relative to the file's folder.
    pub ca: Option<String>,
    /// File with the token by which Fermata is known there, relative to the file's folder.
    pub token_file: Option<String>,
    /// Where a Service is looked for that names no namespace.
    pub namespace: Option<String>,
}

/// An address range in CIDR notation; a single address is /32 or /128.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
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

impl fmt::Display for Network {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let longest = if self.address.is_ipv4() { 32 } else { 128 };
        if self.prefix == longest {
            return write!(out, "{}", self.address);
        }
        write!(out, "{}/{}", self.address, self.prefix)
    }
}

impl FromStr for Network {
    type Err = String;

    fn from_str(text: &str) -> Result<Network, String> {
        network(text)
            .ok_or_else(|| format!("\"{text}\" is not an address or a network such as 203.0.113.7 or 10.0.0.0/8"))
    }
}

/// `load_balancer`.
#[derive(Debug, Clone, PartialEq)]
pub struct LoadBalancer {
    /// `builtin` or `haproxy`.
    pub engine: LbEngine,
    /// The web servers.
    pub servers: Vec<Server>,
    /// `balance`.
    pub balance: Balance,
    /// A request line, `GET /healthz`.
    pub httpchk: Option<String>,
    /// `check`; `None`: by `httpchk`.
    pub check: Option<Check>,
    /// `ws_check`; `None`: as `check`.
    pub ws_check: Option<Check>,
    /// `ports`.
    pub ports: LbPorts,
    /// Names whose TLS is passed to the servers.
    pub pass_through: Vec<HostPattern>,
    /// `server_tls`; `None`: servers are spoken to in the clear.
    pub server_tls: Option<ServerTls>,
    /// Every connection to a server begins with who the client is.
    pub proxy_protocol: Option<ProxyVersion>,
    /// `sticky`. Default: by a cookie.
    pub sticky: Sticky,
    /// `slow_start`. `None`: a new server gets its share at once.
    pub slow_start: Option<Duration>,
    /// `rebalance`. `None`: the others' tunnels stay.
    pub rebalance: Option<Duration>,
    /// Where the balancer stands.
    pub zone: Option<String>,
    /// Default 0 s.
    pub wait_after_adding_servers: Duration,
    /// Default 0 s.
    pub wait_after_removing_servers: Duration,
    /// `websocket`, for tunnels that are not passed through.
    pub websocket: WebSocket,
    /// An address that it shares with another one.
    pub floating: Option<Floating>,
    /// What is for `HAProxy` alone.
    pub haproxy: Haproxy,
}

/// `ports` of the load balancer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names say it")]
pub struct LbPorts {
    pub http: LbPort,
    pub https: LbPort,
    pub ws: LbPort,
    pub wss: LbPort,
}

impl Default for LbPorts {
    /// 80 and 443 (RFC 9110 4.2), and where the original platform publishes WebSockets.
    fn default() -> Self {
        let same = |port| LbPort { public: port, server: port };
        LbPorts { http: same(80), https: same(443), ws: same(8080), wss: same(8443) }
    }
}

/// A port of the balancer, and the one of the servers that it leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LbPort {
    /// The balancer's.
    pub public: u16,
    /// The servers'.
    pub server: u16,
}

/// `server_tls`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ServerTls {
    /// PEM file of a root, relative to the file's folder; default the system's.
    pub ca: Option<String>,
    /// The name that certificates must be good for; default each server's address.
    pub name: Option<String>,
}

/// `floating`: three different addresses of one family.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Floating {
    /// The one that clients know.
    pub address: IpAddr,
    /// The network interface that gets it.
    pub interface: String,
    /// Each balancer's own; the first one is preferred.
    pub balancers: [IpAddr; 2],
    /// Number of the virtual router. Default 51.
    pub router: u8,
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
    /// Whose connections are let in.
    pub from: Whence,
}

/// Where connections come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Whence {
    /// Anywhere.
    Anywhere,
    /// An address or a network.
    Network(Network),
    /// The balancers before this machine: what `gateway.trusted_proxies` names.
    LoadBalancer,
}

/// A transport protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[allow(missing_docs, reason = "the names say it")]
pub enum Protocol {
    Tcp,
    Udp,
}
