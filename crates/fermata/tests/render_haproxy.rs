//! `fermata render haproxy`: whole files, what is said beside them, and what a real `HAProxy` says to them.
//!
//! Each file of `tests/render_haproxy` is a service.yml, what was said, the exit code and the output, with lines of equals
//! signs between them. `FERMATA_BLESS=1 cargo test -p fermata --test render_haproxy` writes them anew; look at what
//! changed before you commit it.

mod support;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use support::Folder;

const SEPARATOR: &str = "=====\n";

fn cases() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/render_haproxy");
    let entries = fs::read_dir(folder).expect("the cases are there");
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.expect("a folder can be listed").path()).collect();
    paths.sort();
    paths
}

/// `HAProxy`, also for users whose PATH has no programs of the system.
fn haproxy() -> Command {
    let mut command = Command::new("haproxy");
    let path = std::env::var("PATH").unwrap_or_default();
    command.env("PATH", format!("{path}:/usr/sbin:/usr/local/sbin"));
    command
}

#[test]
fn every_file_becomes_exactly_what_is_written_beside_it() {
    let mut wrong = Vec::new();
    for path in cases() {
        let expected = fs::read_to_string(&path).expect("a case can be read");
        let input = expected.split(SEPARATOR).next().unwrap_or_default();
        let ended = Folder::new(input).run(&["render", "haproxy"]);
        let code = ended.code.unwrap_or(-1);
        let made = format!("{input}{SEPARATOR}{}exit code {code}\n{SEPARATOR}{}", ended.stderr, ended.stdout);
        if made == expected {
            continue;
        }
        if std::env::var_os("FERMATA_BLESS").is_some() {
            fs::write(&path, made).expect("a case can be written");
        } else {
            wrong.push(format!("{}\n--- expected\n{expected}--- made\n{made}", path.display()));
        }
    }
    assert!(wrong.is_empty(), "{} cases differ:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn haproxy_itself_takes_every_output_without_a_warning() {
    let mut taken = 0;
    for path in cases() {
        let case = fs::read_to_string(&path).expect("a case can be read");
        let output = case.rsplit(SEPARATOR).next().unwrap_or_default();
        if !output.starts_with(fermata::render::MARK) {
            continue;
        }
        let folder = Folder::new("");
        let made = rcgen::generate_simple_self_signed(["chat.example.com".to_owned()]).expect("a certificate");
        fs::create_dir(folder.path().join("certs")).expect("a folder can be made");
        folder.write("certs/chat.pem", &format!("{}{}", made.cert.pem(), made.signing_key.serialize_pem()));
        let certificates = format!("{}/certs/", folder.path().display());
        let file = folder.write("haproxy.cfg", &output.replace("/etc/haproxy/certs/", &certificates));
        let answer = haproxy().arg("-c").arg("-f").arg(&file).output().expect("haproxy is there: cargo xtask install");
        let said = String::from_utf8_lossy(&answer.stderr);
        assert!(answer.status.success(), "{}\n{said}\n{output}", path.display());
        assert!(!said.contains("[WARNING]"), "{}\n{said}\n{output}", path.display());
        taken += 1;
    }
    assert!(taken >= 3, "only {taken} cases have an output");
}
