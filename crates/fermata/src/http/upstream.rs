//! Requests to the services: over connections that are kept and used again, each thread its own.
//!
//! Whatever fails before the service can have seen the request is tried again, on another instance if need be. What it may
//! have seen is tried again only where that cannot matter: a request that may be repeated (RFC 9110 9.2.2), of whose answer
//! nothing has come.

use std::collections::HashMap;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::BodyExt;
use hyper::body::{Body as HttpBody, Frame, Incoming, SizeHint};
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use tokio::time::Instant;

use super::attempts::Attempts;
use super::reply::{Body, Refusal, empty};
use super::upload::Upload;
use crate::net::dial;
use crate::route::{Asked, Lease, Place, Route, Secure, Target, Wish};

/// Kept connections per endpoint and thread.
const KEPT: usize = 32;
/// A kept connection is used again within this time; services commonly close after 5 s (Node's `keepAliveTimeout`).
const KEPT_FOR: Duration = Duration::from_secs(4);

/// Connections of one thread to all services. The lock is never waited for: it is there because hyper wants bodies that
/// could be sent to another thread.
#[derive(Default)]
pub struct Upstreams {
    kept: Mutex<HashMap<Target, Vec<Kept>>>,
}

struct Kept {
    sender: SendRequest<Body>,
    /// By whom the other end was vouched for, where it is TLS: after a change of that it has to prove itself anew.
    trust: Trust,
    since: Instant,
}

/// What a connection over TLS was verified by.
type Trust = Option<Arc<ClientConfig>>;

fn is_same(one: &Trust, other: &Trust) -> bool {
    one.as_ref().map(Arc::as_ptr) == other.as_ref().map(Arc::as_ptr)
}

/// How long a service may take.
#[derive(Debug, Clone, Copy)]
pub struct Patience {
    /// For connecting to one instance.
    pub connect: Duration,
    /// For the head of the answer, counted from the last byte of the request.
    pub answer: Duration,
}

/// A connection to an instance, on which nothing is under way.
struct Connected {
    sender: SendRequest<Body>,
    age: Age,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Age {
    Fresh,
    Kept,
}

impl Upstreams {
    /// Sends an ordinary request to an instance of the route's service; returns which one answered, and what. A connection that
    /// has to begin with the bytes of `first` is made for it. The place is held until the end of the answer.
    pub async fn forward(
        self: &Arc<Self>,
        route: &Route,
        wish: &Wish,
        first: &[u8],
        request: Request<Incoming>,
        patience: Patience,
        place: Place,
    ) -> Result<(Arc<str>, Response<Body>), Refusal> {
        let (mut request, progress) = Upload::of(request);
        // A connection that begins with one client's name is nobody else's.
        let is_own = !first.is_empty();
        let mut wanted = if is_own { Age::Fresh } else { Age::Kept };
        let mut attempts = Attempts::at(route, Asked::Other, wish);
        loop {
            let connect = async |lease: &Lease| {
                let target = lease.target();
                self.connect(target, first, route.secure.as_ref(), wanted, patience.connect).await
            };
            let (lease, Connected { mut sender, age }) = attempts.connect(connect).await?;
            let again = (age == Age::Kept || attempts.has_other()).then(|| repeated(&request)).flatten();
            let sent = progress.answer_of(sender.try_send_request(request), patience.answer).await;
            let sent = match (sent, again) {
                (Ok(sent), again) => sent.map_err(|error| (error, again)),
                (Err(waits_for), again) => {
                    let refusal = waits_for.refusal(lease.service(), patience.answer);
                    request = match again {
                        Some(again) => attempts.unanswered(lease, refusal).map(|()| again)?,
                        None => return Err(refusal),
                    };
                    continue;
                }
            };
            let (mut error, again) = match sent {
                Ok(response) if response.status() == StatusCode::SWITCHING_PROTOCOLS => {
                    return Err(unusable(lease.service(), "it switches protocols, which nobody asked for"));
                }
                Ok(response) => {
                    let (head, body) = response.into_parts();
                    let (instance, target) = (lease.instance().clone(), lease.target().clone());
                    let trust = route.secure.as_ref().map(|secure| secure.config.clone());
                    let keep = (!is_own).then(|| (self.clone(), target, trust, sender));
                    let answer = Answer { body, held: Some((lease, place)), keep };
                    return Ok((instance, Response::from_parts(head, answer.boxed_unsync())));
                }
                Err((error, again)) => (error, again),
            };
            let unanswered = error.take_message().or(again);
            if age == Age::Kept
                && let Some(unanswered) = unanswered
            {
                // A connection that the service has closed meanwhile.
                (request, wanted) = (unanswered, Age::Fresh);
                continue;
            }
            if progress.is_broken() {
                return Err(Refusal::Malformed("its body breaks off, or its chunks are broken"));
            }
            let error = error.into_error();
            let refusal = unreadable(lease.service(), &error);
            request = match unanswered {
                // What is no HTTP is an answer, too.
                Some(unanswered) if !error.is_parse() => attempts.unanswered(lease, refusal).map(|()| unanswered)?,
                _ => return Err(refusal),
            };
        }
    }

