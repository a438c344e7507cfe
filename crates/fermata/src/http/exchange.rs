//! The wish for an upgrade, said to a service, and what it answers: without an HTTP library where the answer is the usual
//! one, a 101. Any other answer is read by the library, from its first byte.

use std::io;
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::Bytes;
use http::header::{HeaderMap, HeaderName, HeaderValue};
use http::{Request, Response, StatusCode};
use httparse::{ParserConfig, Status};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, ReadBuf};

use super::reply::{Refusal, empty};
use super::upstream::{unreadable, unusable};
use crate::net::Leg;

/// As many headers as hyper takes.
const MAX_HEADERS: usize = 100;
/// Longer heads are for the library to judge.
const MAX_HEAD: usize = 64 * 1024;

/// What a service says to the wish for an upgrade.
pub enum Exchanged {
    /// It has switched protocols; the leg is the tunnel's from here on.
    Switched(HeaderMap, Leg),
    /// It has its own opinion.
    Answered(Response<Incoming>),
}

/// Sends the wish for an upgrade over a leg of its own.
pub async fn exchange(
    leg: Leg,
    request: &Request<()>,
    service: &Arc<str>,
    limit: Duration,
) -> Result<Exchanged, Refusal> {
    let answered = tokio::time::timeout(limit, ask(leg, request, service)).await;
    answered.map_err(|_| Refusal::NoAnswer { service: service.to_string(), waited: limit })?
}

async fn ask(mut leg: Leg, request: &Request<()>, service: &Arc<str>) -> Result<Exchanged, Refusal> {
    // A service that takes nothing may have answered all the same.
    let said = leg.write_all(&head_of(request)).await;
    while said.is_ok() && leg.unread().len() < MAX_HEAD {
        match read(leg.unread()) {
            Answer::Switched(size) => {
                let Some(headers) = headers(&leg.take_unread(size)) else { break };
                return Ok(Exchanged::Switched(headers, leg));
            }
            // 100, 103: a further answer follows (RFC 9110 15.2).
            Answer::Interim(size) => leg.used(size),
            Answer::Other => break,
            Answer::Partial => match leg.fill().await {
                Ok(1..) => {}
                Ok(0) | Err(_) => break,
            },
        }
    }
    let response = hear(leg, service).await?;
    if response.status() == StatusCode::SWITCHING_PROTOCOLS {
        return Err(unusable(service, "the head of its answer is too large"));
    }
    Ok(Exchanged::Answered(response))
}

fn head_of(request: &Request<()>) -> Vec<u8> {
    let target = request.uri().path_and_query().map_or("/", |path| path.as_str());
    let mut head = Vec::with_capacity(1024);
    for part in [request.method().as_str(), " ", target, " HTTP/1.1\r\n"] {
        head.extend_from_slice(part.as_bytes());
    }
    for (name, value) in request.headers() {
        for part in [name.as_str().as_bytes(), b": ", value.as_bytes(), b"\r\n"] {
            head.extend_from_slice(part);
        }
    }
    head.extend_from_slice(b"\r\n");
    head
}

/// What has come of an answer.
enum Answer {
    Partial,
    /// A whole 101, so many bytes.
    Switched(usize),
    /// A whole 1xx that announces another answer.
    Interim(usize),
    /// Anything else.
    Other,
}

fn read(bytes: &[u8]) -> Answer {
    let mut headers = [const { MaybeUninit::uninit() }; MAX_HEADERS];
    let mut response = httparse::Response::new(&mut []);
    let parsed = ParserConfig::default().parse_response_with_uninit_headers(&mut response, bytes, &mut headers);
    match (parsed, response.code) {
        (Ok(Status::Complete(size)), Some(101)) => Answer::Switched(size),
        (Ok(Status::Complete(size)), Some(100..200)) => Answer::Interim(size),
        (Ok(Status::Partial), _) => Answer::Partial,
        _ => Answer::Other,
    }
}

/// The headers of a whole head.
fn headers(head: &Bytes) -> Option<HeaderMap> {
    let mut headers = [const { MaybeUninit::uninit() }; MAX_HEADERS];
    let mut response = httparse::Response::new(&mut []);
    ParserConfig::default().parse_response_with_uninit_headers(&mut response, head, &mut headers).ok()?;
    let mut map = HeaderMap::with_capacity(response.headers.len() + 4);
    for header in response.headers {
        let name = HeaderName::from_bytes(header.name.as_bytes()).ok()?;
        map.append(name, HeaderValue::from_maybe_shared(head.slice_ref(header.value)).ok()?);
    }
    Some(map)
}

/// Has the library read the answer to a request that was said already.
async fn hear(leg: Leg, service: &Arc<str>) -> Result<Response<Incoming>, Refusal> {
    let said = Said { leg, asked: false, waiting: None };
    let (mut sender, connection) =
        http1::handshake(TokioIo::new(said)).await.map_err(|error| unreadable(service, &error))?;
    tokio::task::spawn_local(connection);
    sender.send_request(Request::new(empty())).await.map_err(|error| unreadable(service, &error))
}

/// A leg on which everything has been said: what the library writes goes nowhere. Before it has written, it reads nothing:
/// it takes an answer for one only behind its own request.
struct Said {
    leg: Leg,
    asked: bool,
    waiting: Option<Waker>,
}

impl AsyncRead for Said {
    fn poll_read(mut self: Pin<&mut Self>, task: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.asked {
            return Pin::new(&mut self.leg).poll_read(task, into);
        }
        self.waiting = Some(task.waker().clone());
        Poll::Pending
    }
}

impl AsyncWrite for Said {
    fn poll_write(mut self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.asked = true;
        if let Some(waiting) = self.waiting.take() {
            waiting.wake();
        }
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, task: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.leg).poll_shutdown(task)
    }
}
