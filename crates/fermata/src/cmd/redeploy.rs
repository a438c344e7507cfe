//! `fermata redeploy`: other instances of a service, without a moment in which nobody answers.

use super::{Answer, Failure, ask};
use crate::admin::Request;
use crate::cli::Redeploy;

/// Runs it.
pub fn run(args: &Redeploy) -> Result<Answer, Failure> {
    ask(
        args.at.state_dir.as_deref(),
        &Request::Redeploy { service: args.service.clone(), image: args.image.clone() },
        |_| (),
    )
}
