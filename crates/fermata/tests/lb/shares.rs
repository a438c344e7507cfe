//! Which server gets how much.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use crate::engine::Engine;
use crate::server::{Mood, Server};
use crate::support::until;
use crate::{Ports, get_from, named, open_many, runtime, who};

super::by_both!(
    leastconn_gives_a_tunnel_to_whoever_has_fewest,
    each_gets_requests_and_tunnels_by_its_weight,
    random_reaches_every_server,
    source_keeps_a_client_on_its_server_and_moves_only_those_of_one_that_left,
    a_backup_steps_in_when_no_other_is_well_and_steps_back,
);

fn leastconn_gives_a_tunnel_to_whoever_has_fewest(engine: Engine) {
    let ports = Ports::new();
    let servers = [2, 3, 4].map(|number| ports.serve(number));
    let balancer = engine.balance(ports, &servers.each_ref(), &[]);
    let runtime = runtime();
    let mut sockets = Vec::new();
    let even = named(&[("web2", 4), ("web3", 4), ("web4", 4)]);
    assert_eq!(runtime.block_on(open_many(ports.http, 12, &mut sockets)), even);
    // The same holds for connections that are passed through.
    let mut passed = Vec::new();
    assert_eq!(runtime.block_on(open_many(ports.wss, 12, &mut passed)), even);
    drop((sockets, passed));
    balancer.stop();
}

fn each_gets_requests_and_tunnels_by_its_weight(engine: Engine) {
    let ports = Ports::new();
    let servers = [2, 3].map(|number| ports.serve(number));
    let file = engine.file(ports, &servers.each_ref(), &["balance: roundrobin"]);
    let balancer = engine.start(ports, &file.replace("{name: web3,", "{name: web3, weight: 3,"));
    balancer.are_well(&servers.each_ref());
    let mut shares = BTreeMap::<String, usize>::new();
    (0..16).for_each(|_| *shares.entry(who(ports.http)).or_default() += 1);
    let quarter = named(&[("web2", 4), ("web3", 12)]);
    assert_eq!(shares, quarter);
    let mut sockets = Vec::new();
    assert_eq!(runtime().block_on(open_many(ports.http, 16, &mut sockets)), quarter);
    balancer.stop();
}

fn random_reaches_every_server(engine: Engine) {
    let ports = Ports::new();
    let servers = [2, 3, 4].map(|number| ports.serve(number));
    let balancer = engine.balance(ports, &servers.each_ref(), &["balance: random"]);
    let mut seen = BTreeSet::new();
    until("every server was asked", || {
        seen.insert(who(ports.http));
        seen.len() == 3
    });
    balancer.stop();
}

/// The server of each of 24 clients.
fn places(port: u16) -> BTreeMap<IpAddr, String> {
    let clients = (10..34).map(|last| IpAddr::from([127, 0, 1, last]));
    let name = |client: IpAddr| get_from(client, port, "/", "").1.split(' ').next().unwrap_or_default().to_owned();
    clients.map(|client| (client, name(client))).collect()
}

fn source_keeps_a_client_on_its_server_and_moves_only_those_of_one_that_left(engine: Engine) {
    let ports = Ports::new();
    let servers = [2, 3, 4].map(|number| ports.serve(number));
    let keys = ["balance: source"];
    let balancer = engine.balance(ports, &servers.each_ref(), &keys);
    let before = places(ports.http);
    assert_eq!(places(ports.http), before);
    let used: BTreeSet<&str> = before.values().map(String::as_str).collect();
    assert_eq!(used.len(), 3, "{before:?}");
    let stay: Vec<&Server> = servers[..2].iter().collect();
    balancer.reload_with(&stay, &keys);
    let after = places(ports.http);
    let moved: BTreeSet<&str> =
        before.iter().filter(|(client, name)| after[*client] != **name).map(|(_, name)| name.as_str()).collect();
    assert_eq!(moved, BTreeSet::from(["web4"]), "from {before:?} to {after:?}");
    balancer.stop();
}

fn a_backup_steps_in_when_no_other_is_well_and_steps_back(engine: Engine) {
    let ports = Ports::new();
    let servers = [2, 3].map(|number| ports.serve(number));
    let file = engine.file(ports, &servers.each_ref(), &[]);
    let balancer = engine.start(ports, &file.replace("{name: web3,", "{name: web3, backup: true,"));
    balancer.are_well(&servers.each_ref());
    let mut sockets = Vec::new();
    let runtime = runtime();
    assert_eq!([(); 4].map(|()| who(ports.http)), ["web2"; 4]);
    assert_eq!(runtime.block_on(open_many(ports.http, 4, &mut sockets)), named(&[("web2", 4)]));
    servers[0].be(Mood::Sick);
    balancer.comes_to_take("web2", false, false);
    assert_eq!([(); 4].map(|()| who(ports.http)), ["web3"; 4]);
    assert_eq!(runtime.block_on(open_many(ports.http, 4, &mut sockets)), named(&[("web3", 4)]));
    servers[0].be(Mood::Well);
    balancer.comes_to_take("web2", true, true);
    assert_eq!([(); 4].map(|()| who(ports.http)), ["web2"; 4]);
    balancer.stop();
}
