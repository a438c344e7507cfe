//! The load balancer tier over loopback: servers on 127.0.0.2 and up, the balancer on 127.0.0.1.
//!
//! Each story is told twice, with Fermata itself as the engine and with a real `HAProxy`. What comes out differently stands in
//! `differences`; what only one of them has, in `builtin` and `haproxy`.

mod builtin;
mod changes;
mod differences;
mod engine;
mod failing;
mod files;
mod haproxy;
mod health;
mod loops;
mod measured;
mod polling;
mod proof;
mod secure;
mod server;
mod shares;
mod sni;
#[path = "../support/mod.rs"]
mod support;
mod ways;

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{IpAddr, SocketAddr, TcpStream};

use futures_util::{SinkExt, StreamExt};
use server::Server;
use socket2::{Domain, Socket as RawSocket, Type};
use support::{Fermata, Folder, PATIENCE, Process, free_port};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

/// Each of these functions as a test of either engine.
macro_rules! by_both {
    ($($name:ident),+ $(,)?) => {
        mod by_fermata {
            $(#[test]
            fn $name() {
                super::$name(crate::engine::Engine::Builtin);
            })+
        }
        mod by_haproxy {
            $(#[test]
            fn $name() {
                super::$name(crate::engine::Engine::Haproxy);
            })+
        }
    };
}
use by_both;

pub(crate) type Socket = WebSocketStream<MaybeTlsStream<tokio::net::TcpStream>>;

/// The four ports of a balancer, which its servers have, too.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ports {
    pub(crate) http: u16,
    pub(crate) https: u16,
    pub(crate) ws: u16,
    pub(crate) wss: u16,
}

impl Ports {
    pub(crate) fn new() -> Ports {
        Ports { http: free_port(), https: free_port(), ws: free_port(), wss: free_port() }
    }

    /// A server with all of them.
    pub(crate) fn serve(self, number: u8) -> Server {
        Server::start(number, &[self.http, self.https, self.ws, self.wss])
    }

    /// The file of a balancer for these servers, with more keys (each `key: value`) for `load_balancer`.
    pub(crate) fn file(self, servers: &[&Server], more: &[&str]) -> String {
        let Ports { http, https, ws, wss } = self;
        let servers: Vec<String> = servers.iter().map(|server| format!("  - {}\n", server.entry())).collect();
        let more: Vec<String> = more.iter().map(|line| format!("  {line}\n")).collect();
        format!(
            "load_balancer:\n  servers:\n{}  ports: {{http: {http}, https: {https}, ws: {ws}, wss: {wss}}}\n{}\
             gateway: {{bind: 127.0.0.1, tester: false}}\n",
            servers.concat(),
            more.concat()
        )
    }
}

/// `fermata lb`, listening.
pub(crate) fn balance(folder: Folder) -> Fermata {
    let process = Process::start(&mut folder.command(&["lb", "--state-dir", "state"]));
    process.wait_for("that it is ready", |line| line.starts_with("ready"));
    folder.adopt(process)
}

/// Quick checks, for tests that wait for them.
pub(crate) const QUICK: &str = "check: {type: http, endpoint: /healthz, period: 1, initial_delay: 0}";

/// The answer to a request: status line and body.
pub(crate) fn get(port: u16, path: &str, headers: &str) -> (String, String) {
    get_from([127, 0, 0, 1].into(), port, path, headers)
}

/// The same from another address of this machine.
pub(crate) fn get_from(from: IpAddr, port: u16, path: &str, headers: &str) -> (String, String) {
    let answer =
        ask(from, port, &format!("GET {path} HTTP/1.1\r\nHost: app.example\r\nConnection: close\r\n{headers}\r\n"));
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no answer: {answer:?}"));
    (head.lines().next().unwrap_or_default().to_owned(), body.to_owned())
}

pub(crate) fn ask(from: IpAddr, port: u16, request: &str) -> String {
    let socket = RawSocket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
    socket.bind(&SocketAddr::new(from, 0).into()).expect("the address is this machine's");
    socket.connect(&SocketAddr::from(([127, 0, 0, 1], port)).into()).expect("the balancer listens");
    let mut stream = TcpStream::from(socket);
    stream.set_read_timeout(Some(PATIENCE)).expect("a timeout can be set");
    stream.write_all(request.as_bytes()).expect("the balancer reads");
    let mut answer = String::new();
    // Who is hung up on has what came before.
    let _ = stream.read_to_string(&mut answer);
    answer
}

/// Which server answers.
pub(crate) fn who(port: u16) -> String {
    let (status, body) = get(port, "/", "");
    assert_eq!(status, "HTTP/1.1 200 OK", "{body}");
    body.split(' ').next().unwrap_or_default().to_owned()
}

/// A WebSocket, and what its server says first.
pub(crate) async fn greeted(port: u16) -> (Socket, String) {
    let mut socket = connect_async(format!("ws://127.0.0.1:{port}/")).await.expect("a tunnel opens").0;
    let said = socket.next().await.expect("open").expect("a message").into_text().expect("text").to_string();
    (socket, said)
}

/// A WebSocket, and the name of its server.
pub(crate) async fn open(port: u16) -> (Socket, String) {
    let (socket, said) = greeted(port).await;
    (socket, said.split(' ').next().unwrap_or_default().to_owned())
}

/// Opens so many, and tells who got how many.
pub(crate) async fn open_many(port: u16, count: usize, sockets: &mut Vec<Socket>) -> BTreeMap<String, usize> {
    let mut names = BTreeMap::new();
    for _ in 0..count {
        let (socket, name) = open(port).await;
        *names.entry(name).or_default() += 1;
        sockets.push(socket);
    }
    names
}

pub(crate) async fn echoes(socket: &mut Socket) {
    socket.send(Message::text("hello")).await.expect("the tunnel takes a message");
    loop {
        match socket.next().await.expect("open").expect("a message") {
            Message::Ping(_) => {}
            message => return assert_eq!(message, Message::text("hello")),
        }
    }
}

/// How many of them still take a message and send it back.
pub(crate) async fn open_ones(sockets: &mut [Socket]) -> usize {
    let mut open = 0;
    for socket in sockets {
        let sent = socket.send(Message::text("there?")).await.is_ok();
        let is_open = sent && matches!(socket.next().await, Some(Ok(Message::Text(text))) if text.as_str() == "there?");
        open += usize::from(is_open);
    }
    open
}

/// Waits until all of these have ended, and tells how: `4 × 1012 the service restarts`; 1006 is an end without a Close
/// (RFC 6455 7.1.5).
pub(crate) async fn endings(sockets: Vec<Socket>) -> String {
    let mut seen = BTreeMap::<String, usize>::new();
    for mut socket in sockets {
        let ending = loop {
            match socket.next().await {
                Some(Ok(Message::Close(Some(close)))) => break format!("{} {}", u16::from(close.code), close.reason),
                Some(Ok(_)) => {}
                _ => break "1006".to_owned(),
            }
        };
        *seen.entry(ending).or_default() += 1;
    }
    seen.iter().map(|(ending, times)| format!("{times} × {ending}\n")).collect()
}

pub(crate) fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime")
}

pub(crate) fn named(counts: &[(&str, usize)]) -> BTreeMap<String, usize> {
    counts.iter().map(|(name, count)| ((*name).to_owned(), *count)).collect()
}
