//! A process of the run: on a core of its own, and gone when this process is, whatever ended it.

use std::fs::{self, File};
use std::io::{self, BufRead, BufReader};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// How long a proxy may take to begin.
const PATIENCE: Duration = Duration::from_secs(20);

/// A running process; ended when it is dropped.
pub(crate) struct Process {
    child: Child,
    /// Kept open, so that it can go on printing.
    stdout: Option<BufReader<ChildStdout>>,
    log: std::path::PathBuf,
}

impl Process {
    /// Starts a program with its arguments on `core`. What it says to stderr goes to `log`.
    pub(crate) fn start(words: &[&str], core: usize, log: &Path) -> io::Result<Process> {
        // The kernel ends it with us (prctl(2), PR_SET_PDEATHSIG), even where we are killed: setpriv sets that, taskset
        // the core, and each becomes the next program without another process.
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "KILL", "taskset", "-c", &core.to_string()]).args(words);
        command.env("RUST_LOG", "error").env("NO_COLOR", "1");
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(File::create(log)?);
        let mut child = command
            .spawn()
            .map_err(|error| io::Error::other(format!("cannot run setpriv (Debian: util-linux): {error}")))?;
        let stdout = child.stdout.take().map(BufReader::new);
        Ok(Process { child, stdout, log: log.to_owned() })
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Waits for a line of its output that begins with `start`.
    pub(crate) fn wait_for_line(&mut self, start: &str) -> io::Result<()> {
        let mut line = String::new();
        while let Some(stdout) = &mut self.stdout {
            line.clear();
            if stdout.read_line(&mut line)? == 0 {
                break;
            }
            if line.starts_with(start) {
                return Ok(());
            }
        }
        Err(self.failed())
    }

    /// Waits until something listens at `address`.
    pub(crate) fn wait_for_port(&mut self, address: SocketAddr) -> io::Result<()> {
        let start = Instant::now();
        while TcpStream::connect(address).is_err() {
            if self.child.try_wait()?.is_some() || start.elapsed() > PATIENCE {
                return Err(self.failed());
            }
            thread::sleep(Duration::from_millis(10));
        }
        Ok(())
    }

    fn failed(&self) -> io::Error {
        let said = fs::read_to_string(&self.log).unwrap_or_default();
        io::Error::other(format!("a proxy did not begin; it said:\n{said}"))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
