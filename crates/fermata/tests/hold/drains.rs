//! Drains by hand, and instances that come and go while tunnels are open.

use std::collections::BTreeMap;

use futures_util::{SinkExt, StreamExt};
use tokio_tungstenite::tungstenite::Message;

use crate::support::{Fermata, Folder, Process, free_port, until};
use crate::{ask, ending, endings, file, live, open, open_many, runtime};

/// Runs `fermata` while this thread's tunnels go on.
async fn asked(fermata: &Fermata, arguments: &[&str]) -> (Option<i32>, String, String) {
    let mut command = fermata.folder.command(arguments);
    command.args(["--state-dir", "state"]);
    let output = tokio::task::spawn_blocking(move || command.output().expect("fermata runs")).await.expect("no panic");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code(), text(&output.stdout), text(&output.stderr))
}

#[test]
fn an_instance_is_drained_by_hand_and_gets_nobody_new() {
    let port = free_port();
    let fermata = Fermata::up(&file(port, free_port(), "").replace("    command", "    replicas: 2\n    command"));
    runtime().block_on(async {
        let sockets = open_many(port, 40).await;
        assert_eq!(live(&fermata), BTreeMap::from([("web.1".to_owned(), 20), ("web.2".to_owned(), 20)]));
        let drained = ask(&fermata, &["drain", "web.2", "--over", "500ms"]);
        assert_eq!(drained, (Some(0), "20 tunnels are being closed over 0.5 s\n".into(), String::new()));
        let mut tasks: tokio::task::JoinSet<_> = sockets.into_iter().map(ending).collect();
        for _ in 0..20 {
            let seen = tasks.join_next().await.expect("a tunnel ends").expect("no client panics");
            assert_eq!(seen, (1012, "the service restarts".to_owned()));
        }
        let back = open_many(port, 20).await;
        until("they are all on the other one", || live(&fermata)["web.1"] == 40);
        // A whole service: everybody is told, and it goes on taking new ones.
        let all = ask(&fermata, &["drain", "web", "--over", "0s"]);
        assert_eq!(all, (Some(0), "40 tunnels are being closed over 0 s\n".into(), String::new()));
        assert_eq!(endings(back).await, BTreeMap::from([((1012, "the service restarts".to_owned()), 20)]));
        assert_eq!(tasks.join_all().await.len(), 20);
        drop(open(port).await);
        let nobody = ask(&fermata, &["drain", "wep"]);
        let why = "error: there is no service or instance \"wep\"; the services are web\n";
        assert_eq!(nobody, (Some(1), String::new(), why.into()));
    });
    assert_eq!(fermata.stop().code, Some(0));
}

#[test]
fn a_rolling_redeploy_keeps_to_surge_and_unavailable() {
    let told = |constraints: &str| {
        let keys = format!("    replicas: 3\n    constraints: {{{constraints}}}\n    command");
        let fermata = Fermata::up(&file(free_port(), free_port(), "").replace("    command", &keys));
        let (code, said, told) = ask(&fermata, &["redeploy", "web"]);
        assert_eq!((code, said.as_str()), (Some(0), "redeployed web\n"), "{told}");
        let left = live(&fermata);
        assert_eq!(fermata.stop().code, Some(0));
        (told, left.into_keys().collect::<Vec<_>>())
    };
    assert_eq!(
        told("max_surge: 1, max_unavailable: 0"),
        (
            "starting web.4\ndraining web.1\nstarting web.1\ndraining web.2\nstarting web.2\ndraining web.3\n".into(),
            vec!["web.1".into(), "web.2".into(), "web.4".into()]
        )
    );
    assert_eq!(
        told("max_surge: 0, max_unavailable: 2"),
        (
            "draining web.1, web.2\nstarting web.1, web.2\ndraining web.3\nstarting web.3\n".into(),
            vec!["web.1".into(), "web.2".into(), "web.3".into()]
        )
    );
}

#[test]
fn a_file_that_wants_another_instance_fills_it_first() {
    let port = free_port();
    let text = file(port, free_port(), "");
    let fermata = Fermata::up(&text);
    runtime().block_on(async {
        let mut sockets = open_many(port, 40).await;
        // Other limits for the same service: a reload that its tunnels don't notice, and that forgets none of them.
        fermata.folder.write("service.yml", &text.replace("drain: 1s", "drain: 1s, max_connections: 100"));
        let (code, said, why) = asked(&fermata, &["reload"]).await;
        assert!(code == Some(0) && said.starts_with("reloaded: "), "{said}{why}");
        fermata.folder.write("service.yml", &text.replace("    command", "    replicas: 2\n    command"));
        fermata.process.wait_for("the second instance", |line| line.contains("web.2") && line.contains("ready"));
        until("it gets traffic", || live(&fermata).len() == 2);
        sockets.extend(open_many(port, 40).await);
        assert_eq!(live(&fermata), BTreeMap::from([("web.1".to_owned(), 40), ("web.2".to_owned(), 40)]));
    });
    assert_eq!(fermata.stop().code, Some(0));
}

