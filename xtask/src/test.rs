//! Running the tests: with cargo-nextest where it is installed, with cargo's own runner otherwise.

use std::process::Command;

use crate::chore::{Cases, Results};
use crate::install;
use crate::shell::{self, Outcome};

const ADVICE: &str = "The failing tests are named above; `cargo xtask test NAME` runs one alone.";

/// Runs the tests whose names have one of `selection` in them, or all.
pub(crate) fn run(selection: &[String]) -> Outcome {
    if selection.is_empty() {
        // The examples in the documentation have a runner of their own.
        shell::step(
            "documentation examples",
            shell::cargo().args(["test", "--locked", "--quiet", "--workspace", "--doc"]),
            ADVICE,
        )?;
    }
    shell::step("tests", runner().arg("--workspace").args(selection), ADVICE)
}

/// Runs the Autobahn cases alone.
pub(crate) fn autobahn(cases: Cases, results: Results) -> Outcome {
    let mut command = runner();
    command.args(["--package", "fermata", "--test", "autobahn"]);
    if cases == Cases::All {
        command.env("FERMATA_AUTOBAHN", "all");
    }
    if results == Results::Bless {
        command.env("FERMATA_BLESS", "1");
    }
    if has_nextest() {
        // All cases take longer than any other test may.
        command.args(["--profile", "long"]);
    }
    shell::step(
        "Autobahn",
        &mut command,
        "The cases that differ are named above; what is expected is in tests/peers/autobahn/expected.json.",
    )
}

fn runner() -> Command {
    let mut command = shell::cargo();
    if has_nextest() {
        command.args(["nextest", "run", "--locked", "--no-fail-fast"]);
    } else {
        println!("cargo-nextest is not installed: cargo's own runner takes longer (`cargo install cargo-nextest`)");
        command.args(["test", "--locked", "--no-fail-fast"]);
    }
    if let Some(folder) = install::corpus() {
        command.env("FERMATA_CORPUS", folder);
    }
    command
}

fn has_nextest() -> bool {
    shell::find("cargo-nextest").is_some()
}
