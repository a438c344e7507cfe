//! Socket.IO through the balancer: long polling first, then WebSocket, over two servers that know nothing of each other.

use crate::support::{Fermata, Folder, Peer, free_port};
use crate::{Ports, balance};

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

#[test]
fn two_hundred_socket_io_visitors_who_begin_with_polling_all_come_in_through_two_servers() {
    let port = free_port();
    let servers = [2, 3].map(|number| server(number, port));
    let ports = Ports::new();
    let file = format!(
        "load_balancer:\n  servers: [{{name: web2, address: 127.0.0.2}}, {{name: web3, address: 127.0.0.3}}]\n  \
         ports: {{http: \"{}:{port}\", https: {}, ws: \"{}:{port}\", wss: {}}}\n  balance: roundrobin\n  check: {{type: tcp}}\n\
         gateway: {{bind: 127.0.0.1, tester: false}}\n",
        ports.http, ports.https, ports.ws, ports.wss
    );
    let balancer = balance(Folder::new(&file));
    for name in ["web2", "web3"] {
        let well = format!("{name} is well on {port}");
        balancer.process.wait_for(&well, |line| line.contains(&well));
    }
    let url = format!("http://127.0.0.1:{}/", ports.http);
    let seen = Peer::run("socketio/many.js", &["200", &url], &[]);
    assert_eq!(seen, "200 stays on websocket, the service says websocket\n", "{}", balancer.process.transcript());
    for (_, fermata) in servers {
        let ended = &fermata.status()["tunnels"]["ended"];
        assert!(ended.as_object().is_some_and(|ended| !ended.is_empty()), "both have had some: {ended}");
    }
    assert_eq!(balancer.stop().code, Some(0));
}
