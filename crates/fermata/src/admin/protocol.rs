//! What can be asked of a running Fermata, and what it replies.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// A request; the only line that a client sends.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "request", rename_all = "kebab-case")]
pub enum Request {
    /// One look at everything: [`Reply::Status`].
    Status,
    /// The live tunnels: [`Reply::Connections`].
    Connections(Filter),
    /// The live tunnels, and what becomes of tunnels from then on: [`Reply::Connections`], [`Reply::Opened`],
    /// [`Reply::Ended`].
    Follow(Filter),
    /// Close tunnels now.
    Close(Filter),
    /// Close tunnels over a time, by default over their service's `drain`.
    Drain {
        /// Whose.
        target: Target,
        /// Over this time.
        over: Option<Duration>,
    },
    /// Start more instances, or drain and stop some.
    Scale {
        /// Of this service.
        service: String,
        /// To this many.
        count: Count,
    },
    /// Replace all instances of a service without losing a tunnel unsaid.
    Redeploy {
        /// The service.
        service: String,
        /// Of this image from now on.
        #[serde(default)]
        image: Option<String>,
    },
    /// Read the file again and change what differs.
    Reload,
    /// Have another program take over, with everything that goes on.
    Upgrade {
        /// Which.
        program: PathBuf,
        /// How long what cannot move may go on in this one.
        linger: Duration,
    },
    /// The last lines of output, and more as they come: [`Reply::Line`].
    Logs {
        /// Of this service, or of all.
        service: Option<String>,
        /// Go on as lines come.
        follow: bool,
    },
    /// End everything.
    Stop {
        /// Let containers go on.
        #[serde(default)]
        keep: bool,
    },
}

/// How many instances.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Count {
    /// This many.
    Exactly(u32),
    /// This many more.
    More(u32),
    /// This many fewer.
    Fewer(u32),
}

/// Which tunnels; all conditions must hold.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Filter {
    /// Of these numbers; empty for any.
    pub ids: Vec<u64>,
    /// To this service or instance.
    pub target: Option<Target>,
    /// From this address.
    pub client: Option<IpAddr>,
}

/// A service, or one of its instances (`web.1`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Target(pub String);

impl Target {
    /// Whether it names this instance of this service.
    pub fn names(&self, service: &str, instance: &str) -> bool {
        self.0 == service || self.0 == instance
    }
}

/// A reply; some requests get several, the last of which is [`Reply::Done`] or [`Reply::Refused`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "reply", rename_all = "kebab-case")]
pub enum Reply {
    /// One look at everything.
    Status(Status),
    /// Live tunnels.
    Connections {
        /// By number.
        connections: Vec<ConnectionRow>,
    },
    /// A tunnel was opened.
    Opened(ConnectionRow),
    /// A tunnel has ended.
    Ended(EndedRow),
    /// A line of output.
    Line {
        /// Which instance.
        instance: String,
        /// What it wrote.
        text: String,
    },
    /// Something on the way.
    Progress {
        /// In words.
        text: String,
    },
    /// It is done.
    Done {
        /// In words.
        text: String,
    },
    /// It was not done, and nothing was changed.
    Refused {
        /// Why, and what to do.
        reason: String,
    },
}

/// One look at everything.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Status {
    /// Fermata's version.
    pub version: String,
    /// Its process.
    pub pid: u32,
    /// Seconds since it began.
    pub uptime: u64,
    /// The file that it runs.
    pub file: String,
    /// Another program that carries the connections, and how it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub engine: Option<String>,
    /// Public ports.
    pub ports: Vec<PortRow>,
    /// Services in the order of the file.
    pub services: Vec<ServiceRow>,
    /// Whether every service was ready once and nothing is ending: what `/healthz` tells.
    pub ready: bool,
    /// All tunnels together.
    pub tunnels: TunnelFigures,
}

/// One public port.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PortRow {
    /// `ws`, `wss`, `tcp`, `udp`.
    pub scheme: String,
    /// Its number.
    pub port: u16,
    /// The services behind it.
    pub services: Vec<String>,
}

/// One service.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ServiceRow {
    /// Its name.
    pub name: String,
    /// Its live tunnels.
    pub tunnels: u32,
    /// Its instances.
    pub instances: Vec<InstanceRow>,
}

/// One instance.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct InstanceRow {
    /// Its name.
    pub name: String,
    /// `starting`, `ready`, `not ready`, `waiting`, `stopping`, `stopped`, `external`.
    pub state: String,
    /// Where it listens.
    pub address: String,
    /// Requests and tunnels that use it now.
    pub live: u32,
    /// Seconds since it was started.
    pub uptime: Option<u64>,
    /// How often it was started again.
    pub restarts: u32,
    /// `passing`, `failing` or `checking`, where the file has checks.
    #[serde(default)]
    pub health: Option<String>,
    /// Why it is not ready, where that is known.
    #[serde(default)]
    pub reason: Option<String>,
    /// How much of a CPU it uses, 1 for a whole one: since the last look, or since its start.
    #[serde(default)]
    pub cpu: Option<f32>,
    /// How many bytes of memory it holds.
    #[serde(default)]
    pub memory: Option<u64>,
    /// What new containers of its service are made of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<String>,
}

/// All tunnels together.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TunnelFigures {
    /// Live now.
    pub live: u64,
    /// How many ended, by `cause/code`.
    pub ended: BTreeMap<String, u64>,
    /// Bytes that all of them have carried, from clients and from services.
    pub bytes: [u64; 2],
    /// Messages, likewise.
    pub messages: [u64; 2],
}

/// One live tunnel.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ConnectionRow {
    /// Its number.
    pub id: u64,
    /// The client's address.
    pub client: IpAddr,
    /// The service.
    pub service: String,
    /// The instance.
    pub instance: String,
    /// `websocket` or `tcp`.
    pub carries: String,
    /// The HTTP of the client's handshake, `HTTP/1.1`.
    pub http: Option<String>,
    /// Whether the client came over TLS.
    pub tls: bool,
    /// Which version of it: `1.2` or `1.3`.
    pub tls_version: Option<String>,
    /// Seconds since it was opened.
    pub age: f32,
    /// Seconds since a message last passed.
    pub idle: f32,
    /// Bytes from the client and from the service.
    pub bytes: [u64; 2],
    /// Messages from the client and from the service.
    pub messages: [u64; 2],
    /// The subprotocol, if the two agreed on one.
    pub protocol: Option<String>,
    /// How long the last Pong of the client and of the service took, in milliseconds.
    pub ping: [Option<f32>; 2],
}

/// One tunnel that has ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EndedRow {
    /// Its number.
    pub id: u64,
    /// The client's address.
    pub client: IpAddr,
    /// The service.
    pub service: String,
    /// The instance.
    pub instance: String,
    /// Why, as in the log.
    pub cause: String,
    /// The close code that the client saw; 1006 for none.
    pub code: u16,
    /// Seconds that it lived.
    pub age: f32,
    /// Bytes from the client and from the service.
    pub bytes: [u64; 2],
    /// Messages from the client and from the service.
    pub messages: [u64; 2],
}
