//! The process of another Fermata, known by its pidfd: started by this one, or by one that this one started.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, ExitStatus};
use std::time::Duration;

use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, Signal, WaitId, WaitIdOptions};
use rustix::process::{pidfd_open, pidfd_send_signal, waitid};
use tokio::time::{sleep, timeout};

use crate::os::{self, Readable};

/// How long somebody else may take to reap it before its end is taken as untold.
const REAPED_WITHIN: Duration = Duration::from_millis(500);
/// How long one that has hung up may take to end.
const BY_ITSELF: Duration = Duration::from_secs(1);
const LOOK: Duration = Duration::from_millis(5);

/// A process. One that was started here and is dropped before [`Child::release`] is killed.
#[derive(Debug)]
pub struct Child {
    pid: Pid,
    pidfd: Readable,
    kill_on_drop: bool,
}

/// Whose child, to the system, a started process is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Parent {
    /// This process.
    This,
    /// Whoever adopts orphans. A service manager takes a process for one that it is told the end of, and waits for, only if
    /// it is its parent when it hears that this is the main one (`service_set_main_pid` of systemd).
    Adopter,
}

impl Child {
    /// Starts it.
    pub fn start(command: Command, parent: Parent) -> io::Result<Child> {
        let mut child = match parent {
            Parent::This => Child::start_own(command)?,
            Parent::Adopter => Child::of(os::start_orphan(command)?)?,
        };
        child.kill_on_drop = true;
        Ok(child)
    }

    fn start_own(mut command: Command) -> io::Result<Child> {
        let mut child = command.spawn()?;
        Child::of(Pid::from_child(&child)).inspect_err(|_| {
            let _ = child.kill();
            let _ = child.wait();
        })
    }

    /// One that runs already.
    pub fn of(pid: Pid) -> io::Result<Child> {
        let pidfd: OwnedFd = pidfd_open(pid, PidfdFlags::empty())?;
        Ok(Child { pid, pidfd: Readable::new(pidfd)?, kill_on_drop: false })
    }

    /// Its number.
    pub fn pid(&self) -> i32 {
        self.pid.as_raw_nonzero().get()
    }

    /// It lives on its own from now on.
    pub fn release(&mut self) {
        self.kill_on_drop = false;
    }

    /// Waits for its end; `None` where nobody tells how it ended.
    pub async fn ended(&self) -> Option<ExitStatus> {
        // Readable from the end of the process on (pidfd_open(2)).
        let _ = self.pidfd.readable().await;
        if let Ok(status) = self.reap() {
            return status;
        }
        // Somebody else's child.
        let mut left = REAPED_WITHIN;
        loop {
            let told = os::exit_status(self.pidfd.as_fd());
            if told.is_some() || left.is_zero() {
                return told;
            }
            sleep(LOOK).await;
            left = left.saturating_sub(LOOK);
        }
    }

    fn reap(&self) -> io::Result<Option<ExitStatus>> {
        let status = loop {
            match waitid(WaitId::PidFd(self.pidfd.as_fd()), WaitIdOptions::EXITED) {
                Err(Errno::INTR) => {}
                outcome => break outcome?,
            }
        };
        let told = status.and_then(|status| {
            let code = status.exit_status().map(|code| code << 8);
            code.or_else(|| status.terminating_signal())
        });
        // As wait(2) has it: the code in the second byte, or the signal in the first.
        Ok(told.map(ExitStatus::from_raw))
    }

    /// Ends it at once, and returns when it is gone.
    pub async fn kill(mut self) -> Option<ExitStatus> {
        self.kill_on_drop = false;
        let _ = pidfd_send_signal(self.pidfd.as_fd(), Signal::KILL);
        self.ended().await
    }

    /// Waits a moment for it to end by itself, and then ends it.
    pub async fn ends_or_is_killed(self) -> Option<ExitStatus> {
        match timeout(BY_ITSELF, self.ended()).await {
            Ok(status) => {
                let mut ended = self;
                ended.kill_on_drop = false;
                status
            }
            Err(_) => self.kill().await,
        }
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        if self.kill_on_drop {
            let _ = pidfd_send_signal(self.pidfd.as_fd(), Signal::KILL);
            // Where it has another parent, that one does it.
            let _ = self.reap();
        }
    }
}
