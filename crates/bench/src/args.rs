//! The command line.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Parser, Subcommand};

use crate::count::Counting;
use crate::workloads::Workload;

/// Measures Fermata beside HAProxy, nginx, Caddy and a bare byte forwarder.
#[derive(Debug, Parser)]
#[command(
    name = "fermata-bench",
    after_help = "\
Examples:
  cargo run --release -p fermata-bench                        everything, about ten minutes
  cargo run --release -p fermata-bench -- --quick             two short rounds of everything
  cargo run --release -p fermata-bench -- --only bulk,tls     some workloads
  cargo run --release -p fermata-bench -- --peers none        only Fermata and the floor

Needs two cores, taskset and setpriv (util-linux), and haproxy and nginx where they are to be compared
(Debian: apt-get install haproxy nginx-light). Writes bench/results/NAME.json, .txt and .svg."
)]
pub(crate) struct Args {
    #[command(subcommand)]
    inner: Option<Inner>,
    /// Two rounds of a quarter of a second, and fewer idle tunnels.
    #[arg(long)]
    quick: bool,
    /// How often each proxy has its turn in each workload [default: 8].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=100))]
    rounds: Option<u32>,
    /// Length of one turn [default: 0.6].
    #[arg(long, value_name = "SECONDS")]
    seconds: Option<f64>,
    /// Tunnels in the workloads with idle ones [default: 9000].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=100_000))]
    tunnels: Option<u32>,
    /// Workloads, by their names or a part of them; all without this.
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    only: Vec<String>,
    /// Proxies to compare with: haproxy, nginx, caddy or none; those that are installed without this.
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    peers: Option<Vec<String>>,
    /// The fermata to measure; without this, one is built (cargo build --release).
    #[arg(long, value_name = "FILE")]
    fermata: Option<PathBuf>,
    /// Name of the files with the results.
    #[arg(long, default_value = "latest")]
    name: String,
    /// Folder of the files with the results.
    #[arg(long, value_name = "FOLDER", default_value = "bench/results")]
    results: PathBuf,
    /// Lists the workloads and ends.
    #[arg(long)]
    list: bool,
}

#[derive(Debug, Subcommand)]
enum Inner {
    /// Counts the instructions of the hot paths with valgrind, and fails where one has changed by more than 5 %.
    #[command(after_help = "Example: cargo xtask count")]
    Count {
        /// The fermata to count.
        fermata: PathBuf,
        /// The counts to compare with.
        #[arg(long, value_name = "FILE", default_value = "bench/instructions.json")]
        kept: PathBuf,
        /// Keep what is counted now.
        #[arg(long)]
        bless: bool,
    },
    /// The floor itself: forwards bytes, nothing else.
    #[command(hide = true)]
    Floor {
        /// Where it listens.
        listen: SocketAddr,
        /// Where it connects: `host:port` or `unix:/path`.
        service: String,
    },
}

/// What is to be done.
pub(crate) enum Order {
    /// Be the floor.
    Floor { listen: SocketAddr, service: String },
    /// Count instructions.
    Count(Counting),
    /// Measure.
    Measure(Plan),
}

/// What is to be measured, and how long.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) rounds: u32,
    pub(crate) seconds: f64,
    pub(crate) tunnels: usize,
    /// How long idle tunnels are watched.
    pub(crate) watch: f64,
    pub(crate) workloads: Vec<&'static Workload>,
    pub(crate) peers: Option<Vec<String>>,
    pub(crate) fermata: Option<PathBuf>,
    pub(crate) name: String,
    pub(crate) results: PathBuf,
}

impl Args {
    pub(crate) fn order(self) -> Order {
        match self.inner {
            Some(Inner::Floor { listen, service }) => return Order::Floor { listen, service },
            Some(Inner::Count { fermata, kept, bless }) => return Order::Count(Counting { fermata, kept, bless }),
            None => {}
        }
        if self.list {
            for workload in Workload::all() {
                anstream::println!("{:<22}{}", workload.name, workload.about);
            }
            std::process::exit(0);
        }
        let wanted = |workload: &&Workload| {
            self.only.is_empty() || self.only.iter().any(|part| workload.name.contains(part.as_str()))
        };
        let workloads: Vec<_> = Workload::all().iter().filter(wanted).collect();
        if workloads.is_empty() {
            anstream::eprintln!(
                "fermata-bench: no workload has {} in its name; --list shows all",
                self.only.join(" or ")
            );
            std::process::exit(2);
        }
        let (rounds, seconds, tunnels) = if self.quick { (2, 0.25, 2000) } else { (8, 0.6, 9000) };
        Order::Measure(Plan {
            rounds: self.rounds.unwrap_or(rounds),
            seconds: self.seconds.unwrap_or(seconds),
            tunnels: self.tunnels.map_or(tunnels, |tunnels| tunnels as usize),
            // As long as the keepalive: each tunnel has its Pings once.
            watch: if self.quick { 5.0 } else { 25.0 },
            workloads,
            peers: self.peers,
            fermata: self.fermata,
            name: self.name,
            results: self.results,
        })
    }
}