    async fn connect(
        &self,
        target: &Target,
        first: &[u8],
        secure: Option<&Secure>,
        wanted: Age,
        limit: Duration,
    ) -> io::Result<Connected> {
        if wanted == Age::Kept
            && let Some(sender) = self.take(target, &secure.map(|secure| secure.config.clone()))
        {
            return Ok(Connected { sender, age: Age::Kept });
        }
        let leg = dial(target, first, secure, limit).await?;
        let (sender, connection) = http1::handshake(TokioIo::new(leg)).await.map_err(io::Error::other)?;
        tokio::task::spawn_local(connection);
        Ok(Connected { sender, age: Age::Fresh })
    }

    fn kept(&self) -> MutexGuard<'_, HashMap<Target, Vec<Kept>>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take(&self, target: &Target, trust: &Trust) -> Option<SendRequest<Body>> {
        let mut kept = self.kept();
        let there = kept.get_mut(target)?;
        // One that is not ready still takes the rest of an upload that was answered early.
        std::iter::from_fn(|| there.pop())
            .find(|one| one.since.elapsed() < KEPT_FOR && one.sender.is_ready() && is_same(&one.trust, trust))
            .map(|one| one.sender)
    }

    fn keep(&self, target: Target, trust: Trust, sender: SendRequest<Body>) {
        let mut kept = self.kept();
        let there = kept.entry(target).or_default();
        there.retain(|one| one.since.elapsed() < KEPT_FOR && !one.sender.is_closed());
        if there.len() < KEPT {
            there.push(Kept { sender, trust, since: Instant::now() });
        }
    }
}

/// The same request once more, where it may be repeated and has no body that would be used up.
fn repeated(request: &Request<Body>) -> Option<Request<Body>> {
    if !request.method().is_idempotent() || !request.body().is_end_stream() {
        return None;
    }
    let mut again = Request::new(empty());
    *again.method_mut() = request.method().clone();
    *again.uri_mut() = request.uri().clone();
    *again.headers_mut() = request.headers().clone();
    Some(again)
}

/// An answer that is passed on as it is, and holds what was taken for it until its end.
pub fn passed_on(response: Response<Incoming>, lease: Lease, place: Place) -> Response<Body> {
    response.map(|body| Answer { body, held: Some((lease, place)), keep: None }.boxed_unsync())
}

pub(super) fn unreadable(service: &Arc<str>, error: &hyper::Error) -> Refusal {
    unusable(
        service,
        if error.is_incomplete_message() {
            "it ended the connection before its answer was complete"
        } else if error.is_parse() {
            "it is no HTTP/1.1 answer"
        } else if error.is_canceled() || error.is_closed() {
            "it closed the connection"
        } else {
            "the connection broke"
        },
    )
}

pub(super) fn unusable(service: &Arc<str>, problem: &str) -> Refusal {
    Refusal::Unreadable { service: service.to_string(), problem: problem.into() }
}

/// A service's body on its way to the client.
struct Answer {
    body: Incoming,
    held: Option<(Lease, Place)>,
    keep: Option<(Arc<Upstreams>, Target, Trust, SendRequest<Body>)>,
}

impl HttpBody for Answer {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        task: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let polled = Pin::new(&mut self.body).poll_frame(task);
        if matches!(polled, Poll::Ready(None)) || self.body.is_end_stream() {
            self.held = None;
            if let Some((upstreams, target, trust, sender)) = self.keep.take() {
                upstreams.keep(target, trust, sender);
            }
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for Answer {
    fn drop(&mut self) {
        // An empty body is never polled.
        if self.body.is_end_stream()
            && let Some((upstreams, target, trust, sender)) = self.keep.take()
        {
            upstreams.keep(target, trust, sender);
        }
    }
}
