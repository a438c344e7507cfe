//! `fermata echo`.

use super::{Answer, Failure};
use crate::cli::Echo;

/// Runs it.
pub fn run(_args: &Echo) -> Result<Answer, Failure> {
    Ok(Answer::Yes)
}
