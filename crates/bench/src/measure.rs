//! Runs the workloads, each proxy in its turn, and keeps what was seen.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustls::ClientConfig;

use crate::args::Plan;
use crate::load::{Door, Load};
use crate::machine::{self, Cores};
use crate::proxies::{self, Kind, Proxy, Running, Setting};
use crate::report::Figure;
use crate::tls::{self, Tickets};
use crate::workloads::{Way, What, Workload};

/// Everything that stands while workloads come and go.
pub(crate) struct Bench {
    pub(crate) proxies: Vec<Proxy>,
    folder: PathBuf,
    cores: Cores,
    load: Load,
}

/// What one turn gave: names of figures, units, values.
type Seen = Vec<(&'static str, &'static str, f64)>;

/// A proxy in its turn.
struct Turn<'a> {
    workload: &'a Workload,
    proxy: &'a Proxy,
    running: &'a Running,
    door: &'a Door,
    plan: &'a Plan,
}

impl Bench {
    pub(crate) fn start(folder: &Path, cores: &Cores, fermata: PathBuf, plan: &Plan) -> io::Result<Bench> {
        tls::write_certificate(folder)?;
        Ok(Bench {
            proxies: proxies::all(fermata, plan.peers.as_deref())?,
            folder: folder.to_owned(),
            cores: *cores,
            load: Load::new(&folder.join("echo.sock"))?,
        })
    }

    /// Runs all workloads of the plan.
    pub(crate) fn run(&mut self, plan: &Plan) -> io::Result<Vec<Figure>> {
        let mut figures = Vec::new();
        for workload in &plan.workloads {
            anstream::eprint!("{:<24}", workload.name);
            let start = Instant::now();
            self.workload(workload, plan, &mut figures)
                .map_err(|error| io::Error::other(format!("{}: {error}", workload.name)))?;
            anstream::eprintln!(" {:.0} s", start.elapsed().as_secs_f64());
        }
        Ok(figures)
    }

    fn workload(&mut self, workload: &Workload, plan: &Plan, figures: &mut Vec<Figure>) -> io::Result<()> {
        let way = workload.way();
        let service = match way {
            Way::Unix => format!("unix:{}", self.folder.join("echo.sock").display()),
            Way::Tcp | Way::Tls => self.load.service()?.to_string(),
        };
        let proxies = self.proxies.clone();
        let fits = |proxy: &&Proxy| {
            (way != Way::Tls || proxy.kind.has_tls())
                // Bytes that are not looked at have no file to reload, and no Pings; nobody else here sends any.
                && (!matches!(workload.what, What::Keepalive | What::Reload) || proxy.kind == Kind::Fermata)
        };
        let fitting: Vec<&Proxy> = proxies.iter().filter(fits).collect();
        let folder = self.folder.clone();
        let setting =
            Setting { folder: &folder, core: self.cores.proxy, service, large_buffers: workload.payload() > 16 * 1024 };
        self.load.speak(workload.payload());
        let mut running = Vec::new();
        for proxy in fitting {
            let process = proxy.start(&setting)?;
            let door = self.door(workload, &process)?;
            // What each makes at its first tunnels is made before anything is measured.
            self.load.open(&door, 50)?;
            self.load.close_all()?;
            running.push((proxy, process, door));
        }
        let rounds = if workload.is_steady() { 1 } else { plan.rounds };
        for _ in 0..rounds {
            for (proxy, running, door) in &running {
                let seen = self
                    .turn(&Turn { workload, proxy, running, door, plan }, &setting)
                    .map_err(|error| io::Error::other(format!("{}: {error}", proxy.kind.name())))?;
                for (name, unit, value) in seen {
                    Figure::note(figures, workload.name, name, unit, proxy.kind.name(), value);
                }
            }
            // Each is the first in some round: a machine tires and recovers.
            running.rotate_left(1);
            anstream::eprint!(".");
        }
        Ok(())
    }

    fn door(&self, workload: &Workload, running: &Running) -> io::Result<Door> {
        let tickets = if let What::Handshakes(Some(tickets)) = workload.what { tickets } else { Tickets::Thrown };
        let tls: Option<Arc<ClientConfig>> =
            if workload.way() == Way::Tls { Some(tls::client(&self.folder, tickets)?) } else { None };
        Ok(Door { address: if tls.is_some() { running.tls } else { running.clear }, tls })
    }

