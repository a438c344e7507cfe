//! Servers that come and go while tunnels are open.

use crate::engine::Engine;
use crate::support::until;
use crate::{Ports, Socket, differences, endings, named, open, open_many, open_ones, runtime, who};

super::by_both!(
    forty_tunnels_on_one_server_and_forty_more_after_another_was_added,
    a_server_that_leaves_the_file_takes_no_tunnel_of_the_others_along,
    a_drained_server_gets_nothing_new_and_comes_back_with_a_reload,
    what_the_file_says_about_waiting,
    a_file_that_is_broken_changes_nothing,
    a_list_of_a_thousand_servers_that_are_all_down_can_be_changed,
    what_it_does_can_be_asked,
    the_end_of_it_all,
);

/// The sockets of two servers, each with its own.
async fn open_on_each(port: u16, count: usize) -> [Vec<Socket>; 2] {
    let mut own = [Vec::new(), Vec::new()];
    for _ in 0..count {
        let (socket, name) = open(port).await;
        own[usize::from(name == "web3")].push(socket);
    }
    own
}

fn forty_tunnels_on_one_server_and_forty_more_after_another_was_added(engine: Engine) {
    let ports = Ports::new();
    let [first, second] = [2, 3].map(|number| ports.serve(number));
    let balancer = engine.balance(ports, &[&first], &[]);
    let runtime = runtime();
    let mut sockets = Vec::new();
    assert_eq!(runtime.block_on(open_many(ports.http, 40, &mut sockets)), named(&[("web2", 40)]));
    balancer.reload_with(&[&first, &second], &[]);
    balancer.is_well("web3");
    let fresh = runtime.block_on(open_many(ports.http, 40, &mut sockets));
    let of = |name: &str| fresh.get(name).copied().unwrap_or_default();
    let seen = format!("web2 has {}, web3 has {}\n", 40 + of("web2"), of("web3"));
    assert_eq!(seen, engine.of(&differences::SCALED_UP));
    assert_eq!(runtime.block_on(open_ones(&mut sockets)), 80);
    drop(sockets);
    balancer.stop();
}

fn a_server_that_leaves_the_file_takes_no_tunnel_of_the_others_along(engine: Engine) {
    let ports = Ports::new();
    let [first, second] = [2, 3].map(|number| ports.serve(number));
    let keys = ["websocket: {drain: 1s}"];
    let balancer = engine.balance(ports, &[&first, &second], &keys);
    let runtime = runtime();
    let [mut leave, mut stay] = runtime.block_on(open_on_each(ports.http, 40));
    balancer.reload_with(&[&second], &keys);
    let seen = match engine {
        Engine::Builtin => runtime.block_on(endings(leave)),
        Engine::Haproxy => format!("{} × open\n", runtime.block_on(open_ones(&mut leave))),
    };
    assert_eq!(seen, engine.of(&differences::REMOVED));
    assert_eq!(runtime.block_on(open_ones(&mut stay)), 20);
    assert_eq!(runtime.block_on(open_many(ports.http, 4, &mut stay)), named(&[("web3", 4)]));
    drop(stay);
    balancer.stop();
}

fn a_drained_server_gets_nothing_new_and_comes_back_with_a_reload(engine: Engine) {
    let ports = Ports::new();
    let servers = [2, 3].map(|number| ports.serve(number));
    let balancer = engine.balance(ports, &servers.each_ref(), &[]);
    let runtime = runtime();
    let [mut stay, drained] = runtime.block_on(open_on_each(ports.http, 8));
    let said = balancer.tell(&["drain", "web3", "--over", "0s"]);
    let mut passed = [(ports.https, "pass-HTTPS"), (ports.ws, "pass-WS"), (ports.wss, "pass-WSS")];
    passed.sort_unstable();
    let seen = format!("{}{}", balancer.named(&said.stdout), runtime.block_on(endings(drained)));
    assert_eq!(seen, engine.of(&differences::DRAINED).replace("PASSED", &passed.map(|(_, name)| name).join(", ")));
    assert_eq!([(); 6].map(|()| who(ports.http)), ["web2"; 6]);
    assert_eq!(runtime.block_on(open_many(ports.http, 4, &mut stay)), named(&[("web2", 4)]));
    assert_eq!(runtime.block_on(open_ones(&mut stay)), 8);
    let unknown = balancer.tell(&["drain", "web9"]);
    assert_eq!((unknown.code, unknown.stderr.as_str()), (Some(1), engine.of(&differences::DRAIN_OF_NOBODY)));
    assert_eq!(balancer.tell(&["reload"]).code, Some(0));
    until("it gets its share again", || who(ports.http) == "web3");
    drop(stay);
    balancer.stop();
}

