//! A server to be looked at, and its report without what differs from machine to machine.

use std::path::Path;
use std::process::Command;

use rcgen::{CertificateParams, KeyPair, date_time_ymd};

use crate::lan::Lan;
use crate::support::{Ended, Folder};

/// What a session may have open at most, so that the report is the same everywhere.
const DESCRIPTORS: &str = "prlimit --nofile=4096:4096 --";

/// Runs `fermata doctor` on the server. Names lead where `hosts` (hosts(5)) says, and nowhere else.
pub(crate) fn doctor(lan: &Lan, hosts: &str, before: &str, arguments: &[&str]) -> Ended {
    lan.folder.write("hosts", hosts);
    lan.folder.write("nsswitch.conf", "hosts: files\n");
    let script = format!(
        "mount --bind hosts /etc/hosts; mount --bind nsswitch.conf /etc/nsswitch.conf; exec {before} {DESCRIPTORS} \"$@\""
    );
    lan.fermata_with(
        &["unshare", "--mount", "sh", "-ec", &script, "sh"],
        &[&["doctor", "--state-dir", "state"], arguments].concat(),
    )
}

/// What people read, without numbers of processes, and without the clock, which is the machine's own.
pub(crate) fn text(ended: &Ended) -> String {
    let is_clock = |text: &str| text.trim_start_matches([' ', '✓', '!', '✗']).starts_with("Clock");
    let lines: Vec<&str> = ended.stdout.lines().filter(|line| !(is_clock(line) && line.starts_with(' '))).collect();
    let text = lines.join("\n") + "\n";
    let paragraphs: Vec<&str> = text.split("\n\n").filter(|paragraph| !is_clock(paragraph)).collect();
    masked(&paragraphs.join("\n\n"))
}

/// `pid 123` and `systemctl status 123` differ, how many connections are tracked, and how many days are left.
fn masked(text: &str) -> String {
    let mut out = String::new();
    for line in text.split_inclusive('\n') {
        let tracked = ["connections tracked", "remembered for", " days left"].iter().any(|words| line.contains(words));
        let after = ["(pid ", "systemctl status "].into_iter().find_map(|word| Some(line.find(word)? + word.len()));
        match (tracked, after) {
            (true, _) => out.extend(numbers_masked(line)),
            (false, Some(at)) => {
                out.push_str(&line[..at]);
                out.extend(numbers_masked(&line[at..]));
            }
            (false, None) => out.push_str(line),
        }
    }
    out
}

fn numbers_masked(text: &str) -> Vec<char> {
    let mut out: Vec<char> = Vec::new();
    for char in text.chars() {
        match char {
            '0'..='9' if out.last() == Some(&'N') => {}
            '0'..='9' => out.push('N'),
            other => out.push(other),
        }
    }
    out
}

/// The codes of all advice but the clock's.
pub(crate) fn codes(ended: &Ended) -> Vec<String> {
    let report: serde_json::Value =
        serde_json::from_str(&ended.stdout).unwrap_or_else(|error| panic!("{error} in {ended:?}"));
    let findings = report["findings"].as_array().expect("findings");
    let codes = findings.iter().flat_map(|finding| finding["advice"].as_array().expect("advice"));
    let codes = codes.filter_map(|advice| advice["code"].as_str()).filter(|code| !code.starts_with("clock-"));
    codes.map(str::to_owned).collect()
}

/// A certificate for these names that was good in 2020 alone, or to the year 2120.
pub(crate) fn certificate(folder: &Folder, name: &str, hosts: &[&str], until: i32) {
    let hosts: Vec<String> = hosts.iter().map(|host| (*host).to_owned()).collect();
    let mut params = CertificateParams::new(hosts).expect("names");
    params.not_before = date_time_ymd(2020, 1, 1);
    params.not_after = date_time_ymd(until, 3, 4);
    let key = KeyPair::generate().expect("a key");
    folder.write(&format!("{name}.pem"), &params.self_signed(&key).expect("signed").pem());
    folder.write(&format!("{name}.key"), &key.serialize_pem());
}

/// A command that has the server's certificates trusted by this program alone.
pub(crate) fn trusting(folder: &Path, name: &str) -> String {
    format!("env SSL_CERT_FILE={}/{name}.pem", folder.display())
}

/// Whether a program is there at all: a test that needs it fails where it is not.
pub(crate) fn insist_on(program: &str) {
    let there = Command::new("sh").args(["-c", &format!("PATH=$PATH:/usr/sbin command -v {program}")]).output();
    assert!(there.is_ok_and(|output| output.status.success()), "{program} is missing: run `cargo xtask install`");
}

/// Compares a report with the one in `reports/`.
macro_rules! assert_told {
    ($name:literal, $text:expr) => {
        insta::with_settings!({
            snapshot_path => concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doctor/reports"),
            prepend_module_to_snapshot => false,
            omit_expression => true,
        }, { insta::assert_snapshot!($name, $text) })
    };
}
pub(crate) use assert_told;
