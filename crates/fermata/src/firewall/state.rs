//! What the state folder remembers of the firewall: what was confirmed, what was allowed by hand, and what awaits a
//! `confirm`.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

use super::rules::{Door, Gate, Rules, SSH};

const FILE: &str = "firewall.json";
const LOCK: &str = "firewall.lock";
/// Another number means that another Fermata wrote it and that it must not be guessed at.
const VERSION: u32 = 1;

/// What a file and a machine came to when they were last applied.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Base {
    /// The doors of the file.
    pub doors: BTreeSet<Door>,
    /// Ports of SSH: of the configuration, and of sessions from which rules were applied.
    pub ssh: BTreeSet<u16>,
    /// Bridges of containers.
    pub bridges: BTreeSet<String>,
}

/// A door that was opened by hand.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Allowed {
    /// Which.
    pub door: Door,
    /// Until when, in seconds since 1970; `None`: until it is denied.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<u64>,
}

/// What was decided by hand.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct ByHand {
    /// Opened.
    pub allowed: Vec<Allowed>,
    /// Closed, although the file opens it.
    pub denied: BTreeSet<Gate>,
}

impl ByHand {
    /// Remembers a door; the same door is remembered once.
    pub fn allow(&mut self, door: Door, until: Option<u64>) {
        self.denied.remove(&door.gate);
        self.allowed.retain(|earlier| earlier.door != door);
        self.allowed.push(Allowed { door, until });
        self.allowed.sort_by_key(|allowed| allowed.door);
    }

    /// Forgets doors of a gate: of one network, or all of them. Tells whether there were some.
    pub fn forget(&mut self, gate: Gate, from: Option<fermata_spec::Network>) -> bool {
        let before = self.allowed.len();
        self.allowed.retain(|one| one.door.gate != gate || from.is_some() && one.door.from != from);
        self.allowed.len() < before
    }

    fn expire(&mut self, now: u64) {
        self.allowed.retain(|one| one.until.is_none_or(|until| until > now));
    }
}

/// Rules that are loaded, and go away again unless they are confirmed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pending {
    /// Which apply it was.
    pub id: String,
    /// What becomes the base.
    pub base: Base,
    /// When it goes away, in seconds since 1970.
    pub until: u64,
    /// The table as it was before, in the words of nftables; `None`: there was none.
    pub before: Option<String>,
}

/// All of it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct State {
    version: u32,
    /// The last confirmed rules.
    pub base: Option<Base>,
    /// By hand.
    pub hand: ByHand,
    /// Awaiting `confirm`.
    pub pending: Option<Pending>,
}

impl State {
    /// What should be open, of a base and what was decided by hand.
    pub fn rules(&self, base: &Base, now: u64) -> Rules {
        let open = base.doors.iter().filter(|door| !self.hand.denied.contains(&door.gate));
        let mut doors: BTreeMap<Door, Option<Duration>> = open.map(|door| (*door, None)).collect();
        for allowed in &self.hand.allowed {
            let left = allowed.until.map(|until| Duration::from_secs(until.saturating_sub(now)));
            if left != Some(Duration::ZERO) {
                // What the file opens for good does not close with the time that was given by hand.
                doors.entry(allowed.door).or_insert(left);
            }
        }
        let mut ssh = base.ssh.clone();
        ssh.insert(SSH);
        Rules { doors, ssh, bridges: base.bridges.clone() }
    }
}

/// Why the state folder cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("{}: {why}; choose another folder with --state-dir, or repair this one", path.display())]
pub struct StateError {
    path: PathBuf,
    why: String,
}

/// The state, for one command at a time.
#[derive(Debug)]
pub struct Store {
    // flock(2) belongs to the open file.
    _lock: File,
    path: PathBuf,
}

impl Store {
    /// Waits until no other command changes it.
    pub fn lock(folder: &Path) -> Result<Store, StateError> {
        let path = folder.join(LOCK);
        let failed = |error: io::Error| StateError { path: path.clone(), why: error.to_string() };
        fs::create_dir_all(folder).map_err(failed)?;
        let lock = OpenOptions::new().write(true).create(true).truncate(false).open(&path).map_err(failed)?;
        lock.lock().map_err(failed)?;
        Ok(Store { _lock: lock, path: folder.join(FILE) })
    }

    /// What it says now.
    pub fn read(&self) -> Result<State, StateError> {
        read(&self.path)
    }

    /// All or nothing, and on the disk before it is acted on.
    pub fn write(&self, state: &State) -> Result<(), StateError> {
        let failed = |error: io::Error| StateError { path: self.path.clone(), why: error.to_string() };
        let mut state = State { version: VERSION, ..state.clone() };
        state.hand.expire(now());
        let text = serde_json::to_vec_pretty(&state).map_err(|error| failed(error.into()))?;
        let fresh = self.path.with_extension("json.new");
        fs::write(&fresh, text).map_err(failed)?;
        File::open(&fresh).and_then(|file| file.sync_all()).map_err(failed)?;
        fs::rename(&fresh, &self.path).map_err(failed)
    }
}

/// What a state folder says, for commands that change nothing.
pub fn peek(folder: &Path) -> Result<State, StateError> {
    read(&folder.join(FILE))
}

fn read(path: &Path) -> Result<State, StateError> {
    let failed = |why: String| StateError { path: path.to_owned(), why };
    let bytes = match fs::read(path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(State::default()),
        Err(error) => return Err(failed(error.to_string())),
    };
    let state: State = serde_json::from_slice(&bytes).map_err(|error| failed(error.to_string()))?;
    if state.version != VERSION {
        return Err(failed(format!("it was written by another version ({})", state.version)));
    }
    Ok(state)
}

/// Seconds since 1970.
pub fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}
