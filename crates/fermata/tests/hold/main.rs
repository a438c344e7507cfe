//! Holding the note: what changes while tunnels are open, and what their clients see of it.

mod drains;
mod endings;
#[path = "../support/mod.rs"]
mod support;

use std::collections::BTreeMap;
use std::net::TcpStream as PlainStream;

use futures_util::{SinkExt, StreamExt};
use rustix::process::Signal;
use support::{Fermata, Folder, PATIENCE, Process, TlsFront, free_port, until};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

const TUNNELS: usize = 500;

/// A file with one service, of Fermata's own echo, behind `port`.
fn file(port: u16, container: u16, more: &str) -> String {
    format!(
        "version: 2\n\
         services:\n  \
           web:\n    \
             command: $(FERMATA) echo\n    \
             websocket: {{drain: 1s}}\n    \
             ports: [{{container: {container}, http: {port}}}]\n\
         {more}\
         gateway: {{bind: [\"127.0.0.1\"]}}\n"
    )
}

fn ask(fermata: &Fermata, arguments: &[&str]) -> (Option<i32>, String, String) {
    let mut all = arguments.to_vec();
    all.extend(["--state-dir", "state"]);
    let ended = fermata.folder.run(&all);
    (ended.code, ended.stdout, ended.stderr)
}

/// The rows of `fermata connections`, asked for while this thread's tunnels go on.
async fn list(fermata: &Fermata, filter: &[&str]) -> Vec<serde_json::Value> {
    let mut command = fermata.folder.command(&["connections", "--format", "json", "--state-dir", "state"]);
    command.args(filter);
    let asked = tokio::task::spawn_blocking(move || command.output().expect("fermata runs"));
    let output = asked.await.expect("no panic");
    serde_json::from_slice(&output.stdout).expect("JSON")
}

fn live(fermata: &Fermata) -> BTreeMap<String, u64> {
    let status = fermata.status();
    let instances = status["services"][0]["instances"].as_array().expect("instances").iter();
    instances
        .map(|one| (one["name"].as_str().expect("a name").to_owned(), one["live"].as_u64().expect("a number")))
        .collect()
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime")
}

async fn open(port: u16) -> Socket {
    connect_async(format!("ws://127.0.0.1:{port}/")).await.expect("a tunnel opens").0
}

async fn open_many(port: u16, count: usize) -> Vec<Socket> {
    let mut sockets = Vec::new();
    for _ in 0..count {
        sockets.push(open(port).await);
    }
    sockets
}

/// Sends numbers and expects each back, in order and once, until told to stop; returns how many.
async fn count(mut socket: Socket, mut stop: tokio::sync::watch::Receiver<bool>) -> u64 {
    let mut number = 0u64;
    while !*stop.borrow_and_update() {
        socket.send(Message::text(number.to_string())).await.expect("the tunnel takes a message");
        let echoed = socket.next().await.expect("the tunnel is open").expect("a message");
        assert_eq!(echoed, Message::text(number.to_string()));
        number += 1;
    }
    number
}

/// How a tunnel ended, as its client saw it: code and reason, or 1006.
async fn ending(mut socket: Socket) -> (u16, String) {
    loop {
        match socket.next().await {
            Some(Ok(Message::Close(Some(close)))) => return (close.code.into(), close.reason.to_string()),
            Some(Ok(_)) => {}
            Some(Err(_)) | None => return (u16::from(CloseCode::Abnormal), String::new()),
        }
    }
}

/// How many tunnels ended in which way.
async fn endings(sockets: Vec<Socket>) -> BTreeMap<(u16, String), usize> {
    let mut tasks: JoinSet<(u16, String)> = sockets.into_iter().map(ending).collect();
    let mut seen = BTreeMap::new();
    while let Some(one) = tasks.join_next().await {
        *seen.entry(one.expect("no client panics")).or_default() += 1;
    }
    seen
}

/// Makes a certificate for localhost in the place of the one before.
fn certify(folder: &Folder) {
    folder.write_certificate("app", &["localhost"]);
}

