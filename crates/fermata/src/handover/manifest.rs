//! The words of an upgrade, and what is written down in them.
//!
//! [`Hello`] and [`Begin`] carry the number of the words that follow. They themselves never change: a process that speaks
//! another number must be able to read that it does.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::route::Target;
use crate::run::Handed;
use crate::tunnel::{Record, Volume};

/// The number of these words. Two processes that say another one don't understand each other: what is handed over is
/// exact, and nothing of it is guessed at.
pub const VERSION: u32 = 1;

/// The first word of the new one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hello {
    /// The number of the words that it speaks.
    pub handover: u32,
    /// Its own version, for people.
    pub fermata: String,
}

/// The first word of the old one. Its descriptors are the listeners, in this order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Begin {
    /// The number of the words that it speaks.
    pub handover: u32,
    /// Its own version, for people.
    pub fermata: String,
    /// What is bound already.
    #[serde(default)]
    pub listeners: Vec<Listening>,
    /// Values that were drawn for services that run: service, variable, value.
    #[serde(default)]
    pub drawn: Vec<(String, String, String)>,
}

/// A bound public port.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Listening {
    /// Its address.
    pub address: SocketAddr,
    /// Whether it is one of UDP.
    pub udp: bool,
}

/// What the new one says after its first word.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Answer {
    /// It has read the file, and could begin.
    Prepared,
    /// It has taken everything in, and touched nothing.
    Ready,
    /// It is its own from now on.
    Taken,
    /// It can't, and why.
    Refused(String),
}

/// What the old one says after its first word.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Word {
    /// Everything but the tunnels. Its descriptors: the lock, the control socket, the guard's socket where there is one,
    /// the ties to processes that stay behind, and those of the instances.
    Estate(Box<Estate>),
    /// Some tunnels, with their bytes and sockets.
    Tunnels(Vec<Record>),
    /// There were so many tunnels, and no more.
    End(usize),
    /// Take it.
    Go,
}

/// Everything but the tunnels.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Estate {
    /// The process that hands over.
    pub pid: u32,
    /// Since it all began, over all upgrades.
    pub age: Duration,
    /// Whether somebody above waits for the end of the line, and speaks through a socket.
    pub guarded: bool,
    /// The tunnels of each process that stays behind, of which there is a tie: the one that hands over comes last.
    pub behind: Vec<Vec<Staying>>,
    /// Instances that were started.
    pub instances: Vec<Handed>,
    /// What is known of all instances.
    pub seen: Vec<Seen>,
    /// The last lines of output, the oldest first.
    pub lines: Vec<LineRecord>,
    /// Endpoints that take traffic.
    pub endpoints: Vec<EndpointRecord>,
    /// Services that have yet to become ready for the first time, and how many of their instances.
    pub awaited: Vec<(String, usize)>,
    /// Whether it has been told that everything is ready.
    pub told_ready: bool,
    /// The last name of a tunnel.
    pub last_tunnel: u64,
    /// How many tunnels ended, by cause and close code.
    pub endings: Vec<(String, u16, u64)>,
    /// What tunnels that have ended had carried.
    pub past: Volume,
}

/// A tunnel that stays in an older process.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Staying {
    /// Its name.
    pub id: u64,
    /// The client's address.
    pub client: IpAddr,
    /// The service.
    pub service: String,
    /// The instance.
    pub instance: String,
}

/// What is known of an instance.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seen {
    /// Its name.
    pub name: String,
    /// Its service.
    pub service: String,
    /// As status shows it.
    pub state: String,
    /// Where it listens.
    pub address: String,
    /// Since it was started.
    pub up: Option<Duration>,
    /// How often it was started again.
    pub restarts: u32,
}

/// A line of output.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LineRecord {
    /// How long ago it came.
    pub age: Duration,
    /// Of this service.
    pub service: String,
    /// Of the instance with this number.
    pub number: u32,
    /// From here.
    pub stream: crate::run::Stream,
    /// What it says.
    pub text: String,
}

/// An endpoint that takes traffic.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EndpointRecord {
    /// Of this service.
    pub service: String,
    /// Behind this container port.
    pub port: u16,
    /// Its instance.
    pub instance: String,
    /// Where it listens.
    pub target: Target,
    /// For how long it has taken traffic.
    pub age: Duration,
}
