//! One file per subcommand: read, call, print. Nothing here decides anything about networks.

use std::fmt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anstyle::{AnsiColor, Style};

use crate::admin::{self, Reply, Request};

mod bar;
pub mod check;
pub mod connections;
pub mod doctor;
pub mod drain;
pub mod echo;
mod file;
pub mod firewall;
mod haproxy;
pub mod import;
pub mod lb;
pub mod logs;
pub mod probe;
pub mod redeploy;
pub mod reload;
mod remarks;
pub mod render;
mod report;
pub mod scale;
pub mod schema;
pub mod status;
pub mod stop;
mod table;
pub mod tester;
pub mod top;
pub mod up;
pub mod upgrade;

/// What a command that ran to its end has to say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// Done, or yes: exit code 0.
    Yes,
    /// The answer is "no" (errors found, probe failed, plan not applied): exit code 1.
    No,
    /// What another process had to say, which has taken over: its exit code.
    As(u8),
}

impl From<Answer> for ExitCode {
    fn from(answer: Answer) -> ExitCode {
        match answer {
            Answer::Yes => ExitCode::SUCCESS,
            Answer::No => ExitCode::from(1),
            Answer::As(code) => ExitCode::from(code),
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

/// The state folder of a command: the one that was named, or the default one.
fn state_dir(named: Option<&Path>) -> PathBuf {
    named.map_or_else(crate::app::default_state_dir, Path::to_owned)
}

/// Asks a running Fermata; `each` gets every reply but the last, and the end is told as usual.
fn ask(folder: Option<&Path>, request: &Request, mut each: impl FnMut(Reply)) -> Result<Answer, Failure> {
    let mut refused = None;
    let mut answered = false;
    let called = admin::call(&state_dir(folder), request, |reply| {
        answered = true;
        match reply {
            Reply::Refused { reason } => {
                refused = Some(reason);
                false
            }
            Reply::Done { text } => {
                if !text.is_empty() {
                    anstream::println!("{text}");
                }
                false
            }
            Reply::Progress { text } => {
                anstream::eprintln!("{text}");
                true
            }
            reply => {
                each(reply);
                true
            }
        }
    });
    called.map_err(|error| Failure::No(error.to_string()))?;
    match refused {
        Some(reason) => Err(Failure::No(reason)),
        None if !answered => Err(Failure::No("fermata ended before it had answered".into())),
        None => Ok(Answer::Yes),
    }
}

/// A duration as people write it on a command line: `30s`, `5m`, `2h`, `500ms`, or seconds.
pub fn duration(text: &str) -> Result<std::time::Duration, String> {
    let digits = text.find(|char: char| !char.is_ascii_digit() && char != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let seconds = match unit {
        "" | "s" => 1.0,
        "ms" => 0.001,
        "m" => 60.0,
        "h" => 3600.0,
        _ => return Err(format!("\"{unit}\" is no unit of time; use ms, s, m or h")),
    };
    let number: f64 = number.parse().map_err(|_| "a number comes first, as in 30s".to_owned())?;
    std::time::Duration::try_from_secs_f64(number * seconds).map_err(|error| error.to_string())
}

/// A prefix of one width, in a colour of its own.
fn label(name: &str) -> String {
    const COLOURS: [AnsiColor; 6] = [
        AnsiColor::Cyan,
        AnsiColor::Magenta,
        AnsiColor::Blue,
        AnsiColor::Green,
        AnsiColor::BrightCyan,
        AnsiColor::BrightMagenta,
    ];
    let sum: usize = name.bytes().map(usize::from).sum();
    let style = if name == "fermata" { Style::new().bold() } else { COLOURS[sum % COLOURS.len()].on_default() };
    format!("{style}{name:<12}{style:#} │")
}

/// A value as JSON for programs.
fn json(value: &impl serde::Serialize) -> String {
    // Only maps with keys that are no text, or values that refuse, could fail; the replies have neither.
    serde_json::to_string_pretty(value).unwrap_or_default()
}
