//! Servers that fail in the middle of something.

use crate::engine::Engine;
use crate::server::Mood;
use crate::support::until;
use crate::{Ports, ask, differences, endings, named, open, open_many, open_ones, runtime, who};

super::by_both!(
    a_request_that_gets_no_answer_is_asked_of_another_server_where_that_cannot_matter,
    a_server_that_takes_connections_and_never_answers_holds_nobody_up_for_ever,
    a_server_that_nobody_listens_at_costs_no_request_before_its_check_has_failed,
    tunnels_of_a_server_that_died_end_and_open_again_elsewhere,
);

fn a_request_that_gets_no_answer_is_asked_of_another_server_where_that_cannot_matter(engine: Engine) {
    let ports = Ports::new();
    let servers = [2, 3].map(|number| ports.serve(number));
    let balancer = engine.balance(ports, &servers.each_ref(), &["balance: roundrobin"]);
    servers[0].be(Mood::Rude);
    assert_eq!([(); 8].map(|()| who(ports.http)), ["web3"; 8]);
    assert!(servers[0].asked() > 0, "it was asked, too");
    let runtime = runtime();
    let mut sockets = Vec::new();
    assert_eq!(runtime.block_on(open_many(ports.http, 4, &mut sockets)), named(&[("web3", 4)]));
    // What may have had an effect is not repeated.
    let post = "POST / HTTP/1.1\r\nHost: app.example\r\nContent-Length: 2\r\nConnection: close\r\n\r\nhi";
    let before = servers[0].asked();
    let answers = [(); 4].map(|()| ask([127, 0, 0, 1].into(), ports.http, post));
    let failed = answers.iter().filter(|answer| answer.starts_with("HTTP/1.1 502 Bad Gateway\r\n")).count();
    let asked = servers[0].asked() - before;
    assert!(failed > 0 && failed == asked, "{asked} times it was asked\n{answers:?}");
    balancer.stop();
}

fn a_server_that_takes_connections_and_never_answers_holds_nobody_up_for_ever(engine: Engine) {
    let ports = Ports::new();
    let servers = [2, 3].map(|number| ports.serve(number));
    let keys = ["balance: roundrobin"];
    let file = engine.file(ports, &servers.each_ref(), &keys).replace("tester", "answer_timeout: 1s, tester");
    let balancer = engine.start(ports, &file);
    balancer.are_well(&servers.each_ref());
    servers[0].be(Mood::Mute);
    assert_eq!([(); 2].map(|()| who(ports.http)), ["web3"; 2]);
    assert_eq!([(); 2].map(|()| runtime().block_on(open(ports.http)).1), ["web3"; 2]);
    balancer.comes_to_take("web2", false, false);
    balancer.stop();
}

fn a_server_that_nobody_listens_at_costs_no_request_before_its_check_has_failed(engine: Engine) {
    let ports = Ports::new();
    let [first, second] = [2, 3].map(|number| ports.serve(number));
    let rarely = "check: {type: http, endpoint: /healthz, period: 3600, initial_delay: 0}";
    let balancer = engine.balance(ports, &[&first, &second], &["balance: roundrobin", rarely]);
    drop(first);
    assert_eq!([(); 8].map(|()| who(ports.http)), ["web3"; 8]);
    let mut sockets = Vec::new();
    assert_eq!(runtime().block_on(open_many(ports.http, 8, &mut sockets)), named(&[("web3", 8)]));
    balancer.stop();
}

fn tunnels_of_a_server_that_died_end_and_open_again_elsewhere(engine: Engine) {
    let ports = Ports::new();
    let [first, second] = [2, 3].map(|number| ports.serve(number));
    let balancer = engine.balance(ports, &[&first, &second], &[]);
    let runtime = runtime();
    let mut own = [Vec::new(), Vec::new()];
    runtime.block_on(async {
        for _ in 0..8 {
            let (socket, name) = open(ports.http).await;
            own[usize::from(name == "web3")].push(socket);
        }
    });
    let [dead, mut alive] = own;
    assert_eq!((dead.len(), alive.len()), (4, 4));
    drop(first);
    assert_eq!(runtime.block_on(endings(dead)), engine.of(&differences::DEAD_SERVER));
    assert_eq!(runtime.block_on(open_ones(&mut alive)), 4);
    assert_eq!(runtime.block_on(open_many(ports.http, 4, &mut alive)), named(&[("web3", 4)]));
    until("the dead one is known", || !balancer.takes("web2").websockets);
    assert_eq!(runtime.block_on(open_ones(&mut alive)), 8, "nobody else has noticed");
    drop(alive);
    balancer.stop();
}
