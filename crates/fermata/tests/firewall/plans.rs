//! Plans as whole texts, of files and machines that exist only here.

use std::collections::BTreeSet;
use std::process::{Command, Stdio};

use fermata::firewall::observe::{Observed, Table};
use fermata::firewall::openings::doors;
use fermata::firewall::{Gate, Opening, Plan, Ruleset, State, Transport, openings, span};
use fermata_spec::Whence;

use crate::lan::Lan;

const FILE: &str = "version: 2
services:
  web: {ports: [{container: 3000, http: 80, https: 443}, {container: 3000, http: 8080}, {container: 5353, udp: 5353}]}
gateway: {trusted_proxies: [10.0.0.0/8, \"2001:db8::/32\"]}
firewall:
  rules:
  - {port: 8080, from: load_balancer}
  - {port: 5353, protocol: udp}
  - {port: 9000, from: 203.0.113.7}
";

fn spec(text: &str) -> fermata_spec::Spec {
    fermata_spec::read(text).spec.expect("a sound file")
}

fn machine() -> Observed {
    let gates = |ports: &[u16]| ports.iter().map(|port| Gate::tcp(*port)).collect();
    Observed {
        table: Table::Absent,
        other: None,
        published: gates(&[8081]),
        listening: gates(&[22, 80, 5432, 8081]),
        ssh: BTreeSet::from([22, 2222]),
        bridges: BTreeSet::from(["docker0".to_owned()]),
        ruleset: Ruleset::default(),
    }
}

fn state() -> State {
    let mut state = State::default();
    let udp = Gate { port: 6000, protocol: Transport::Udp };
    state.hand.allow(fermata::firewall::Door { gate: udp, from: None }, Some(1_000_000 + 1200));
    state.hand.allow(fermata::firewall::Door { gate: Gate::tcp(6001), from: None }, Some(999_999));
    state.hand.denied.insert(Gate::tcp(80));
    state
}

#[test]
fn a_plan_says_what_opens_to_whom_and_what_closes() {
    let plan = Plan::new(doors(&spec(FILE)), &state(), &machine(), 1_000_000);
    let expected = "\
table inet fermata is not loaded; this changes:
  + 443/tcp    from anywhere
  + 5353/udp   from anywhere
  + 6000/udp   from anywhere, for 20m
  + 8080/tcp   from 10.0.0.0/8
  + 8080/tcp   from 2001:db8::/32
  + 9000/tcp   from 203.0.113.7
  + 22/tcp     from anywhere (ssh)
  + 2222/tcp   from anywhere (ssh)
  + everything   from containers behind docker0
  - everything else: new TCP connections and UDP datagrams from outside
something listens there, and nobody from outside gets in: 80/tcp, 5432/tcp
note: Docker publishes 8081/tcp: such connections are forwarded and never come by this table, so they are open \
whatever it says; publish on 127.0.0.1 what is not for everybody, or filter in Docker's chain DOCKER-USER
";
    assert_eq!(plan.to_string(), expected);
    assert_eq!(plan.json()["closes"], serde_json::json!(["80/tcp", "5432/tcp"]));
}

#[test]
fn nft_accepts_every_plan() {
    let lan = Lan::new(FILE, &[]);
    let files = [FILE, "services: {web: {ports: [\"3000:80\"]}}\n", "services: {web: {command: x}}\n"];
    let scripts = files.map(|file| Plan::new(doors(&spec(file)), &state(), &machine(), 1_000_000));
    for (at, plan) in scripts.iter().enumerate() {
        for probation in [None, Some(std::time::Duration::from_mins(1))] {
            let file = lan.folder.write(&format!("{at}.json"), &plan.script(probation).to_string());
            lan.on_server(&format!("nft -j -c -f {}", file.display()));
        }
    }
}

#[test]
fn clouds_get_the_openings_with_balancers_as_a_word() {
    let opening = |gate: Gate, from, why: &str| Opening { gate, from, why: why.to_owned() };
    let any = Whence::Anywhere;
    let address = Whence::Network("203.0.113.7".parse().expect("an address"));
    assert_eq!(
        openings(&spec(FILE)),
        [
            opening(Gate::tcp(80), any, "services.web"),
            opening(Gate::tcp(443), any, "services.web"),
            opening(Gate { port: 5353, protocol: Transport::Udp }, any, "firewall.rules"),
            opening(Gate::tcp(8080), Whence::LoadBalancer, "firewall.rules"),
            opening(Gate::tcp(9000), address, "firewall.rules"),
        ]
    );
}

#[test]
fn times_are_written_as_people_write_them() {
    let shown = [1200, 3900, 45, 0].map(|seconds| span(std::time::Duration::from_secs(seconds)));
    assert_eq!(shown, ["20m", "1h 5m", "45s", "0s"]);
}

#[test]
fn the_unit_loads_at_boot_what_was_confirmed() {
    let text = fermata::firewall::unit::unit("/usr/bin/fermata".as_ref(), "/var/lib/fermata".as_ref());
    assert!(
        text.contains("\nExecStart=/usr/bin/fermata firewall apply --at-boot --state-dir /var/lib/fermata\n"),
        "{text}"
    );
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let file = folder.path().join("fermata-firewall.service");
    std::fs::write(&file, text.replace("/usr/bin/fermata", "/bin/true")).expect("a file");
    let said = Command::new("systemd-analyze").arg("verify").arg(&file).stdin(Stdio::null()).output();
    let said = said.expect("systemd-analyze is there");
    assert!(said.status.success(), "{}", String::from_utf8_lossy(&said.stderr));
}
