//! Every `unsafe` block of the program, each behind a safe type or function.
#![expect(unsafe_code, reason = "the one place where it may stand")]

use std::io::{self, Read};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Command, ExitStatus};

use rustix::ioctl::{self, Opcode, Updater};
use rustix::process::Pid;
use tokio::io::Interest;
use tokio::io::unix::{AsyncFd, AsyncFdReadyGuard};

/// A descriptor that tells when it can be read, and that cannot be taken out or exchanged.
#[derive(Debug)]
pub struct Readable(AsyncFd<OwnedFd>);

impl Readable {
    /// Registers the descriptor with the current runtime.
    pub fn new(descriptor: OwnedFd) -> io::Result<Readable> {
        // SAFETY: an `OwnedFd` is open and is the same descriptor until it is dropped, which it is with the `AsyncFd`:
        // nothing of this type gives it out by value or mutably.
        let registered = unsafe { AsyncFd::register_with_interest(descriptor, Interest::READABLE) };
        Ok(Readable(registered?))
    }

    /// Waits until it can be read; until the guard clears that, it stays so.
    pub async fn readable(&self) -> io::Result<AsyncFdReadyGuard<'_, OwnedFd>> {
        self.0.readable().await
    }
}

impl AsFd for Readable {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.get_ref().as_fd()
    }
}

/// `struct pidfd_info` as Linux 6.13 has it, and the exit code that 6.15 added in its padding (`linux/pidfd.h`).
#[repr(C)]
#[derive(Debug, Default)]
struct PidfdInfo {
    /// What is asked for, and then what was told.
    mask: u64,
    cgroup: u64,
    /// Numbers and credentials of the process.
    who: [u32; 11],
    /// As wait(2) tells it.
    exit_code: i32,
}

/// `PIDFD_INFO_EXIT`.
const EXIT: u64 = 1 << 3;
/// `PIDFD_GET_INFO`.
const GET_INFO: Opcode = ioctl::opcode::read_write::<PidfdInfo>(0xff, 11);

/// How the process of a pidfd ended, as its parent was told when it reaped it; `None` before that, and where the kernel
/// does not remember (before Linux 6.15).
pub fn exit_status(pidfd: BorrowedFd<'_>) -> Option<ExitStatus> {
    let mut info = PidfdInfo { mask: EXIT, ..PidfdInfo::default() };
    // SAFETY: the opcode says that the kernel reads and writes a `PidfdInfo`, its size included, and any bytes are one.
    unsafe { ioctl::ioctl(pidfd, Updater::<GET_INFO, PidfdInfo>::new(&mut info)) }.ok()?;
    (info.mask & EXIT != 0).then(|| ExitStatus::from_raw(info.exit_code))
}

/// Starts a program as nobody's child: the process that would be its parent has ended when this returns, so that whoever
/// adopts orphans has it (the first process, or a subreaper: `PR_SET_CHILD_SUBREAPER(2const)`) and is told of its end.
///
/// The number may be that of a process that has ended by now.
pub fn start_orphan(mut command: Command) -> io::Result<Pid> {
    let (told, tell) = io::pipe()?;
    let number = tell.as_raw_fd();
    let step_aside = move || {
        // SAFETY: as fork(2), without handlers that others may have registered. This process has one thread, and the new
        // one does what is allowed here: system calls, until execve(2).
        match unsafe { libc::syscall(libc::SYS_clone, libc::SIGCHLD, 0, 0, 0, 0) } {
            -1 => Err(io::Error::last_os_error()),
            0 => {
                let own = std::process::id().to_ne_bytes();
                // SAFETY: the pipe is open until execve(2), and four bytes fit into it.
                match unsafe { libc::write(number, own.as_ptr().cast(), own.len()) } {
                    4 => Ok(()),
                    _ => Err(io::Error::last_os_error()),
                }
            }
            // SAFETY: it ends the process, and runs nothing of the program that was copied into it.
            _ => unsafe { libc::_exit(0) },
        }
    };
    // SAFETY: what runs between fork(2) and execve(2) allocates nothing and takes no lock: it makes three system calls.
    unsafe { command.pre_exec(step_aside) };
    // Only returns when the program runs, or could not be executed.
    command.spawn()?.wait()?;
    drop((command, tell));
    let mut number = [0; 4];
    (&told).read_exact(&mut number)?;
    Pid::from_raw(i32::from_ne_bytes(number)).ok_or_else(|| io::ErrorKind::InvalidData.into())
}

/// Whether somebody keeps the clock right, as the kernel was told (`adjtimex(2)`); `None` where it may not be asked.
pub fn clock_is_kept() -> Option<bool> {
    // SAFETY: any bytes are a `timex`, zeroes too.
    let mut timex: libc::timex = unsafe { std::mem::zeroed() };
    // SAFETY: the kernel writes what it has to say into memory that is ours; with modes 0 it sets nothing.
    match unsafe { libc::adjtimex(&raw mut timex) } {
        ..0 => None,
        state => Some(state != libc::TIME_ERROR),
    }
}

/// Has the allocator give the pages back to the system that it keeps for later (`malloc_trim(3)`). Other C libraries than
/// glibc have no such call, and need none.
pub fn give_back_memory() {
    #[cfg(target_env = "gnu")]
    {
        unsafe extern "C" {
            fn malloc_trim(pad: usize) -> std::ffi::c_int;
        }
        // SAFETY: it takes a number, touches nothing that is in use, and may be called at any time from any thread. That
        // nothing could be given back is no error.
        unsafe { malloc_trim(0) };
    }
}