#[test]
fn tunnels_do_not_notice_reloads_and_certificates_that_do_not_concern_them() {
    let [port, https, side, container] = [(); 4].map(|()| free_port());
    let with = |more: &str| {
        file(port, container, &format!("{more}tls: {{certificates: [{{cert: app.pem, key: app.key}}]}}\n"))
            .replace(&format!("http: {port}"), &format!("http: {port}, https: {https}"))
    };
    let folder = Folder::new(&with(""));
    certify(&folder);
    let fermata = folder.up();
    let over_tls = TlsFront::of(https, &fermata.folder.path().join("app.pem"));
    runtime().block_on(async {
        let (stop, stopped) = tokio::sync::watch::channel(false);
        let mut sockets = open_many(port, TUNNELS - 100).await;
        sockets.extend(open_many(over_tls.port, 100).await);
        let mut counters: JoinSet<u64> = sockets.into_iter().map(|socket| count(socket, stopped.clone())).collect();
        for round in 0..20 {
            let more = format!(
                "  side:\n    command: $(FERMATA) echo\n    env_vars: {{ROUND: \"{round}\"}}\n    \
                 ports: [{{container: {}, http: {side}}}]\n",
                free_port()
            );
            fermata.folder.write("service.yml", &with(if round % 2 == 0 { &more } else { "" }));
            if round % 8 == 4 {
                certify(&fermata.folder);
            }
            // The change of the file is noticed by itself, too: whoever comes second finds nothing to do.
            let reloaded = tokio::task::spawn_blocking({
                let mut command = fermata.folder.command(&["reload", "--state-dir", "state"]);
                move || command.output().expect("fermata runs")
            });
            let reloaded = reloaded.await.expect("no panic");
            let said = String::from_utf8_lossy(&reloaded.stdout).into_owned();
            let busy = String::from_utf8_lossy(&reloaded.stderr).into_owned();
            assert!(said.starts_with("reloaded: ") || busy.contains("is under way"), "{said}{busy}");
        }
        stop.send_replace(true);
        let mut messages = 0;
        while let Some(counted) = counters.join_next().await {
            messages += counted.expect("no message was lost, doubled or late");
        }
        assert!(messages > 0);
    });
    assert_eq!(fermata.stop().code, Some(0));
}

#[test]
fn a_redeploy_tells_every_client_to_come_back_and_leaves_no_old_process() {
    let port = free_port();
    let fermata = Fermata::up(&file(port, free_port(), ""));
    runtime().block_on(async {
        let sockets = open_many(port, TUNNELS).await;
        let mut command = fermata.folder.command(&["redeploy", "web", "--state-dir", "state"]);
        let redeploying = tokio::task::spawn_blocking(move || command.output().expect("fermata runs"));
        let restart = (1012, "the service restarts".to_owned());
        assert_eq!(endings(sockets).await, BTreeMap::from([(restart, TUNNELS)]));
        let said = redeploying.await.expect("no panic");
        assert_eq!(String::from_utf8_lossy(&said.stdout), "redeployed web\n");
        assert_eq!(
            String::from_utf8_lossy(&said.stderr),
            "starting web.2\ndraining web.1\n",
            "the new one is there before the old one goes"
        );
        let mut again = open(port).await;
        again.send(Message::text("hello")).await.expect("the new instance takes a message");
        assert_eq!(again.next().await.expect("open").expect("a message"), Message::text("hello"));
    });
    assert_eq!(live(&fermata).keys().collect::<Vec<_>>(), ["web.2"]);
    assert_eq!(fermata.stop().code, Some(0));
}

