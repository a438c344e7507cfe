//! The real servers and clients of `tests/peers`.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use super::process::{PATIENCE, Process};

/// A running service of `tests/peers`. Dropping it ends it.
pub struct Peer {
    /// Its process.
    pub process: Process,
    /// Its port on 127.0.0.1.
    pub port: u16,
}

impl Peer {
    /// Starts a service, e.g. `ws/service.js`, on a port of its choice.
    pub fn serve(script: &str) -> Peer {
        let process = Process::start(Peer::command(script).env("PORT", "0"));
        let line = process.wait_for("that it is ready", |line| line.starts_with("ready "));
        let port = line["ready ".len()..].parse().unwrap_or_else(|_| panic!("no port in {line:?}"));
        Peer { process, port }
    }

    /// Runs a client to its end and returns what it printed. `settings` go into its environment.
    pub fn run(script: &str, arguments: &[&str], settings: &[(&str, &str)]) -> String {
        Peer::run_patiently(PATIENCE, script, arguments, settings)
    }

    /// The same for a client that may take long.
    pub fn run_patiently(patience: Duration, script: &str, arguments: &[&str], settings: &[(&str, &str)]) -> String {
        let mut process = Process::start(
            Peer::command(script).args(arguments).envs(settings.iter().map(|(key, value)| (*key, *value))),
        );
        let status = process.wait_patiently(patience);
        let stdout = process.stdout.whole();
        assert!(status.success(), "{script} {arguments:?} failed: {status}\n{stdout}{}", process.stderr.whole());
        stdout
    }

    /// Starts a client that goes on until something happens to it.
    pub fn start(script: &str, arguments: &[&str]) -> Process {
        Process::start(Peer::command(script).args(arguments))
    }

    /// What a service.yml says as `command` to run a service.
    pub fn service_command(script: &str) -> String {
        let command = Peer::command(script);
        let words = std::iter::once(command.get_program()).chain(command.get_args());
        shlex::try_join(words.map(|word| word.to_str().expect("the repository's path is UTF-8")))
            .expect("a path has no NUL")
    }

    fn command(script: &str) -> Command {
        let peers = peers();
        let (program, installed) = match Path::new(script).extension().and_then(|it| it.to_str()) {
            Some("js") => (PathBuf::from("node"), peers.join("node_modules")),
            Some("py") => (peers.join(".venv/bin/python"), peers.join(".venv")),
            other => panic!("no idea how to run a script in {other:?}"),
        };
        assert!(installed.exists(), "{} is missing: run `cargo xtask install`", installed.display());
        let mut command = Command::new(program);
        command.arg(peers.join(script));
        command
    }
}

fn peers() -> PathBuf {
    let peers = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/peers");
    peers.canonicalize().unwrap_or_else(|error| panic!("cannot find {}: {error}", peers.display()))
}
