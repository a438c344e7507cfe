//! `fermata tester`.

use super::echo::{asked_to_end, listen, until_asked_to_end};
use super::{Answer, Failure};
use crate::cli::Tester;
use crate::page;

/// Runs it until Ctrl-C or SIGTERM.
pub fn run(args: &Tester) -> Result<Answer, Failure> {
    until_asked_to_end(async {
        let listener = listen(args.listen, "--listen ADDRESS:PORT").await?;
        let address = listener.local_addr().unwrap_or(args.listen);
        let end = asked_to_end();
        anstream::println!("the tester page is at http://{address}/");
        page::serve(listener, end).await;
        Ok(Answer::Yes)
    })
}
