//! The installed `HAProxy`: where it is, how old it is, and what it says to a configuration.

use std::fmt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use tokio::process::Command;

/// What the rendered configuration needs: `http-check send` came with 2.2, RFC 8441 with 2.4.
const OLDEST: Version = Version(2, 4);
/// Where distributions put it; not every user's PATH has them all.
const FOLDERS: &str = "/usr/local/sbin:/usr/sbin:/usr/local/bin:/usr/bin";
/// How long it may think about a configuration.
const PATIENCE: Duration = Duration::from_secs(30);

/// Major and minor number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version(pub u32, pub u32);

impl fmt::Display for Version {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}.{}", self.0, self.1)
    }
}

/// An installed `HAProxy` that is new enough.
#[derive(Debug, Clone)]
pub struct Program {
    /// Its file.
    pub path: PathBuf,
    /// What it calls itself: `2.6.12-1+deb12u4`.
    pub version: String,
}

/// Why there is none.
#[derive(Debug, PartialEq, Eq)]
pub enum Missing {
    /// None was found.
    NotInstalled,
    /// It is too old.
    Old(PathBuf, String),
    /// It does not say which one it is.
    Odd(PathBuf, String),
}

impl fmt::Display for Missing {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Missing::NotInstalled => out.write_str(
                "load_balancer.engine is haproxy, and no HAProxy is installed: install it (apt-get install haproxy), or write \
                 engine: builtin",
            ),
            Missing::Old(path, version) => write!(
                out,
                "{} is HAProxy {version}, and {OLDEST} is the oldest that serves: install a newer one (haproxy.debian.net has \
                 packages), or write engine: builtin",
                path.display()
            ),
            Missing::Odd(path, said) => write!(
                out,
                "{} does not say which HAProxy it is ({said}): check that it runs, or write engine: builtin",
                path.display()
            ),
        }
    }
}

impl Program {
    /// The one of this machine.
    pub async fn find(search: &str) -> Result<Program, Missing> {
        let folders = search.split(':').chain(FOLDERS.split(':')).filter(|folder| !folder.is_empty());
        let path = folders.map(|folder| Path::new(folder).join("haproxy")).find(|path| path.is_file());
        Program::at(path.ok_or(Missing::NotInstalled)?).await
    }

    async fn at(path: PathBuf) -> Result<Program, Missing> {
        let said = match output(Command::new(&path).arg("-v")).await {
            Ok((_, said)) => said,
            Err(error) => return Err(Missing::Odd(path, error)),
        };
        let Some((version, name)) = version(&said) else {
            return Err(Missing::Odd(path, said.lines().next().unwrap_or("nothing").to_owned()));
        };
        if version < OLDEST { Err(Missing::Old(path, name)) } else { Ok(Program { path, version: name }) }
    }

    /// Whether it takes a configuration; an error is its own words.
    pub async fn check(&self, file: &Path) -> Result<(), String> {
        let (good, said) = output(Command::new(&self.path).arg("-c").arg("-f").arg(file)).await?;
        if good { Ok(()) } else { Err(said) }
    }
}

/// Whether it ended well, and everything that it said.
async fn output(command: &mut Command) -> Result<(bool, String), String> {
    let run = command.stdin(Stdio::null()).kill_on_drop(true).output();
    let ended =
        tokio::time::timeout(PATIENCE, run).await.map_err(|_| format!("no answer in {} s", PATIENCE.as_secs()))?;
    let ended = ended.map_err(|error| error.to_string())?;
    let said = String::from_utf8_lossy(&ended.stdout).into_owned() + &String::from_utf8_lossy(&ended.stderr);
    Ok((ended.status.success(), said.trim_end().to_owned()))
}

/// `HAProxy version 2.6.12-1+deb12u4 2026/10/17 - …`; before 2.0 it was `HA-Proxy`.
fn version(said: &str) -> Option<(Version, String)> {
    let name = said.split_once("roxy version ")?.1.split_whitespace().next()?;
    let mut numbers = name.split(|char: char| !char.is_ascii_digit());
    let mut number = || numbers.next()?.parse().ok();
    Some((Version(number()?, number()?), name.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_is_read() {
        let read = |text: &str| version(text).map(|(version, name)| (version.to_string(), name));
        let expected = |version: &str, name: &str| Some((version.to_owned(), name.to_owned()));
        assert_eq!(
            read("HAProxy version 2.6.12-1+deb12u4 2026/10/17 - https://haproxy.org/\nStatus: x"),
            expected("2.6", "2.6.12-1+deb12u4")
        );
        assert_eq!(read("HA-Proxy version 1.8.19-1+deb10u3 2020/08/01"), expected("1.8", "1.8.19-1+deb10u3"));
        assert_eq!(read("HAProxy version 3.3-dev0-abc 2025/06/01"), expected("3.3", "3.3-dev0-abc"));
        assert_eq!(read("bash: haproxy: oops"), None);
        assert!(Version(1, 9) < OLDEST && Version(2, 10) > OLDEST && Version(3, 0) > OLDEST);
    }
}
