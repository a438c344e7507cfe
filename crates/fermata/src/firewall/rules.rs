//! What is open: doors, the ports of SSH, and the bridges of containers.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use fermata_spec::{Network, Protocol};
use serde::{Deserialize, Serialize};

/// The port of SSH that is never closed (IANA).
pub(super) const SSH: u16 = 22;

/// TCP or UDP.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[allow(missing_docs, reason = "the names say it")]
pub enum Transport {
    Tcp,
    Udp,
}

impl Transport {
    /// As nftables writes it.
    pub fn name(self) -> &'static str {
        match self {
            Transport::Tcp => "tcp",
            Transport::Udp => "udp",
        }
    }
}

impl From<Protocol> for Transport {
    fn from(protocol: Protocol) -> Transport {
        match protocol {
            Protocol::Tcp => Transport::Tcp,
            Protocol::Udp => Transport::Udp,
        }
    }
}

/// A port and its protocol: `9000/tcp`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Gate {
    /// The port.
    pub port: u16,
    /// Its protocol.
    pub protocol: Transport,
}

impl Gate {
    /// A TCP port.
    pub fn tcp(port: u16) -> Gate {
        Gate { port, protocol: Transport::Tcp }
    }
}

impl fmt::Display for Gate {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}/{}", self.port, self.protocol.name())
    }
}

impl From<Gate> for String {
    fn from(gate: Gate) -> String {
        gate.to_string()
    }
}

impl TryFrom<String> for Gate {
    type Error = String;

    fn try_from(text: String) -> Result<Gate, String> {
        text.parse()
    }
}

impl FromStr for Gate {
    type Err = String;

    fn from_str(text: &str) -> Result<Gate, String> {
        let (port, protocol) = text.split_once('/').unwrap_or((text, "tcp"));
        let protocol = match protocol {
            "tcp" => Transport::Tcp,
            "udp" => Transport::Udp,
            other => return Err(format!("\"{other}\" is not a protocol; use tcp or udp, as in 9000/tcp")),
        };
        let digits = port.bytes().all(|byte| byte.is_ascii_digit());
        match port.parse() {
            Ok(number) if digits && number > 0 => Ok(Gate { port: number, protocol }),
            _ => Err(format!("\"{port}\" is not a port; use 1 to 65535, as in 9000/tcp")),
        }
    }
}

/// A gate, and who may come through it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(into = "Written", try_from = "Written")]
pub struct Door {
    /// The port.
    pub gate: Gate,
    /// Whose connections; `None`: everybody's.
    pub from: Option<Network>,
}

/// A door in the state folder and in what programs read.
#[derive(Serialize, Deserialize)]
struct Written {
    port: Gate,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    from: Option<String>,
}

impl From<Door> for Written {
    fn from(door: Door) -> Written {
        Written { port: door.gate, from: door.from.map(|network| network.to_string()) }
    }
}

impl TryFrom<Written> for Door {
    type Error = String;

    fn try_from(written: Written) -> Result<Door, String> {
        let from = written.from.map(|text| text.parse()).transpose()?;
        Ok(Door { gate: written.port, from })
    }
}

impl fmt::Display for Door {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.from {
            None => write!(out, "{:<9}  from anywhere", self.gate.to_string()),
            Some(network) => write!(out, "{:<9}  from {network}", self.gate.to_string()),
        }
    }
}

/// Everything that is open. What is not in here is closed to new connections.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Rules {
    /// The doors, and how long each is open; `None`: for good.
    pub doors: BTreeMap<Door, Option<Duration>>,
    /// TCP ports that SSH comes in by.
    pub ssh: BTreeSet<u16>,
    /// Bridges of containers: what comes from them comes from this machine.
    pub bridges: BTreeSet<String>,
}

impl Rules {
    /// Whether anybody may come in there.
    pub fn lets_in(&self, gate: Gate) -> bool {
        self.doors.keys().any(|door| door.gate == gate)
            || gate.protocol == Transport::Tcp && self.ssh.contains(&gate.port)
    }
}

/// A length of time for people: `20m`, `1h 5m`, `45s`.
pub fn span(time: Duration) -> String {
    let seconds = time.as_secs();
    let parts = [(seconds / 3600, "h"), (seconds / 60 % 60, "m"), (seconds % 60, "s")];
    let shown: Vec<String> =
        parts.iter().filter(|(number, _)| *number > 0).map(|(number, unit)| format!("{number}{unit}")).collect();
    if shown.is_empty() { "0s".to_owned() } else { shown.join(" ") }
}