    fn turn(&mut self, turn: &Turn<'_>, setting: &Setting<'_>) -> io::Result<Seen> {
        let Turn { door, plan, .. } = turn;
        let (load, process) = (&mut self.load, turn.running.process.id());
        let time = Duration::from_secs_f64(plan.seconds);
        let seen = match &turn.workload.what {
            What::Closed { clients, depth, .. } => {
                load.open(door, *clients)?;
                load.begin_closed_loop(*depth)?;
                load.run(time / 6)?;
                let (before, answered) = (machine::cpu(process), load.count.answered);
                let took = load.run(time)?;
                let (used, done) = (machine::cpu(process) - before, (load.count.answered - answered) as f64);
                vec![("CPU", "µs an echo", used / done), ("rate", "echoes/s", done / took.as_secs_f64())]
            }
            What::Paced { clients, batch, every } => {
                load.open(door, clients.unwrap_or(plan.tunnels))?;
                load.pace(*batch, *every, time / 3)?;
                load.count.latencies.clear();
                let before = machine::cpu(process);
                load.pace(*batch, *every, time * 2)?;
                let used = machine::cpu(process) - before;
                let mut seen = latencies(&mut load.count.latencies, ["p50", "p99", "p99.9"]);
                seen.push(("CPU", "µs an echo", used / load.count.latencies.len() as f64));
                seen
            }
            What::Handshakes(tickets) => {
                let before = machine::cpu(process);
                let (count, took) = load.handshakes(door, tickets.unwrap_or(Tickets::Thrown), time)?;
                let used = machine::cpu(process) - before;
                let done = count.opened as f64;
                if *tickets == Some(Tickets::Used) && count.resumed * 10 < count.opened * 9 {
                    anstream::eprint!("({}: {} of {} resumed)", turn.proxy.kind.name(), count.resumed, count.opened);
                }
                vec![("CPU", "µs a handshake", used / done), ("rate", "handshakes/s", done / took.as_secs_f64())]
            }
            What::Memory { message, .. } => {
                // A megabyte each way takes its time.
                let tunnels = if *message { plan.tunnels.min(1000) } else { plan.tunnels };
                let (before, slab) = (machine::memory(process), machine::slab());
                load.open(door, tunnels)?;
                if *message {
                    load.say_once(1)?;
                }
                // Until what the rush needed has been given back.
                load.wait(Duration::from_secs(2))?;
                let own = (machine::memory(process) - before) / tunnels as f64;
                // Half of the sockets are the load's.
                let kernel = (machine::slab() - slab) / 2.0 / tunnels as f64;
                vec![("resident", "bytes a tunnel", own), ("kernel, about", "bytes a tunnel", kernel)]
            }
            What::Keepalive => {
                load.open(door, plan.tunnels)?;
                // Until the first are silent for long enough.
                load.wait(Duration::from_secs_f64((25.0 - plan.watch).max(1.0)))?;
                let before = machine::cpu(process);
                let took = load.wait(Duration::from_secs_f64(plan.watch))?;
                let used = machine::cpu(process) - before;
                vec![("CPU", "% of a core", used / took.as_secs_f64() / 1e4)]
            }
            What::Reload => reload(load, turn, setting)?,
        };
        load.close_all()?;
        Ok(seen)
    }
}

/// Percentiles of what was seen, in microseconds.
fn latencies<const N: usize>(seen: &mut [u64], names: [&'static str; N]) -> Seen {
    seen.sort_unstable();
    let at = |share: f64| seen[((seen.len() - 1) as f64 * share) as usize] as f64 / 1000.0;
    names.into_iter().zip([0.5, 0.99, 0.999]).map(|(name, share)| (name, "µs", at(share))).collect()
}

fn reload(load: &mut Load, turn: &Turn<'_>, setting: &Setting<'_>) -> io::Result<Seen> {
    const EVERY: Duration = Duration::from_micros(500);
    let time = Duration::from_secs(3);
    load.open(turn.door, turn.plan.tunnels)?;
    load.pace(1, EVERY, time / 3)?;
    load.count.latencies.clear();
    load.pace(1, EVERY, time)?;
    let mut seen = latencies(&mut load.count.latencies, ["usual p50", "usual p99", "usual p99.9"]);
    load.count.latencies.clear();
    let changed = proxies::fermata(setting, turn.running.clear, turn.running.tls, 11);
    let (folder, program, core) = (setting.folder.to_owned(), turn.proxy.program.clone(), setting.core);
    let reload = move || {
        std::thread::sleep(time / 2);
        fs::write(folder.join("service.yml"), changed)?;
        let start = Instant::now();
        let state = folder.join("state");
        let mut command = Command::new("taskset");
        command.args(["-c", &core.to_string()]).arg(program).args(["reload", "--state-dir"]).arg(state);
        let output = command.output()?;
        let took = start.elapsed();
        if output.status.success() {
            Ok(took)
        } else {
            Err(io::Error::other(String::from_utf8_lossy(&output.stderr).into_owned()))
        }
    };
    let reload = std::thread::spawn(reload);
    load.pace(1, EVERY, time)?;
    let took = reload.join().unwrap_or_else(|_| Err(io::Error::other("the reload has panicked")))?;
    seen.extend(latencies(&mut load.count.latencies, ["p50 around it", "p99 around it", "p99.9 around it"]));
    seen.push(("fermata reload", "ms", took.as_secs_f64() * 1000.0));
    Ok(seen)
}
