//! Clients that would notice.

use std::collections::BTreeMap;
use std::process::Output;

use futures_util::{SinkExt, StreamExt};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

use crate::support::Fermata;

pub(crate) type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

/// A file with one service, of Fermata's own echo, behind `port`.
pub(crate) fn file(port: u16, container: u16, more: &str) -> String {
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

pub(crate) fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime")
}

/// Asks a running fermata: exit code, standard output, standard error.
pub(crate) fn ask(fermata: &Fermata, arguments: &[&str]) -> (Option<i32>, String, String) {
    said(fermata.folder.command(&[arguments, &["--state-dir", "state"]].concat()).output().expect("fermata runs"))
}

/// The same, while clients go on.
pub(crate) async fn ask_meanwhile(fermata: &Fermata, arguments: &[&str]) -> (Option<i32>, String, String) {
    let mut command = fermata.folder.command(&[arguments, &["--state-dir", "state"]].concat());
    let output = tokio::task::spawn_blocking(move || command.output().expect("fermata runs"));
    said(output.await.expect("no panic"))
}

fn said(output: Output) -> (Option<i32>, String, String) {
    let text = |bytes| String::from_utf8(bytes).expect("fermata speaks UTF-8");
    (output.status.code(), text(output.stdout), text(output.stderr))
}

/// An upgrade that must be one.
pub(crate) async fn upgrade(fermata: &Fermata) -> String {
    let (code, done, trouble) = ask_meanwhile(fermata, &["upgrade"]).await;
    assert_eq!(code, Some(0), "{done}{trouble}{}", fermata.process.transcript());
    done
}

pub(crate) async fn open(port: u16) -> Socket {
    connect_async(format!("ws://127.0.0.1:{port}/")).await.expect("a tunnel opens").0
}

pub(crate) async fn open_many(port: u16, count: usize) -> Vec<Socket> {
    let mut sockets = Vec::new();
    for _ in 0..count {
        sockets.push(open(port).await);
    }
    sockets
}

/// Says something and hears it back.
pub(crate) async fn echo(socket: &mut Socket, text: &str) {
    socket.send(Message::text(text)).await.expect("the tunnel takes a message");
    let echoed = socket.next().await.expect("the tunnel is open").expect("a message");
    assert_eq!(echoed, Message::text(text));
}

/// Sends numbers and expects each back, in order and once, until told to stop; returns how many, and the socket.
pub(crate) async fn count(mut socket: Socket, mut stop: watch::Receiver<bool>) -> (u64, Socket) {
    let mut number = 0u64;
    while !*stop.borrow_and_update() {
        echo(&mut socket, &number.to_string()).await;
        number += 1;
    }
    (number, socket)
}

/// How many tunnels each instance has, as status says.
pub(crate) fn live(fermata: &Fermata) -> BTreeMap<String, u64> {
    let status = fermata.status();
    let services = status["services"].as_array().expect("services").iter();
    let instances = services.flat_map(|service| service["instances"].as_array().expect("instances"));
    instances
        .map(|one| (one["name"].as_str().expect("a name").to_owned(), one["live"].as_u64().expect("a number")))
        .collect()
}

/// The process that answers now.
pub(crate) fn pid(fermata: &Fermata) -> i32 {
    fermata.status()["pid"].as_i64().expect("a number").try_into().expect("a pid")
}