#[test]
fn a_redeploy_that_cannot_become_ready_leaves_the_old_instance_and_its_tunnels_alone() {
    let (port, container) = (free_port(), free_port());
    let folder = Folder::new("");
    let script = folder.write(
        "service.sh",
        "#!/bin/sh\nif [ -e broken ]; then echo 'the disk is full'; exit 3; fi\nexec \"$FERMATA\" echo\n",
    );
    let text = file(port, container, "").replace("$(FERMATA) echo", &format!("sh {}", script.display()));
    folder.write("service.yml", &text);
    let fermata = folder.up();
    runtime().block_on(async {
        let mut socket = open(port).await;
        fermata.folder.write("broken", "");
        let mut command = fermata.folder.command(&["redeploy", "web", "--state-dir", "state"]);
        let said =
            tokio::task::spawn_blocking(move || command.output().expect("fermata runs")).await.expect("no panic");
        assert_eq!(said.status.code(), Some(1));
        assert_eq!(
            String::from_utf8_lossy(&said.stderr),
            "starting web.2\n\
             error: web stays as it was: web.2 ended with exit code 3\n\
             its last output:\n  the disk is full\n"
        );
        socket.send(Message::text("still here")).await.expect("the old instance takes a message");
        assert_eq!(socket.next().await.expect("open").expect("a message"), Message::text("still here"));
        assert_eq!(live(&fermata), BTreeMap::from([("web.1".to_owned(), 1)]));
    });
    assert_eq!(fermata.stop().code, Some(0));
}

#[test]
fn forty_tunnels_on_one_instance_and_forty_more_after_a_scale_up_make_forty_each() {
    let port = free_port();
    let fermata = Fermata::up(&file(port, free_port(), ""));
    runtime().block_on(async {
        let mut sockets = open_many(port, 40).await;
        let scaled = ask(&fermata, &["scale", "web=2"]);
        assert_eq!(scaled, (Some(0), "scaled web from 1 to 2\n".into(), "starting web.2\n".into()));
        sockets.extend(open_many(port, 40).await);
        let both = BTreeMap::from([("web.1".to_owned(), 40), ("web.2".to_owned(), 40)]);
        assert_eq!(live(&fermata), both);
        // The client of a tunnel that is scaled away is told so; the others notice nothing.
        let mut command = fermata.folder.command(&["scale", "web=-1", "--state-dir", "state"]);
        let scaling = tokio::task::spawn_blocking(move || command.output().expect("fermata runs"));
        let (stay, leave): (Vec<Socket>, Vec<Socket>) = {
            let late = sockets.split_off(40);
            (sockets, late)
        };
        let seen = endings(leave).await;
        assert_eq!(seen, BTreeMap::from([((1012, "the service has fewer instances now".to_owned()), 40)]));
        assert!(scaling.await.expect("no panic").status.success());
        assert_eq!(live(&fermata), BTreeMap::from([("web.1".to_owned(), 40)]));
        drop(stay);
    });
    assert_eq!(fermata.stop().code, Some(0));
}

#[test]
fn the_surplus_of_the_old_moves_to_the_new_after_a_scale_up() {
    let port = free_port();
    let fermata =
        Fermata::up(&file(port, free_port(), "").replace("    websocket:", "    rebalance: 1s\n    websocket:"));
    runtime().block_on(async {
        let sockets = open_many(port, 40).await;
        assert_eq!(ask(&fermata, &["scale", "web=2"]).0, Some(0));
        let mut tasks: JoinSet<(u16, String)> = sockets.into_iter().map(ending).collect();
        for _ in 0..20 {
            let seen = tasks.join_next().await.expect("a tunnel ends").expect("no client panics");
            assert_eq!(seen, (1012, "another instance has room".to_owned()));
        }
        // Its clients come back, and find the one that has room.
        let back = open_many(port, 20).await;
        let even = BTreeMap::from([("web.1".to_owned(), 20), ("web.2".to_owned(), 20)]);
        until("both have as many", || live(&fermata) == even);
        drop(back);
        tasks.abort_all();
    });
    assert_eq!(fermata.stop().code, Some(0));
}

