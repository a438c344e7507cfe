//! Health checks: what passes, what does not, and what follows.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use fermata::run::health::{At, Checker};
use fermata::run::plan::{Act, Ask, CheckPlan, Scheme};
use fermata_spec::{Check, CheckKind, Health};
use http::Method;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, UnixListener};
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;

use crate::site::{Site, check, free_port, is_running, port};

/// Answers GET at PORT with the status that stands in the file `status`, and says which paths were asked for.
const ANSWER: &str = r#"#!/usr/bin/env python3
import http.server, os
class Answer(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(int(open("status").read()))
        self.end_headers()
        print(self.path, flush=True)
    def log_message(self, *args):
        pass
http.server.HTTPServer(("127.0.0.1", int(os.environ["PORT"])), Answer).serve_forever()
"#;

fn page(endpoint: &str) -> CheckKind {
    CheckKind::Http { endpoint: endpoint.to_owned(), headers: Vec::new() }
}

/// A site with a service at a port of its own that answers as the file `status` says.
fn answering(health: Health) -> Site {
    let mut site = Site::with("./answer");
    site.program("answer", ANSWER);
    site.file("status", "503");
    let web = &mut site.spec.services[0];
    web.ports = vec![port(free_port())];
    web.health = health;
    site
}

#[tokio::test]
async fn an_instance_gets_traffic_while_its_ready_check_passes() {
    let ready = Check { success_threshold: 2, failure_threshold: 2, ..check(page("/healthz?full")) };
    let site = answering(Health::Checks { ready: Some(ready), alive: None, startup: None });
    let mut running = site.up().await;
    for _ in 0..3 {
        assert_eq!(running.line().await.text, "/healthz?full");
    }
    site.file("status", "204");
    assert_eq!(running.until("web.1 is ready").await.len(), 2);
    site.file("status", "404");
    let at = site.spec.services[0].ports[0].container;
    let wanted = format!("web.1 is not ready: GET /healthz?full at 127.0.0.1:{at} answered 404");
    assert_eq!(running.until("web.1 is not ready").await, [wanted]);
    site.file("status", "302");
    assert_eq!(running.until("web.1 is ready").await.len(), 1);
    running.down().await;
}

#[tokio::test]
async fn an_instance_whose_alive_check_fails_is_ended_and_started_again() {
    let alive = Check { failure_threshold: 3, ..check(page("/alive")) };
    let startup = Check { failure_threshold: 1000, ..check(CheckKind::Tcp) };
    let site = answering(Health::Checks { ready: None, alive: Some(alive), startup: Some(startup) });
    site.file("status", "200");
    let mut running = site.up().await;
    running.until("web.1 is ready").await;
    running.until_line("/alive").await;
    site.file("status", "500");
    let at = site.spec.services[0].ports[0].container;
    let wanted = format!(
        "web.1 is being ended: its alive check failed: GET /alive at 127.0.0.1:{at} answered 500; starting again in \
         0.5 s"
    );
    assert_eq!(running.until("web.1 is being ended").await, [wanted]);
    site.file("status", "200");
    running.until("web.1 is ready").await;
    running.down().await;
}

#[tokio::test]
async fn the_startup_check_suspends_the_other_two() {
    let mut site = Site::with("sleep 1000");
    let exec = |command: &str| check(CheckKind::Exec(command.to_owned()));
    site.spec.services[0].health = Health::Checks {
        startup: Some(Check { failure_threshold: 1000, ..exec("sh -c 'echo startup >> seen; test -e up'") }),
        ready: Some(exec("sh -c 'echo ready >> seen'")),
        alive: Some(exec("sh -c 'echo alive >> seen; test -e up'")),
    };
    let mut running = site.up().await;
    running.until("web.1 starts").await;
    while site.text("seen").lines().count() < 3 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    site.file("up", "");
    running.until("web.1 is ready").await;
    let seen = site.text("seen");
    let first_other = seen.lines().position(|line| line != "startup").unwrap();
    assert!(first_other >= 3 && !seen.lines().skip(first_other).any(|line| line == "startup"), "{seen}");
    running.down().await;
}

#[tokio::test]
async fn an_instance_that_does_not_start_in_time_is_started_again() {
    let mut site = Site::with("sleep 1000");
    let startup = check(CheckKind::Exec("sh -c 'echo not yet, $FERMATA_NOTE >&2; exit 3'".to_owned()));
    site.spec.services[0].env_vars = vec![("FERMATA_NOTE".to_owned(), "sorry".to_owned())];
    site.spec.services[0].health = Health::Checks { startup: Some(startup), ready: None, alive: None };
    let mut running = site.up().await;
    let wanted = "web.1 is being ended: its startup check failed: sh ended with exit code 3: not yet, sorry; starting \
                  again in 0.5 s";
    assert_eq!(running.until("web.1 is being ended").await, ["web.1 starts", wanted]);
    running.down().await;
}

#[tokio::test]
async fn a_command_that_takes_too_long_is_ended_with_all_that_it_started() {
    let plan = plan(Act::Exec(Vec::new()), Duration::from_millis(300));
    let site = Site::with("sleep 1000");
    let mut launch = site.plan().unwrap().services[0].program.launch(&[]);
    launch.program = "sh".to_owned();
    launch.arguments = vec!["-c".to_owned(), "sleep 1000 & echo $! > child; wait".to_owned()];
    let checker = Checker::new(&plan, At::Unix(PathBuf::new()), |_| launch.into());
    assert_eq!(checker.once().await, Err("sh took longer than 0.3 s".to_owned()));
    let child = site.text("child");
    assert!(!child.is_empty());
    while is_running(&child) {
        tokio::task::yield_now().await;
    }
}

fn plan(act: Act, timeout: Duration) -> CheckPlan {
    let period = Duration::from_millis(50);
    CheckPlan {
        act,
        proxy: None,
        timeout,
        success_threshold: 1,
        failure_threshold: 1,
        initial_delay: Duration::ZERO,
        period,
    }
}

fn over_http(scheme: Scheme, ask: Ask, at: At) -> Checker {
    let headers = vec![("X-Asked".to_owned(), "yes".to_owned())];
    let act = Act::Http { scheme, ask, port: 80, endpoint: "/ws".to_owned(), headers };
    Checker::new(&plan(act, Duration::from_secs(5)), at, |_| unreachable!("it runs no command"))
}

/// Answers one request with `answer` and gives what was received up to the end.
async fn serve(mut stream: impl AsyncRead + AsyncWrite + Unpin, answer: &str) -> Vec<u8> {
    let mut received = Vec::new();
    while !received.ends_with(b"\r\n\r\n") {
        if stream.read_buf(&mut received).await.unwrap() == 0 {
            return received;
        }
    }
    stream.write_all(answer.as_bytes()).await.unwrap();
    let mut rest = [0; 100];
    if answer.contains(" 101 ") {
        let length = stream.read(&mut rest).await.unwrap();
        received.extend_from_slice(&rest[..length]);
    }
    stream.shutdown().await.unwrap();
    received
}

async fn listen(answer: &'static str) -> (At, JoinHandle<Vec<u8>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let at = At::Tcp(listener.local_addr().unwrap());
    (at, tokio::spawn(async move { serve(listener.accept().await.unwrap().0, answer).await }))
}

const SWITCHING: &str = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n";

#[tokio::test]
async fn a_websocket_check_makes_a_handshake_and_says_goodbye() {
    let (at, served) = listen(SWITCHING).await;
    assert_eq!(over_http(Scheme::Http, Ask::WebSocket, at.clone()).once().await, Ok(()));
    let received = served.await.unwrap();
    let end = received.windows(4).position(|four| four == b"\r\n\r\n").unwrap() + 4;
    let head = String::from_utf8(received[..end].to_vec()).unwrap();
    let key = head.lines().find_map(|line| line.strip_prefix("Sec-WebSocket-Key: ")).unwrap();
    let wanted = format!(
        "GET /ws HTTP/1.1\r\nHost: {at}\r\nUser-Agent: fermata-health/{}\r\nConnection: Upgrade\r\nUpgrade: \
         websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\nX-Asked: yes\r\n\r\n",
        env!("CARGO_PKG_VERSION")
    );
    assert_eq!(head, wanted);
    assert_eq!(key.len(), 24);
    let [0x88, 0x82, a, b, _, _, high, low] = received[end..] else { panic!("{:?} is no Close", &received[end..]) };
    assert_eq!(u16::from_be_bytes([high ^ a, low ^ b]), 1000);
}

#[tokio::test]
async fn a_websocket_check_fails_where_the_answer_is_another_one() {
    let (at, _) = listen("HTTP/1.1 426 Upgrade Required\r\n\r\n").await;
    let seen = over_http(Scheme::Http, Ask::WebSocket, at.clone()).once().await;
    assert_eq!(seen, Err(format!("/ws at {at} answered a WebSocket handshake with 426 and not 101")));
}

#[tokio::test]
async fn a_page_that_is_no_http_or_nothing_fails() {
    let (at, _) = listen("hello\r\n").await;
    let seen = over_http(Scheme::Http, Ask::Page(Method::GET), at.clone()).once().await;
    assert_eq!(seen, Err(format!("{at} gave no HTTP answer to GET /ws: it is not HTTP: invalid HTTP version")));
    let (at, _) = listen("").await;
    let seen = over_http(Scheme::Http, Ask::Page(Method::GET), at.clone()).once().await;
    assert_eq!(seen, Err(format!("{at} gave no HTTP answer to GET /ws: the connection was closed")));
    let at = At::Tcp(SocketAddr::from(([127, 0, 0, 1], free_port())));
    let seen = over_http(Scheme::Http, Ask::Page(Method::GET), at.clone()).once().await;
    assert_eq!(seen, Err(format!("nothing listens at {at}")));
}

#[tokio::test]
async fn a_service_that_accepts_and_never_answers_fails_in_time() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let at = At::Tcp(listener.local_addr().unwrap());
    let act = Act::Http {
        scheme: Scheme::Http,
        ask: Ask::Page(Method::GET),
        port: 80,
        endpoint: "/".to_owned(),
        headers: Vec::new(),
    };
    let checker = Checker::new(&plan(act, Duration::from_millis(100)), at.clone(), |_| unreachable!());
    assert_eq!(checker.once().await, Err(format!("GET / at {at} took longer than 0.1 s")));
}

