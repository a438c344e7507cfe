//! One local process and its group: started, waited for, ended.
//!
//! A process is known by its pid and a pidfd alone, not by a `Child` of some library: that much can be written down and
//! handed to another Fermata. It is reaped last of all: as long as it is not, its pid and so its group's number cannot
//! be given to anybody else, and signals to the group hit nobody else.

use std::fmt;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::os::unix::process::ExitStatusExt;
use std::process::{ChildStderr, ChildStdout, Command, ExitStatus, Stdio};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, Signal, WaitId, WaitIdOptions, WaitIdStatus};
use rustix::process::{kill_process_group, pidfd_open, waitid};
use tokio::time::sleep;

use super::group::Unkillable;
use super::plan::Launch;
use super::state::Leader;
use super::{group, locate, procs};
use crate::os::{self, Readable};

/// How long to wait before the kernel is asked again how a process ended: the first time, and at most.
const FIRST_LOOK: Duration = Duration::from_millis(1);
const LAST_LOOK: Duration = Duration::from_secs(1);

/// Names one start of one instance, in the environment of all its processes.
pub(super) const INVOCATION: &str = "FERMATA_INVOCATION";
/// The same in the processes of its health checks, which have groups of their own.
pub(super) const CHECK: &str = "FERMATA_CHECK";

/// A process that leads a group of its own.
#[derive(Debug)]
pub(super) struct Process {
    pid: Pid,
    pidfd: Readable,
    /// When it started: see [`procs::Stat`].
    pub(super) start: u64,
    hold: Hold,
    kin: Kin,
}

/// Whose child it is.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Kin {
    /// This process's own.
    Ours,
    /// It was started by another Fermata, which somebody else reaps it for: as soon as it ends its number is free. What is
    /// left of its group then is known by the invocation in its environment.
    Inherited { invocation: String },
}

/// Whether the group is still ours to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Hold {
    Held,
    Released,
}

/// What a process writes.
#[derive(Debug)]
pub(super) struct Output {
    pub(super) stdout: ChildStdout,
    pub(super) stderr: ChildStderr,
}

/// How a process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// With this exit code.
    Code(i32),
    /// By this signal.
    Signal(i32),
    /// Somebody else took the answer: a parent that ignores SIGCHLD, for example (`sigaction(2)`).
    Untold,
}

