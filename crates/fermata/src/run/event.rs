//! What a supervisor tells while it works: everything that others need to route, to print and to count.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::process::Exit;

/// An instance: `web.1`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct InstanceName {
    /// Its service.
    pub service: Arc<str>,
    /// Counted from 1.
    pub number: u32,
    /// What it is called where it runs, if it runs elsewhere and has a name there.
    pub own: Option<Arc<str>>,
}

impl InstanceName {
    /// `SERVICE.NUMBER`.
    pub fn new(service: Arc<str>, number: u32) -> InstanceName {
        InstanceName { service, number, own: None }
    }
}

impl fmt::Display for InstanceName {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.own {
            Some(own) => out.write_str(own),
            None => write!(out, "{}.{}", self.service, self.number),
        }
    }
}

/// Where one instance listens: each container port and its address, in the order of the file.
pub type Addresses = Arc<[(u16, SocketAddr)]>;

/// Something that happened. Its text is a sentence for people.
///
/// An instance takes traffic from its `Ready` to the next event about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// A process of an earlier Fermata was found, and its group has been ended.
    Swept {
        /// Which instance it was.
        instance: String,
        /// Its process group.
        group: i32,
    },
    /// Something that hinders nothing now, but that somebody should look at.
    Trouble(String),
    /// Something that takes its time, or that was found as it should be.
    Progress {
        /// Whose, if it is one instance's.
        about: Option<InstanceName>,
        /// What.
        progress: Progress,
    },
    /// The process is being started.
    Starting(InstanceName),
    /// It runs since an earlier Fermata and goes on.
    Found {
        /// Which.
        instance: InstanceName,
        /// For so long.
        up: Duration,
    },
    /// It has been running for a while and is still not ready.
    Waiting {
        /// Which.
        instance: InstanceName,
        /// What was seen last.
        reason: String,
    },
    /// It takes traffic.
    Ready {
        /// Which.
        instance: InstanceName,
        /// Where.
        addresses: Addresses,
    },
    /// It must get no new traffic.
    NotReady {
        /// Which.
        instance: InstanceName,
        /// What was seen.
        reason: String,
    },
    /// What runs elsewhere passes a check.
    Well {
        /// Which.
        instance: InstanceName,
        /// On this port alone, where each has a check of its own.
        port: Option<u16>,
    },
    /// What runs elsewhere fails a check.
    Unwell {
        /// Which.
        instance: InstanceName,
        /// On this port alone, where each has a check of its own.
        port: Option<u16>,
        /// What was seen.
        reason: String,
    },
    /// It ended, or is being ended as it does not work, and will be started again.
    Exited {
        /// Which.
        instance: InstanceName,
        /// Why.
        cause: Cause,
        /// The wait before the next start.
        restart_in: Duration,
    },
    /// It has been asked to end: TERM is sent after this event.
    Stopping(InstanceName),
    /// It ended and stays so; its process group is gone.
    Stopped(InstanceName),
}

/// What is being done, or has been found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Progress {
    /// What.
    pub text: String,
    /// How much of it is done, where that is known.
    pub share: Option<Share>,
}

/// How much of something is done: of so many bytes so many.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names say it")]
pub struct Share {
    pub done: u64,
    pub total: u64,
    /// It never goes back, whatever else turns out to be part of the whole.
    pub percent: u8,
    /// Whether this is the first word of another tenth: for those who write a line for each, with the tenth alone.
    pub is_tenth: bool,
}

impl Progress {
    /// Whether it is worth a line of its own where nothing that was written can be written over.
    pub fn is_for_lines(&self) -> bool {
        self.share.is_none_or(|share| share.is_tenth)
    }
}

impl From<String> for Progress {
    fn from(text: String) -> Progress {
        Progress { text, share: None }
    }
}

impl fmt::Display for Progress {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.share {
            Some(share) => write!(out, "{}: {} %", self.text, share.percent / 10 * 10),
            None => out.write_str(&self.text),
        }
    }
}

/// Why an instance does not run any more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cause {
    /// It ended by itself, or somebody else ended it.
    Exit(Exit),
    /// It could not be started.
    NotStarted(String),
    /// A check failed for good and so it was ended.
    Unhealthy(String),
}

impl fmt::Display for Cause {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Cause::Exit(exit) => write!(out, "ended with {exit}"),
            Cause::NotStarted(why) => write!(out, "cannot be started: {why}"),
            Cause::Unhealthy(why) => write!(out, "is being ended: {why}"),
        }
    }
}

impl fmt::Display for Event {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Event::Swept { instance, group } => {
                write!(out, "ended {instance}, process group {group}, which an earlier run left behind")
            }
            Event::Trouble(text) => out.write_str(text),
            Event::Progress { about: None, progress } => write!(out, "{progress}"),
            Event::Progress { about: Some(instance), progress } => write!(out, "{instance}: {progress}"),
            Event::Starting(instance) => write!(out, "{instance} starts"),
            Event::Found { instance, .. } => write!(out, "{instance}: its container of an earlier run goes on"),
            Event::Waiting { instance, reason } => write!(out, "{instance} is still not ready: {reason}"),
            Event::Ready { instance, addresses } => {
                write!(out, "{instance} is ready")?;
                for (place, (port, address)) in addresses.iter().enumerate() {
                    let before = if place == 0 { ", " } else { " and " };
                    write!(out, "{before}{port} at {address}")?;
                }
                Ok(())
            }
            Event::Well { instance, port: None } => write!(out, "{instance} is ready"),
            Event::Well { instance, port: Some(port) } => write!(out, "{instance} is well on {port}"),
            Event::NotReady { instance, reason } | Event::Unwell { instance, port: None, reason } => {
                write!(out, "{instance} is not ready: {reason}")
            }
            Event::Unwell { instance, port: Some(port), reason } => {
                write!(out, "{instance} is down on {port}: {reason}")
            }
            Event::Exited { instance, cause, restart_in } => {
                write!(out, "{instance} {cause}; starting again in {} s", restart_in.as_secs_f64())
            }
            Event::Stopping(instance) => write!(out, "{instance} stops"),
            Event::Stopped(instance) => write!(out, "{instance} has stopped"),
        }
    }
}

/// One line that an instance wrote.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// Which instance.
    pub instance: InstanceName,
    /// Where to.
    pub stream: Stream,
    /// Without its line end; bytes that are not UTF-8 are U+FFFD. A line of more than [`super::lines::LONGEST`] bytes
    /// comes in pieces.
    pub text: String,
}

/// An output stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the names say it")]
pub enum Stream {
    Stdout,
    Stderr,
}
