//! What open tunnels and new ones see of it: nothing.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use tokio::task::JoinSet;
use tokio_tungstenite::tungstenite::Message;

use crate::clients::{ask, count, echo, file, live, open, open_many, pid, runtime, upgrade};
use crate::support::{Fermata, free_port, until};

const TUNNELS: usize = 300;

#[test]
fn hundreds_of_tunnels_go_through_three_upgrades_and_no_message_is_lost_doubled_or_late() {
    let port = free_port();
    let fermata = Fermata::up(&file(port, free_port(), ""));
    let first = pid(&fermata);
    runtime().block_on(async {
        let (stop, stopped) = tokio::sync::watch::channel(false);
        let sockets = open_many(port, TUNNELS).await;
        let mut counters: JoinSet<_> = sockets.into_iter().map(|socket| count(socket, stopped.clone())).collect();
        let mut before = first;
        for _ in 0..3 {
            let done = upgrade(&fermata).await;
            let now = pid(&fermata);
            assert_ne!(now, before);
            let version = env!("CARGO_PKG_VERSION");
            assert_eq!(done, format!("upgraded to fermata {version} (process {now}): {TUNNELS} tunnels went along\n"));
            // New ones, too, from the first moment on.
            echo(&mut open(port).await, "hello").await;
            until("the new one has gone", || live(&fermata).get("web.1") == Some(&(TUNNELS as u64)));
            before = now;
        }
        stop.send_replace(true);
        let (mut messages, mut sockets) = (0, Vec::new());
        while let Some(counted) = counters.join_next().await {
            let (number, socket) = counted.expect("no message was lost, doubled or late");
            messages += number;
            sockets.push(socket);
        }
        assert_eq!(sockets.len(), TUNNELS, "none was closed");
        assert!(messages > 0);
        assert_eq!(live(&fermata), BTreeMap::from([("web.1".to_owned(), TUNNELS as u64)]));
        let (code, listed, _) = ask(&fermata, &["connections", "--format", "json"]);
        let listed: serde_json::Value = serde_json::from_str(&listed).expect("JSON");
        let listed = listed.as_array().expect("a list");
        assert_eq!((code, listed.len()), (Some(0), TUNNELS));
        let passed: u64 = listed.iter().map(|one| one["messages"][0].as_u64().expect("a number")).sum();
        assert_eq!(passed, messages, "what has passed before counts");
    });
    let ended = fermata.stop();
    assert_eq!(ended.code, Some(0), "{}{}", ended.stdout, ended.stderr);
}

#[test]
fn what_was_on_the_way_to_a_stalled_reader_in_both_directions_arrives_after_the_upgrade() {
    const MESSAGES: u32 = 400;
    let port = free_port();
    let fermata = Fermata::up(&file(port, free_port(), ""));
    runtime().block_on(async {
        let mut waiting = Vec::new();
        for _ in 0..4 {
            let (mut say, hear) = open(port).await.split();
            // Echoes fill every buffer, then the questions do, and then nothing moves any more.
            let saying = tokio::spawn(async move {
                for number in 0..MESSAGES {
                    say.send(Message::binary(message(number))).await.expect("the tunnel takes a message");
                }
                say
            });
            waiting.push((saying, hear));
        }
        let mut before = 0;
        loop {
            tokio::time::sleep(Duration::from_millis(100)).await;
            let bytes = bytes_from_clients(&fermata);
            if bytes == before {
                break;
            }
            before = bytes;
        }
        assert!(waiting.iter().all(|(saying, _)| !saying.is_finished()), "all are stalled");
        upgrade(&fermata).await;
        upgrade(&fermata).await;
        for (saying, mut hear) in waiting {
            for number in 0..MESSAGES {
                let heard = hear.next().await.expect("the tunnel is open").expect("a message");
                assert!(heard == Message::binary(message(number)), "message {number}");
            }
            drop(saying.await.expect("no panic"));
        }
    });
    assert_eq!(fermata.stop().code, Some(0));
}

