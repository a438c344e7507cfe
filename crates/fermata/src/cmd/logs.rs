//! `fermata logs`: what the instances wrote, and write.

use super::{Answer, Failure, ask};
use crate::admin::{Reply, Request};
use crate::cli::Logs;

/// Runs it.
pub fn run(args: &Logs) -> Result<Answer, Failure> {
    let request = Request::Logs { service: args.service.clone(), follow: args.follow };
    ask(args.at.state_dir.as_deref(), &request, |reply| {
        if let Reply::Line { instance, text } = reply {
            anstream::println!("{} {text}", super::label(&instance));
        }
    })
}