impl Process {
    /// Starts a program in a group of its own. An error says what is wrong and what to do.
    pub(super) fn start(launch: &Launch, invocation: &str) -> Result<(Process, Output), String> {
        let path = locate::program(launch)?;
        let mut child = Command::new(&path)
            .arg0(&launch.program)
            .args(&launch.arguments)
            .env_clear()
            .envs(&launch.env)
            .env(INVOCATION, invocation)
            .current_dir(&launch.folder)
            .process_group(0)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|err| format!("{} cannot be executed: {err}", path.display()))?;
        let pid = Pid::from_child(&child);
        let (Some(stdout), Some(stderr)) = (child.stdout.take(), child.stderr.take()) else {
            unreachable!("both streams are piped");
        };
        match Process::adopt(pid) {
            Ok(process) => Ok((process, Output { stdout, stderr })),
            Err(err) => {
                let _ = kill_process_group(pid, Signal::KILL);
                let _ = child.wait();
                Err(format!("{} cannot be watched: {err}", path.display()))
            }
        }
    }

    /// Takes charge of a child that has not been reaped.
    fn adopt(pid: Pid) -> io::Result<Process> {
        let pidfd = Readable::new(pidfd_open(pid, PidfdFlags::empty())?)?;
        let start = procs::stat(pid.as_raw_nonzero().get()).map_or(0, |stat| stat.start);
        Ok(Process { pid, pidfd, start, hold: Hold::Held, kin: Kin::Ours })
    }

    /// A process that another Fermata started and hands over. It is that one's to end until [`Process::claim`].
    pub(super) fn inherit(pid: i32, pidfd: OwnedFd, start: u64, invocation: &str) -> io::Result<Process> {
        let pid = Pid::from_raw(pid).filter(|pid| pid.as_raw_nonzero().get() > 1);
        let pid = pid.ok_or_else(|| io::Error::other("that is no process of a service"))?;
        let kin = Kin::Inherited { invocation: invocation.to_owned() };
        Ok(Process { pid, pidfd: Readable::new(pidfd)?, start, hold: Hold::Released, kin })
    }

    /// From now on it is ended with everything else here.
    pub(super) fn claim(&mut self) {
        self.hold = Hold::Held;
    }

    /// Another descriptor of the same process.
    pub(super) fn pidfd(&self) -> io::Result<OwnedFd> {
        self.pidfd.as_fd().try_clone_to_owned()
    }

    /// Leaves it to whoever has taken charge of it.
    pub(super) fn release(mut self) {
        self.hold = Hold::Released;
    }

    /// As the roster has it.
    pub(super) fn leader(&self) -> Leader {
        Leader { pid: self.id(), start: self.start }
    }

    /// Its pid, and the number of its group.
    pub(super) fn id(&self) -> i32 {
        self.pid.as_raw_nonzero().get()
    }

    /// Waits until the process itself has ended; others of its group may go on.
    pub(super) async fn exited(&self) -> Exit {
        loop {
            // A pidfd is readable from the end of its process on (pidfd_open(2)).
            let Ok(mut readable) = self.pidfd.readable().await else { return Exit::Untold };
            if self.kin != Kin::Ours {
                if self.has_ended() {
                    return self.told_by_the_kernel().await;
                }
                readable.clear_ready();
                continue;
            }
            match self.ask(WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT) {
                Ok(Some(status)) => return Exit::from(&status),
                Ok(None) => readable.clear_ready(),
                Err(Errno::INTR) => {}
                Err(_) => return Exit::Untold,
            }
        }
    }

    /// Whether the process itself has ended (`pidfd_open(2)`: the descriptor is readable then).
    fn has_ended(&self) -> bool {
        let mut polled = [PollFd::new(&self.pidfd, PollFlags::IN)];
        poll(&mut polled, Some(&Timespec { tv_sec: 0, tv_nsec: 0 })).is_ok_and(|ready| ready > 0)
    }

    /// How a process ended that somebody else reaps: the kernel tells that afterwards, since Linux 6.15.
    async fn told_by_the_kernel(&self) -> Exit {
        let mut look = FIRST_LOOK;
        while look < LAST_LOOK {
            if let Some(status) = os::exit_status(self.pidfd.as_fd()) {
                return Exit::from(status);
            }
            sleep(look).await;
            look *= 2;
        }
        Exit::Untold
    }

    fn ask(&self, options: WaitIdOptions) -> Result<Option<WaitIdStatus>, Errno> {
        waitid(WaitId::PidFd(self.pidfd.as_fd()), options)
    }

    /// Ends the whole group, and returns once all of it is gone. What could not be ended stays unreaped, so that its
    /// number stays its own.
    pub(super) async fn end(mut self, grace: Duration) -> Result<(), Unkillable> {
        if !self.is_held() {
            self.hold = Hold::Released;
            return Ok(());
        }
        let ended = group::end(self.pid, grace, self.group_gone()).await;
        if ended.is_ok() {
            let _ = self.ask(WaitIdOptions::EXITED | WaitIdOptions::NOHANG);
        }
        self.hold = Hold::Released;
        ended
    }

    /// Whether the number of its group still means its group.
    fn is_held(&self) -> bool {
        match &self.kin {
            _ if self.hold == Hold::Released => false,
            Kin::Ours => true,
            Kin::Inherited { invocation } => !self.has_ended() || procs::is_group_of(self.id(), INVOCATION, invocation),
        }
    }

    async fn group_gone(&self) {
        self.exited().await;
        group::gone(self.pid).await;
    }
}

impl Drop for Process {
    /// Whoever forgets to end a process must not leave it behind.
    fn drop(&mut self) {
        if self.is_held() {
            let _ = kill_process_group(self.pid, Signal::KILL);
        }
    }
}

impl From<&WaitIdStatus> for Exit {
    fn from(status: &WaitIdStatus) -> Exit {
        match (status.exit_status(), status.terminating_signal()) {
            (Some(code), _) => Exit::Code(code),
            (None, Some(signal)) => Exit::Signal(signal),
            (None, None) => Exit::Untold,
        }
    }
}

impl From<ExitStatus> for Exit {
    fn from(status: ExitStatus) -> Exit {
        status.code().map(Exit::Code).or(status.signal().map(Exit::Signal)).unwrap_or(Exit::Untold)
    }
}

impl fmt::Display for Exit {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Exit::Code(code) => write!(out, "exit code {code}"),
            Exit::Signal(signal) => match signal_name(*signal) {
                Some(name) => write!(out, "signal {signal} ({name})"),
                None => write!(out, "signal {signal}"),
            },
            Exit::Untold => out.write_str("nobody told how"),
        }
    }
}

/// The names of the signals that end programs (`signal(7)`).
fn signal_name(number: i32) -> Option<&'static str> {
    let names = [
        (Signal::HUP, "HUP"),
        (Signal::INT, "INT"),
        (Signal::QUIT, "QUIT"),
        (Signal::ILL, "ILL"),
        (Signal::TRAP, "TRAP"),
        (Signal::ABORT, "ABRT"),
        (Signal::BUS, "BUS"),
        (Signal::FPE, "FPE"),
        (Signal::KILL, "KILL"),
        (Signal::USR1, "USR1"),
        (Signal::SEGV, "SEGV"),
        (Signal::USR2, "USR2"),
        (Signal::PIPE, "PIPE"),
        (Signal::ALARM, "ALRM"),
        (Signal::TERM, "TERM"),
        (Signal::XCPU, "XCPU"),
        (Signal::XFSZ, "XFSZ"),
        (Signal::VTALARM, "VTALRM"),
        (Signal::PROF, "PROF"),
        (Signal::SYS, "SYS"),
    ];
    names.iter().find(|(signal, _)| signal.as_raw() == number).map(|(_, name)| *name)
}