/// A service that runs by itself, and its address.
fn elsewhere() -> (Process, String) {
    let address = format!("127.0.0.1:{}", free_port());
    let process = Process::start(&mut Folder::new("").command(&["echo", "--listen", &address]));
    process.wait_for("that it listens", |line| line.starts_with("listening"));
    (process, address)
}

#[test]
fn a_service_elsewhere_may_move_and_only_where_it_left_are_tunnels_drained() {
    let port = free_port();
    let ((_old, old), (_new, new)) = (elsewhere(), elsewhere());
    let at = |addresses: &str| {
        format!(
            "version: 2\nservices:\n  web:\n    address: [{addresses}]\n    websocket: {{drain: 1s}}\n    \
             ports: [{{container: 3000, http: {port}}}]\ngateway: {{bind: [\"127.0.0.1\"]}}\n"
        )
    };
    let fermata = Fermata::up(&at(&old));
    let reload = async |addresses: &str| {
        fermata.folder.write("service.yml", &at(addresses));
        let (code, said, why) = asked(&fermata, &["reload"]).await;
        assert!(code == Some(0) && said.starts_with("reloaded: "), "{said}{why}");
    };
    runtime().block_on(async {
        let mut first = open_many(port, 40).await;
        // In front of the other, which is the second now.
        reload(&format!("{new}, {old}")).await;
        until("both get traffic", || live(&fermata).len() == 2);
        assert_eq!(live(&fermata), BTreeMap::from([("web.1".to_owned(), 0), ("web.2".to_owned(), 40)]));
        let second = open_many(port, 40).await;
        assert_eq!(live(&fermata), BTreeMap::from([("web.1".to_owned(), 40), ("web.2".to_owned(), 40)]));
        reload(&old).await;
        let gone = (1012, "the instance was removed".to_owned());
        assert_eq!(endings(second).await, BTreeMap::from([(gone, 40)]));
        for socket in &mut first {
            socket.send(Message::text("still here")).await.expect("the tunnel takes a message");
            assert_eq!(socket.next().await.expect("open").expect("a message"), Message::text("still here"));
        }
        assert_eq!(live(&fermata), BTreeMap::from([("web.1".to_owned(), 40)]));
    });
    assert_eq!(fermata.stop().code, Some(0));
}

#[test]
fn a_service_that_runs_here_goes_elsewhere_under_another_name_alone() {
    let (port, container) = (free_port(), free_port());
    let (_there, address) = elsewhere();
    let fermata = Fermata::up(&file(port, container, ""));
    let moved = |name: &str| {
        format!(
            "version: 2\nservices:\n  {name}:\n    address: {address}\n    \
             ports: [{{container: 3000, http: {port}}}]\ngateway: {{bind: [\"127.0.0.1\"]}}\n"
        )
    };
    runtime().block_on(async {
        let mut socket = open(port).await;
        fermata.folder.write("service.yml", &moved("web"));
        let (code, said, why) = asked(&fermata, &["reload"]).await;
        assert_eq!((code, said.as_str()), (Some(1), ""));
        assert_eq!(
            why,
            "error: web runs here, and by the file it is to run elsewhere: no reload can do that; give it another name \
             there, so that one service goes as the other comes, or stop fermata and start it again; nothing has changed\n"
        );
        socket.send(Message::text("still here")).await.expect("the tunnel takes a message");
        assert_eq!(socket.next().await.expect("open").expect("a message"), Message::text("still here"));

        fermata.folder.write("service.yml", &moved("away"));
        assert_eq!(asked(&fermata, &["reload"]).await.0, Some(0));
        assert_eq!(endings(vec![socket]).await, BTreeMap::from([((1012, "the service was removed".to_owned()), 1)]));
        drop(open(port).await);
        until("its process has gone", || {
            std::net::TcpListener::bind(("127.0.0.1", container)).is_ok()
        });
    });
    assert_eq!(fermata.stop().code, Some(0));
}
