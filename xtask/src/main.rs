//! The project's own chores: `cargo xtask test` is the one to know.
//!
//! Small on purpose: no dependency, so that it builds in a second, and no decision about Fermata itself. It installs what
//! the tests need, runs them, and runs what a change must pass before it lands.

mod chore;
mod count;
mod deb;
mod install;
mod lint;
mod shell;
mod test;

use std::env;
use std::process::ExitCode;

use chore::{Chore, Results};
use shell::Outcome;

fn main() -> ExitCode {
    let chore = match Chore::read(env::args().skip(1)) {
        Ok(chore) => chore,
        Err(complaint) => {
            eprintln!("xtask: {complaint}\n\n{}", chore::HELP);
            return ExitCode::from(2);
        }
    };
    match run(&chore) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("\nxtask: {failure}");
            ExitCode::FAILURE
        }
    }
}

fn run(chore: &Chore) -> Outcome {
    shell::enter_repository()?;
    match chore {
        Chore::Help => {
            println!("{}", chore::HELP);
            Ok(())
        }
        Chore::Install => install::everything(),
        Chore::Lint => lint::everything(),
        Chore::Deb => deb::make(),
        Chore::Test { selection } => {
            install::everything()?;
            test::run(selection)
        }
        Chore::Autobahn { cases, results } => {
            install::everything()?;
            test::autobahn(*cases, *results)
        }
        Chore::Count { results } => {
            install::everything()?;
            count::run(*results)
        }
        // Lint goes first: what it finds is found in seconds, and it needs nothing installed but cargo-deny.
        Chore::Ci => {
            install::everything()?;
            lint::everything()?;
            test::run(&[])?;
            count::run(Results::Compare)
        }
    }
}
