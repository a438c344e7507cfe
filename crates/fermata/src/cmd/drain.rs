//! `fermata drain`: closes the tunnels of a service or an instance, spread over a time.

use super::{Answer, Failure, ask};
use crate::admin::{Request, Target};
use crate::cli::Drain;

/// Runs it.
pub fn run(args: &Drain) -> Result<Answer, Failure> {
    let request = Request::Drain { target: Target(args.target.clone()), over: args.over };
    ask(args.at.state_dir.as_deref(), &request, |_| ())
}
