//! Measures Fermata beside HAProxy, nginx, Caddy and the least that any proxy can do, all on this machine.
//!
//! Everything runs over loopback. The load and the service behind the proxies are one thread on one core; each proxy has
//! another core, and is measured in short rounds in turn with the others, because a machine that does other work changes
//! from minute to minute. The figure to trust is the CPU time of the proxy's process for each message: noise moves it least.
//!
//! It refuses to be a judge of real networks: there is none here.

mod args;
mod child;
mod count;
mod echo;
mod floor;
mod folder;
mod frames;
mod load;
mod machine;
mod measure;
mod proxies;
mod report;
mod svg;
mod tls;
mod wire;
mod workloads;

use std::io;
use std::process::ExitCode;

use args::Order;
use clap::Parser;

fn main() -> ExitCode {
    let outcome = match args::Args::parse().order() {
        Order::Floor { listen, service } => floor::run(listen, &service).map(|()| true),
        Order::Count(counting) => count::run(&counting),
        Order::Measure(plan) => measure(&plan).map(|()| true),
    };
    match outcome {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            anstream::eprintln!("fermata-bench: {error}");
            ExitCode::FAILURE
        }
    }
}

fn measure(plan: &args::Plan) -> io::Result<()> {
    let cores = machine::Cores::of_this_process()?;
    machine::raise_descriptors()?;
    cores.take_load()?;
    let folder = folder::Folder::new()?;
    let fermata = proxies::fermata_binary(plan.fermata.as_deref())?;
    let mut bench = measure::Bench::start(folder.path(), &cores, fermata, plan)?;
    let figures = bench.run(plan)?;
    let report = report::Report { machine: machine::Facts::read(&bench.proxies), figures };
    anstream::println!("\n{}", report.table());
    report.keep(&plan.results, &plan.name)
}
