//! The examples are right, as they stand in the repository.

use std::path::PathBuf;
use std::process::Command;

fn examples() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples"))
}

#[test]
fn all_pass_a_strict_check() {
    for name in ["already-running", "chat", "echo"] {
        let check = Command::new(env!("CARGO_BIN_EXE_fermata"))
            .args(["check", "--strict"])
            .arg(examples().join(name).join("service.yml"))
            .output()
            .expect("run");
        let said = String::from_utf8_lossy(&check.stdout);
        // A note may stand: that a service is taken to be running already is one.
        assert!(check.status.success() && !said.contains("warning["), "{name}: {said}");
    }
}

#[test]
fn each_has_a_readme_that_names_its_command() {
    for name in ["already-running", "chat", "echo"] {
        let readme = std::fs::read_to_string(examples().join(name).join("README.md")).expect("a README");
        assert!(readme.contains(&format!("up examples/{name}/service.yml")), "{name}");
    }
}
