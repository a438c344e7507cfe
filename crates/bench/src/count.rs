//! Counts the instructions of the hot paths: a whole `fermata up` under valgrind's callgrind, and a load that does one thing
//! after the other, so that the same happens each time. What the kernel does is not in it.
//!
//! The counts that are kept belong to one compiler: with another they are shown, and judge nobody.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde::{Deserialize, Serialize};

use crate::child::Process;
use crate::load::{Door, Load};
use crate::machine::{self, Cores, said};
use crate::proxies::{Kind, Proxy, Running, Setting};
use crate::tls::{self, Tickets};

/// More than this is a change.
const TOLERANCE: f64 = 0.05;
/// How often each thing is done, after it has been done once without being counted.
const TIMES: usize = 100;

/// What is counted, and where the counts of before are.
#[derive(Debug)]
pub(crate) struct Counting {
    pub(crate) fermata: PathBuf,
    pub(crate) kept: PathBuf,
    /// Keep what is counted now.
    pub(crate) bless: bool,
}

/// Instructions of one of each.
#[derive(Debug, Serialize, Deserialize)]
struct Counts {
    compiler: String,
    instructions: BTreeMap<String, f64>,
}

/// Counts, prints the change, and says whether it is small enough.
pub(crate) fn run(order: &Counting) -> io::Result<bool> {
    let cores = Cores::of_this_process()?;
    machine::raise_descriptors()?;
    cores.take_load()?;
    let folder = crate::folder::Folder::new()?;
    let now = Counts { compiler: said("rustc", &["--version"]), instructions: count(order, folder.path(), cores)? };
    let before: Option<Counts> = fs::read(&order.kept).ok().and_then(|text| serde_json::from_slice(&text).ok());
    let small = show(&now, before.as_ref());
    if order.bless {
        let text = serde_json::to_string_pretty(&now).map_err(io::Error::other)?;
        fs::write(&order.kept, text + "\n")?;
        anstream::println!("kept in {}", order.kept.display());
    }
    Ok(small || order.bless)
}

fn show(now: &Counts, before: Option<&Counts>) -> bool {
    let comparable = before.is_some_and(|before| before.compiler == now.compiler);
    if !comparable {
        anstream::println!("no counts are kept of {}; --bless keeps these", now.compiler);
    }
    let mut small = true;
    for (name, count) in &now.instructions {
        let kept = before.and_then(|before| before.instructions.get(name));
        let change = kept.map(|kept| count / kept - 1.0);
        let change_text = change.map_or_else(String::new, |change| format!("{:+.1} %", change * 100.0));
        anstream::println!("{name:<16}{count:>12.0} instructions {change_text:>10}");
        small &= !comparable || change.is_some_and(|change| change.abs() <= TOLERANCE);
    }
    small
}

fn count(order: &Counting, folder: &Path, cores: Cores) -> io::Result<BTreeMap<String, f64>> {
    tls::write_certificate(folder)?;
    let mut load = Load::new(&folder.join("echo.sock"))?;
    let fermata = Proxy { kind: Kind::Fermata, program: order.fermata.clone(), version: String::new() };
    let setting = Setting { folder, core: cores.proxy, service: load.service()?.to_string(), large_buffers: false };
    let running = fermata.start_counted(&setting)?;
    let mut counter = Counter { process: &running.process, folder, dumps: 0 };
    let clear = Door { address: running.clear, tls: None };
    let tls = Door { address: running.tls, tls: Some(tls::client(folder, Tickets::Thrown)?) };
    let mut counts = BTreeMap::new();
    for (name, door, payload) in
        [("echo", &clear, 64), ("bulk", &clear, 64 * 1024), ("tls-echo", &tls, 128), ("tls-bulk", &tls, 64 * 1024)]
    {
        load.speak(payload);
        load.open(door, 10)?;
        load.say_in_turn(1)?;
        let instructions = counter.of(|| load.say_in_turn(TIMES / 10))?;
        counts.insert(name.to_owned(), instructions / TIMES as f64);
        load.close_all()?;
    }
    load.speak(64);
    for (name, door) in [("handshake", &clear), ("tls-handshake", &tls)] {
        load.open_in_turn(door, 5)?;
        let instructions = counter.of(|| load.open_in_turn(door, TIMES / 2))?;
        counts.insert(name.to_owned(), instructions / (TIMES / 2) as f64);
    }
    Ok(counts)
}

/// Switches the counting of a process on and off.
struct Counter<'a> {
    process: &'a Process,
    folder: &'a Path,
    dumps: usize,
}

impl Counter<'_> {
    /// The instructions that the process needs while `what` is done.
    fn of(&mut self, what: impl FnOnce() -> io::Result<()>) -> io::Result<f64> {
        self.tell(&["instrumentation", "on"])?;
        what()?;
        self.tell(&["instrumentation", "off"])?;
        self.tell(&["dump"])?;
        self.dumps += 1;
        let file = self.folder.join(format!("counts.{}", self.dumps));
        let text = fs::read_to_string(&file)?;
        let total = text.lines().find_map(|line| line.strip_prefix("totals: ")?.trim().parse().ok());
        total.ok_or_else(|| io::Error::other(format!("no total in {}", file.display())))
    }

    fn tell(&self, words: &[&str]) -> io::Result<()> {
        let pid = format!("--pid={}", self.process.id());
        // Its answer on the standard output is nobody's business here.
        let output = Command::new("vgdb").arg(pid).args(words).output()?;
        if output.status.success() {
            return Ok(());
        }
        Err(io::Error::other(format!("vgdb: {}", String::from_utf8_lossy(&output.stderr))))
    }
}

impl Proxy {
    /// Starts it under callgrind, not counting yet.
    fn start_counted(&self, setting: &Setting<'_>) -> io::Result<Running> {
        let out = format!("--callgrind-out-file={}", setting.folder.join("counts").display());
        self.start_under(&["valgrind", "--tool=callgrind", "--instr-atstart=no", &out], setting)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(compiler: &str, echo: f64) -> Counts {
        Counts { compiler: compiler.into(), instructions: [("echo".to_owned(), echo)].into() }
    }

    #[test]
    fn a_change_beyond_five_percent_is_one_with_the_same_compiler_only() {
        let before = counts("rustc 1", 1000.0);
        assert!(show(&counts("rustc 1", 1040.0), Some(&before)));
        assert!(!show(&counts("rustc 1", 1060.0), Some(&before)));
        assert!(!show(&counts("rustc 1", 940.0), Some(&before)));
        assert!(show(&counts("rustc 2", 2000.0), Some(&before)));
        assert!(show(&counts("rustc 1", 1000.0), None));
    }
}
