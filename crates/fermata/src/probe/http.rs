//! The fourth hop: a plain GET, and the reading of any HTTP/1 answer.

use std::io;
use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{Instant, timeout_at};

use super::dialect::{self, Dialect};
use super::h2;
use super::stream::{Heard, Stream, Way};
use super::target::Question;

/// The largest head that is read: what the usual servers take themselves.
const MAX_HEAD: usize = 64 << 10;

/// How much of a body is read, and how long is waited for it: enough for an error page to give its author away.
const MAX_BODY: usize = 4 << 10;
const BODY_TIME: Duration = Duration::from_millis(500);

/// What a look aside may take.
const ASIDE: Duration = Duration::from_secs(2);

/// An HTTP/1 answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Answer {
    pub(super) status: u16,
    /// Whether it came as HTTP/1.0.
    pub(super) is_old: bool,
    pub(super) reason: String,
    pub(super) headers: HeaderMap,
    /// How the body begins; after a 101 the first bytes of the socket.
    pub(super) rest: Vec<u8>,
}

impl Answer {
    /// A header as text, if it is there and is text.
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// `404 Not Found`.
    pub(super) fn line(&self) -> String {
        let reason = dialect::shown(self.reason.as_bytes());
        if reason.is_empty() { self.status.to_string() } else { format!("{} {reason}", self.status) }
    }

    /// Whether the body has these words.
    pub(super) fn says(&self, words: &str) -> bool {
        String::from_utf8_lossy(&self.rest).contains(words)
    }
}

/// Why there is no HTTP answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Trouble {
    /// The port speaks something else.
    Speaks(Dialect, String),
    /// It is an HTTP port with TLS, and says so.
    WantsTls,
    /// The connection was ended without an answer.
    HungUp,
    /// Nothing came.
    Silent(Duration),
    /// Something came, and was not complete in time.
    Slow(usize, Duration),
    /// The head is larger than most take: 64 KiB, or 128 headers.
    HeadTooLarge,
    /// It waits for a PROXY protocol line.
    WantsProxyProtocol,
    /// It hangs up on HTTP/1.1 and has taken HTTP/2; what it said of that.
    Http2Only(h2::Settings),
    /// It wants a certificate of the client, and says so in HTTP.
    WantsCertificate,
    /// TLS broke afterwards: TLS 1.3 tells a client late that it wants a certificate of it.
    Tls(String),
    /// Anything else.
    Other(String),
}

impl Trouble {
    /// Whether no other request could have a better end.
    pub(super) fn is_certain(&self) -> bool {
        matches!(
            self,
            Trouble::Speaks(..)
                | Trouble::WantsTls
                | Trouble::WantsProxyProtocol
                | Trouble::Http2Only(_)
                | Trouble::WantsCertificate
                | Trouble::Tls(_)
        )
    }
}

/// What a GET showed.
pub(super) struct Look {
    pub(super) took: Duration,
    pub(super) outcome: Result<Answer, Trouble>,
}

/// Asks for the target's path as any program would, without an upgrade.
pub(super) async fn look(question: &Question, way: &Way) -> Look {
    let start = Instant::now();
    let outcome = get(question, way, question.hop_timeout).await;
    let took = start.elapsed();
    let outcome = match outcome {
        // A server that waits for a PROXY line hangs up, or waits.
        Err(trouble @ (Trouble::HungUp | Trouble::Silent(_))) if way.tls.is_none() => {
            let proxied = Way { proxied: true, ..way.clone() };
            // Who takes it for a request that is none says 400, or 501 to the method PROXY.
            match get(question, &proxied, ASIDE.min(question.hop_timeout)).await {
                Ok(answer) if !matches!(answer.status, 400 | 501) => Err(Trouble::WantsProxyProtocol),
                _ => Err(trouble),
            }
        }
        Err(Trouble::HungUp) => Err(way.http2.map_or(Trouble::HungUp, Trouble::Http2Only)),
        other => other,
    };
    Look { took, outcome }
}

async fn get(question: &Question, way: &Way, limit: Duration) -> Result<Answer, Trouble> {
    let request = head(question, &[("accept", "*/*"), ("connection", "close")]);
    let (_, answer) = exchange(way, &request, limit).await?;
    match answer {
        answer if wants_tls(&answer) => Err(Trouble::WantsTls),
        answer if wants_certificate(&answer) => Err(Trouble::WantsCertificate),
        answer => Ok(answer),
    }
}

/// The words of nginx for a client without a certificate, or with a wrong one.
fn wants_certificate(answer: &Answer) -> bool {
    answer.status == 400
        && ["No required SSL certificate was sent", "The SSL certificate error"].iter().any(|words| answer.says(words))
}

/// The words of nginx, Go and Apache for HTTP on a port with TLS.
fn wants_tls(answer: &Answer) -> bool {
    answer.status == 400
        && ["plain HTTP request was sent to HTTPS port", "HTTP request to an HTTPS server", "SSL-enabled server port"]
            .iter()
            .any(|words| answer.says(words))
}

/// A GET of the target's path with these headers, and those that were asked for.
pub(super) fn head(question: &Question, lines: &[(&str, &str)]) -> Vec<u8> {
    request(question, "GET", question.target.path(), lines)
}

