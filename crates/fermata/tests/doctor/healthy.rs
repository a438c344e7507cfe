//! Servers about which nothing is to be said.

use crate::lan::Lan;
use crate::support::{Fermata, free_port};
use crate::ward::{assert_told, certificate, codes, doctor, text, trusting};

const FILE: &str = "version: 2
services:
  chat:
    address: 127.0.0.1:3000
    traffic_matches: [chat.test]
    ports: [{container: 3000, http: 8080, https: 8443}]
tls: {certificates: [{cert: good.pem, key: good.key}]}
firewall: {rules: [{port: 9000, from: 10.77.0.0/24}]}
";
const HOSTS: &str = "10.77.0.1 chat.test\nfd77::1 chat.test\n";

#[test]
fn a_server_that_is_ready_for_fermata_up() {
    let lan = Lan::new(FILE, &[3000]);
    certificate(&lan.folder, "good", &["chat.test"], 2120);
    let trust = trusting(lan.folder.path(), "good");
    let seen = doctor(&lan, HOSTS, &trust, &["--format", "json"]);
    assert_eq!((codes(&seen), seen.code), (vec![], Some(0)), "{seen:?}");
    let seen = doctor(&lan, HOSTS, &trust, &[]);
    assert_eq!((seen.code, seen.stderr.as_str()), (Some(0), ""));
    let untracked = |line: &&str| {
        !line.contains(" Conntrack ")
            && !line.contains(" remembered for ")
            && !line.contains("It works")
            && !line.contains("All is well")
    };
    let text = text(&seen);
    assert_told!("ready", text.lines().filter(untracked).collect::<Vec<_>>().join("\n"));
}

#[test]
fn a_server_whose_firewall_is_fermata_s() {
    let lan = Lan::new(FILE, &[3000]);
    certificate(&lan.folder, "good", &["chat.test"], 2120);
    lan.protect();
    let seen = doctor(&lan, HOSTS, &trusting(lan.folder.path(), "good"), &["--format", "json"]);
    assert_eq!((codes(&seen), seen.code), (vec![], Some(0)), "{seen:?}");
}

#[test]
fn rules_of_others_that_let_the_ports_in() {
    let lan = Lan::new(FILE, &[3000]);
    certificate(&lan.folder, "good", &["chat.test"], 2120);
    lan.on_server(
        "iptables -P INPUT DROP; iptables -A INPUT -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
         iptables -A INPUT -i lo -j ACCEPT; iptables -N WEB; iptables -A INPUT -p tcp -j WEB
         iptables -A WEB -p tcp -m multiport --dports 8080,8443 -j ACCEPT; iptables -A WEB -j RETURN
         iptables -A INPUT -s 10.0.0.0/8 -p tcp --dport 9000 -j ACCEPT
         nft 'table inet guard { chain input { type filter hook input priority 10; policy drop;
              ct state vmap { established: accept, related: accept, invalid: drop };
              iif lo accept; meta l4proto { icmp, ipv6-icmp } accept;
              tcp dport { 22, 8000-8999, 9000 } accept; }; }'",
    );
    let seen = doctor(&lan, HOSTS, &trusting(lan.folder.path(), "good"), &["--format", "json"]);
    assert_eq!((codes(&seen), seen.code), (vec![], Some(0)), "{seen:?}");
}

#[test]
fn a_server_on_which_fermata_runs() {
    let (service, http) = (free_port(), free_port());
    let fermata = Fermata::up(&format!(
        "version: 2
services:
  echo:
    command: {} echo
    ports: [{{container: {service}, http: {http}}}]
gateway: {{bind: [127.0.0.1]}}
",
        env!("CARGO_BIN_EXE_fermata")
    ));
    let seen = fermata.folder.run(&["doctor", "--state-dir", "state", "--format", "json"]);
    let report: serde_json::Value = serde_json::from_str(&seen.stdout).expect("JSON");
    let finding = |name: &str| {
        let findings = report["findings"].as_array().expect("findings");
        let found = findings.iter().find(|finding| finding["name"] == name);
        found.unwrap_or_else(|| panic!("no {name} in {report}")).clone()
    };
    assert_eq!(finding("ports")["says"], format!("fermata has {http} (ws)"));
    assert_eq!(finding("ports")["verdict"], "works");
    assert_eq!(finding("services")["verdict"], "works");
    let said = finding("file")["details"][0]["says"].as_str().expect("text").to_owned();
    assert!(said.starts_with(&format!("fermata (pid {}) runs service.yml here, up ", fermata.process.pid())), "{said}");
    let used = finding("descriptors")["says"].as_str().expect("text").to_owned();
    assert!(used.contains(" in use; room for "), "{used}");
    assert_eq!(fermata.stop().code, Some(0));
}
