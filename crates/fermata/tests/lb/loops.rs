//! A server that is the balancer itself under another name: on ports that are passed through no mark tells that bytes come back.

use std::net::UdpSocket;

use crate::support::{Folder, free_port, until};
use crate::{Ports, ask, balance, get};

/// Of this machine, and so of a balancer on it.
const NAME: &str = "localhost";

#[test]
fn a_name_that_leads_back_to_the_balancer_is_said_and_never_connected_to() {
    let (ports, udp) = (Ports::new(), free_port());
    let file = ports
        .file(&[], &["check: {type: tcp}"])
        .replace("servers:\n", &format!("servers: [{{name: web1, address: {NAME}}}]\n"));
    let app = format!("services: {{app: {{address: 127.0.0.1, ports: [{{container: 5000, udp: {udp}}}]}}}}\n");
    let balancer = balance(Folder::new(&format!("{app}{file}")));
    let itself = |port: u16| {
        format!(
            "{NAME} leads to this balancer itself, which listens on 127.0.0.1:{port}: name the web servers in load_balancer.servers"
        )
    };
    for port in [ports.ws, ports.wss, ports.https] {
        let down = format!("web1 is down on {port}: {}", itself(port));
        balancer.process.wait_for(&down, |line| line.contains(&down));
    }
    // Nobody is well, so that everybody is tried: for the last time here.
    let before = balancer.descriptors();
    for _ in 0..5 {
        assert_eq!(ask([127, 0, 0, 1].into(), ports.ws, "GET / HTTP/1.1\r\nHost: a\r\n\r\n"), "");
    }
    until("the log has it", || {
        let said = balancer.process.stderr.text() + &balancer.process.stdout.text();
        said.contains("cannot connect") && said.contains(&itself(ports.ws))
    });
    until("nothing is left of it", || balancer.descriptors() <= before);
    // A datagram that goes in circles makes a socket with each turn.
    let client = UdpSocket::bind("127.0.0.1:0").expect("a port is free");
    for _ in 0..5 {
        client.send_to(b"again", ("127.0.0.1", udp)).expect("it listens");
        // Which takes its time, as the datagram does.
        assert_eq!(ask([127, 0, 0, 1].into(), ports.wss, "again"), "");
    }
    // Where the name has another address as well, the client's one socket leads there.
    until("nothing goes in circles", || balancer.descriptors() <= before + 1);
    // Requests have a mark, and an answer.
    assert_eq!(get(ports.http, "/", "").0, "HTTP/1.1 508 Loop Detected");
    assert_eq!(balancer.stop().code, Some(0));
}

#[test]
fn haproxy_is_not_started_where_a_server_s_address_is_its_own() {
    let ports = Ports::new();
    let file = ports.file(&[], &["engine: haproxy"]);
    let file = file.replace("servers:\n", "servers: [{name: web1, address: 127.0.0.1}]\n");
    let ended = Folder::new(&file).run(&["lb", "--state-dir", "state"]);
    let said = format!(
        "error: load_balancer.servers[0].address: web1 is this balancer itself, which listens on 127.0.0.1:{}; name the web \
         servers, or bind the balancer to another address (gateway.bind)\n",
        ports.http
    );
    assert_eq!((ended.code, ended.stderr), (Some(1), said));
}
