//! `fermata stop`: ends a running Fermata and everything that it started.

use super::{Answer, Failure, ask};
use crate::admin::Request;
use crate::cli::Stop;

/// Runs it.
pub fn run(args: &Stop) -> Result<Answer, Failure> {
    ask(args.at.state_dir.as_deref(), &Request::Stop { keep: args.keep }, |_| ())
}