#[test]
fn a_file_with_an_error_changes_nothing_and_says_why() {
    let (port, container) = (free_port(), free_port());
    let fermata = Fermata::up(&file(port, container, ""));
    runtime().block_on(async {
        let mut socket = open(port).await;
        fermata.folder.write("service.yml", &file(port, container, "").replace("container:", "contaner:"));
        let (code, said, why) = ask(&fermata, &["reload"]);
        assert_eq!((code, said.as_str()), (Some(1), ""));
        assert!(why.starts_with("error: the file has errors, and nothing was changed\n"), "{why}");
        assert!(why.contains("contaner"), "{why}");
        socket.send(Message::text("hello")).await.expect("the tunnel takes a message");
        assert_eq!(socket.next().await.expect("open").expect("a message"), Message::text("hello"));
    });
    assert_eq!(fermata.stop().code, Some(0));
}

#[test]
fn a_service_that_left_the_file_is_drained_and_stopped() {
    let (port, other) = (free_port(), free_port());
    let side = format!(
        "  side:\n    command: $(FERMATA) echo\n    websocket: {{drain: 1s}}\n    \
         ports: [{{container: {}, http: {other}}}]\n",
        free_port()
    );
    let container = free_port();
    let fermata = Fermata::up(&file(port, container, &side));
    runtime().block_on(async {
        let (mut stays, leaves) = (open(port).await, open_many(other, 20).await);
        fermata.folder.write("service.yml", &file(port, container, ""));
        let removed = (1012, "the service was removed".to_owned());
        assert_eq!(endings(leaves).await, BTreeMap::from([(removed, 20)]));
        stays.send(Message::text("hello")).await.expect("the tunnel takes a message");
        assert_eq!(stays.next().await.expect("open").expect("a message"), Message::text("hello"));
    });
    fermata.process.wait_for("that side is gone", |line| line.contains("side.1 has stopped"));
    until("its port is closed", || PlainStream::connect(("127.0.0.1", other)).is_err());
    assert_eq!(fermata.stop().code, Some(0));
}

#[test]
fn the_list_tells_everything_of_a_tunnel_and_can_be_narrowed() {
    let (port, https) = (free_port(), free_port());
    let text = file(port, free_port(), "tls: {certificates: [{cert: app.pem, key: app.key}]}\n")
        .replace(&format!("http: {port}"), &format!("http: {port}, https: {https}"))
        .replace("websocket: {", "websocket: {keepalive: 1s, ");
    let folder = Folder::new(&text);
    certify(&folder);
    let fermata = folder.up();
    let front = TlsFront::of(https, &fermata.folder.path().join("app.pem"));
    runtime().block_on(async {
        let mut request = format!("ws://127.0.0.1:{}/", front.port).into_client_request().expect("a URL");
        request.headers_mut().insert("sec-websocket-protocol", "fermata-echo".parse().expect("a value"));
        let mut secure = connect_async(request).await.expect("a tunnel opens").0;
        let mut clear = open(port).await;
        for socket in [&mut secure, &mut clear] {
            socket.send(Message::text("12345")).await.expect("the tunnel takes a message");
            assert_eq!(socket.next().await.expect("open").expect("a message"), Message::text("12345"));
        }
        // Both answer Pings while they are read.
        let reading = JoinSet::from_iter([ending(secure), ending(clear)]);
        let is_known = |row: &serde_json::Value| row["ping"].as_array().expect("two").iter().all(|one| !one.is_null());
        let pinged = async {
            loop {
                let rows = list(&fermata, &[]).await;
                if rows.iter().all(is_known) {
                    return rows;
                }
            }
        };
        let rows = tokio::time::timeout(PATIENCE, pinged).await.expect("every Ping is answered");
        let told = |row: &serde_json::Value| {
            let mut row = row.clone();
            for moment in ["age", "idle", "ping"] {
                row.as_object_mut().expect("an object").remove(moment).expect("it is there");
            }
            row
        };
        let row = |id: u8, protocol: Option<&str>, tls_version: Option<&str>| {
            serde_json::json!({
                "id": id, "client": "127.0.0.1", "service": "web", "instance": "web.1", "carries": "websocket",
                "http": "HTTP/1.1", "protocol": protocol, "tls": tls_version.is_some(), "tls_version": tls_version,
                "bytes": [11, 7], "messages": [1, 1],
            })
        };
        let expected = [row(1, Some("fermata-echo"), Some("1.3")), row(2, None, None)];
        assert_eq!(rows.iter().map(told).collect::<Vec<_>>(), expected);
        let narrowed: [(&[&str], &[u64]); 5] = [
            (&["--id", "2"], &[2]),
            (&["--to", "web"], &[1, 2]),
            (&["--to", "web.1", "--client", "127.0.0.1"], &[1, 2]),
            (&["--to", "web.2"], &[]),
            (&["--client", "127.0.0.2"], &[]),
        ];
        for (filter, expected) in narrowed {
            let rows = list(&fermata, filter).await;
            let ids: Vec<u64> = rows.iter().map(|row| row["id"].as_u64().expect("a number")).collect();
            assert_eq!(ids, expected, "{filter:?}");
        }
        drop(reading);
    });
    assert_eq!(fermata.stop().code, Some(0));
}

