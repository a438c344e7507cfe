//! Running other programs: each is announced, timed, and its failure says what to do next.

use std::env;
use std::ffi::OsStr;
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

/// How a chore ends.
pub(crate) type Outcome = Result<(), Failure>;

/// Why a chore could not be done, and what to do about it.
#[derive(Debug)]
pub(crate) struct Failure {
    what: String,
    advice: String,
}

impl Failure {
    /// `what` went wrong; `advice` says what to do.
    pub(crate) fn new(what: impl Into<String>, advice: impl Into<String>) -> Failure {
        Failure { what: what.into(), advice: advice.into() }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}\n       {}", self.what, self.advice)
    }
}

/// Goes to the top of the repository, wherever the chore was called from.
pub(crate) fn enter_repository() -> Outcome {
    // Cargo tells where the crate is; its parent is the repository.
    let top = Path::new(env!("CARGO_MANIFEST_DIR")).parent().map(Path::to_path_buf).unwrap_or_default();
    env::set_current_dir(&top).map_err(|error| {
        Failure::new(
            format!("cannot enter {}: {error}", top.display()),
            "Run `cargo xtask` from inside the repository.",
        )
    })
}

/// The cargo that called us, so that one toolchain does everything.
pub(crate) fn cargo() -> Command {
    Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
}

/// Where a program is, if it is in the PATH.
pub(crate) fn find(program: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH")?;
    env::split_paths(&path)
        .map(|folder| folder.join(program))
        .find(|file| fs::metadata(file).is_ok_and(|found| found.is_file()))
}

/// Whether a command runs and says yes; its output is nobody's business.
pub(crate) fn says_yes(command: &mut Command) -> bool {
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

/// Runs one step with a line before and after it.
pub(crate) fn step(title: &str, command: &mut Command, advice: &str) -> Outcome {
    println!("── {title}: {}", spelled(command));
    let start = Instant::now();
    let status = command
        .stdin(Stdio::null())
        .status()
        .map_err(|error| Failure::new(format!("{title}: cannot run {}: {error}", spelled(command)), advice))?;
    if !status.success() {
        return Err(Failure::new(format!("{title} failed ({status})"), advice.to_owned()));
    }
    println!("── {title}: done in {:.1} s", start.elapsed().as_secs_f64());
    Ok(())
}

/// The command as one would type it.
fn spelled(command: &Command) -> String {
    let program = Path::new(command.get_program());
    let name = program.file_name().unwrap_or(program.as_os_str());
    std::iter::once(name).chain(command.get_args()).map(OsStr::to_string_lossy).collect::<Vec<_>>().join(" ")
}
