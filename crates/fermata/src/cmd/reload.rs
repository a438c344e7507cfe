//! `fermata reload`: reads the file again and changes what differs.

use super::{Answer, Failure, ask};
use crate::admin::Request;
use crate::cli::Reload;

/// Runs it.
pub fn run(args: &Reload) -> Result<Answer, Failure> {
    ask(args.at.state_dir.as_deref(), &Request::Reload, |_| ())
}