#[test]
fn what_becomes_of_tunnels_can_be_followed() {
    let port = free_port();
    let fermata = Fermata::up(&file(port, free_port(), ""));
    let follow = |more: &[&str]| {
        let arguments = [&["connections", "--follow", "--state-dir", "state"], more].concat();
        Process::start(&mut fermata.folder.command(&arguments))
    };
    runtime().block_on(async {
        let first = open(port).await;
        let (mut people, program) = (follow(&[]), follow(&["--format", "json"]));
        people.wait_for("who is there", |line| line.starts_with("1   127.0.0.1"));
        program.wait_for("who is there", |line| line.starts_with(r#"{"change":"live","id":1,"#));
        let mut second = open(port).await;
        people.wait_for("who has come", |line| line == "+ 2  127.0.0.1  web.1  websocket");
        program.wait_for("who has come", |line| line.starts_with(r#"{"change":"opened","id":2,"#));
        second.close(None).await.expect("a tunnel that can be closed");
        assert_eq!(ending(second).await.0, 1006, "a Close without a code is answered by one");
        let gone = |line: &str| {
            line.starts_with("- 2  127.0.0.1  web.1  client-close 1005 after ")
                && line.ends_with(" s, messages 0 / 0, bytes 6 / 2")
        };
        people.wait_for("who has gone", gone);
        program.wait_for("who has gone", |line| line.contains(r#""change":"ended","id":2,"#));
        people.signal(Signal::INT);
        people.wait();
        drop(first);
        program.wait_for("who has gone", |line| line.contains(r#""change":"ended","id":1,"#));
    });
    assert_eq!(fermata.stop().code, Some(0));
}

#[test]
fn tunnels_are_listed_and_closed_by_their_number() {
    let port = free_port();
    let fermata = Fermata::up(&file(port, free_port(), ""));
    runtime().block_on(async {
        let sockets = open_many(port, 2).await;
        let (code, listed, _) = ask(&fermata, &["connections", "--format", "json"]);
        let listed: serde_json::Value = serde_json::from_str(&listed).expect("JSON");
        assert_eq!((code, listed.as_array().map(Vec::len)), (Some(0), Some(2)));
        let first = listed[0]["id"].to_string();
        let closed = ask(&fermata, &["connections", "close", "--id", &first]);
        assert_eq!(closed, (Some(0), "1 tunnels are being closed\n".into(), String::new()));
        let mut sockets = sockets.into_iter();
        let going = ending(sockets.next().expect("two")).await;
        assert_eq!(going, (1001, "closed by the operator".to_owned()));
        let nobody = ask(&fermata, &["connections", "close"]);
        let usage = "error: name the tunnels to close by --id, --to or --client, or all of them by --all\n";
        assert_eq!(nobody, (Some(2), String::new(), usage.into()));
        assert_eq!(live(&fermata), BTreeMap::from([("web.1".to_owned(), 1)]));
    });
    assert_eq!(fermata.stop().code, Some(0));
}