#[tokio::test]
async fn https_is_asked_without_looking_at_the_certificate() {
    let made = rcgen::generate_simple_self_signed(vec!["somebody.else".to_owned()]).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let key = rustls_pki_types::PrivatePkcs8KeyDer::from(made.signing_key.serialize_der()).into();
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key)
        .unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let at = At::Tcp(listener.local_addr().unwrap());
    let served = tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        let stream = TlsAcceptor::from(Arc::new(config)).accept(stream).await.unwrap();
        serve(stream, "HTTP/1.1 200 OK\r\n\r\n").await
    });
    assert_eq!(over_http(Scheme::Https, Ask::Page(Method::GET), at).once().await, Ok(()));
    assert!(served.await.unwrap().starts_with(b"GET /ws HTTP/1.1\r\n"));
}

#[tokio::test]
async fn a_unix_socket_is_checked_like_any_address() {
    let site = Site::new();
    let path = site.path("socket");
    let listener = UnixListener::bind(&path).unwrap();
    let served =
        tokio::spawn(async move { serve(listener.accept().await.unwrap().0, "HTTP/1.0 399 Odd\r\n\r\n").await });
    assert_eq!(over_http(Scheme::Http, Ask::Page(Method::GET), At::Unix(path)).once().await, Ok(()));
    assert!(served.await.unwrap().windows(17).any(|part| part == b"Host: localhost\r\n"));
}
