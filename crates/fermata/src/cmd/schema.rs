//! `fermata schema`.

use super::{Answer, Failure};

/// Runs it.
pub fn run() -> Result<Answer, Failure> {
    Ok(Answer::Yes)
}
