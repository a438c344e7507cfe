//! Finds the program that a command names, as `execvp(3)` would, so that a wrong name is told before anything starts.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::ffi::OsStrExt;
use std::path::{self, Path, PathBuf};

use rustix::fs::{Access, access};

use super::plan::Launch;

/// Where programs are looked for when PATH is not set: what `confstr(_CS_PATH)` says, and where people install.
const DEFAULT_PATH: &str = "/usr/local/bin:/usr/bin:/bin";

/// The file to execute, as an absolute path, since the working directory changes before it is executed; or what is wrong
/// and what to do.
pub(super) fn program(launch: &Launch) -> Result<PathBuf, String> {
    if !launch.folder.is_dir() {
        return Err(format!("the folder {} does not exist; create it, or change work_dir", launch.folder.display()));
    }
    let found = if launch.program.contains('/') { by_path(launch)? } else { by_name(launch)? };
    interpreter(&found, launch)?;
    path::absolute(&found).map_err(|err| format!("{} cannot be found: {err}", found.display()))
}

fn by_path(launch: &Launch) -> Result<PathBuf, String> {
    let path = launch.folder.join(&launch.program);
    match problem(&path) {
        None => Ok(path),
        Some(Unfit::Missing) => Err(format!("the program {} does not exist; {WITHOUT_SHELL}", path.display())),
        Some(Unfit::Folder) => Err(format!("{} is a folder and no program", path.display())),
        Some(Unfit::NotExecutable) => Err(not_executable(&path)),
    }
}

fn by_name(launch: &Launch) -> Result<PathBuf, String> {
    let search = launch.env.get(OsStr::new("PATH")).map_or(OsStr::new(DEFAULT_PATH), |path| path.as_os_str());
    let mut refused = None;
    // An empty entry is the working directory (execvp(3)).
    for folder in search.as_bytes().split(|byte| *byte == b':') {
        let path = launch.folder.join(OsStr::from_bytes(folder)).join(&launch.program);
        match problem(&path) {
            None => return Ok(path),
            Some(Unfit::NotExecutable) => refused = refused.or(Some(path)),
            Some(Unfit::Missing | Unfit::Folder) => {}
        }
    }
    Err(match refused {
        Some(path) => not_executable(&path),
        None => format!(
            "the program {} is in none of the folders of PATH ({}); install it, or write its path; {WITHOUT_SHELL}",
            launch.program,
            search.display()
        ),
    })
}

const WITHOUT_SHELL: &str = "a command runs without a shell: for a shell's own words write sh -c '...'";

fn not_executable(path: &Path) -> String {
    format!("{} is not executable; run chmod +x on it, or write the program that runs it in front", path.display())
}

enum Unfit {
    Missing,
    Folder,
    NotExecutable,
}

fn problem(path: &Path) -> Option<Unfit> {
    match fs::metadata(path) {
        Err(_) => Some(Unfit::Missing),
        Ok(about) if about.is_dir() => Some(Unfit::Folder),
        Ok(_) => access(path, Access::EXEC_OK).is_err().then_some(Unfit::NotExecutable),
    }
}

/// A script whose interpreter does not exist makes execve(2) say that the script itself does not.
fn interpreter(script: &Path, launch: &Launch) -> Result<(), String> {
    let Ok(Some(interpreter)) = first_line(script) else { return Ok(()) };
    let path = launch.folder.join(&interpreter);
    match problem(&path) {
        None => Ok(()),
        Some(_) => Err(format!(
            "the first line of {} names {interpreter}, which is no program of this machine; install it, or change \
             that line",
            script.display()
        )),
    }
}

/// The interpreter of a script. The kernel reads 256 bytes (`BINPRM_BUF_SIZE`).
fn first_line(script: &Path) -> io::Result<Option<String>> {
    let mut head = Vec::new();
    File::open(script)?.take(256).read_to_end(&mut head)?;
    let Some(line) = head.strip_prefix(b"#!") else { return Ok(None) };
    let line = line.split(|byte| *byte == b'\n').next().unwrap_or_default();
    Ok(String::from_utf8_lossy(line).split_ascii_whitespace().next().map(str::to_owned))
}
