//! The master process of `HAProxy` (its management guide, 4): started, told to read again, told to end.

use std::io;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use rustix::process::{Pid, PidfdFlags, Signal, kill_process, pidfd_open};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader};
use tokio::net::unix::pipe;
use tokio::sync::mpsc;

use super::folder::Folder;
use super::program::Program;
use super::socket;
use crate::os::Readable;

/// Lines longer than this are told in parts.
const LONGEST: u64 = 8 * 1024;

/// A running master.
pub(super) struct Master {
    pid: Pid,
    ended: Readable,
    /// Unless another Fermata started it.
    child: Option<Child>,
}

impl Master {
    /// Starts one with the configuration of the folder. What it says goes to `lines`.
    pub(super) fn start(program: &Program, folder: &Folder, lines: mpsc::Sender<String>) -> io::Result<Master> {
        let mut child = Command::new(&program.path)
            .arg("-W")
            .arg("-S")
            .arg(format!("{},mode,600", folder.master().display()))
            .arg("-f")
            .arg(folder.configuration())
            // A Ctrl-C in the terminal is for Fermata, which ends it in its own time.
            .process_group(0)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()?;
        if let Some(said) = child.stderr.take() {
            tokio::task::spawn_local(listen(pipe::Receiver::from_owned_fd(said.into())?, lines));
        }
        let pid = Pid::from_child(&child);
        Ok(Master { pid, ended: watch(pid)?, child: Some(child) })
    }

    /// One that an earlier Fermata has left, if it still answers.
    pub(super) async fn left_behind(folder: &Folder) -> Option<Master> {
        let said = socket::ask(&folder.master(), "show proc").await.ok()?;
        let pid = said.lines().find_map(|line| {
            let mut words = line.split_whitespace();
            let pid = words.next()?.parse().ok()?;
            (words.next() == Some("master")).then_some(pid)
        })?;
        let pid = Pid::from_raw(pid)?;
        Some(Master { pid, ended: watch(pid).ok()?, child: None })
    }

    /// Its pid.
    pub(super) fn pid(&self) -> u32 {
        self.pid.as_raw_nonzero().get().unsigned_abs()
    }

    /// Returns when it has ended, with how it did.
    pub(super) async fn end(&mut self) -> String {
        // What cannot be watched is as good as gone.
        let _ = self.ended.readable().await.map(drop);
        let status = self.child.as_mut().and_then(|child| child.wait().ok());
        status.map_or_else(|| "it is gone".to_owned(), |status| status.to_string())
    }

    /// Reads the configuration again; open connections stay with the older worker.
    pub(super) fn reload(&self) -> io::Result<()> {
        self.signal(Signal::USR2)
    }

    /// Takes nothing new, and ends with its last connection.
    pub(super) fn finish(&self) -> io::Result<()> {
        self.signal(Signal::USR1)
    }

    /// Ends at once.
    pub(super) fn terminate(&self) -> io::Result<()> {
        self.signal(Signal::TERM)
    }

    fn signal(&self, signal: Signal) -> io::Result<()> {
        Ok(kill_process(self.pid, signal)?)
    }
}

fn watch(pid: Pid) -> io::Result<Readable> {
    Readable::new(pidfd_open(pid, PidfdFlags::empty())?)
}

async fn listen(said: pipe::Receiver, lines: mpsc::Sender<String>) {
    let mut said = BufReader::new(said);
    let mut line = Vec::new();
    while let Ok(1..) = (&mut said).take(LONGEST).read_until(b'\n', &mut line).await {
        let text = String::from_utf8_lossy(&line).trim_end().to_owned();
        // Whoever hears nothing any more must not stop it from speaking.
        let _ = lines.send(text).await;
        line.clear();
    }
}

/// Whether something may be the path of a socket for `HAProxy` (unix(7): 108 bytes, and it adds a few while it binds).
pub(super) fn is_short(path: &Path) -> bool {
    path.as_os_str().len() < 92
}
