//! What only Fermata itself has.

use crate::engine::{Balancer, Engine};
use crate::support::until;
use crate::{Ports, named, open, open_many, open_ones, runtime};

#[test]
fn tunnels_are_known_one_by_one() {
    let ports = Ports::new();
    let server = ports.serve(2);
    let balancer = Engine::Builtin.balance(ports, &[&server], &[]);
    let open_ones = runtime().block_on(async { (open(ports.http).await.0, open(ports.ws).await.0) });
    assert_eq!(connections(&balancer), ["servers web2 tcp", "servers web2 websocket"]);
    drop(open_ones);
    balancer.stop();
}

/// Service, instance and kind of every tunnel, sorted.
fn connections(balancer: &Balancer) -> Vec<String> {
    let said = balancer.tell(&["connections", "--format", "json"]);
    let rows: Vec<serde_json::Value> = serde_json::from_str(&said.stdout).expect("JSON");
    let word = |row: &serde_json::Value, key: &str| row[key].as_str().unwrap_or_default().to_owned();
    let mut rows: Vec<String> =
        rows.iter().map(|row| ["service", "instance", "carries"].map(|key| word(row, key)).join(" ")).collect();
    rows.sort();
    rows
}

#[test]
fn tunnels_of_removed_servers_stay_as_long_as_the_file_says_and_of_one_that_is_back_for_good() {
    let ports = Ports::new();
    let servers = [2, 3, 4].map(|number| ports.serve(number));
    let [first, second, third] = servers.each_ref();
    let keys = ["wait_after_removing_servers: 2s", "websocket: {drain: 0s}"];
    let balancer = Engine::Builtin.balance(ports, &[first, second, third], &keys);
    let runtime = runtime();
    let mut sockets = Vec::new();
    let even = named(&[("web2", 1), ("web3", 1), ("web4", 1)]);
    assert_eq!(runtime.block_on(open_many(ports.http, 3, &mut sockets)), even);
    balancer.reload_with(&[first], &keys);
    assert_eq!(runtime.block_on(open_ones(&mut sockets)), 3);
    balancer.reload_with(&[first, second], &keys);
    // That of web4, and no other.
    until("a tunnel has been closed", || balancer.fermata.status()["tunnels"]["live"] == 2);
    assert_eq!(runtime.block_on(open_ones(&mut sockets)), 2);
    drop(sockets);
    balancer.stop();
}

#[test]
fn a_balancer_that_is_upgraded_goes_on_with_its_tunnels() {
    let ports = Ports::new();
    let servers = [2, 3].map(|number| ports.serve(number));
    let balancer = Engine::Builtin.balance(ports, &servers.each_ref(), &[]);
    let runtime = runtime();
    let mut sockets = Vec::new();
    let both = named(&[("web2", 4), ("web3", 4)]);
    assert_eq!(runtime.block_on(open_many(ports.http, 8, &mut sockets)), both);
    let mut command = balancer.fermata.folder.command(&["upgrade", "--state-dir", "state"]);
    let upgraded = command.output().expect("fermata runs");
    assert!(upgraded.status.success(), "{}", String::from_utf8_lossy(&upgraded.stderr));
    assert_eq!(runtime.block_on(open_ones(&mut sockets)), 8);
    // They count where they are.
    assert_eq!(runtime.block_on(open_many(ports.http, 8, &mut sockets)), both);
    balancer.stop();
}
