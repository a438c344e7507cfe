//! `fermata upgrade`: has another program take over from the running one.

use super::{Answer, Failure, ask};
use crate::admin::Request;
use crate::cli::Upgrade;

/// Runs it.
pub fn run(args: &Upgrade) -> Result<Answer, Failure> {
    let program = match &args.binary {
        // Whoever runs may do so in another folder.
        Some(binary) => std::path::absolute(binary),
        None => std::env::current_exe(),
    };
    let program = program.map_err(|error| Failure::No(format!("the program cannot be found: {error}")))?;
    ask(args.at.state_dir.as_deref(), &Request::Upgrade { program, linger: args.linger }, |_| ())
}
