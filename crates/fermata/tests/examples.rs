//! The examples are right, as they stand in the repository.

mod support;

use std::path::{Path, PathBuf};
use std::process::Command;

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use support::{Fermata, Folder, free_port};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

const NAMES: [&str; 3] = ["already-running", "chat", "echo"];

fn example(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples").join(name)
}

fn text_of(file: &Path) -> String {
    std::fs::read_to_string(file).unwrap_or_else(|error| panic!("{}: {error}", file.display()))
}

#[test]
fn none_of_them_has_an_error_or_a_warning() {
    for name in NAMES {
        let check = Command::new(env!("CARGO_BIN_EXE_fermata"))
            .args(["check", "--strict"])
            .arg(example(name).join("service.yml"))
            .output()
            .expect("run");
        let said = String::from_utf8_lossy(&check.stdout) + String::from_utf8_lossy(&check.stderr);
        assert!(check.status.success(), "{name}: {said}");
    }
}

/// A balancer and its two servers, each a file of one folder, with ports that are free.
#[test]
fn the_load_balancer_has_two_servers_and_goes_on_with_one() {
    let folder = example("load-balancer");
    let ports = [("8000", free_port()), ("8001", free_port()), ("8443", free_port()), ("8080", free_port())];
    let text = |name: &str| {
        let text = ports
            .iter()
            .fold(text_of(&folder.join(name)), |text, (usual, free)| text.replace(usual, &free.to_string()));
        ["3001", "3002"].iter().fold(text, |text, usual| text.replace(usual, &free_port().to_string()))
    };
    let check = Command::new(env!("CARGO_BIN_EXE_fermata"))
        .args(["check", "--strict", "service.yml", "web1.yml", "web2.yml"])
        .current_dir(&folder)
        .output()
        .expect("run");
    assert!(
        check.status.success(),
        "{}{}",
        String::from_utf8_lossy(&check.stdout),
        String::from_utf8_lossy(&check.stderr)
    );
    let first = Fermata::up(&text("web1.yml"));
    let second = Fermata::up(&text("web2.yml"));
    let here = Folder::new(&text("service.yml"));
    let process = support::Process::start(&mut here.command(&["lb", "--state-dir", "state"]));
    for name in ["web1", "web2"] {
        let well = format!("{name} is well on {}", ports[3].1);
        process.wait_for(&well, |line| line.contains(&well));
    }
    let balancer = here.adopt(process);
    assert_eq!(first.stop().code, Some(0));
    let url = format!("ws://127.0.0.1:{}/", ports[0].1);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    for _ in 0..4 {
        let mut socket = runtime.block_on(connect_async(&url)).expect("a tunnel opens").0;
        runtime.block_on(socket.send(Message::text("hello"))).expect("the tunnel takes a message");
        let back = runtime.block_on(socket.next()).expect("open").expect("a message");
        assert_eq!(back, Message::text("hello"));
    }
    assert_eq!(balancer.stop().code, Some(0));
    assert_eq!(second.stop().code, Some(0));
}

#[test]
fn each_has_a_readme_that_names_its_command() {
    for name in NAMES {
        assert!(
            text_of(&example(name).join("README.md")).contains(&format!("up examples/{name}/service.yml")),
            "{name}"
        );
    }
}

/// The chat in a folder of its own, with the `ws` that the tests have installed.
fn chat(port: u16) -> Fermata {
    let service_yml = text_of(&example("chat").join("service.yml"));
    let service_yml = [("8080", port), ("8443", free_port()), ("3000", free_port())]
        .iter()
        .fold(service_yml, |text, (usual, free)| text.replace(usual, &free.to_string()));
    let folder = Folder::new(&(service_yml + "gateway: {bind: [\"127.0.0.1\"]}\n"));
    for file in ["server.js", "page.html", "package.json"] {
        folder.write(file, &text_of(&example("chat").join(file)));
    }
    let installed = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/peers/node_modules");
    assert!(installed.exists(), "tests/peers has no node_modules: run cargo xtask install");
    std::os::unix::fs::symlink(installed, folder.path().join("node_modules")).expect("a link can be made");
    folder.up()
}

type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

async fn enter(port: u16, room: &str, name: &str) -> Socket {
    let url = format!("ws://127.0.0.1:{port}/socket/{room}?name={name}&id={name}-in-{room}");
    connect_async(url).await.expect("a handshake").0
}

/// The next message of a kind.
async fn hear(socket: &mut Socket, kind: &str) -> Value {
    loop {
        let message = socket.next().await.expect("not the end").expect("a message");
        let said: Value = serde_json::from_str(message.to_text().expect("text")).expect("JSON");
        if said["type"] == kind {
            return said;
        }
    }
}

async fn say(socket: &mut Socket, message: Value) {
    socket.send(Message::text(message.to_string())).await.expect("sent");
}

#[tokio::test]
async fn the_chat_has_rooms_presence_and_history_and_is_redeployed_with_1012() {
    let port = free_port();
    let fermata = chat(port);

    let mut ann = enter(port, "lobby", "Ann").await;
    assert_eq!(hear(&mut ann, "welcome").await["members"], json!([{"id": "Ann-in-lobby", "name": "Ann"}]));
    let mut bob = enter(port, "lobby", "Bob").await;
    assert_eq!(hear(&mut bob, "welcome").await["members"][1]["name"], "Bob");
    assert_eq!(hear(&mut ann, "members").await["joined"], "Bob");
    let mut eve = enter(port, "music", "Eve").await;
    assert_eq!(hear(&mut eve, "welcome").await["members"].as_array().expect("a list").len(), 1);

    say(&mut ann, json!({"type": "say", "text": "hello <b>Bob</b>"})).await;
    for socket in [&mut ann, &mut bob] {
        let said = hear(socket, "said").await;
        assert_eq!((&said["name"], &said["text"]), (&json!("Ann"), &json!("hello <b>Bob</b>")));
    }
    say(&mut bob, json!({"type": "typing"})).await;
    assert_eq!(hear(&mut ann, "typing").await["name"], "Bob");
    let mut cyd = enter(port, "lobby", "Cyd").await;
    assert_eq!(hear(&mut cyd, "welcome").await["history"][0]["text"], "hello <b>Bob</b>");

    let asked = fermata.folder.command(&["redeploy", "chat", "--state-dir", "state"]).output().expect("run");
    assert!(asked.status.success(), "{}", String::from_utf8_lossy(&asked.stderr));
    loop {
        if let Message::Close(close) = ann.next().await.expect("not the end").expect("a message") {
            assert_eq!(close.map(|close| u16::from(close.code)), Some(1012));
            break;
        }
    }
    let mut back = enter(port, "lobby", "Ann").await;
    hear(&mut back, "welcome").await;
    drop((ann, bob, cyd, eve, back));
    assert_eq!(fermata.stop().code, Some(0));
}

#[tokio::test]
async fn the_chat_refuses_what_makes_no_sense() {
    let port = free_port();
    let fermata = chat(port);
    for path in ["/socket/lobby", "/socket/Not%20A%20Room?name=Ann&id=12345678", "/elsewhere?name=Ann&id=12345678"] {
        assert!(connect_async(format!("ws://127.0.0.1:{port}{path}")).await.is_err(), "{path}");
    }
    let mut ann = enter(port, "lobby", "Ann").await;
    ann.send(Message::text("not JSON")).await.expect("sent");
    loop {
        if let Message::Close(close) = ann.next().await.expect("not the end").expect("a message") {
            assert_eq!(close.map(|close| u16::from(close.code)), Some(1007));
            break;
        }
    }
    drop(ann);
    assert_eq!(fermata.stop().code, Some(0));
}
