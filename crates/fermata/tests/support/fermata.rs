//! A real `fermata up` in a folder of its own.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use rustix::process::Signal;
use tempfile::TempDir;

use super::process::Process;

/// A temporary folder with a service.yml, in which `fermata` is run.
pub struct Folder {
    folder: TempDir,
}

impl Folder {
    /// A folder whose service.yml is `service_yml`.
    pub fn new(service_yml: &str) -> Folder {
        let folder = TempDir::new().expect("a temporary folder can be made");
        let folder = Folder { folder };
        folder.write("service.yml", service_yml);
        folder
    }

    /// Writes, or writes again, a file of the folder.
    pub fn write(&self, name: &str, content: &str) -> PathBuf {
        let file = self.path().join(name);
        fs::write(&file, content).unwrap_or_else(|error| panic!("cannot write {}: {error}", file.display()));
        file
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// `fermata` with these arguments, run in the folder; `--state-dir state` is for the caller to add.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_fermata"));
        command.args(arguments).current_dir(self.path()).env("NO_COLOR", "1");
        command
    }

    /// Runs `fermata` with these arguments to its end.
    pub fn run(&self, arguments: &[&str]) -> Ended {
        Ended::of(Process::start(&mut self.command(arguments)))
    }

    /// `fermata up`, ready for clients.
    pub fn up(self) -> Fermata {
        let process = Process::start(&mut self.command(&["up", "--state-dir", "state"]));
        process.wait_for("that it is ready", |line| line.starts_with("ready"));
        Fermata { process, folder: self }
    }

    /// `fermata up`, as soon as it has said this.
    pub fn up_and_wait(self, said: &str) -> Fermata {
        let process = Process::start(&mut self.command(&["up", "--state-dir", "state"]));
        process.wait_for(said, |line| line.contains(said));
        self.adopt(process)
    }

    /// A `fermata up` of this folder that was started in some other way.
    pub fn adopt(self, process: Process) -> Fermata {
        Fermata { process, folder: self }
    }

    /// `fermata up` with a service.yml that it must refuse: runs to its end.
    pub fn up_refused(&self) -> Ended {
        self.run(&["up", "--state-dir", "state"])
    }
}

/// A running `fermata up`. Dropping it ends it.
pub struct Fermata {
    /// Its process.
    pub process: Process,
    /// Where it runs. Goes after the process.
    pub folder: Folder,
}

impl Fermata {
    /// Starts `fermata up` with this service.yml and waits until it is ready. It should say
    /// `gateway: {bind: ["127.0.0.1"]}` and take its ports from `free_port`.
    pub fn up(service_yml: &str) -> Fermata {
        Folder::new(service_yml).up()
    }

    /// Ends it as Ctrl-C or a service manager would, and tells what it left.
    pub fn stop(mut self) -> Ended {
        self.process.signal(Signal::TERM);
        Ended::of(self.process)
    }

    /// What `fermata status` says.
    pub fn status(&self) -> serde_json::Value {
        let said = self.folder.run(&["status", "--state-dir", "state", "--format", "json"]);
        serde_json::from_str(&said.stdout).unwrap_or_else(|error| panic!("{error} in the status: {said:?}"))
    }

    /// How many descriptors it has open.
    pub fn descriptors(&self) -> usize {
        self.entries("fd")
    }

    /// How many descriptors lead to what is shown as `target` (`socket:[inode]`, see `proc_pid_fd(5)`).
    pub fn descriptors_of(&self, target: &str) -> usize {
        let folder = fs::read_dir(self.proc().join("fd")).expect("a running process has descriptors");
        let links = folder.filter_map(|entry| fs::read_link(entry.ok()?.path()).ok());
        links.filter(|link| link.as_os_str() == target).count()
    }

    /// How many threads it has.
    pub fn threads(&self) -> usize {
        self.entries("task")
    }

    /// Its resident memory in KiB.
    pub fn resident_kib(&self) -> u64 {
        let status = fs::read_to_string(self.proc().join("status")).expect("a running process has a status");
        status
            .lines()
            .find_map(|line| line.strip_prefix("VmRSS:"))
            .and_then(|rest| rest.trim().trim_end_matches(" kB").parse().ok())
            .expect("the status of a process says VmRSS in kB (proc_pid_status(5))")
    }

    fn entries(&self, folder: &str) -> usize {
        let folder = self.proc().join(folder);
        fs::read_dir(&folder).unwrap_or_else(|error| panic!("cannot read {}: {error}", folder.display())).count()
    }

    fn proc(&self) -> PathBuf {
        PathBuf::from(format!("/proc/{}", self.process.pid()))
    }
}

/// A process that has ended, and what it said.
#[derive(Debug, PartialEq, Eq)]
pub struct Ended {
    /// Its exit code; none when a signal ended it.
    pub code: Option<i32>,
    /// All of its standard output.
    pub stdout: String,
    /// All of its standard error.
    pub stderr: String,
}

impl Ended {
    fn of(mut process: Process) -> Ended {
        let status = process.wait();
        Ended { code: status.code(), stdout: process.stdout.whole(), stderr: process.stderr.whole() }
    }
}
