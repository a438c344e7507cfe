//! The Debian package: made by cargo-deb, and its installation tried.
//!
//! It is installed into an empty folder that stands for a machine's root, asked what it is, and taken away again: what is
//! left over then, or was never there, is a failure. No service is started, and the machine itself is not touched.

use std::fs;
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

fn try_it() -> Outcome {
    let advice = "See what dpkg says above; it needs root.";
    // What an earlier try left.
    let _ = fs::remove_dir_all(ROOT);
    let broken = |error: std::io::Error| Failure::new(format!("{ROOT}: {error}"), "Check the rights of the folder.");
    for folder in ["var/lib/dpkg/info", "var/lib/dpkg/updates", "etc"] {
        fs::create_dir_all(Path::new(ROOT).join(folder)).map_err(broken)?;
    }
    for file in ["var/lib/dpkg/status", "var/lib/dpkg/available"] {
        fs::write(Path::new(ROOT).join(file), "").map_err(broken)?;
    }
    shell::step("its installation", dpkg().args(["--install", PACKAGE]), advice)?;
    let installed = |path: &str| Path::new(ROOT).join(path);
    let unit = installed("usr/lib/systemd/system/fermata.service");
    if !unit.exists() {
        return Err(Failure::new("the package has no systemd unit", "See systemd-units in crates/fermata/Cargo.toml."));
    }
    let program = installed("usr/bin/fermata");
    shell::step("what it installed", Command::new(&program).arg("--version"), advice)?;
    let file = installed("etc/fermata/service.yml");
    shell::step("its service.yml", Command::new(&program).arg("check").arg(file), advice)?;
    shell::step("its removal", dpkg().args(["--purge", "fermata"]), advice)?;
    for path in ["usr/bin/fermata", "etc/fermata"] {
        if installed(path).exists() {
            return Err(Failure::new(
                format!("{path} is left after the removal"),
                "See conf-files in crates/fermata/Cargo.toml.",
            ));
        }
    }
    Ok(())
}

/// dpkg for the empty root. Its libraries are the machine's, where the program is run.
fn dpkg() -> Command {
    let mut command = Command::new("dpkg");
    // dpkg runs the package's scripts from elsewhere.
    let root = std::path::absolute(ROOT).unwrap_or_else(|_| ROOT.into());
    command.arg(format!("--root={}", root.display())).args(["--force-depends", "--force-script-chrootless"]);
    command
}
