//! How tunnels end: each cause has its code, its counter and its line in the log. And a disk that is full ends none.

use std::process::Command;

use futures_util::{SinkExt, StreamExt};
use tokio_tungstenite::connect_async;
use tokio_tungstenite::tungstenite::Message;

use crate::support::{Fermata, Folder, Process, free_port, until};
use crate::{Socket, ending, file, open, runtime};

async fn open_at(port: u16, path: &str) -> Socket {
    connect_async(format!("ws://127.0.0.1:{port}{path}")).await.expect("a tunnel opens").0
}

#[test]
fn every_cause_has_its_code_its_counter_and_its_line() {
    let [web, quiet, deaf] = [(); 3].map(|()| free_port());
    let service = |name: &str, port: u16, websocket: &str| {
        format!(
            "  {name}:\n    command: $(FERMATA) echo\n    websocket: {{{websocket}}}\n    \
             ports: [{{container: 3000, http: {port}}}]\n"
        )
        .replace("3000", &free_port().to_string())
    };
    let fermata = Fermata::up(&format!(
        "version: 2\nservices:\n{}{}{}gateway: {{bind: [\"127.0.0.1\"]}}\n",
        service("web", web, "max_message: 10, max_message_rate: 3/s"),
        service("quiet", quiet, "idle_timeout: 1s"),
        service("deaf", deaf, "keepalive: 1s, pong_timeout: 1s"),
    ));
    let ended = || {
        let figures = fermata.status()["tunnels"]["ended"].clone();
        let figures = figures.as_object().expect("figures").iter();
        figures.map(|(cause, count)| format!("{cause} {count}")).collect::<Vec<_>>()
    };
    runtime().block_on(async {
        let told = |code: u16, reason: &str| (code, reason.to_owned());
        assert_eq!(ending(open_at(web, "/close/4000?reason=enough").await).await, told(4000, "enough"));
        assert_eq!(ending(open_at(web, "/drop").await).await, told(1011, "the service ended the connection"));
        let mut large = open(web).await;
        large.send(Message::text("eleven bytes")).await.expect("a tunnel");
        assert_eq!(ending(large).await, told(1009, "a message is larger than the service takes"));
        let mut hasty = open(web).await;
        for _ in 0..4 {
            hasty.feed(Message::text("a")).await.expect("a tunnel");
        }
        hasty.flush().await.expect("a tunnel");
        assert_eq!(ending(hasty).await, told(1008, "more messages than the service takes"));
        assert_eq!(ending(open(quiet).await).await, told(1001, "no message for too long"));
        // Nobody reads its Pings.
        let deaf = open(deaf).await;
        until("it is given up", || ended().iter().any(|line| line.starts_with("client-no-pong/")));
        drop(deaf);
        let mut own = open(web).await;
        own.close(Some(tokio_tungstenite::tungstenite::protocol::CloseFrame {
            code: 1000.into(),
            reason: "bye".into(),
        }))
        .await
        .expect("a tunnel");
        assert_eq!(ending(own).await, told(1000, "bye"));
        until("all of them have ended", || ended().len() == 7);
    });
    let seen = ended();
    let expected = [
        "client-close/1000 1",
        "client-no-pong/1006 1",
        "client-violation/1009 1",
        "idle/1001 1",
        "service-close/4000 1",
        "service-gone/1011 1",
        "too-many-messages/1008 1",
    ];
    assert_eq!(seen, expected);
    let left = fermata.stop();
    assert_eq!(left.code, Some(0));
    for line in expected {
        let (cause, code) = line.trim_end_matches(" 1").split_once('/').expect("both");
        let is_it = |line: &&str| {
            line.contains("tunnel ended")
                && line.contains(&format!("cause={cause}"))
                && line.contains(&format!("code={code}"))
        };
        assert_eq!(left.stderr.lines().filter(is_it).count(), 1, "{line}\n{}", left.stderr);
    }
}

/// The state folder is on a disk of its own (tmpfs(5)), in a mount namespace that goes with its process; the rest of the
/// test sees it through `proc_pid_root(5)`.
#[test]
fn a_full_disk_is_told_of_and_loses_nothing() {
    let port = free_port();
    let folder = Folder::new(&file(port, free_port(), ""));
    std::fs::create_dir(folder.path().join("state")).expect("a folder");
    let up = "mount -t tmpfs -o size=64k fermata state && exec \"$0\" up --state-dir state";
    let mut process = Process::start(
        Command::new("unshare")
            .args(["--map-root-user", "--mount", "sh", "-c", up, env!("CARGO_BIN_EXE_fermata")])
            .current_dir(folder.path())
            .env("NO_COLOR", "1"),
    );
    process.wait_for("that it is ready", |line| line.starts_with("ready"));
    let state = format!("/proc/{}/root{}/state", process.pid(), folder.path().display());
    runtime().block_on(async {
        let mut socket = open(port).await;
        let filler = std::fs::write(format!("{state}/filler"), vec![0; 128 * 1024]);
        assert_eq!(filler.map_err(|error| error.kind()), Err(std::io::ErrorKind::StorageFull));
        let (scaled, path) = (folder.run(&["scale", "web=2", "--state-dir", &state]), "state/processes.json");
        assert_eq!((scaled.code, scaled.stdout.as_str()), (Some(0), "scaled web from 1 to 2\n"), "{scaled:?}");
        let told = |line: &str| {
            line.contains(&format!("{path} cannot be written: No space left on device (os error 28); services run on"))
        };
        let lines = || process.stdout.text() + &process.stderr.text();
        until("it is told of", || lines().lines().any(told));
        assert_eq!(lines().lines().filter(|line| told(line)).count(), 1, "once");
        socket.send(Message::text("still here")).await.expect("the tunnel takes a message");
        assert_eq!(socket.next().await.expect("open").expect("a message"), Message::text("still here"));
    });
    process.signal(rustix::process::Signal::TERM);
    assert!(process.wait().success());
}
