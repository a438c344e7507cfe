//! Thousands of tunnels at once in one process; and when they are closed, nothing is left of them.
//!
//! The limit here is a process's descriptors: Fermata has two for each tunnel, and so has this test, which is all of its
//! clients and the service.

mod support;

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::{self, JoinHandle};

use fermata_wire::handshake;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use rustls::ClientConfig;
use rustls_pki_types::ServerName;
use support::{Fermata, Folder, PATIENCE, free_port, trusting, until};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Runtime;
use tokio::sync::{Semaphore, oneshot};
use tokio::task::JoinSet;
use tokio_rustls::TlsConnector;

/// Handshakes under way at once: fewer than a listener's queue holds, so that none waits for a second try of its SYN.
const AT_ONCE: usize = 100;

#[test]
fn nothing_is_left_of_nine_thousand_tunnels() {
    allow_descriptors(2 * 9_000 + 500);
    let service = Echo::start();
    let (fermata, ports) = gateway(&service);
    open_and_close(&fermata, &service, 9_000, &Door::Clear(ports.http));
    assert_eq!(fermata.stop().code, Some(0));
}

#[test]
fn nothing_is_left_of_a_thousand_tunnels_over_tls() {
    allow_descriptors(2 * 1_000 + 500);
    let service = Echo::start();
    let (fermata, ports) = gateway(&service);
    let trust = trusting(&fermata.folder.path().join("app.pem"));
    open_and_close(&fermata, &service, 1_000, &Door::Tls(ports.https, trust));
    assert_eq!(fermata.stop().code, Some(0));
}

fn open_and_close(fermata: &Fermata, service: &Echo, tunnels: usize, door: &Door) {
    let runtime = runtime();
    // One tunnel first: what a process makes once and keeps is not left behind by the others.
    runtime.block_on(close(open(1, door)));
    until("the first tunnel is gone", || live(fermata) == 0);
    let (descriptors, threads) = (fermata.descriptors(), fermata.threads());

    let open = runtime.block_on(async { open(tunnels, door).await });
    assert_eq!(live(fermata), tunnels);
    // The question itself was a connection, too, and may not be gone yet.
    until("each tunnel has two descriptors", || fermata.descriptors() == descriptors + 2 * tunnels);
    assert_eq!(fermata.threads(), threads, "a tunnel has no thread");
    assert_eq!(service.live.load(Ordering::SeqCst), tunnels);

    runtime.block_on(close(async { open }));
    until("all descriptors are given back", || fermata.descriptors() == descriptors);
    assert_eq!(live(fermata), 0);
    assert_eq!(instances_live(fermata), 0, "every lease is given back");
    assert_eq!(ended(fermata), 1 + tunnels, "each ending is counted once");
    assert_eq!(fermata.threads(), threads);
    until("the service's connections are gone", || service.live.load(Ordering::SeqCst) == 0);
}

/// Tunnels that are open, as Fermata says.
fn live(fermata: &Fermata) -> usize {
    number(&fermata.status()["tunnels"]["live"])
}

/// The same, as the only instance of the only service has it.
fn instances_live(fermata: &Fermata) -> usize {
    number(&fermata.status()["services"][0]["instances"][0]["live"])
}

/// Tunnels that have ended, whatever their cause.
fn ended(fermata: &Fermata) -> usize {
    let status = fermata.status();
    let causes = status["tunnels"]["ended"].as_object().expect("endings by cause");
    causes.values().map(number).sum()
}

fn number(value: &serde_json::Value) -> usize {
    value.as_u64().unwrap_or_else(|| panic!("a number was expected, not {value}")) as usize
}

struct Ports {
    http: u16,
    https: u16,
}

fn gateway(service: &Echo) -> (Fermata, Ports) {
    let ports = Ports { http: free_port(), https: free_port() };
    let folder = Folder::new(&format!(
        r#"version: 2
services:
  echo:
    ports:
    - container: {}
      http: {}
      https: {}
gateway: {{bind: ["127.0.0.1"]}}
tls:
  certificates: [{{cert: app.pem, key: app.key}}]
"#,
        service.port, ports.http, ports.https
    ));
    folder.write_certificate("app", &["localhost"]);
    (folder.up(), ports)
}

/// Raises the limit that this process and those that it starts have, as far as it may.
fn allow_descriptors(needed: u64) {
    let limit = getrlimit(Resource::Nofile);
    if limit.current.is_some_and(|current| current < needed) {
        let maximum = limit.maximum.unwrap_or(needed);
        assert!(maximum >= needed, "this test needs {needed} descriptors, and `ulimit -Hn` allows {maximum}");
        setrlimit(Resource::Nofile, Rlimit { current: Some(maximum), ..limit }).expect("up to the maximum is allowed");
    }
}

fn runtime() -> Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime starts")
}

// The clients.

/// How clients come in.
enum Door {
    Clear(u16),
    Tls(u16, Arc<ClientConfig>),
}

trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Stream for T {}