fn what_the_file_says_about_waiting(engine: Engine) {
    let ports = Ports::new();
    let servers = [2, 3].map(|number| ports.serve(number));
    let [first, second] = servers.each_ref();
    let waits = ["wait_after_adding_servers: 3600"];
    let balancer = engine.balance(ports, &[first], &waits);
    balancer.reload_with(&[first, second], &waits);
    balancer.is_well("web3");
    let seen: std::collections::BTreeSet<String> = (0..6).map(|_| who(ports.http)).collect();
    let said = balancer.fermata.process.stdout.text();
    let warnings: Vec<&str> = said.lines().filter(|line| line.contains("warning: ")).collect();
    let seen = format!("{}: {seen:?}\n{}", "asked", warnings.join("\n"));
    assert_eq!(seen, engine.of(&differences::WAITS));
    balancer.stop();
}

fn a_file_that_is_broken_changes_nothing(engine: Engine) {
    let ports = Ports::new();
    let servers = [2, 3].map(|number| ports.serve(number));
    let balancer = engine.balance(ports, &[&servers[0]], &[]);
    let runtime = runtime();
    let (mut socket, _) = runtime.block_on(open(ports.http));
    let both = engine.file(ports, &servers.each_ref(), &[]);
    let twice = both.replace("web3", "web2");
    for (file, why) in [
        (both.replace("load_balancer:", "load_balancer: ["), "error["),
        (twice, "error[E-SERVER-TWICE]: load_balancer.servers[1]: \"web2\" is the name of two servers"),
        (
            engine.file(ports, &[], &[]).replace("servers:\n", "servers: []\n"),
            "error[E-SERVER-NONE]: load_balancer.servers: has no server",
        ),
    ] {
        balancer.fermata.folder.write("service.yml", &file);
        let refused = balancer.tell(&["reload"]);
        assert_eq!(refused.code, Some(1), "{refused:?}");
        let said = refused.stderr;
        assert!(said.contains("the file has errors, and nothing was changed\n") && said.contains(why), "{said}");
        assert_eq!(who(ports.http), "web2");
    }
    assert_eq!(runtime.block_on(open_ones(std::slice::from_mut(&mut socket))), 1);
    drop(socket);
    balancer.stop();
}

fn a_list_of_a_thousand_servers_that_are_all_down_can_be_changed(engine: Engine) {
    let ports = Ports::new();
    let balancer = engine.start(ports, &engine.long_file(ports, 1000));
    balancer.reload(&engine.long_file(ports, 1001));
    let status = balancer.fermata.status();
    let servers = status["services"][0]["instances"].as_array().expect("servers");
    assert_eq!((servers.len(), servers.iter().filter(|server| server["name"] == "web1000").count()), (1001, 1));
    balancer.stop();
}

fn what_it_does_can_be_asked(engine: Engine) {
    let ports = Ports::new();
    let servers = [2, 3].map(|number| ports.serve(number));
    let balancer = engine.balance(ports, &servers.each_ref(), &[]);
    let mut sockets = Vec::new();
    runtime().block_on(open_many(ports.http, 4, &mut sockets));
    let status = balancer.fermata.status();
    let text = |value: &serde_json::Value| value.as_str().expect("a text").to_owned();
    let rows = |value: &serde_json::Value| value.as_array().expect("a list").clone();
    let mut lines: Vec<String> = Vec::new();
    for port in rows(&status["ports"]) {
        let services: Vec<String> = rows(&port["services"]).iter().map(text).collect();
        lines.push(format!("{} {}: {}", text(&port["scheme"]), port["port"], services.join(", ")));
    }
    for service in rows(&status["services"]) {
        for server in rows(&service["instances"]) {
            let [name, state] = [&server["name"], &server["state"]].map(text);
            lines.push(format!("{} {name}: {state}, {} live", text(&service["name"]), server["live"]));
        }
    }
    let mut lines: Vec<String> = lines.iter().map(|line| balancer.named(line)).collect();
    lines.sort();
    assert_eq!(lines.join("\n") + "\n", engine.of(&differences::STATUS));
    assert_eq!(status["engine"].as_str().is_some_and(|said| said.starts_with("HAProxy ")), engine == Engine::Haproxy);
    drop(sockets);
    balancer.stop();
}

fn the_end_of_it_all(engine: Engine) {
    let ports = Ports::new();
    let server = ports.serve(2);
    let balancer = engine.balance(ports, &[&server], &[]);
    let runtime = runtime();
    let mut sockets = Vec::new();
    runtime.block_on(open_many(ports.http, 4, &mut sockets));
    assert_eq!(balancer.tell(&["stop"]).code, Some(0));
    assert_eq!(runtime.block_on(endings(sockets)), engine.of(&differences::STOPPED));
}
