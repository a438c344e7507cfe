//! Parses the command line, runs the command, prints its error once, and turns the outcome into an exit code.

use std::process::ExitCode;

use clap::Parser;
use fermata::cli::{Cli, Command};
use fermata::cmd;

fn main() -> ExitCode {
    let outcome = match Cli::parse().command {
        Command::Up(args) => cmd::up::run(&args),
        Command::Lb(args) => cmd::lb::run(&args),
        Command::Status(args) => cmd::status::run(&args),
        Command::Top(args) => cmd::top::run(&args),
        Command::Connections(args) => cmd::connections::run(&args),
        Command::Drain(args) => cmd::drain::run(&args),
        Command::Scale(args) => cmd::scale::run(&args),
        Command::Redeploy(args) => cmd::redeploy::run(&args),
        Command::Logs(args) => cmd::logs::run(&args),
        Command::Reload(args) => cmd::reload::run(&args),
        Command::Upgrade(args) => cmd::upgrade::run(&args),
        Command::Stop(args) => cmd::stop::run(&args),
        Command::Check(args) => cmd::check::run(&args),
        Command::Schema => cmd::schema::run(),
        Command::Import(args) => cmd::import::run(&args),
        Command::Render(args) => cmd::render::run(&args),
        Command::Firewall(args) => cmd::firewall::run(&args),
        Command::Doctor(args) => cmd::doctor::run(&args),
        Command::Probe(args) => cmd::probe::run(&args),
        Command::Tester(args) => cmd::tester::run(&args),
        Command::Echo(args) => cmd::echo::run(&args),
    };
    match outcome {
        Ok(answer) => answer.into(),
        Err(failure) => {
            anstream::eprintln!("{failure}");
            failure.exit_code()
        }
    }
}
