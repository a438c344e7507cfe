//! `fermata schema`: the JSON Schema of service.yml.

use super::{Answer, Failure};

/// Runs it.
pub fn run() -> Result<Answer, Failure> {
    anstream::println!("{}", super::json(&fermata_spec::schema()));
    Ok(Answer::Yes)
}
