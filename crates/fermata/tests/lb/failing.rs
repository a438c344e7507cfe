//! Servers that fail: by their checks, by their connections, and in the middle of a request.

use std::sync::atomic::Ordering;

use futures_util::StreamExt;
use tokio_tungstenite::tungstenite::Message;

use crate::server::{Mood, Server};
use crate::support::{Folder, until};
use crate::{Ports, QUICK, ask, balance, get, named, open, open_many, runtime, who};

#[test]
fn a_server_that_fails_its_check_gets_nothing_until_it_passes_again() {
    let ports = Ports::new();
    let servers = [2, 3].map(|number| ports.serve(number));
    let balancer = ports.balance(&servers.each_ref(), &[QUICK]);
    servers[0].be(Mood::Sick);
    let down = format!("web2 is down on {}: GET /healthz at 127.0.0.2:{} answered 500", ports.http, ports.http);
    balancer.process.wait_for(&down, |line| line.contains(&down));
    let down = format!("web2 is down on {}", ports.ws);
    balancer.process.wait_for(&down, |line| line.contains(&down));
    let mut through = [ports.https, ports.wss];
    through.sort_unstable();
    let states: Vec<_> = balancer.status()["services"][0]["instances"]
        .as_array()
        .expect("servers")
        .iter()
        .map(|server| format!("{} {}", server["name"], server["state"]))
        .collect();
    let partly = format!("\"web2\" \"ready on {}, {}\"", through[0], through[1]);
    assert_eq!(states, [partly, "\"web3\" \"ready\"".to_owned()]);
    assert_eq!([(); 6].map(|()| who(ports.http)), ["web3"; 6]);
    let runtime = runtime();
    let mut sockets = Vec::new();
    assert_eq!(runtime.block_on(open_many(ports.http, 6, &mut sockets)), named(&[("web3", 6)]));
    // Where nobody is well, somebody is better than nobody.
    servers[1].be(Mood::Sick);
    let down = format!("web3 is down on {}", ports.http);
    balancer.process.wait_for(&down, |line| line.contains(&down));
    let seen: std::collections::BTreeSet<String> = (0..6).map(|_| who(ports.http)).collect();
    assert_eq!(seen.into_iter().collect::<Vec<_>>(), ["web2", "web3"]);
    servers[0].be(Mood::Well);
    until("only the one that is well is asked", || (0..6).all(|_| who(ports.http) == "web2"));
    assert_eq!(balancer.stop().code, Some(0));
}

#[test]
fn a_check_on_a_path_for_websockets_alone_is_explained() {
    let ports = Ports::new();
    let server = ports.serve(2);
    server.be(Mood::Picky);
    let balancer = balance(Folder::new(&ports.file(&[&server], &["httpchk: GET /ws"])));
    let why = "answered 426: as a path does that takes WebSockets alone; check another one, or have the check be of type websocket";
    let down = format!("web2 is down on {}: GET /ws at 127.0.0.2:{} {why}", ports.ws, ports.ws);
    balancer.process.wait_for(&down, |line| line.contains(&down));
    // All look dead, and so all are used.
    assert_eq!(runtime().block_on(open(ports.http)).1, "web2");
    assert_eq!(balancer.stop().code, Some(0));
}

#[test]
fn a_check_by_a_websocket_handshake_is_for_the_websocket_port() {
    let ports = Ports::new();
    let server = ports.serve(2);
    server.be(Mood::Picky);
    let file = ports.file(&[&server], &[QUICK, "ws_check: {type: websocket, endpoint: /cable, period: 1}"]);
    let balancer = balance(Folder::new(&file));
    let well = format!("web2 is well on {}", ports.ws);
    balancer.process.wait_for(&well, |line| line.contains(&well));
    let down = format!("web2 is down on {}: GET /healthz at 127.0.0.2:{} answered 426", ports.http, ports.http);
    balancer.process.wait_for(&down, |line| line.contains(&down));
    assert_eq!(balancer.stop().code, Some(0));
}

