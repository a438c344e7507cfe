//! What this machine is and has, and what its processes use.

use std::fs;
use std::io;
use std::process::Command;

use rustix::process::{Resource, getrlimit, setrlimit};
use serde::Serialize;

use crate::proxies::Proxy;

/// The two cores of a run.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Cores {
    /// Of the load and the service.
    pub(crate) load: usize,
    /// Of the proxies.
    pub(crate) proxy: usize,
}

impl Cores {
    /// The first two that this process may use.
    pub(crate) fn of_this_process() -> io::Result<Cores> {
        let status = fs::read_to_string("/proc/self/status")?;
        let list = status.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:")).unwrap_or_default();
        match cores(list.trim())[..] {
            [load, proxy, ..] => Ok(Cores { load, proxy }),
            _ => Err(io::Error::other(format!("two cores are needed, and this process may use {}", list.trim()))),
        }
    }

    /// Puts this thread on the core of the load.
    pub(crate) fn take_load(self) -> io::Result<()> {
        let id = std::process::id().to_string();
        let done = Command::new("taskset").args(["-cp", &self.load.to_string(), &id]).output();
        match done {
            Ok(output) if output.status.success() => Ok(()),
            Ok(output) => Err(io::Error::other(String::from_utf8_lossy(&output.stderr).into_owned())),
            Err(error) => Err(io::Error::other(format!("cannot run taskset (Debian: util-linux): {error}"))),
        }
    }
}

/// `0-1,4` as proc(5) writes it.
fn cores(list: &str) -> Vec<usize> {
    let ends = |part: &str| {
        let (from, to) = part.split_once('-').unwrap_or((part, part));
        Some(from.parse().ok()?..=to.parse().ok()?)
    };
    list.split(',').filter_map(ends).flatten().collect()
}

/// As many descriptors as may be.
pub(crate) fn raise_descriptors() -> io::Result<()> {
    let limit = getrlimit(Resource::Nofile);
    Ok(setrlimit(Resource::Nofile, rustix::process::Rlimit { current: limit.maximum, ..limit })?)
}

/// The CPU time of all threads of a process, in microseconds.
pub(crate) fn cpu(process: u32) -> f64 {
    let Ok(threads) = fs::read_dir(format!("/proc/{process}/task")) else { return 0.0 };
    let nanoseconds = |thread: fs::DirEntry| {
        // Its first number is the time on a core (Documentation/scheduler/sched-stats.rst).
        let text = fs::read_to_string(thread.path().join("schedstat")).ok()?;
        text.split_whitespace().next()?.parse::<f64>().ok()
    };
    threads.flatten().filter_map(nanoseconds).sum::<f64>() / 1000.0
}

/// The memory that a process has for itself (proportional set size), in bytes.
pub(crate) fn memory(process: u32) -> f64 {
    kilobytes(&format!("/proc/{process}/smaps_rollup"), "Pss:")
}

/// What the kernel keeps in its slabs, in bytes: sockets and files, of everybody.
pub(crate) fn slab() -> f64 {
    kilobytes("/proc/meminfo", "Slab:")
}

fn kilobytes(file: &str, field: &str) -> f64 {
    let text = fs::read_to_string(file).unwrap_or_default();
    let number = text.lines().find_map(|line| line.strip_prefix(field)?.split_whitespace().next()?.parse::<f64>().ok());
    number.unwrap_or(0.0) * 1024.0
}

/// What the results belong to.
#[derive(Debug, Serialize)]
pub(crate) struct Facts {
    pub(crate) date: String,
    pub(crate) processor: String,
    pub(crate) cores: usize,
    pub(crate) kernel: String,
    pub(crate) commit: String,
    pub(crate) versions: Vec<String>,
}

impl Facts {
    pub(crate) fn read(proxies: &[Proxy]) -> Facts {
        let cpuinfo = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let model = cpuinfo.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
        let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
        Facts {
            date: said("date", &["-u", "+%Y-%m-%d"]),
            processor: model.map_or_else(|| std::env::consts::ARCH.to_owned(), |(_, model)| model.to_owned()),
            cores: cpuinfo.lines().filter(|line| line.starts_with("processor")).count(),
            kernel: format!("Linux {}", kernel.trim()),
            commit: said("git", &["describe", "--always", "--dirty"]),
            versions: proxies.iter().map(|proxy| proxy.version.clone()).collect(),
        }
    }
}

/// The first line that a command says, to whichever output.
pub(crate) fn said(program: &str, arguments: &[&str]) -> String {
    let Ok(output) = Command::new(program).args(arguments).output() else { return String::new() };
    let text = if output.stdout.is_empty() { output.stderr } else { output.stdout };
    String::from_utf8_lossy(&text).lines().next().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_of_cores_has_ranges_and_single_ones() {
        assert_eq!(cores("0-1"), [0, 1]);
        assert_eq!(cores("3"), [3]);
        assert_eq!(cores("0,4-6"), [0, 4, 5, 6]);
    }

    #[test]
    fn a_process_has_used_some_time_and_some_memory() {
        let own = std::process::id();
        assert!(cpu(own) > 0.0);
        assert!(memory(own) > 4096.0);
    }
}
