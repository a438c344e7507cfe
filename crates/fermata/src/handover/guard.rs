//! Who waits for the end of the line: a shell, or a container, sees the first process alone, and takes its end for the end
//! of it all. So the first process stays when it is replaced, and does no more than to wait, to pass on what it is told,
//! and to end as the last one did.
//!
//! However often it is upgraded, there are never more than two for long: a process that is replaced in its turn tells the
//! guard who comes after it, and goes; what it had started becomes the guard's (prctl(2), `PR_SET_CHILD_SUBREAPER`).
//! Where a service manager waits that can be told of another process, nobody stays.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;

use rustix::process::{Pid, WaitOptions, getpid, set_child_subreaper, wait};
use tokio::net::UnixDatagram;
use tokio::signal::unix::{Signal as Signals, SignalKind, signal};

use super::child::Child;

/// What the guard passes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Word {
    /// End everything.
    Stop,
    /// Read the file again.
    Reload,
}

/// A process that has been replaced, and the one that has taken its place.
#[derive(Debug)]
pub struct Guard {
    /// Where this is the first of the line, for which somebody waits.
    socket: Option<UnixDatagram>,
    ward: Child,
    /// How that ended, if it was seen along with others.
    told: Option<ExitStatus>,
    children: Signals,
}

/// The end that the one who is guarded has.
#[derive(Debug)]
pub struct Ward {
    socket: UnixDatagram,
}

impl Word {
    fn text(self) -> &'static [u8] {
        match self {
            Word::Stop => b"stop",
            Word::Reload => b"reload",
        }
    }
}

impl Guard {
    /// Both ends of what a guard and its ward speak through: one to keep, one to hand over.
    pub fn sockets() -> io::Result<(UnixDatagram, OwnedFd)> {
        let (here, there) = std::os::unix::net::UnixDatagram::pair()?;
        here.set_nonblocking(true)?;
        Ok((UnixDatagram::from_std(here)?, there.into()))
    }

    /// This process has been replaced by `ward`. With a socket it is the first of the line, and guards it.
    pub fn begin(socket: Option<UnixDatagram>, ward: Child) -> io::Result<Guard> {
        if socket.is_some() {
            // Whoever the line leaves behind becomes this process's own. Where the kernel refuses, somebody else's.
            let _ = set_child_subreaper(Some(getpid()));
        }
        let mut guard = Guard { socket, ward, told: None, children: signal(SignalKind::child())? };
        // Those that have ended before anybody listened.
        guard.reap();
        Ok(guard)
    }

    /// Whether this is the first of the line.
    pub fn is_first(&self) -> bool {
        self.socket.is_some()
    }

    /// Passes something on.
    pub async fn pass_on(&self, word: Word) {
        if let Some(socket) = &self.socket {
            // One that is gone needs no word.
            let _ = socket.send(word.text()).await;
        }
    }

    /// Waits for the end of the line (or, behind the first, of the next one); returns the exit code, as shells have it,
    /// where that is known. Meanwhile it takes note of the end of whatever is this process's child.
    pub async fn ended(&mut self) -> Option<i32> {
        let mut word = [0; 64];
        loop {
            let heard = async {
                match &self.socket {
                    Some(socket) => socket.recv(&mut word).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                biased;
                told = heard => {
                    if let Ok(length) = told
                        && let Some(heir) = heir_of(&word[..length])
                    {
                        (self.ward, self.told) = (heir, None);
                    }
                }
                _ = self.children.recv() => self.reap(),
                status = self.ward.ended() => {
                    let status = self.told.or(status)?;
                    return status.code().or(status.signal().map(|signal| 128 + signal));
                }
            }
        }
    }

    fn reap(&mut self) {
        while let Ok(Some((pid, status))) = wait(WaitOptions::NOHANG) {
            if pid.as_raw_nonzero().get() == self.ward.pid() {
                self.told = Some(ExitStatus::from_raw(status.as_raw()));
            }
        }
    }
}

fn heir_of(word: &[u8]) -> Option<Child> {
    let pid = std::str::from_utf8(word).ok()?.strip_prefix("heir ")?.parse().ok()?;
    Child::of(Pid::from_raw(pid)?).ok()
}

impl Ward {
    /// The end that was handed over.
    pub fn new(socket: OwnedFd) -> io::Result<Ward> {
        let socket = std::os::unix::net::UnixDatagram::from(socket);
        socket.set_nonblocking(true)?;
        Ok(Ward { socket: UnixDatagram::from_std(socket)? })
    }

    /// For the next one.
    pub fn descriptor(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }

    /// What the guard says next.
    pub async fn hear(&self) -> Word {
        let mut word = [0; 64];
        loop {
            match self.socket.recv(&mut word).await.map(|length| &word[..length]) {
                Ok(b"stop") => return Word::Stop,
                Ok(b"reload") => return Word::Reload,
                Ok(_) => {}
                // The guard is gone. Nobody tells anything any more.
                Err(_) => std::future::pending().await,
            }
        }
    }

    /// Tells the guard who takes over.
    pub async fn succeeded_by(&self, pid: i32) {
        // A guard that is gone guards nobody.
        let _ = self.socket.send(format!("heir {pid}").as_bytes()).await;
    }
}