#[test]
fn a_request_that_gets_no_answer_is_asked_of_another_server_where_that_cannot_matter() {
    let ports = Ports::new();
    let servers = [2, 3].map(|number| ports.serve(number));
    let balancer = ports.balance(&servers.each_ref(), &["balance: roundrobin"]);
    servers[0].be(Mood::Rude);
    assert_eq!([(); 8].map(|()| who(ports.http)), ["web3"; 8]);
    assert!(servers[0].asked.load(Ordering::SeqCst) > 0, "it was asked, too");
    let names: Vec<String> = runtime().block_on(async {
        let mut names = Vec::new();
        for _ in 0..4 {
            names.push(open(ports.http).await.1);
        }
        names
    });
    assert_eq!(names, ["web3"; 4]);
    // What may have had an effect is not repeated.
    let post = "POST / HTTP/1.1\r\nHost: app.example\r\nContent-Length: 2\r\nConnection: close\r\n\r\nhi";
    let answers = [(); 2].map(|()| ask([127, 0, 0, 1].into(), ports.http, post));
    let failed = answers.iter().filter(|answer| answer.starts_with("HTTP/1.1 502 Bad Gateway\r\n")).count();
    let asked = [&servers[0], &servers[1]].map(|server| server.asked.load(Ordering::SeqCst));
    assert_eq!(failed, 1, "{answers:?} {asked:?}");
    assert_eq!(balancer.stop().code, Some(0));
}

#[test]
fn a_server_that_takes_connections_and_never_answers_holds_nobody_up_for_ever() {
    let ports = Ports::new();
    let servers = [2, 3].map(|number| ports.serve(number));
    let file =
        ports.file(&servers.each_ref(), &["balance: roundrobin"]).replace("tester", "answer_timeout: 1s, tester");
    let balancer = balance(Folder::new(&file));
    for server in &servers {
        ports.is_well(&balancer, server);
    }
    servers[0].be(Mood::Mute);
    assert_eq!([(); 4].map(|()| who(ports.http)), ["web3"; 4]);
    let down = format!("web2 is down on {}: GET /healthz at 127.0.0.2:{} took longer than 2 s", ports.http, ports.http);
    balancer.process.wait_for(&down, |line| line.contains(&down));
    assert_eq!(balancer.stop().code, Some(0));
}

#[test]
fn without_any_server_a_client_is_told_which_one_failed_how() {
    let ports = Ports::new();
    let server = ports.serve(2);
    let file = ports.file(&[&server], &[]);
    drop(server);
    let balancer = balance(Folder::new(&file));
    let text = format!(
        "502 Bad Gateway\n\nThe service \"servers\" cannot be reached: web2 at 127.0.0.2:{}: nothing listens there.\n\
         Check that it runs and listens on the container port that service.yml names.\n",
        ports.http
    );
    assert_eq!(get(ports.http, "/", ""), ("HTTP/1.1 502 Bad Gateway".to_owned(), text));
    assert_eq!(balancer.stop().code, Some(0));
}

#[test]
fn a_name_that_dns_does_not_know_is_said_and_the_other_servers_go_on() {
    let ports = Ports::new();
    let server = ports.serve(2);
    let file = ports.file(&[&server], &[]);
    let file = file.replace("  - {name", "  - {name: web1, address: nowhere.invalid}\n  - {name");
    let balancer = balance(Folder::new(&file));
    let down = "the name nowhere.invalid cannot be resolved";
    balancer.process.wait_for(down, |line| line.contains("web1 is down on") && line.contains(down));
    ports.is_well(&balancer, &server);
    assert_eq!([(); 4].map(|()| who(ports.http)), ["web2"; 4]);
    assert_eq!(balancer.stop().code, Some(0));
}

#[test]
fn tunnels_of_a_server_that_died_are_told_so_and_open_again_elsewhere() {
    let ports = Ports::new();
    let [first, second] = [2, 3].map(|number| ports.serve(number));
    let balancer = ports.balance(&[&first, &second], &[QUICK]);
    let runtime = runtime();
    let mut sockets = Vec::new();
    assert_eq!(runtime.block_on(open_many(ports.http, 8, &mut sockets)), named(&[("web2", 4), ("web3", 4)]));
    drop::<Server>(first);
    let mut ended = 0;
    runtime.block_on(async {
        let mut rest = Vec::new();
        for mut socket in sockets {
            match tokio::time::timeout(std::time::Duration::from_millis(300), socket.next()).await {
                Ok(Some(Ok(Message::Close(Some(close))))) => {
                    assert_eq!(u16::from(close.code), 1011, "{}", close.reason);
                    ended += 1;
                }
                Ok(other) => panic!("{other:?}"),
                Err(_) => rest.push(socket),
            }
        }
        assert_eq!((ended, rest.len()), (4, 4));
        assert_eq!(open_many(ports.http, 4, &mut rest).await, named(&[("web3", 4)]));
    });
    assert_eq!(balancer.stop().code, Some(0));
}
