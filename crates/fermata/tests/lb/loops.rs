//! A server that is the balancer itself under another name: on ports that are passed through no mark tells that bytes come back.

use crate::support::{Folder, until};
use crate::{Ports, ask, balance, get};

/// Of this machine, and so of a balancer on it.
const NAME: &str = "localhost";

#[test]
fn a_name_that_leads_back_to_the_balancer_is_said_and_never_connected_to() {
    let ports = Ports::new();
    let file = ports
        .file(&[], &["check: {type: tcp}"])
        .replace("servers:\n", &format!("servers: [{{name: web1, address: {NAME}}}]\n"));
    let balancer = balance(Folder::new(&file));
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
    // Requests have a mark, and an answer.
    assert_eq!(get(ports.http, "/", "").0, "HTTP/1.1 508 Loop Detected");
    assert_eq!(balancer.stop().code, Some(0));
}
