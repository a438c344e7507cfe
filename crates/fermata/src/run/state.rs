//! What outlives a Fermata that is killed: the lock on its state folder and the roster of the process groups it started.
//!
//! A roster that cannot be written or read is told and hinders nothing: services run without it too.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::procs;

const LOCK: &str = "lock";
const ROSTER: &str = "processes.json";
/// Another number means that another Fermata wrote it and that it must not be guessed at.
const VERSION: u32 = 1;

/// The state folder, held by this process alone until drop.
#[derive(Debug)]
pub struct StateLock {
    // flock(2) belongs to the open file: closing its last descriptor gives the folder back, and so does the end of the
    // last process that has one.
    file: File,
    folder: PathBuf,
}

/// Why a state folder cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Somebody has it.
    #[error(
        "the state folder {} is used by another fermata{}; stop that one, or choose another folder with --state-dir",
        folder.display(),
        pid.map(|pid| format!(" (pid {pid})")).unwrap_or_default()
    )]
    Held {
        /// The folder.
        folder: PathBuf,
        /// Who.
        pid: Option<u32>,
    },
    /// It cannot be made or written to.
    #[error("the state folder {} cannot be used: {source}; choose another one with --state-dir", folder.display())]
    Unusable {
        /// The folder.
        folder: PathBuf,
        /// Why.
        source: io::Error,
    },
}

impl StateLock {
    /// Makes the folder where there is none, and takes it.
    pub fn take(folder: &Path) -> Result<StateLock, LockError> {
        let unusable = |source| LockError::Unusable { folder: folder.to_owned(), source };
        fs::create_dir_all(folder).map_err(unusable)?;
        let path = folder.join(LOCK);
        let mut file =
            OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path).map_err(unusable)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(LockError::Held { folder: folder.to_owned(), pid: written_pid(&mut file) });
            }
            Err(TryLockError::Error(err)) => return Err(unusable(err)),
        }
        // Who holds it is a courtesy; the lock itself needs no byte on the disk.
        let _ = write_pid(&mut file);
        Ok(StateLock { file, folder: folder.to_owned() })
    }

    /// The lock that another process holds and hands over: both hold it.
    pub fn inherit(folder: &Path, descriptor: OwnedFd) -> StateLock {
        StateLock { file: descriptor.into(), folder: folder.to_owned() }
    }

    /// For another process.
    pub fn descriptor(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }

    /// Writes down that it is this process's.
    pub fn sign(&mut self) {
        // A courtesy, as above.
        let _ = write_pid(&mut self.file);
    }

    /// The folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }
}

fn written_pid(file: &mut File) -> Option<u32> {
    let mut text = String::new();
    file.read_to_string(&mut text).ok()?;
    text.trim().parse().ok()
}

fn write_pid(file: &mut File) -> io::Result<()> {
    file.set_len(0)?;
    file.rewind()?;
    writeln!(file, "{}", std::process::id())
}

/// The process groups that this Fermata started and that are not known to be gone.
#[derive(Debug)]
pub struct Roster {
    path: PathBuf,
    written: Written,
    trouble: Trouble,
}

/// Whether the last write failed: each spell of failures is told once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Trouble {
    None,
    Told,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Written {
    version: u32,
    /// Pids mean nothing after a restart of the machine.
    boot: String,
    groups: Vec<Group>,
}

/// One process group.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Group {
    pub(super) instance: String,
    /// Stands in the environment of its processes.
    pub(super) invocation: String,
    pub(super) stop_grace: Duration,
    /// `None` from just before its start to just after.
    pub(super) leader: Option<Leader>,
}

/// The process that leads a group. Its pid is the group's number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Leader {
    pub(super) pid: i32,
    pub(super) start: u64,
}

/// What an earlier Fermata left behind.
#[derive(Debug, Default)]
pub(super) struct Leftover {
    pub(super) groups: Vec<Group>,
    pub(super) trouble: Option<String>,
}

impl Roster {
    /// The state folder.
    pub(super) fn folder(&self) -> &Path {
        self.path.parent().unwrap_or(Path::new("."))
    }

    /// A roster in the folder that `lock` holds. What an earlier one says stays on the disk until the first write.
    pub fn open(lock: &StateLock) -> Roster {
        let boot = procs::boot_id().unwrap_or_default();
        Roster {
            path: lock.folder.join(ROSTER),
            written: Written { version: VERSION, boot, groups: Vec::new() },
            trouble: Trouble::None,
        }
    }

    /// The groups that an earlier Fermata wrote down since the machine was started. They are kept on this roster until
    /// [`Roster::forget`].
    pub(super) fn leftover(&mut self) -> Leftover {
        let text = match fs::read(&self.path) {
            Ok(text) => text,
            Err(err) if err.kind() == io::ErrorKind::NotFound => return Leftover::default(),
            Err(err) => return self.unreadable(&err.to_string()),
        };
        match serde_json::from_slice::<Written>(&text) {
            Ok(earlier) if earlier.version != VERSION => {
                self.unreadable(&format!("it was written by another version ({})", earlier.version))
            }
            Ok(earlier) if earlier.boot != self.written.boot => Leftover::default(),
            Ok(earlier) => {
                self.written.groups.clone_from(&earlier.groups);
                Leftover { groups: earlier.groups, trouble: None }
            }
            Err(err) => self.unreadable(&err.to_string()),
        }
    }

    fn unreadable(&self, why: &str) -> Leftover {
        let trouble = format!(
            "{} cannot be read: {why}; if an earlier run was killed, its processes may still be there: look for {}= \
             in their environment",
            self.path.display(),
            super::process::INVOCATION
        );
        Leftover { groups: Vec::new(), trouble: Some(trouble) }
    }

    /// Writes down that a group is about to be started. Gives what there is to tell.
    pub(super) fn begin(&mut self, group: Group) -> Option<String> {
        self.written.groups.push(group);
        self.write()
    }

    /// Writes down who leads it.
    pub(super) fn started(&mut self, invocation: &str, leader: Leader) -> Option<String> {
        for group in self.written.groups.iter_mut().filter(|group| group.invocation == invocation) {
            group.leader = Some(leader);
        }
        self.write()
    }

    /// Writes down that all of it is gone.
    pub(super) fn forget(&mut self, invocation: &str) -> Option<String> {
        self.written.groups.retain(|group| group.invocation != invocation);
        self.write()
    }

    fn write(&mut self) -> Option<String> {
        let was = self.trouble;
        match self.replace() {
            Ok(()) => {
                self.trouble = Trouble::None;
                None
            }
            Err(err) => {
                self.trouble = Trouble::Told;
                (was == Trouble::None).then(|| {
                    format!(
                        "{} cannot be written: {err}; services run on, but if this fermata is killed, the next one \
                         will not find their processes",
                        self.path.display()
                    )
                })
            }
        }
    }

    /// All or nothing: a reader sees the old file or the new one. Not synced, as after a power cut nothing of it counts.
    fn replace(&self) -> io::Result<()> {
        let fresh = self.path.with_extension("json.new");
        let written = serde_json::to_vec_pretty(&self.written).map_err(io::Error::other);
        let replaced = written.and_then(|text| fs::write(&fresh, text)).and_then(|()| fs::rename(&fresh, &self.path));
        if replaced.is_err() {
            let _ = fs::remove_file(&fresh);
        }
        replaced
    }
}
