//! A command inside a running container.

use std::fmt;

use bollard::exec::{CreateExecOptions, StartExecResults};
use futures_util::StreamExt;

use super::engine::{Engine, said};
use crate::run::process::Exit;

/// How much of what a failing command says is repeated.
const MAX_SAID: usize = 300;

/// A command, and the container that it runs in.
#[derive(Debug, Clone)]
pub(in crate::run) struct Inside {
    pub(super) engine: Engine,
    pub(super) container: String,
    pub(super) words: Vec<String>,
}

impl Inside {
    /// Runs it to its end; exit code 0 is well. The engine has no way to end it earlier: one that takes too long goes on
    /// until its container ends.
    pub(in crate::run) async fn run(&self) -> Result<(), String> {
        let docker = &self.engine.docker;
        let options = CreateExecOptions {
            attach_stdout: Some(true),
            attach_stderr: Some(true),
            cmd: Some(self.words.clone()),
            ..CreateExecOptions::default()
        };
        let failed = |err| format!("{self} cannot be run: {}", said(&err));
        let exec = docker.create_exec(&self.container, options).await.map_err(failed)?;
        let mut output = String::new();
        if let StartExecResults::Attached { output: mut pieces, .. } =
            docker.start_exec(&exec.id, None).await.map_err(failed)?
        {
            while let Some(Ok(piece)) = pieces.next().await {
                if output.len() < MAX_SAID {
                    output.push_str(&piece.to_string());
                }
            }
        }
        let code = docker.inspect_exec(&exec.id).await.map_err(failed)?.exit_code;
        if code == Some(0) {
            return Ok(());
        }
        let exit = code.map_or(Exit::Untold, |code| Exit::Code(code as i32));
        let first = output.trim().lines().next().map(|line| format!(": {line}")).unwrap_or_default();
        Err(format!("{self} ended with {exit}{first}"))
    }
}

impl fmt::Display for Inside {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.words.first().map_or("", String::as_str))
    }
}
