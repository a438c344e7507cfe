//! How servers are found well, or not.

use crate::engine::Engine;
use crate::server::Mood;
use crate::support::until;
use crate::{Ports, QUICK, differences, get, named, open, open_many, runtime, who};

super::by_both!(
    a_server_that_fails_its_check_gets_nothing_until_it_passes_again,
    as_many_failures_and_passes_as_the_file_says_make_a_verdict,
    a_check_on_a_path_for_websockets_alone_is_explained,
    a_check_by_a_websocket_handshake_is_for_the_websocket_port,
    where_no_server_is_well,
    a_name_that_dns_does_not_know_is_said_and_the_other_servers_go_on,
);

fn a_server_that_fails_its_check_gets_nothing_until_it_passes_again(engine: Engine) {
    let ports = Ports::new();
    let servers = [2, 3].map(|number| ports.serve(number));
    let balancer = engine.balance(ports, &servers.each_ref(), &[]);
    servers[0].be(Mood::Sick);
    balancer.comes_to_take("web2", false, false);
    // Passed-through ports are checked by connections alone.
    let states: String =
        balancer.states("web2").iter().map(|(backend, state)| format!("{backend}: {state}\n")).collect();
    let mut through = [(ports.https, "HTTPS"), (ports.wss, "WSS")];
    through.sort_unstable();
    let expected = engine.of(&differences::SICK).replace("THROUGH", &through.map(|(_, name)| name).join(", "));
    let mut lines: Vec<&str> = expected.lines().collect();
    let named_states = balancer.named(&states);
    let mut seen: Vec<&str> = named_states.lines().collect();
    lines.sort_unstable();
    seen.sort_unstable();
    assert_eq!(seen, lines);
    assert_eq!([(); 6].map(|()| who(ports.http)), ["web3"; 6]);
    let runtime = runtime();
    let mut sockets = Vec::new();
    assert_eq!(runtime.block_on(open_many(ports.http, 6, &mut sockets)), named(&[("web3", 6)]));
    servers[0].be(Mood::Well);
    balancer.comes_to_take("web2", true, true);
    until("it gets its share again", || who(ports.http) == "web2");
    balancer.stop();
}

fn as_many_failures_and_passes_as_the_file_says_make_a_verdict(engine: Engine) {
    let ports = Ports::new();
    let servers = [2, 3].map(|number| ports.serve(number));
    let check = "check: {type: http, endpoint: /healthz, period: 1, initial_delay: 0, failure_threshold: 3, success_threshold: 2}";
    let balancer = engine.balance(ports, &servers.each_ref(), &[check]);
    servers[0].fail_checks(2);
    assert_eq!(balancer.downs("web2"), 0, "two failures are not three");
    servers[0].fail_checks(3);
    until("it is down", || balancer.downs("web2") == 1);
    balancer.comes_to_take("web2", true, true);
    balancer.stop();
}

fn a_check_on_a_path_for_websockets_alone_is_explained(engine: Engine) {
    let ports = Ports::new();
    let server = ports.serve(2);
    server.be(Mood::Picky);
    let file = engine.file(ports, &[&server], &["check: {type: http, endpoint: /ws, period: 1, initial_delay: 0}"]);
    let balancer = engine.start(ports, &file);
    let explained = engine.of(&differences::PICKY);
    until("it is explained", || {
        let said = balancer.fermata.process.stdout.text();
        let states: Vec<String> = balancer.states("web2").into_values().collect();
        balancer.named(&format!("{said}{}", states.join("\n"))).lines().any(|line| line.ends_with(explained))
    });
    balancer.stop();
}

fn a_check_by_a_websocket_handshake_is_for_the_websocket_port(engine: Engine) {
    let ports = Ports::new();
    let server = ports.serve(2);
    server.be(Mood::Picky);
    let keys = [QUICK, "ws_check: {type: websocket, endpoint: /cable, period: 1, initial_delay: 0}"];
    let balancer = engine.start(ports, &engine.file(ports, &[&server], &keys));
    balancer.comes_to_take("web2", false, true);
    assert_eq!(runtime().block_on(open(ports.http)).1, "web2");
    balancer.stop();
}

fn where_no_server_is_well(engine: Engine) {
    let ports = Ports::new();
    let server = ports.serve(2);
    let balancer = engine.balance(ports, &[&server], &[]);
    server.be(Mood::Sick);
    balancer.comes_to_take("web2", false, false);
    let seen = get(ports.http, "/", "");
    let sick = format!("{}\n{}", seen.0, seen.1);
    drop(server);
    until("its end was noticed", || get(ports.http, "/", "").0.contains(" 50"));
    let seen = get(ports.http, "/", "");
    let seen = balancer.named(&format!("fails its checks: {sick}is not there: {}\n{}", seen.0, seen.1));
    assert_eq!(seen, engine.of(&differences::NONE_IS_WELL));
    balancer.stop();
}

fn a_name_that_dns_does_not_know_is_said_and_the_other_servers_go_on(engine: Engine) {
    let ports = Ports::new();
    let server = ports.serve(2);
    let file = engine.file(ports, &[&server], &[]);
    let file = file.replace("  - {name", "  - {name: web1, address: nowhere.invalid}\n  - {name");
    let balancer = engine.start(ports, &file);
    balancer.is_well("web2");
    let said = engine.of(&differences::NO_ADDRESS);
    until("it is said", || {
        let states: Vec<String> = balancer.states("web1").into_values().collect();
        format!("{}{}", balancer.fermata.process.stdout.text(), states.join("\n")).contains(said)
    });
    assert_eq!([(); 4].map(|()| who(ports.http)), ["web2"; 4]);
    balancer.stop();
}
