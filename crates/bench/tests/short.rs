//! A run of the bench itself, too short to say anything about speed.

use std::path::PathBuf;
use std::process::Command;
use std::{env, fs};

/// The program of another package of the workspace, which the same build has made.
fn fermata() -> PathBuf {
    let own = env::current_exe().expect("a test is a program");
    let built = own.ancestors().nth(2).expect("it is in target/PROFILE/deps").join("fermata");
    assert!(built.exists(), "{} is there: build the whole workspace (--workspace)", built.display());
    built
}

#[test]
fn a_short_run_leaves_a_table_figures_and_a_chart() {
    let results = tempfile::tempdir().expect("a temporary folder can be made");
    let run = Command::new(env!("CARGO_BIN_EXE_fermata-bench"))
        .args(["--quick", "--rounds", "1", "--seconds", "0.05", "--tunnels", "50", "--peers", "none"])
        .args(["--only", "echo-100,tls-bulk,handshake,bursts,memory", "--name", "short"])
        .arg("--fermata")
        .arg(fermata())
        .arg("--results")
        .arg(results.path())
        .output()
        .expect("it can be run");
    assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
    let read = |form: &str| fs::read_to_string(results.path().join(format!("short.{form}"))).expect("it was written");
    let figures: serde_json::Value = serde_json::from_str(&read("json")).expect("JSON");
    for figure in figures["figures"].as_array().expect("a list") {
        for proxy in figure["proxies"].as_array().expect("a list") {
            // So few tunnels may find room in memory that was there, and the kernel's is everybody's.
            let is_measured = figure["unit"] == "bytes a tunnel" || proxy["median"].as_f64() > Some(0.0);
            assert!(is_measured, "{figure}");
        }
    }
    let table = read("txt");
    assert!(table.contains("unix-echo-100") && table.contains("tls-memory-after-1MiB"), "{table}");
    assert!(read("svg").contains(r#"class="own""#));
}

#[test]
fn a_workload_that_does_not_exist_is_a_wrong_command() {
    let run = Command::new(env!("CARGO_BIN_EXE_fermata-bench")).args(["--only", "echoes"]).output();
    let run = run.expect("it can be run");
    assert_eq!(run.status.code(), Some(2));
    assert_eq!(
        String::from_utf8_lossy(&run.stderr),
        "fermata-bench: no workload has echoes in its name; --list shows all\n"
    );
}
