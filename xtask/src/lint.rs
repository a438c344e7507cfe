//! The form of the code: rustfmt, clippy, rustdoc and the licences of what we depend on, all with warnings denied.

use std::process::Command;

use crate::install;
use crate::shell::{self, Failure, Outcome};

/// Everything, cheapest first.
pub(crate) fn everything() -> Outcome {
    shell::step("rustfmt", shell::cargo().args(["fmt", "--all", "--check"]), "`cargo fmt --all` mends it.")?;
    dependencies()?;
    shell::step(
        "clippy",
        shell::cargo().args(["clippy", "--locked", "--workspace", "--all-targets", "--", "--deny", "warnings"]),
        "Mend what clippy names above; `cargo clippy --fix` does some of it.",
    )?;
    // Takes the metadata that clippy had made of every dependency. Private items are documented too, so that links to
    // them lead somewhere.
    shell::step(
        "rustdoc",
        shell::cargo()
            .args(["doc", "--locked", "--workspace", "--no-deps", "--document-private-items"])
            .env("RUSTDOCFLAGS", "--deny warnings --allow rustdoc::private_intra_doc_links"),
        "Mend the links and code blocks that rustdoc names above.",
    )
}

/// Advisories are left out: they live in a git repository, and a test run should not depend on reaching it.
fn dependencies() -> Outcome {
    let Some(program) = install::find_cargo_deny() else {
        return Err(Failure::new("cargo-deny is not installed", "`cargo xtask install` brings it."));
    };
    // cargo-deny reads the lock file and the manifests in cargo's cache: on a fresh machine that is empty.
    shell::step(
        "dependencies",
        shell::cargo().args(["fetch", "--locked", "--quiet"]),
        "cargo must reach its registry; if Cargo.lock is stale, `cargo check` renews it.",
    )?;
    shell::step(
        "cargo-deny",
        Command::new(program).args([
            "--offline",
            "--locked",
            "--log-level=warn",
            "check",
            "--hide-inclusion-graph",
            "licenses",
            "bans",
            "sources",
        ]),
        "deny.toml says what is allowed and why.",
    )
}
