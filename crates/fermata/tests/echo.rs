//! The sample service, as a client and as a user of its command sees it.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::process::{Command, Stdio};

use fermata::echo;
use futures_util::{SinkExt, StreamExt};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Message, WebSocketConfig};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async, connect_async_with_config};

type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

/// A running service, and the way to end it.
struct Service {
    address: SocketAddr,
    end: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

impl Service {
    async fn start() -> Service {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let (end, ended) = oneshot::channel();
        let task = tokio::spawn(echo::serve(listener, async { drop(ended.await) }));
        Service { address, end, task }
    }

    async fn open(&self, path: &str) -> Socket {
        connect_async(format!("ws://{}{path}", self.address)).await.expect("a handshake").0
    }

    /// The whole answer to a request for `path` with these further header lines.
    async fn ask(&self, start: &str, rest: &str) -> String {
        let mut stream = TcpStream::connect(self.address).await.expect("a connection");
        let request = format!("{start} HTTP/1.1\r\nHost: a.example\r\n{rest}");
        stream.write_all(request.as_bytes()).await.expect("sent");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.expect("an answer");
        answer
    }

    /// The answer to a handshake that differs from a right one by `key` and `version`.
    async fn shake(&self, path: &str, version: &str, key: &str) -> String {
        let headers = format!(
            "Upgrade: websocket\r\nConnection: close, Upgrade\r\n\
             Sec-WebSocket-Version: {version}\r\nSec-WebSocket-Key: {key}\r\n\r\n"
        );
        self.ask(&format!("GET {path}"), &headers).await
    }
}

const LAST: &str = "Connection: close\r\n\r\n";

async fn next(socket: &mut Socket) -> Message {
    socket.next().await.expect("not the end").expect("a message")
}

async fn expect_close(socket: &mut Socket, code: u16, reason: &str) {
    let Message::Close(Some(close)) = next(socket).await else { panic!("no Close with a code") };
    assert_eq!((u16::from(close.code), close.reason.as_str()), (code, reason));
}

#[tokio::test]
async fn text_binary_and_an_empty_message_come_back_on_every_path() {
    let service = Service::start().await;
    for path in ["/", "/any/path?with=query"] {
        let mut socket = service.open(path).await;
        for message in [Message::text("hello 𝄐"), Message::binary(vec![0, 255, 7]), Message::text("")] {
            socket.send(message.clone()).await.expect("sent");
            assert_eq!(next(&mut socket).await, message);
        }
    }
}

#[tokio::test]
async fn a_message_of_64_mib_comes_back_and_a_larger_one_is_refused_with_1009() {
    let service = Service::start().await;
    let config = WebSocketConfig::default().max_message_size(None).max_frame_size(None);
    let url = format!("ws://{}/", service.address);
    let mut socket = connect_async_with_config(url, Some(config), true).await.expect("a handshake").0;
    let largest = Message::binary(vec![7; 64 << 20]);
    socket.send(largest.clone()).await.expect("sent");
    assert!(next(&mut socket).await == largest, "the same bytes");
    let _ = socket.send(Message::binary(vec![7; (64 << 20) + 1])).await;
    expect_close(&mut socket, 1009, "at most 64 MiB a message").await;
}

#[tokio::test]
async fn a_ping_is_answered_and_a_close_comes_back_with_its_code() {
    let service = Service::start().await;
    let mut socket = service.open("/").await;
    socket.send(Message::Ping("are you there".into())).await.expect("sent");
    assert_eq!(next(&mut socket).await, Message::Pong("are you there".into()));
    socket.close(Some(CloseFrame { code: 4321.into(), reason: "done".into() })).await.expect("sent");
    expect_close(&mut socket, 4321, "done").await;
    assert!(socket.next().await.is_none(), "then the connection ends");
}

#[tokio::test]
async fn the_first_subprotocol_offered_is_chosen() {
    let service = Service::start().await;
    let mut request = format!("ws://{}/", service.address).into_client_request().expect("a request");
    request.headers_mut().insert("sec-websocket-protocol", "chat, superchat".parse().expect("a value"));
    let (_, answer) = connect_async(request).await.expect("a handshake");
    assert_eq!(answer.headers()["sec-websocket-protocol"], "chat");
}

#[tokio::test]
async fn paths_do_what_they_say() {
    let service = Service::start().await;
    let mut closing = service.open("/close/4000?reason=bye").await;
    expect_close(&mut closing, 4000, "bye").await;

    let mut pushing = service.open("/push?every=5ms").await;
    assert_eq!(next(&mut pushing).await, Message::text("{\"number\":1}"));
    assert_eq!(next(&mut pushing).await, Message::text("{\"number\":2}"));

    let mut sending = service.open("/send/70000").await;
    assert_eq!(next(&mut sending).await.len(), 70_000);

    let mut dropping = service.open("/drop").await;
    assert!(!matches!(dropping.next().await, Some(Ok(_))), "neither a message nor a Close");

    let mut slow = service.open("/slow?by=1ms").await;
    slow.send(Message::text("late")).await.expect("sent");
    assert_eq!(next(&mut slow).await, Message::text("late"));

    let mut silent = service.open("/silent").await;
    silent.send(Message::text("hello?")).await.expect("sent");
    silent.send(Message::Ping("".into())).await.expect("sent");
    assert_eq!(next(&mut silent).await, Message::Pong("".into()));
}

#[tokio::test]
async fn what_arrived_is_told_over_the_socket_and_over_http() {
    let service = Service::start().await;
    let mut request = format!("ws://{}/headers", service.address).into_client_request().expect("a request");
    request.headers_mut().insert("x-forwarded-for", "203.0.113.9".parse().expect("a value"));
    let mut socket = connect_async(request).await.expect("a handshake").0;
    let told = next(&mut socket).await.into_text().expect("text");
    assert!(told.contains(r#""request":"GET /headers HTTP/1.1""#), "{told}");
    assert!(told.contains(r#"["x-forwarded-for","203.0.113.9"]"#), "{told}");

    let text = service.ask("GET /", &format!("X-Forwarded-Proto: https\r\n{LAST}")).await;
    assert!(text.contains("\n  GET / HTTP/1.1\n  host: a.example\n"), "{text}");
    assert!(text.contains("wss://a.example/push"), "{text}");

    let page = service.ask("GET /", &format!("Accept: text/html\r\nX-Evil: <script>\r\n{LAST}")).await;
    assert!(page.contains("x-evil: &lt;script&gt;"), "{page}");
}

#[tokio::test]
async fn health_checks_statuses_bodies_and_the_tester_are_answered() {
    let service = Service::start().await;
    let health = service.ask("GET /healthz", LAST).await;
    assert!(health.starts_with("HTTP/1.1 200 OK\r\n") && health.ends_with("\r\n\r\nok\n"), "{health}");
    let status = service.ask("GET /status/418", LAST).await;
    assert!(status.starts_with("HTTP/1.1 418 "), "{status}");
    let body = service.ask("POST /", &format!("Content-Type: a/b\r\nContent-Length: 5\r\n{LAST}hello")).await;
    assert!(body.contains("content-type: a/b\r\n") && body.contains("hello"), "{body}");
    let tester = service.ask("GET /tester", LAST).await;
    assert!(tester.contains("content-security-policy: default-src 'none'"), "{tester}");
}

#[tokio::test]
async fn handshakes_that_break_a_rule_are_refused_with_the_rule() {
    const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";
    let service = Service::start().await;
    let version = service.shake("/", "8", KEY).await;
    assert!(version.starts_with("HTTP/1.1 426 ") && version.contains("sec-websocket-version: 13\r\n"), "{version}");
    let key = service.shake("/", "13", "short").await;
    assert!(key.starts_with("HTTP/1.1 400 ") && key.contains("Sec-WebSocket-Key"), "{key}");
    let code = service.shake("/close/1006", "13", KEY).await;
    assert!(code.starts_with("HTTP/1.1 400 ") && code.contains("1000-1003, 1007-1014 or 3000-4999"), "{code}");
}

#[tokio::test]
async fn every_socket_gets_a_close_1001_when_the_service_ends() {
    let service = Service::start().await;
    let mut talking = service.open("/").await;
    talking.send(Message::text("here")).await.expect("sent");
    assert_eq!(next(&mut talking).await, Message::text("here"));
    let mut fresh = service.open("/silent").await;
    service.end.send(()).expect("running");
    for socket in [&mut talking, &mut fresh] {
        expect_close(socket, 1001, "the sample service ends").await;
        assert!(socket.next().await.is_none());
    }
    service.task.await.expect("ended by itself");
}

#[test]
fn the_command_prints_its_url_and_ends_well_when_asked() {
    let mut service = Command::new(env!("CARGO_BIN_EXE_fermata"))
        .args(["echo", "--listen", "127.0.0.1:0"])
        .stdout(Stdio::piped())
        .spawn()
        .expect("started");
    let mut line = String::new();
    BufReader::new(service.stdout.take().expect("piped")).read_line(&mut line).expect("a line");
    let url = line.strip_prefix("listening on ws://").and_then(|rest| rest.split_once('/')).expect("a URL").0;
    assert!(std::net::TcpStream::connect(url).is_ok(), "{line}");
    let asked = Command::new("kill").arg(service.id().to_string()).status().expect("kill");
    assert!(asked.success());
    assert!(service.wait().expect("ended").success());
}

#[test]
fn a_port_that_is_taken_or_no_port_is_said_with_the_way_out() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = taken.local_addr().expect("an address").to_string();
    let run = |args: &[&str], port: &str| {
        let output = Command::new(env!("CARGO_BIN_EXE_fermata")).args(args).env("PORT", port).output().expect("run");
        (output.status.code(), String::from_utf8(output.stderr).expect("text"))
    };
    let (code, said) = run(&["echo", "--listen", &address], "");
    assert_eq!(code, Some(1));
    assert_eq!(
        said.replace(&address, "ADDRESS"),
        "error: cannot listen on ADDRESS: Address already in use (os error 98)\n  \
         choose another address by --listen ADDRESS:PORT or the variable PORT\n"
    );
    let (code, said) = run(&["echo"], "http");
    assert_eq!(code, Some(2));
    assert_eq!(said, "error: the variable PORT says \"http\", which is no port number (0-65535)\n");
}