/// Message of this number: longer than any buffer that a tunnel has of its own.
fn message(number: u32) -> Vec<u8> {
    number.to_be_bytes().repeat(20_000)
}

fn bytes_from_clients(fermata: &Fermata) -> u64 {
    let (_, listed, _) = ask(fermata, &["connections", "--format", "json"]);
    let listed: serde_json::Value = serde_json::from_str(&listed).expect("JSON");
    listed.as_array().expect("a list").iter().map(|one| one["bytes"][0].as_u64().expect("a number")).sum()
}

#[test]
fn a_raw_tunnel_whose_client_has_said_all_gets_its_answer_from_the_new_process() {
    let (port, service) = (free_port(), TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port is free"));
    let container = service.local_addr().expect("bound").port();
    let fermata = Fermata::up(&format!(
        "version: 2\nservices:\n  raw:\n    ports: [{{container: {container}, tcp: {port}}}]\ngateway: {{bind: [\"127.0.0.1\"]}}\n"
    ));
    let mut client = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).expect("a public port");
    let (mut accepted, _) = service.accept().expect("a tunnel");
    client.write_all(b"a question, and ").expect("a connection");
    let mut begun = [0; 16];
    accepted.read_exact(&mut begun).expect("the beginning of it");
    client.write_all(b"its end").expect("a connection");
    client.shutdown(Shutdown::Write).expect("a connection");
    let mut rest = String::new();
    accepted.read_to_string(&mut rest).expect("the end of it");
    runtime().block_on(upgrade(&fermata));
    accepted.write_all(b"an answer").expect("a connection");
    drop(accepted);
    let mut answer = String::new();
    client.read_to_string(&mut answer).expect("the answer");
    assert_eq!((&begun[..], rest.as_str(), answer.as_str()), (&b"a question, and "[..], "its end", "an answer"));
    assert_eq!(fermata.stop().code, Some(0));
}

#[test]
fn forty_tunnels_and_an_upgrade_and_forty_more_after_a_scale_up_make_forty_each() {
    let port = free_port();
    let fermata = Fermata::up(&file(port, free_port(), ""));
    runtime().block_on(async {
        let mut sockets = open_many(port, 40).await;
        upgrade(&fermata).await;
        let scaled = ask(&fermata, &["scale", "web=2"]);
        assert_eq!(scaled, (Some(0), "scaled web from 1 to 2\n".into(), "starting web.2\n".into()));
        sockets.extend(open_many(port, 40).await);
        assert_eq!(live(&fermata), BTreeMap::from([("web.1".to_owned(), 40), ("web.2".to_owned(), 40)]));
        // What was started by different processes is all the same to the next one.
        upgrade(&fermata).await;
        assert_eq!(live(&fermata), BTreeMap::from([("web.1".to_owned(), 40), ("web.2".to_owned(), 40)]));
        for socket in &mut sockets {
            echo(socket, "still here").await;
        }
    });
    assert_eq!(fermata.stop().code, Some(0));
}

#[test]
fn limits_count_the_tunnels_that_came_along() {
    let port = free_port();
    let text = file(port, free_port(), "").replace("{drain: 1s}", "{max_connections: 2}");
    let fermata = Fermata::up(&text);
    runtime().block_on(async {
        let mut sockets = open_many(port, 2).await;
        upgrade(&fermata).await;
        let refused = tokio_tungstenite::connect_async(format!("ws://127.0.0.1:{port}/")).await;
        assert_eq!(refused.expect_err("it is full").to_string(), "HTTP error: 503 Service Unavailable");
        drop(sockets.pop());
        until("a place is free", || live(&fermata).values().sum::<u64>() == 1);
        echo(&mut open(port).await, "hello").await;
    });
    assert_eq!(fermata.stop().code, Some(0));
}
