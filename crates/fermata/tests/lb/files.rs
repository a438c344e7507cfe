//! Files that are none for a balancer.

use crate::engine::Engine;
use crate::support::Folder;
use crate::{Ports, differences, get};

super::by_both!(
    a_file_that_is_none_for_a_balancer_is_refused_with_what_to_do,
    a_balancer_that_is_its_own_server_by_another_name_answers_508,
);

fn a_file_that_is_none_for_a_balancer_is_refused_with_what_to_do(engine: Engine) {
    let refused = |text: &str| {
        let ended = Folder::new(text).run(&["lb", "--state-dir", "state"]);
        (ended.code, ended.stderr)
    };
    let ports = Ports::new();
    let with = |servers: &str| engine.file(ports, &[], &[]).replace("servers:\n", &format!("servers: [{servers}]\n"));
    assert_eq!(
        refused(&with("{name: web1, address: 127.0.0.1}")),
        (
            Some(1),
            format!(
                "error: load_balancer.servers[0].address: web1 is this balancer itself, which listens on 127.0.0.1:{}; \
                 name the web servers, or bind the balancer to another address (gateway.bind)\n",
                ports.http
            )
        )
    );
    let (code, said) = refused(&with(""));
    assert_eq!(code, Some(1));
    assert!(said.contains("load_balancer.servers: has no server") && said.contains("write - {name: web1"), "{said}");
    let (code, said) = refused(&with("{name: web1, address: 10.0.0.1}, {name: web1, address: 10.0.0.2}"));
    assert_eq!(code, Some(1));
    let twice = "\"web1\" is the name of two servers";
    assert!(said.contains(twice) && said.contains("give each server a name of its own"), "{said}");
}

fn a_balancer_that_is_its_own_server_by_another_name_answers_508(engine: Engine) {
    let ports = Ports::new();
    let file = engine
        .file(ports, &[], &["check: {type: tcp}"])
        .replace("servers:\n", "servers: [{name: web1, address: localhost}]\n");
    let balancer = engine.start(ports, &file);
    let (status, body) = get(ports.http, "/", "");
    assert_eq!(status.to_lowercase(), "http/1.1 508 loop detected");
    assert_eq!(body, engine.of(&differences::LOOP));
    balancer.stop();
}