/// A request to the target's host with these headers, and those that were asked for.
pub(super) fn request(question: &Question, method: &str, path: &str, lines: &[(&str, &str)]) -> Vec<u8> {
    let target = &question.target;
    let asked = |name: &str| question.headers.iter().any(|(known, _)| known == name);
    let mut head = format!("{method} {path} HTTP/1.1\r\n").into_bytes();
    let mut line = |name: &str, value: &[u8]| {
        head.extend_from_slice(name.as_bytes());
        head.extend_from_slice(b": ");
        head.extend_from_slice(value);
        head.extend_from_slice(b"\r\n");
    };
    let authority = target.authority();
    let own = [("host", authority.as_str()), ("user-agent", concat!("fermata-probe/", env!("CARGO_PKG_VERSION")))];
    let credentials = target.credentials().map(|value| ("authorization", value));
    for (name, value) in own.iter().chain(lines).copied().chain(credentials) {
        if !asked(name) {
            line(name, value.as_bytes());
        }
    }
    for (name, value) in &question.headers {
        line(name.as_str(), value.as_bytes());
    }
    head.extend_from_slice(b"\r\n");
    head
}

/// Sends a request on a new connection and reads the answer's head, and how its body begins.
pub(super) async fn exchange(way: &Way, request: &[u8], limit: Duration) -> Result<(Stream, Answer), Trouble> {
    let deadline = Instant::now() + limit;
    let mut read = Vec::new();
    let mut heard = Heard::default();
    let exchanged = timeout_at(deadline, async {
        let (ear, stream) = way.open().await;
        heard = ear;
        let mut stream = stream?;
        stream.write_all(request).await?;
        stream.flush().await?;
        let answer = answer(&mut stream, &mut read).await?;
        Ok((stream, answer))
    })
    .await;
    match exchanged {
        Ok(Ok((mut stream, Ok(mut answer)))) => {
            read_body(&mut stream, &mut answer, deadline).await;
            Ok((stream, answer))
        }
        Ok(Ok((_, Err(trouble)))) => Err(trouble),
        Ok(Err(error)) => Err(trouble_of(&error, &read)),
        Err(_) if read.is_empty() => Err(Trouble::Silent(limit)),
        Err(_) => Err(spoken(&read).unwrap_or(Trouble::Slow(read.len(), limit))),
    }
}

/// Reads the beginning of a body. What follows a 101 is none.
async fn read_body(stream: &mut Stream, answer: &mut Answer, deadline: Instant) {
    let length = answer.header("content-length").and_then(|length| length.parse().ok()).unwrap_or(MAX_BODY);
    let wanted = if answer.status == 101 { 0 } else { length.min(MAX_BODY) };
    let deadline = deadline.min(Instant::now() + BODY_TIME);
    let is_last = |body: &[u8]| answer.headers.contains_key("transfer-encoding") && body.ends_with(b"\r\n0\r\n\r\n");
    while answer.rest.len() < wanted && !is_last(&answer.rest) {
        match timeout_at(deadline, stream.read_buf(&mut answer.rest)).await {
            Ok(Ok(1..)) => {}
            _ => break,
        }
    }
}

/// Reads until a final head is complete; 100 and 103 announce one (RFC 9110 15.2).
async fn answer(stream: &mut Stream, read: &mut Vec<u8>) -> io::Result<Result<Answer, Trouble>> {
    loop {
        match parse(read) {
            Parsed::Whole(answer) if answer.status < 200 && answer.status != 101 => *read = answer.rest,
            Parsed::Whole(answer) => return Ok(Ok(answer)),
            Parsed::NoHttp => {
                return Ok(
                    Err(spoken(read).unwrap_or_else(|| Trouble::Speaks(Dialect::Unknown, dialect::shown(read)))),
                );
            }
            Parsed::TooLarge => return Ok(Err(Trouble::HeadTooLarge)),
            Parsed::Part if read.len() > MAX_HEAD => return Ok(Err(Trouble::HeadTooLarge)),
            Parsed::Part => {
                if stream.read_buf(read).await? == 0 {
                    return Ok(Err(if read.is_empty() {
                        Trouble::HungUp
                    } else {
                        spoken(read).unwrap_or(Trouble::HungUp)
                    }));
                }
            }
        }
    }
}

/// A head, so far.
enum Parsed {
    Part,
    Whole(Answer),
    TooLarge,
    NoHttp,
}

fn parse(read: &[u8]) -> Parsed {
    let mut lines = [httparse::EMPTY_HEADER; 128];
    let mut head = httparse::Response::new(&mut lines);
    match head.parse(read) {
        Ok(httparse::Status::Partial) => Parsed::Part,
        Ok(httparse::Status::Complete(length)) => {
            let headers = head
                .headers
                .iter()
                .filter_map(|line| {
                    Some((HeaderName::try_from(line.name).ok()?, HeaderValue::from_bytes(line.value).ok()?))
                })
                .collect();
            let (status, reason) = (head.code.unwrap_or(0), head.reason.unwrap_or_default().to_owned());
            Parsed::Whole(Answer {
                status,
                is_old: head.version == Some(0),
                reason,
                headers,
                rest: read[length..].to_vec(),
            })
        }
        Err(httparse::Error::TooManyHeaders) => Parsed::TooLarge,
        Err(_) => Parsed::NoHttp,
    }
}

/// What was spoken instead of HTTP.
fn spoken(read: &[u8]) -> Option<Trouble> {
    match dialect::of(read) {
        Dialect::Http | Dialect::Unknown => None,
        other => Some(Trouble::Speaks(other, dialect::shown(read))),
    }
}

fn trouble_of(error: &io::Error, read: &[u8]) -> Trouble {
    if let Some(trouble) = spoken(read) {
        return trouble;
    }
    if let Some(tls) = error.get_ref().and_then(|error| error.downcast_ref::<rustls::Error>()) {
        return Trouble::Tls(tls.to_string());
    }
    match error.kind() {
        io::ErrorKind::UnexpectedEof
        | io::ErrorKind::ConnectionReset
        | io::ErrorKind::BrokenPipe
        | io::ErrorKind::ConnectionAborted => Trouble::HungUp,
        _ => Trouble::Other(error.to_string()),
    }
}
