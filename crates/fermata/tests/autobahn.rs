//! The cases of the Autobahn test suite against an echo service, directly and through the gateway, in the clear and over
//! TLS: each must come out the same three times, and as `tests/peers/autobahn/expected.json` has it.
//!
//! By default the sections that take seconds; `cargo xtask autobahn --all` runs all, and `--bless` keeps what the service
//! did without a gateway as what is expected.

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::path::PathBuf;
use std::time::Duration;
use std::{env, fs, thread};

use support::{Fermata, Folder, Peer, TlsFront, free_port};

/// Sections 1 to 10 whole. Of the compressed ones (12, 13), which send 1,000 messages a case, a small size and a
/// fragmented one. Ids match from their beginning, so that no number here may begin another case's.
const QUICK: &str = "1.*,2.*,3.*,4.*,5.*,6.*,7.*,9.*,10.*,12.*.2,12.*.11,13.*.2,13.*.11";
const ALL: &str = "*";
/// All cases, three times over, on two cores.
const PATIENCE: Duration = Duration::from_hours(2);

/// By case: how it behaved, how it closed, and the Close code that came.
type Results = BTreeMap<String, String>;

#[test]
fn every_case_comes_out_the_same_with_and_without_the_gateway() {
    let service = Peer::serve("ws/service.js");
    let gateway = Gateway::before(service.port);

    let ((direct, clear), tls) = thread::scope(|scope| {
        let direct = scope.spawn(|| run(service.port));
        let clear = scope.spawn(|| run(gateway.http));
        let tls = scope.spawn(|| run(gateway.tls.port));
        ((direct.join().unwrap(), clear.join().unwrap()), tls.join().unwrap())
    });

    if env::var_os("FERMATA_BLESS").is_some() {
        bless(&direct);
    }
    let expected = expected(direct.keys());
    let seen = [("directly", direct), ("through the gateway", clear), ("through the gateway over TLS", tls)];
    let differences: String = seen.iter().map(|(how, results)| difference(how, &expected, results)).collect();
    assert!(differences.is_empty(), "\n{differences}");
    assert_eq!(gateway.fermata.stop().code, Some(0));
}

/// A gateway in front of a service that already runs.
struct Gateway {
    http: u16,
    /// The fuzzer speaks no TLS: this does, on its behalf.
    tls: TlsFront,
    fermata: Fermata,
}

impl Gateway {
    fn before(service: u16) -> Gateway {
        let (http, https) = (free_port(), free_port());
        let folder = Folder::new(&format!(
            r#"version: 2
services:
  echo:
    ports:
    - container: {service}
      http: {http}
      https: {https}
gateway: {{bind: ["127.0.0.1"]}}
tls:
  certificates: [{{cert: app.pem, key: app.key}}]
"#
        ));
        let certificate = folder.write_certificate("app", &["localhost"]);
        Gateway { http, tls: TlsFront::of(https, &certificate), fermata: folder.up() }
    }
}

fn run(port: u16) -> Results {
    let cases = if env::var("FERMATA_AUTOBAHN").is_ok_and(|which| which == "all") { ALL } else { QUICK };
    let printed =
        Peer::run_patiently(PATIENCE, "autobahn/run.py", &[&format!("ws://127.0.0.1:{port}/"), cases, ""], &[]);
    printed
        .lines()
        .map(|line| line.split_once(' ').unwrap_or_else(|| panic!("not a result: {line:?}")))
        .map(|(case, outcome)| (case.to_owned(), outcome.to_owned()))
        .collect()
}

/// The expected results of these cases. A case that was never blessed has none, which is a difference.
fn expected<'a>(cases: impl Iterator<Item = &'a String>) -> Results {
    let kept = kept();
    cases.filter_map(|case| Some((case.clone(), kept.get(case)?.clone()))).collect()
}

fn difference(how: &str, expected: &Results, seen: &Results) -> String {
    let cases: BTreeSet<&String> = expected.keys().chain(seen.keys()).collect();
    let mut lines = String::new();
    for case in cases {
        let (expected, seen) = (expected.get(case), seen.get(case));
        if expected != seen {
            let _ = writeln!(lines, "{case} {how}: expected {expected:?}, seen {seen:?}");
        }
    }
    lines
}

fn file() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/peers/autobahn/expected.json"))
}

fn kept() -> Results {
    let text = fs::read_to_string(file()).unwrap_or_else(|_| "{}".to_owned());
    serde_json::from_str(&text).expect("expected.json maps cases to outcomes")
}

fn bless(direct: &Results) {
    let mut all = kept();
    all.extend(direct.clone());
    let mut cases: Vec<(&String, &String)> = all.iter().collect();
    cases.sort_by_key(|(case, _)| case.split('.').map(|part| part.parse::<u32>().unwrap_or(0)).collect::<Vec<_>>());
    let lines: Vec<String> = cases.iter().map(|(case, outcome)| format!("  \"{case}\": \"{outcome}\"")).collect();
    fs::write(file(), format!("{{\n{}\n}}\n", lines.join(",\n"))).expect("expected.json can be written");
}
