//! Instructions of the hot paths: what a change costs, on a machine whose clock says nothing.

use crate::chore::Results;
use crate::shell::{self, Outcome};

/// Counts them, and compares them with `bench/instructions.json`.
pub(crate) fn run(results: Results) -> Outcome {
    shell::step(
        "what is counted",
        // Optimised, but without what makes a release slow to build.
        shell::cargo().args([
            "build",
            "--locked",
            "--quiet",
            "--profile",
            "counted",
            "-p",
            "fermata",
            "-p",
            "fermata-bench",
        ]),
        "Mend what the compiler names above.",
    )?;
    let mut command = std::process::Command::new("target/counted/fermata-bench");
    command.args(["count", "target/counted/fermata"]);
    if results == Results::Bless {
        command.arg("--bless");
    }
    shell::step(
        "instructions",
        &mut command,
        "A hot path needs more or fewer than before: mend it, or keep the new counts with `cargo xtask count --bless`.",
    )
}
