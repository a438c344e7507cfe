//! A web server that the test plays, on an address of its own: it says its name, and can be made to fail in several ways.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicUsize, Ordering};
use std::thread::{self, JoinHandle};

use fermata_wire::handshake;
use futures_util::{SinkExt, StreamExt};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::Role;

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

/// A running server. Dropping it resets all that it has.
pub(crate) struct Server {
    name: &'static str,
    ip: Ipv4Addr,
    mood: Arc<AtomicU8>,
    /// Requests that were not for its health.
    pub(crate) asked: Arc<AtomicUsize>,
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
        let (mood, asked) = (Arc::new(AtomicU8::new(Mood::Well as u8)), Arc::new(AtomicUsize::new(0)));
        let (stop, stopped) = oneshot::channel();
        let thread = thread::spawn({
            let (mood, asked) = (mood.clone(), asked.clone());
            move || {
                runtime.block_on(async {
                    for listener in listeners {
                        tokio::spawn(accept(listener, name, mood.clone(), asked.clone()));
                    }
                    let _ = stopped.await;
                });
                // Everything that it had goes with the runtime.
            }
        });
        Server { name, ip, mood, asked, stop: Some(stop), thread: Some(thread) }
    }

    /// From now on it is like that.
    pub(crate) fn be(&self, mood: Mood) {
        self.mood.store(mood as u8, Ordering::SeqCst);
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

async fn accept(listener: TcpListener, name: &'static str, mood: Arc<AtomicU8>, asked: Arc<AtomicUsize>) {
    let port = listener.local_addr().expect("a bound socket has an address").port();
    while let Ok((stream, peer)) = listener.accept().await {
        tokio::spawn(serve(stream, peer, (name, port), mood.clone(), asked.clone()));
    }
}

async fn serve(
    mut stream: TcpStream,
    peer: SocketAddr,
    (name, port): (&'static str, u16),
    mood: Arc<AtomicU8>,
    asked: Arc<AtomicUsize>,
) {
    while let Some(head) = head(&mut stream).await {
        let mood = mood.load(Ordering::SeqCst);
        if mood == Mood::Mute as u8 {
            return std::future::pending().await;
        }
        let is_check = head.starts_with("GET /healthz ");
        if !is_check {
            asked.fetch_add(1, Ordering::SeqCst);
        }
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
            return talk(stream, name).await;
        }
        let status = match mood {
            mood if is_check && mood == Mood::Sick as u8 => "500 Internal Server Error",
            mood if mood == Mood::Picky as u8 => "426 Upgrade Required",
            _ => "200 OK",
        };
        let body =
            format!("{name} on {port} for {}\n", header(&head, "x-forwarded-for").unwrap_or(&peer.ip().to_string()));
        let answer = format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\n\r\n{body}", body.len());
        if stream.write_all(answer.as_bytes()).await.is_err() || header(&head, "connection") == Some("close") {
            return;
        }
    }
}

/// Its name first, then whatever comes, back.
async fn talk(stream: TcpStream, name: &str) {
    let mut socket = WebSocketStream::from_raw_socket(stream, Role::Server, None).await;
    let mut sent = socket.send(Message::text(name)).await;
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
