//! The master process of `HAProxy` (its management guide, 4): started, told to read again, told to end.

use std::io;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rustix::process::{Pid, PidfdFlags, Signal, kill_process, pidfd_open};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader};
use tokio::net::unix::pipe;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::folder::Folder;
use super::program::Program;
use super::socket;
use crate::os::Readable;

/// Lines longer than this are told in parts.
const LONGEST: u64 = 8 * 1024;
/// How long its last words are waited for: a worker that has outlived it holds the pipe open.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// A running master.
pub(super) struct Master {
    pid: Pid,
    ended: Readable,
    /// Unless another Fermata started it.
    child: Option<Child>,
    /// Who reads what it says, likewise.
    listening: Option<JoinHandle<()>>,
}

/// The processes of one `HAProxy`, as its master tells (its management guide, `show proc`).
#[derive(Debug, PartialEq, Eq)]
struct Processes {
    master: i32,
    /// Those that take new connections.
    workers: Vec<u64>,
}

impl Master {
    /// Starts one with the configuration of the folder. What it says goes to `lines`.
    pub(super) fn start(
        program: &Program,
        folder: &Folder,
        lines: mpsc::UnboundedSender<String>,
    ) -> io::Result<Master> {
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
        let said = child.stderr.take().map(|said| pipe::Receiver::from_owned_fd(said.into())).transpose()?;
        let listening = said.map(|said| tokio::task::spawn_local(listen(said, lines)));
        let pid = Pid::from_child(&child);
        Ok(Master { pid, ended: watch(pid)?, child: Some(child), listening })
    }

    /// One that an earlier Fermata has left, if it still answers.
    pub(super) async fn left_behind(folder: &Folder) -> Option<Master> {
        let pid = Pid::from_raw(processes(folder).await?.master)?;
        Some(Master { pid, ended: watch(pid).ok()?, child: None, listening: None })
    }

    /// Whether a process takes new connections for it: one that does may be left from a master that was killed.
    pub(super) async fn has(&self, folder: &Folder, worker: u64) -> bool {
        let known = processes(folder).await;
        known.is_some_and(|known| Pid::from_raw(known.master) == Some(self.pid) && known.workers.contains(&worker))
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

    /// Returns when nobody can say anything any more.
    pub(super) async fn silence(&mut self) {
        if let Some(listening) = &mut self.listening {
            // Who has panicked says nothing either.
            let _ = tokio::time::timeout(LAST_WORDS, listening).await;
            self.listening = None;
        }
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

async fn processes(folder: &Folder) -> Option<Processes> {
    read(&socket::ask(&folder.master(), "show proc").await.ok()?)
}

/// A table whose first two columns are number and kind in every version, in parts that are headed by a comment.
fn read(answer: &str) -> Option<Processes> {
    let (mut part, mut master, mut workers) = ("", None, Vec::new());
    for line in answer.lines() {
        if let Some(head) = line.strip_prefix("# ") {
            part = head.trim();
        }
        let mut words = line.split_whitespace();
        let (Some(pid), Some(kind)) = (words.next(), words.next()) else { continue };
        match kind {
            "master" => master = pid.parse().ok(),
            "worker" if part == "workers" => workers.extend(pid.parse::<u64>()),
            _ => {}
        }
    }
    Some(Processes { master: master?, workers })
}

fn watch(pid: Pid) -> io::Result<Readable> {
    Readable::new(pidfd_open(pid, PidfdFlags::empty())?)
}

async fn listen(said: pipe::Receiver, lines: mpsc::UnboundedSender<String>) {
    let mut said = BufReader::new(said);
    let mut line = Vec::new();
    while let Ok(1..) = (&mut said).take(LONGEST).read_until(b'\n', &mut line).await {
        let text = String::from_utf8_lossy(&line).trim_end().to_owned();
        // Whoever hears nothing any more must not stop it from speaking.
        let _ = lines.send(text);
        line.clear();
    }
}

/// Whether something may be the path of a socket for `HAProxy` (unix(7): 108 bytes, and it adds a few while it binds).
pub(super) fn is_short(path: &Path) -> bool {
    path.as_os_str().len() < 92
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn workers_from_before_a_reload_are_not_among_those_that_take_connections() {
        let answer = "#<PID>          <type>          <reloads>       <uptime>        <version>       \n\
                      1162            master          1               0d00h02m07s     2.6.12          \n\
                      # workers\n\
                      1271            worker          0               0d00h00m00s     2.6.12          \n\
                      # old workers\n\
                      1233            worker          1               0d00h00m43s     2.6.12          \n\
                      # programs\n";
        assert_eq!(read(answer), Some(Processes { master: 1162, workers: vec![1271] }));
        assert_eq!(read("Unknown command"), None);
    }
}
