//! The Debian package: made by cargo-deb, and its installation tried.
//!
//! It is installed into a fresh Debian of its own (debootstrap(8)), asked what it is, and taken away again: what is left over
//! then, or was never there, is a failure. No service is started, and the machine itself is not touched. That the unit works under a
//! real systemd is what `crates/fermata/tests/packaging` sees.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::shell::{self, Failure, Outcome};

/// The version that the package's description in crates/fermata/Cargo.toml was written for.
const CARGO_DEB: &str = "3.8.0";
const TOOLS: &str = "target/tools";
const PACKAGE: &str = "target/debian/fermata.deb";
const ROOT: &str = "target/debian/root";

/// Makes the package and tries it.
pub(crate) fn make() -> Outcome {
    let cargo_deb = cargo_deb()?;
    let advice = "See what cargo says above.";
    let mut make = Command::new(cargo_deb);
    shell::step("the package", make.args(["--locked", "--package", "fermata", "--output", PACKAGE]), advice)?;
    try_it()?;
    println!("── {PACKAGE} can be installed: sudo apt install ./{PACKAGE}");
    Ok(())
}

fn cargo_deb() -> Result<PathBuf, Failure> {
    let own = Path::new(TOOLS).join("bin/cargo-deb");
    if let Some(found) = shell::find("cargo-deb") {
        return Ok(found);
    }
    if !own.exists() {
        shell::step(
            "cargo-deb",
            shell::cargo().args([
                "install",
                "--locked",
                "--quiet",
                "--root",
                TOOLS,
                "--version",
                CARGO_DEB,
                "cargo-deb",
            ]),
            "cargo must reach its registry; see what it says above.",
        )?;
    }
    Ok(own)
}

/// What the package brings, and what nobody but it has.
const BRINGS: [&str; 5] = [
    "usr/bin/fermata",
    "etc/fermata/service.yml",
    "usr/lib/systemd/system/fermata.service",
    "usr/share/doc/fermata/README.md",
    "usr/share/doc/fermata/service.yml.md",
];

fn try_it() -> Outcome {
    let _ = fs::remove_dir_all(ROOT);
    debian()?;
    let broken = |error: io::Error| Failure::new(format!("{ROOT}: {error}"), "Check the rights of the folder.");
    let root = Path::new(ROOT);
    fs::copy(PACKAGE, root.join("fermata.deb")).map_err(broken)?;
    // Where systemd keeps the state of services whose user exists while they run.
    fs::create_dir_all(root.join("var/lib/private")).map_err(broken)?;
    let before = everything(root).map_err(broken)?;

    let advice = "See what it says above; it needs root.";
    shell::step("its installation", &mut inside(&["dpkg", "--install", "/fermata.deb"]), advice)?;
    if let Some(missing) = BRINGS.iter().find(|path| !root.join(path).exists()) {
        return Err(Failure::new(format!("{missing} was not installed"), "See assets in crates/fermata/Cargo.toml."));
    }
    shell::step("what it installed", &mut inside(&["fermata", "--version"]), advice)?;
    shell::step("its service.yml", &mut inside(&["fermata", "check", "/etc/fermata/service.yml"]), advice)?;

    // As it looks once the service has run.
    fs::create_dir(root.join("var/lib/private/fermata")).map_err(broken)?;
    std::os::unix::fs::symlink("private/fermata", root.join("var/lib/fermata")).map_err(broken)?;
    shell::step("its removal", &mut inside(&["dpkg", "--remove", "fermata"]), advice)?;
    if !root.join("etc/fermata/service.yml").exists() || !root.join("var/lib/private/fermata").exists() {
        return Err(Failure::new("its removal took the file or the state", "Only a purge may: see packaging/debian."));
    }
    shell::step("its purge", &mut inside(&["dpkg", "--purge", "fermata"]), advice)?;
    let after = everything(root).map_err(broken)?;
    let left: Vec<String> = before.symmetric_difference(&after).map(|path| path.display().to_string()).collect();
    if !left.is_empty() {
        return Err(Failure::new(format!("its purge leaves or takes {}", left.join(", ")), "See packaging/debian."));
    }
    fs::remove_dir_all(ROOT).map_err(broken)
}

/// A fresh Debian, of this machine's release and with nothing but what every Debian has.
fn debian() -> Outcome {
    if shell::find("debootstrap").is_none() {
        return Err(Failure::new("debootstrap is not installed", "sudo apt install debootstrap"));
    }
    let release = fs::read_to_string("/etc/os-release").unwrap_or_default();
    let release = release.lines().find_map(|line| line.strip_prefix("VERSION_CODENAME=")).unwrap_or("stable");
    let mut make = Command::new("debootstrap");
    make.args(["--variant=minbase", release, ROOT]);
    shell::step("a fresh Debian", &mut make, "It must reach Debian's packages, and needs root.")
}

/// A command in it.
fn inside(command: &[&str]) -> Command {
    let mut chroot = Command::new("chroot");
    chroot.arg(ROOT).args(command).env("DEBIAN_FRONTEND", "noninteractive").env("LC_ALL", "C");
    chroot
}

/// All files and folders, but for what dpkg writes down.
fn everything(root: &Path) -> io::Result<BTreeSet<PathBuf>> {
    let (mut all, mut open) = (BTreeSet::new(), vec![root.to_owned()]);
    while let Some(folder) = open.pop() {
        for entry in fs::read_dir(folder)? {
            let path = entry?.path();
            if path.ends_with("var/lib/dpkg") || path.ends_with("var/log") {
                continue;
            }
            if path.symlink_metadata()?.is_dir() {
                open.push(path.clone());
            }
            all.insert(path);
        }
    }
    Ok(all)
}
