//! Socket.IO through the balancer: long polling first, then WebSocket, over two servers that know nothing of each other.

use crate::Ports;
use crate::engine::Engine;
use crate::support::{Fermata, Peer, free_port};

super::by_both!(two_hundred_socket_io_visitors_who_begin_with_polling_all_come_in_through_two_servers);

/// A `fermata up` on an address of its own, before a Socket.IO service of its own.
fn server(number: u8, port: u16) -> (Peer, Fermata) {
    let service = Peer::serve("socketio/service.js");
    let file = format!(
        "services:\n  room:\n    address: 127.0.0.1:{}\n    ports: [{{container: 3000, http: {port}}}]\n\
         gateway: {{bind: 127.0.0.{number}, tester: false}}\n",
        service.port
    );
    (service, Fermata::up(&file))
}

fn two_hundred_socket_io_visitors_who_begin_with_polling_all_come_in_through_two_servers(engine: Engine) {
    let port = free_port();
    let servers = [2, 3].map(|number| server(number, port));
    let ports = Ports::new();
    let keys = ["balance: roundrobin", "check: {type: tcp, period: 1, initial_delay: 0}"];
    let of = |name: &str, own: u16, to: &str| (format!("{name}: {own}"), format!("{name}: {to}"));
    let both = |own: u16| format!("\"{own}:{port}\"");
    let pairs = [of("http", ports.http, &both(ports.http)), of("ws", ports.ws, &both(ports.ws))];
    let entries = "servers:\n  - {name: web2, address: 127.0.0.2}\n  - {name: web3, address: 127.0.0.3}\n";
    let file = engine.file(ports, &[], &keys).replace("servers:\n", entries);
    let balancer = engine.start(ports, &pairs.iter().fold(file, |file, (from, to)| file.replace(from, to)));
    let url = format!("http://127.0.0.1:{}/", ports.http);
    let seen = Peer::run("socketio/many.js", &["200", &url], &[]);
    let said = balancer.fermata.process.transcript();
    assert_eq!(seen, "200 stays on websocket, the service says websocket\n", "{said}");
    for (_, fermata) in &servers {
        let ended = &fermata.status()["tunnels"]["ended"];
        assert!(ended.as_object().is_some_and(|ended| !ended.is_empty()), "both have had some: {ended}");
    }
    balancer.stop();
}
