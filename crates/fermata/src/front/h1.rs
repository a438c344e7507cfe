//! HTTP/1.1 on a leg: hyper reads the requests, one at a time through a turnstile, until the connection ends or becomes a
//! tunnel.

use std::cell::{Cell, RefCell};
use std::convert::Infallible;
use std::future::poll_fn;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::header::{CONNECTION, HeaderMap, HeaderValue, UPGRADE};
use http::{Request, Response, StatusCode};
use hyper::body::{Body as HttpBody, Frame, Incoming, SizeHint};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::AsyncWriteExt;

use super::knock::{self, Knock};
use super::turnstile::{HeadLimits, Turn, Turnstile};
use crate::http::{Body, Refusal, empty, keep_end_to_end};
use crate::net::Leg;

/// hyper wants at least this much for a head (its documentation of `max_buf_size`).
const SMALLEST_BUFFER: usize = 8 * 1024;

/// What is said to a request.
pub enum Answer<T> {
    /// An ordinary response.
    Response(Response<Body>),
    /// A 101, after which the connection belongs to a tunnel.
    Tunnel(Response<Body>, T),
}

/// How a conversation ended.
pub enum Ended<T> {
    /// In a tunnel.
    Tunnel(Leg, T),
    /// Everything was said; the leg is to be closed.
    Over(Leg),
    /// The last thing that came was no request; the leg may be told so.
    Refused(Leg, Refusal),
    /// One of both sides went while it was spoken to, or a service ended in the middle of its answer.
    Broken(Leg, hyper::Error),
}

/// Serves the requests of one connection until it ends or becomes a tunnel: a handshake that comes first with `open`,
/// whatever else with `answer`. Once `stopping` is done the current request is the last.
pub async fn converse<T, F>(
    mut leg: Leg,
    limits: HeadLimits,
    stopping: impl Future<Output = ()>,
    open: impl AsyncFnOnce(Request<()>) -> Answer<T>,
    answer: impl Fn(Request<Incoming>) -> F,
) -> Ended<T>
where
    F: Future<Output = Answer<T>>,
{
    let mut answered = None;
    if let Some(Knock { request, bytes }) = Knock::take(&mut leg, limits.size) {
        let answer = tokio::select! {
            answer = open(request) => answer,
            () = knock::left(&mut leg) => return Ended::Over(leg),
        };
        match answer {
            Answer::Tunnel(response, opened) => {
                return match leg.write_all(&knock::head_of(&response)).await {
                    Ok(()) => Ended::Tunnel(leg, opened),
                    Err(_) => Ended::Over(leg),
                };
            }
            Answer::Response(response) => {
                leg.unread_first(&bytes);
                answered = Some(response);
            }
        }
    }
    // Large, and seldom needed.
    Box::pin(converse_at_length(leg, limits, stopping, answered, answer)).await
}

/// The same for everything; the first request may have its answer already.
async fn converse_at_length<T, F>(
    leg: Leg,
    limits: HeadLimits,
    stopping: impl Future<Output = ()>,
    answered: Option<Response<Body>>,
    answer: impl Fn(Request<Incoming>) -> F,
) -> Ended<T>
where
    F: Future<Output = Answer<T>>,
{
    let answered = Cell::new(answered);
    let turnstile = Turnstile::new(leg, limits);
    let (turn, tunnel) = (turnstile.turn(), RefCell::new(None));
    let service = service_fn(|request| {
        let answer = answered.take().ok_or_else(|| answer(request));
        Box::pin(async {
            let answer = match answer {
                Ok(response) => Answer::Response(response),
                Err(answer) => answer.await,
            };
            let response = match answer {
                Answer::Response(response) => response,
                Answer::Tunnel(response, opened) => {
                    tunnel.replace(Some(opened));
                    response
                }
            };
            Ok::<_, Infallible>(response.map(|body| Spoken { body, turn: turn.clone() }))
        })
    });
    let mut connection = http1::Builder::new()
        .header_read_timeout(None)
        .max_buf_size(limits.size.max(SMALLEST_BUFFER))
        .serve_connection(TokioIo::new(turnstile), service);
    let outcome = tokio::select! {
        // An answer that comes once the end has begun says so.
        biased;
        () = stopping => {
            Pin::new(&mut connection).graceful_shutdown();
            poll_fn(|task| connection.poll_without_shutdown(task)).await
        }
        outcome = poll_fn(|task| connection.poll_without_shutdown(task)) => outcome,
    };
    let (leg, refusal) = connection.into_parts().io.into_inner().into_parts();
    match (outcome, tunnel.into_inner(), refusal) {
        (Err(error), ..) => Ended::Broken(leg, error),
        (Ok(()), Some(opened), _) => Ended::Tunnel(leg, opened),
        (Ok(()), None, Some(refusal)) => Ended::Refused(leg, refusal),
        (Ok(()), None, None) => Ended::Over(leg),
    }
}

/// The body of an answer, whose end is noted.
struct Spoken {
    body: Body,
    turn: Rc<Cell<Turn>>,
}

impl HttpBody for Spoken {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        task: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        Pin::new(&mut self.body).poll_frame(task)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for Spoken {
    fn drop(&mut self) {
        self.turn.set(Turn::Said);
    }
}

/// The answer that opens a tunnel, from the service's own (verified) answer.
pub fn accepted(answered: HeaderMap) -> Response<Body> {
    let mut response = Response::new(empty());
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    *response.headers_mut() = answered;
    keep_end_to_end(response.headers_mut());
    response.headers_mut().insert(CONNECTION, HeaderValue::from_static("Upgrade"));
    response.headers_mut().insert(UPGRADE, HeaderValue::from_static("websocket"));
    response
}
