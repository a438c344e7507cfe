//! One file per subcommand: read, call, print. Nothing here decides anything about networks.

use std::fmt;
use std::process::ExitCode;

pub mod check;
pub mod echo;
mod file;
pub mod probe;
pub mod schema;
pub mod tester;
pub mod up;

/// What a command that ran to its end has to say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// Done, or yes: exit code 0.
    Yes,
    /// The answer is "no" (errors found, probe failed, plan not applied): exit code 1.
    No,
}

impl From<Answer> for ExitCode {
    fn from(answer: Answer) -> ExitCode {
        match answer {
            Answer::Yes => ExitCode::SUCCESS,
            Answer::No => ExitCode::from(1),
        }
    }
}

/// Why a command could not run to its end. Its text says what, where and what to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Failure {
    /// Wrong usage, or a file that cannot be read: exit code 2.
    Usage(String),
    /// The answer is "no", with a reason that nothing has printed yet: exit code 1.
    No(String),
}

impl Failure {
    /// The exit code that tells a script which kind it was.
    pub fn exit_code(&self) -> ExitCode {
        match self {
            Failure::Usage(_) => ExitCode::from(2),
            Failure::No(_) => ExitCode::from(1),
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (Failure::Usage(text) | Failure::No(text)) = self;
        let red = anstyle::AnsiColor::Red.on_default().bold();
        write!(out, "{red}error{red:#}: {text}")
    }
}
