//! `fermata up`.

use super::{Answer, Failure};
use crate::cli::Up;

/// Runs it.
pub fn run(_args: &Up) -> Result<Answer, Failure> {
    Ok(Answer::Yes)
}