async fn open(tunnels: usize, door: &Door) -> Vec<Box<dyn Stream>> {
    let turns = Arc::new(Semaphore::new(AT_ONCE));
    let mut opening = JoinSet::new();
    for number in 0..tunnels {
        let turn = Arc::clone(&turns).acquire_owned().await.expect("nobody closes it");
        let (port, tls) = match door {
            Door::Clear(port) => (*port, None),
            Door::Tls(port, trust) => (*port, Some(TlsConnector::from(Arc::clone(trust)))),
        };
        opening.spawn(async move {
            let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await.expect("the gateway listens");
            let mut stream: Box<dyn Stream> = match tls {
                None => Box::new(stream),
                Some(tls) => {
                    let name = ServerName::try_from("localhost").expect("a name");
                    Box::new(tls.connect(name, stream).await.expect("a handshake of TLS"))
                }
            };
            greet(&mut stream).await;
            echo(&mut stream, number).await;
            drop(turn);
            stream
        });
    }
    tokio::time::timeout(PATIENCE, opening.join_all()).await.expect("all tunnels open")
}

/// The key and its answer are the example of RFC 6455 1.3.
async fn greet(stream: &mut impl Stream) {
    let request = "GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
        Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n";
    stream.write_all(request.as_bytes()).await.expect("the gateway reads");
    let answer = head(stream).await.expect("the gateway answers");
    assert!(answer.starts_with("HTTP/1.1 101 "), "{answer}");
    assert!(answer.to_lowercase().contains("sec-websocket-accept: s3pplmbitxaq9kygzzhzrbk+xoo="), "{answer}");
}

/// One masked text of six characters, and the same back.
async fn echo(stream: &mut impl Stream, number: usize) {
    const MASK: [u8; 4] = [0x5a, 0x00, 0xff, 0x13];
    let text = format!("{number:06}");
    let mut frame = vec![0x81, 0x80 | 6];
    frame.extend(MASK);
    frame.extend(text.bytes().zip(MASK.iter().cycle()).map(|(byte, mask)| byte ^ mask));
    stream.write_all(&frame).await.expect("the tunnel is open");
    let mut answer = [0; 8];
    stream.read_exact(&mut answer).await.expect("the echo");
    assert_eq!(answer[..2], [0x81, 6]);
    assert_eq!(answer[2..], *text.as_bytes());
}

/// Close 1000 to each, the answer to it, and then the end of the stream.
async fn close(open: impl Future<Output = Vec<Box<dyn Stream>>>) {
    let mut closing = JoinSet::new();
    for mut stream in open.await {
        closing.spawn(async move {
            stream.write_all(&[0x88, 0x82, 0, 0, 0, 0, 0x03, 0xe8]).await.expect("the tunnel is open");
            let mut rest = Vec::new();
            stream.read_to_end(&mut rest).await.expect("a clean end");
            assert_eq!(rest, [0x88, 2, 0x03, 0xe8]);
        });
    }
    tokio::time::timeout(PATIENCE, closing.join_all()).await.expect("all tunnels close");
}

// The service.

/// A service in a thread of this process that sends every message back.
struct Echo {
    port: u16,
    live: Arc<AtomicUsize>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Echo {
    fn start() -> Echo {
        let runtime = runtime();
        let listener = runtime.block_on(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))).expect("a port is free");
        let port = listener.local_addr().expect("a bound socket has an address").port();
        let live = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&live);
        let (stop, stopped) = oneshot::channel();
        let thread = thread::spawn(move || {
            runtime.block_on(async {
                tokio::select! {
                    () = serve_all(&listener, &counter) => {}
                    _ = stopped => {}
                }
            });
        });
        Echo { port, live, stop: Some(stop), thread: Some(thread) }
    }
}

impl Drop for Echo {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

async fn serve_all(listener: &TcpListener, live: &Arc<AtomicUsize>) {
    while let Ok((mut stream, _)) = listener.accept().await {
        let live = Arc::clone(live);
        tokio::spawn(async move {
            // None: a connection that only looked whether somebody listens.
            if let Some(request) = head(&mut stream).await {
                live.fetch_add(1, Ordering::SeqCst);
                serve(&mut stream, &request).await;
                live.fetch_sub(1, Ordering::SeqCst);
            }
        });
    }
}

async fn serve(stream: &mut TcpStream, request: &str) {
    let key = request
        .lines()
        .find_map(|line| {
            line.to_lowercase().starts_with("sec-websocket-key:").then(|| line["sec-websocket-key:".len()..].trim())
        })
        .expect("the gateway sends a key");
    let answer = format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: {}\r\n\r\n",
        handshake::accept(key)
    );
    stream.write_all(answer.as_bytes()).await.expect("the gateway reads");
    loop {
        let mut start = [0; 6];
        stream.read_exact(&mut start).await.expect("a frame");
        let [first, length, mask @ ..] = start;
        let mut payload = vec![0; usize::from(length & 0x7f)];
        stream.read_exact(&mut payload).await.expect("its payload");
        payload.iter_mut().zip(mask.iter().cycle()).for_each(|(byte, mask)| *byte ^= mask);
        stream.write_all(&[&[first, length & 0x7f], payload.as_slice()].concat()).await.expect("the gateway reads");
        if first == 0x88 {
            // The service ends the connection (RFC 6455 7.1.1), and the gateway then its side of it.
            stream.shutdown().await.expect("a clean end");
            assert_eq!(stream.read(&mut [0]).await.expect("a clean end"), 0);
            return;
        }
    }
}

/// Up to the empty line; none when the stream ends before it. Nobody sends more before it is answered.
async fn head(stream: &mut impl Stream) -> Option<String> {
    let mut text = Vec::new();
    while !text.ends_with(b"\r\n\r\n") {
        let mut some = [0; 1024];
        match stream.read(&mut some).await {
            Ok(length) if length > 0 => text.extend(&some[..length]),
            _ => return None,
        }
    }
    String::from_utf8(text).ok()
}
