//! One child process: what it has said so far, and its end.

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

/// How long a test waits for something that must happen before it gives up. No test is about this number.
pub const PATIENCE: Duration = Duration::from_mins(1);

/// Waits until something that nobody announces is so, by asking again and again.
pub fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    let (_never_sends, pause) = mpsc::channel::<()>();
    while !is_so() {
        assert!(Instant::now() < deadline, "in vain: waited until {what}");
        let _ = pause.recv_timeout(Duration::from_millis(20));
    }
}

/// A running program whose output is collected. Dropping it ends it.
pub struct Process {
    name: String,
    pid: Pid,
    end: Receiver<ExitStatus>,
    /// Set once the end was seen: the pid may belong to somebody else from then on.
    ended: Option<ExitStatus>,
    /// Standard output so far.
    pub stdout: Arc<Lines>,
    /// Standard error so far.
    pub stderr: Arc<Lines>,
}

impl Process {
    /// Starts `command`, without standard input.
    pub fn start(command: &mut Command) -> Process {
        let name = command.get_program().to_string_lossy().into_owned();
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("cannot start {name}: {error}"));
        let stdout = Lines::follow(child.stdout.take().expect("stdout is piped"));
        let stderr = Lines::follow(child.stderr.take().expect("stderr is piped"));
        let pid = Pid::from_child(&child);
        Process { name, pid, end: tell_the_end(child), ended: None, stdout, stderr }
    }

    /// The process id.
    pub fn pid(&self) -> i32 {
        self.pid.as_raw_nonzero().get()
    }

    /// Waits for a line of standard output that `wanted` accepts, and returns the first one.
    pub fn wait_for(&self, what: &str, wanted: impl Fn(&str) -> bool) -> String {
        self.stdout.wait_for(wanted).unwrap_or_else(|| panic!("{} never said {what}\n{}", self.name, self.transcript()))
    }

    /// Asks it to end; returns at once.
    pub fn signal(&mut self, signal: Signal) {
        if self.seen_end().is_none() {
            // It may end by itself in between; then there is nothing left to ask.
            let _ = kill_process(self.pid, signal);
        }
    }

    /// Waits for its end.
    pub fn wait(&mut self) -> ExitStatus {
        self.wait_patiently(PATIENCE)
    }

    /// Waits for an end that may take long.
    pub fn wait_patiently(&mut self, patience: Duration) -> ExitStatus {
        self.wait_at_most(patience).unwrap_or_else(|| panic!("{} does not end\n{}", self.name, self.transcript()))
    }

    /// All output, for the message of a failing test.
    pub fn transcript(&self) -> String {
        format!("--- stdout\n{}--- stderr\n{}---", self.stdout.text(), self.stderr.text())
    }

    fn wait_at_most(&mut self, limit: Duration) -> Option<ExitStatus> {
        if self.ended.is_none() {
            self.ended = self.end.recv_timeout(limit).ok();
        }
        self.ended
    }

    fn seen_end(&mut self) -> Option<ExitStatus> {
        self.wait_at_most(Duration::ZERO)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Politely first, so that it can end what it started itself.
        self.signal(Signal::TERM);
        if self.wait_at_most(Duration::from_secs(15)).is_none() {
            self.signal(Signal::KILL);
            self.wait_at_most(PATIENCE);
        }
    }
}

fn tell_the_end(mut child: Child) -> Receiver<ExitStatus> {
    let (tell, end) = mpsc::channel();
    thread::spawn(move || {
        if let Ok(status) = child.wait() {
            // Nobody listens any more when the test is over.
            let _ = tell.send(status);
        }
    });
    end
}

/// The lines of one stream, as they come.
pub struct Lines {
    seen: Mutex<Seen>,
    grew: Condvar,
}

#[derive(Default)]
struct Seen {
    lines: Vec<String>,
    at_end: bool,
}

impl Lines {
    fn follow(stream: impl Read + Send + 'static) -> Arc<Lines> {
        let lines = Arc::new(Lines { seen: Mutex::default(), grew: Condvar::new() });
        let writer = Arc::clone(&lines);
        thread::spawn(move || {
            let mut stream = BufReader::new(stream);
            let mut line = Vec::new();
            while stream.read_until(b'\n', &mut line).is_ok_and(|length| length > 0) {
                let text = String::from_utf8_lossy(&line).trim_end_matches('\n').to_owned();
                writer.lock().lines.push(text);
                writer.grew.notify_all();
                line.clear();
            }
            writer.lock().at_end = true;
            writer.grew.notify_all();
        });
        lines
    }

    /// The first line that `wanted` accepts, or none once the stream is at its end or patience is over.
    pub fn wait_for(&self, wanted: impl Fn(&str) -> bool) -> Option<String> {
        self.wait_until(|lines| lines.iter().any(|line| wanted(line)));
        self.lock().lines.iter().find(|line| wanted(line)).cloned()
    }

    /// Waits until all lines together are what is wanted; false once the stream is at its end or patience is over.
    pub fn wait_until(&self, wanted: impl Fn(&[String]) -> bool) -> bool {
        let deadline = Instant::now() + PATIENCE;
        let mut seen = self.lock();
        loop {
            if wanted(&seen.lines) {
                return true;
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if seen.at_end || left.is_zero() {
                return false;
            }
            seen = self.grew.wait_timeout(seen, left).expect("no reader panics").0;
        }
    }

    /// Everything up to the end of the stream: for a process that has ended.
    pub fn whole(&self) -> String {
        self.wait_for(|_| false);
        self.text()
    }

    /// Everything so far.
    pub fn text(&self) -> String {
        self.lock().lines.iter().flat_map(|line| [line, "\n"]).collect()
    }

    fn lock(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().expect("no reader panics")
    }
}
