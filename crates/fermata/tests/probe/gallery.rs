//! What the servers of the gallery are made of, and how a report of one is compared: whole, times and ports masked.

use std::future::Future;
use std::net::SocketAddr;
use std::time::Duration;

use fermata::probe::{Question, Report, Target, Trust, probe};
use fermata_wire::frame::{Head, Opcode};
use fermata_wire::handshake;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// Both directions of a connection.
pub(crate) trait Duplex: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Duplex for T {}

/// Starts a server that does `serve` with each connection.
pub(crate) async fn server<F, Done>(serve: F) -> SocketAddr
where
    F: Fn(TcpStream) -> Done + Send + 'static,
    Done: Future<Output = ()> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(serve(stream));
        }
    });
    address
}

/// Starts a server that answers plain requests with 404 and handshakes with what `answer` makes of their key.
pub(crate) async fn refusing(answer: &'static str) -> SocketAddr {
    server(move |mut stream| async move {
        let head = head(&mut stream).await;
        let text = if is_handshake(&head) { answer } else { NOT_FOUND };
        say(&mut stream, text).await;
    })
    .await
}

/// Starts a server that grants the upgrade and does `talk` with the socket.
pub(crate) async fn talking<F, Done>(talk: F) -> SocketAddr
where
    F: Fn(TcpStream) -> Done + Copy + Send + Sync + 'static,
    Done: Future<Output = ()> + Send + 'static,
{
    server(move |mut stream| async move {
        let head = head(&mut stream).await;
        if is_handshake(&head) {
            say(&mut stream, &granted(&head, "")).await;
            talk(stream).await;
        } else {
            say(&mut stream, NOT_FOUND).await;
        }
    })
    .await
}

pub(crate) const NOT_FOUND: &str = "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";

/// The head of a request, or what came of it.
pub(crate) async fn head(stream: &mut impl Duplex) -> String {
    let mut read = Vec::new();
    while !read.ends_with(b"\r\n\r\n") && stream.read_buf(&mut read).await.is_ok_and(|length| length > 0) {}
    String::from_utf8_lossy(&read).into_owned()
}

pub(crate) fn is_handshake(head: &str) -> bool {
    head.to_lowercase().contains("\r\nupgrade: websocket\r\n")
}

/// A header of a request.
pub(crate) fn header<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    let line = |line: &'a str| line.split_once(": ").filter(|(known, _)| known.eq_ignore_ascii_case(name));
    head.lines().find_map(line).map(|(_, value)| value)
}

/// The 101 that belongs to a request, with further lines.
pub(crate) fn granted(head: &str, lines: &str) -> String {
    let accept = handshake::accept(header(head, "sec-websocket-key").expect("a key"));
    format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Accept: {accept}\r\n{lines}\r\n"
    )
}

pub(crate) async fn say(stream: &mut impl Duplex, text: &str) {
    send(stream, text.as_bytes()).await;
}

pub(crate) async fn send(stream: &mut impl Duplex, bytes: &[u8]) {
    let _ = stream.write_all(bytes).await;
    let _ = stream.flush().await;
}

/// Reads until the peer ends.
pub(crate) async fn listen_only(stream: &mut impl Duplex) {
    let mut ignored = [0; 4096];
    while matches!(stream.read(&mut ignored).await, Ok(1..)) {}
}

/// A frame of a client, unmasked; `None` at the end.
pub(crate) async fn frame(stream: &mut impl Duplex) -> Option<(Opcode, Vec<u8>)> {
    let mut read = Vec::new();
    loop {
        if let Some(head) = Head::read(&read) {
            let mut payload = vec![0; head.length as usize];
            stream.read_exact(&mut payload).await.ok()?;
            let key = head.mask.expect("clients mask");
            payload.iter_mut().zip(key.iter().cycle()).for_each(|(byte, key)| *byte ^= key);
            return Some((head.opcode, payload));
        }
        read.push(stream.read_u8().await.ok()?);
    }
}

/// A frame of a server, unmasked and whole.
pub(crate) async fn send_frame(stream: &mut impl Duplex, opcode: Opcode, payload: &[u8]) {
    let mut frame = vec![0x80 | opcode.bits()];
    match payload.len() {
        length @ 0..=125 => frame.push(length as u8),
        length @ 126..=0xffff => {
            frame.push(126);
            frame.extend((length as u16).to_be_bytes());
        }
        length => {
            frame.push(127);
            frame.extend((length as u64).to_be_bytes());
        }
    }
    frame.extend(payload);
    send(stream, &frame).await;
}

/// A socket that does everything right, except where `twist` does something else: it gets each frame first, and says
/// whether it has dealt with it.
pub(crate) async fn serve<S, F>(mut stream: S, twist: F)
where
    S: Duplex,
    F: AsyncFn(&mut S, Opcode, &[u8]) -> Twist,
{
    while let Some((opcode, payload)) = frame(&mut stream).await {
        match twist(&mut stream, opcode, &payload).await {
            Twist::Done => continue,
            Twist::End => return,
            Twist::Usual => {}
        }
        match opcode {
            Opcode::Ping => send_frame(&mut stream, Opcode::Pong, &payload).await,
            Opcode::Close => {
                send_frame(&mut stream, Opcode::Close, &payload[..2.min(payload.len())]).await;
                return;
            }
            Opcode::Text | Opcode::Binary => send_frame(&mut stream, opcode, &payload).await,
            _ => {}
        }
    }
}

/// What a twist did.
pub(crate) enum Twist {
    Usual,
    Done,
    End,
}

/// A question about an unencrypted address, with no doubt about certificates.
pub(crate) fn ask(url: &str) -> Question {
    Question::new(Target::read(url).expect("a URL"), Trust::Roots(Vec::new()))
}

/// The same with less patience, for servers that say nothing.
pub(crate) fn ask_briefly(url: &str) -> Question {
    Question { hop_timeout: Duration::from_secs(2), ..ask(url) }
}

/// The report as people see it, without what differs from run to run.
pub(crate) async fn told(question: Question, hide: &[(&str, &str)]) -> String {
    let port = question.target.port().to_string();
    masked(probe(&question).await, &port, hide)
}

/// A report in which everything took a millisecond.
pub(crate) fn steady(mut report: Report) -> Report {
    for hop in &mut report.findings {
        hop.took = hop.took.map(|_| Duration::from_millis(1));
        for detail in &mut hop.details {
            detail.took = detail.took.map(|_| Duration::from_millis(1));
        }
    }
    report
}

fn masked(report: Report, port: &str, hide: &[(&str, &str)]) -> String {
    let report = steady(report);
    let text = anstream::adapter::strip_str(&report.to_string()).to_string();
    for line in text.lines() {
        let words = line.trim_start_matches([' ', '-']).split(' ').count();
        assert!(
            line.chars().count() <= 80 || words == 1 || line.starts_with("      "),
            "more than 80 columns: \
            {line}"
        );
    }
    let text = text.replace(port, "PORT");
    hide.iter().fold(text, |text, (seen, shown)| text.replace(seen, shown))
}

/// Compares a report with the one in `reports/`, named after the culprit.
macro_rules! assert_told {
    ($name:literal, $question:expr) => {
        assert_told!($name, $question, &[])
    };
    ($name:literal, $question:expr, $hide:expr) => {{
        let text = $crate::gallery::told($question, $hide).await;
        insta::with_settings!({
            snapshot_path => concat!(env!("CARGO_MANIFEST_DIR"), "/tests/probe/reports"),
            prepend_module_to_snapshot => false,
            omit_expression => true,
        }, { insta::assert_snapshot!($name, text) });
    }};
}
pub(crate) use assert_told;
