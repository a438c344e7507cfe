//! A web server that the test plays, on an address of its own: it says its name, and can be made to fail in several ways.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicUsize, Ordering};
use std::thread::{self, JoinHandle};

use fermata_wire::{handshake, proxy};
use futures_util::{SinkExt, StreamExt};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::Role;

use crate::support::until;

/// What a server is like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Mood {
    /// As it should be.
    Well,
    /// It fails its check, and serves all the same.
    Sick,
    /// It answers as a path does that takes WebSockets alone.
    Picky,
    /// It takes requests, and hangs up on all but those for its health.
    Rude,
    /// It takes connections, and says nothing.
    Mute,
}

/// What its connections share.
#[derive(Default)]
struct State {
    mood: AtomicU8,
    /// Requests that were not for its health.
    asked: AtomicUsize,
    /// Requests for its health on its first port.
    checks: AtomicUsize,
    /// So many of these are failed from now on.
    failing: AtomicUsize,
    /// Each connection begins with a header of the PROXY protocol.
    is_told: AtomicBool,
}

/// A running server. Dropping it resets all that it has.
pub(crate) struct Server {
    name: &'static str,
    ip: Ipv4Addr,
    state: Arc<State>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    /// A server at `127.0.0.NUMBER` that is called `webNUMBER` and listens on these ports.
    pub(crate) fn start(number: u8, ports: &[u16]) -> Server {
        let ip = Ipv4Addr::new(127, 0, 0, number);
        let name: &'static str = format!("web{number}").leak();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let bind = |port: &u16| runtime.block_on(TcpListener::bind((ip, *port))).expect("the address is free");
        let listeners: Vec<TcpListener> = ports.iter().map(bind).collect();
        let state = Arc::new(State { mood: AtomicU8::new(Mood::Well as u8), ..State::default() });
        let (stop, stopped) = oneshot::channel();
        let thread = thread::spawn({
            let state = state.clone();
            move || {
                runtime.block_on(async {
                    for (number, listener) in listeners.into_iter().enumerate() {
                        tokio::spawn(accept(listener, name, number == 0, state.clone()));
                    }
                    let _ = stopped.await;
                });
                // Everything that it had goes with the runtime.
            }
        });
        Server { name, ip, state, stop: Some(stop), thread: Some(thread) }
    }

    /// From now on it is like that.
    pub(crate) fn be(&self, mood: Mood) {
        self.state.mood.store(mood as u8, Ordering::SeqCst);
    }

    /// From now on each connection begins with a header of the PROXY protocol.
    pub(crate) fn be_told(&self) {
        self.state.is_told.store(true, Ordering::SeqCst);
    }

    /// Requests that were not for its health.
    pub(crate) fn asked(&self) -> usize {
        self.state.asked.load(Ordering::SeqCst)
    }

    /// Fails so many checks of its first port and passes the next one; returns when that is over.
    pub(crate) fn fail_checks(&self, count: usize) {
        let before = self.state.checks.load(Ordering::SeqCst);
        self.state.failing.store(count, Ordering::SeqCst);
        until("it was asked that often", || self.state.checks.load(Ordering::SeqCst) > before + count);
    }

    /// Its name.
    pub(crate) fn name(&self) -> &str {
        self.name
    }

    /// As `load_balancer.servers` has it.
    pub(crate) fn entry(&self) -> String {
        format!("{{name: {}, address: {}}}", self.name, self.ip)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

async fn accept(listener: TcpListener, name: &'static str, is_first: bool, state: Arc<State>) {
    let port = listener.local_addr().expect("a bound socket has an address").port();
    while let Ok((stream, peer)) = listener.accept().await {
        tokio::spawn(serve(stream, peer, (name, port), is_first, state.clone()));
    }
}

async fn serve(
    mut stream: TcpStream,
    mut peer: SocketAddr,
    (name, port): (&'static str, u16),
    is_first: bool,
    state: Arc<State>,
) {
    if state.is_told.load(Ordering::SeqCst) {
        match told(&mut stream).await {
            Some(client) => peer = client.unwrap_or(peer),
            None => return,
        }
    }
    while let Some(head) = head(&mut stream).await {
        let mood = state.mood.load(Ordering::SeqCst);
        if mood == Mood::Mute as u8 {
            return std::future::pending().await;
        }
        let is_check = head.starts_with("GET /healthz ");
        if !is_check {
            state.asked.fetch_add(1, Ordering::SeqCst);
        }
        let failing = is_check && is_first && {
            state.checks.fetch_add(1, Ordering::SeqCst);
            state.failing.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_ok()
        };
        let who =
            format!("{name} on {port} for {}", header(&head, "x-forwarded-for").unwrap_or(&peer.ip().to_string()));
        if mood == Mood::Rude as u8 && !is_check {
            return;
        }
        if let Some(key) = header(&head, "sec-websocket-key") {
            let answer = format!(
                "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
                 Sec-WebSocket-Accept: {}\r\n\r\n",
                handshake::accept(key)
            );
            stream.write_all(answer.as_bytes()).await.expect("the balancer reads");
            return talk(stream, &who).await;
        }
        let status = match mood {
            mood if failing || is_check && mood == Mood::Sick as u8 => "500 Internal Server Error",
            mood if mood == Mood::Picky as u8 => "426 Upgrade Required",
            _ => "200 OK",
        };
        let answer = format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\n\r\n{who}\n", who.len() + 1);
        if stream.write_all(answer.as_bytes()).await.is_err() || header(&head, "connection") == Some("close") {
            return;
        }
    }
}

/// Who the client is, if not the sender itself; nothing where that is not said as it should be.
async fn told(stream: &mut TcpStream) -> Option<Option<SocketAddr>> {
    let mut bytes = Vec::new();
    loop {
        bytes.push(stream.read_u8().await.ok()?);
        if let Some(header) = proxy::read(&bytes).ok()? {
            return Some(header.way.map(|way| way.client));
        }
    }
}

/// Who is asked and by whom first, then whatever comes, back.
async fn talk(stream: TcpStream, who: &str) {
    let mut socket = WebSocketStream::from_raw_socket(stream, Role::Server, None).await;
    let mut sent = socket.send(Message::text(who)).await;
    while let (Ok(()), Some(Ok(message))) = (&sent, socket.next().await) {
        if message.is_text() || message.is_binary() {
            sent = socket.send(message).await;
        }
    }
}

async fn head(stream: &mut TcpStream) -> Option<String> {
    let mut text = Vec::new();
    while !text.ends_with(b"\r\n\r\n") {
        match stream.read_u8().await {
            Ok(byte) => text.push(byte),
            Err(_) => return None,
        }
    }
    String::from_utf8(text).ok()
}

fn header<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    head.lines().find_map(|line| {
        let (own, value) = line.split_once(':')?;
        own.eq_ignore_ascii_case(name).then(|| value.trim())
    })
}
