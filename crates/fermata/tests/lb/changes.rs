//! Servers that come and go while tunnels are open.

use std::collections::BTreeMap;

use futures_util::{SinkExt, StreamExt};
use tokio_tungstenite::tungstenite::Message;

use crate::support::{Fermata, until};
use crate::{Ports, QUICK, Socket, echoes, named, open_many, runtime, who};

/// How each of these ends: close code and reason.
async fn endings(sockets: Vec<Socket>) -> BTreeMap<(u16, String), usize> {
    let mut seen = BTreeMap::new();
    for mut socket in sockets {
        let ending = loop {
            match socket.next().await {
                Some(Ok(Message::Close(Some(close)))) => break (close.code.into(), close.reason.to_string()),
                Some(Ok(_)) => {}
                _ => break (1006, String::new()),
            }
        };
        *seen.entry(ending).or_default() += 1;
    }
    seen
}

fn reload(balancer: &Fermata, file: &str) {
    balancer.folder.write("service.yml", file);
    let said = balancer.folder.run(&["reload", "--state-dir", "state"]);
    assert_eq!(said.code, Some(0), "{said:?}");
}

#[test]
fn forty_tunnels_on_one_server_and_forty_more_after_another_was_added_make_forty_each() {
    let ports = Ports::new();
    let [first, second] = [2, 3].map(|number| ports.serve(number));
    let keys = [QUICK, "websocket: {drain: 1s}"];
    let balancer = ports.balance(&[&first], &keys);
    let runtime = runtime();
    let mut sockets = Vec::new();
    assert_eq!(runtime.block_on(open_many(ports.http, 40, &mut sockets)), named(&[("web2", 40)]));
    reload(&balancer, &ports.file(&[&first, &second], &keys));
    ports.is_well(&balancer, &second);
    assert_eq!(runtime.block_on(open_many(ports.http, 40, &mut sockets)), named(&[("web3", 40)]));
    runtime.block_on(async {
        for socket in &mut sockets {
            echoes(socket).await;
        }
    });
    // One that leaves the file takes only its own along, and tells them to come back.
    let leave: Vec<Socket> = sockets.drain(..40).collect();
    reload(&balancer, &ports.file(&[&second], &keys));
    let gone = (1012, "the instance was removed".to_owned());
    assert_eq!(runtime.block_on(endings(leave)), BTreeMap::from([(gone, 40)]));
    runtime.block_on(async {
        for socket in &mut sockets {
            echoes(socket).await;
        }
    });
    assert_eq!(balancer.stop().code, Some(0));
}

#[test]
fn a_drained_server_gets_nothing_new_and_comes_back_with_a_reload() {
    let ports = Ports::new();
    let servers = [2, 3].map(|number| ports.serve(number));
    let balancer = ports.balance(&servers.each_ref(), &[QUICK]);
    let runtime = runtime();
    let mut sockets = Vec::new();
    assert_eq!(runtime.block_on(open_many(ports.http, 8, &mut sockets)), named(&[("web2", 4), ("web3", 4)]));
    let said = balancer.folder.run(&["drain", "web3", "--over", "0s", "--state-dir", "state"]);
    assert_eq!((said.code, said.stdout.as_str()), (Some(0), "4 tunnels are being closed over 0 s\n"));
    let restart = (1012, "the service restarts".to_owned());
    let (drained, stay): (Vec<_>, Vec<_>) = sockets.into_iter().enumerate().partition(|(at, _)| at % 2 == 1);
    let [drained, mut stay] = [drained, stay].map(|all| all.into_iter().map(|(_, socket)| socket).collect::<Vec<_>>());
    let (drained, rest) = if runtime.block_on(is_open(&mut stay[0])) { (drained, stay) } else { (stay, drained) };
    assert_eq!(runtime.block_on(endings(drained)), BTreeMap::from([(restart, 4)]));
    assert_eq!([(); 6].map(|()| who(ports.http)), ["web2"; 6]);
    reload(&balancer, &ports.file(&servers.each_ref(), &[QUICK]));
    until("it gets its share again", || who(ports.http) == "web3");
    drop(rest);
    assert_eq!(balancer.stop().code, Some(0));
}

async fn is_open(socket: &mut Socket) -> bool {
    socket.send(Message::text("there?")).await.is_ok()
        && matches!(socket.next().await, Some(Ok(Message::Text(text))) if text.as_str() == "there?")
}

#[test]
fn a_server_that_was_added_waits_as_long_as_the_file_says() {
    let ports = Ports::new();
    let [first, second] = [2, 3].map(|number| ports.serve(number));
    let waits = [QUICK, "wait_after_adding_servers: 3600"];
    let balancer = ports.balance(&[&first], &waits);
    reload(&balancer, &ports.file(&[&first, &second], &waits));
    ports.is_well(&balancer, &second);
    assert_eq!([(); 6].map(|()| who(ports.http)), ["web2"; 6]);
    assert_eq!(balancer.stop().code, Some(0));
}

#[test]
fn tunnels_of_removed_servers_stay_as_long_as_the_file_says_and_of_one_that_is_back_for_good() {
    let ports = Ports::new();
    let servers = [2, 3, 4].map(|number| ports.serve(number));
    let [first, second, third] = servers.each_ref();
    let keys = [QUICK, "wait_after_removing_servers: 2s", "websocket: {drain: 0s}"];
    let balancer = ports.balance(&[first, second, third], &keys);
    let runtime = runtime();
    let mut sockets = Vec::new();
    let even = named(&[("web2", 1), ("web3", 1), ("web4", 1)]);
    assert_eq!(runtime.block_on(open_many(ports.http, 3, &mut sockets)), even);
    reload(&balancer, &ports.file(&[first], &keys));
    runtime.block_on(async {
        for socket in &mut sockets {
            echoes(socket).await;
        }
    });
    reload(&balancer, &ports.file(&[first, second], &keys));
    // That of web4, and no other.
    until("a tunnel has been closed", || balancer.status()["tunnels"]["live"] == 2);
    let mut open = 0;
    for socket in &mut sockets {
        open += usize::from(runtime.block_on(is_open(socket)));
    }
    assert_eq!(open, 2);
    drop(sockets);
    assert_eq!(balancer.stop().code, Some(0));
}
