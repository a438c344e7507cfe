//! Requests to the services: over connections that are kept and used again, each thread its own.
//!
//! Whatever fails before the service can have seen the request is tried on another instance; nothing is tried again
//! after that.

use std::collections::HashMap;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::BodyExt;
use hyper::body::{Body as HttpBody, Frame, Incoming, SizeHint};
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use tokio::time::Instant;

use super::reply::{Body, Refusal};
use crate::net::{Leg, dial};
use crate::route::{Lease, Route, Target, Wish};

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
    since: Instant,
}

/// How long a service may take.
#[derive(Debug, Clone, Copy)]
pub struct Patience {
    /// For connecting to one instance.
    pub connect: Duration,
    /// For the head of the answer, counted from the last byte of the request.
    pub answer: Duration,
}

impl Upstreams {
    /// Sends an ordinary request to an instance of the route's service; returns which one answered, and what.
    pub async fn forward(
        self: &Arc<Self>,
        route: &Route,
        wish: &Wish,
        request: Request<Incoming>,
        patience: Patience,
    ) -> Result<(Arc<str>, Response<Body>), Refusal> {
        let (mut request, progress) = watched(request);
        let connected = connect_any(route, wish, async |lease| {
            if let Some(sender) = self.take(lease.target()).await {
                return Ok(sender);
            }
            open(lease.target(), patience.connect).await
        });
        let (lease, mut sender) = connected.await?;
        loop {
            let sent = answer_of(sender.try_send_request(request), &progress, patience.answer).await;
            let service = lease.service();
            match sent.ok_or_else(|| no_answer(service, patience.answer))? {
                Ok(response) => {
                    let (head, body) = response.into_parts();
                    let (instance, target) = (lease.instance().clone(), lease.target().clone());
                    let held = Answer { body, lease: Some(lease), keep: Some((self.clone(), target, sender)) };
                    return Ok((instance, Response::from_parts(head, held.boxed_unsync())));
                }
                Err(mut error) => match error.take_message() {
                    // A kept connection that the service has closed meanwhile: it has seen nothing of the request.
                    Some(unsent) => {
                        request = unsent;
                        sender = open(lease.target(), patience.connect)
                            .await
                            .map_err(|error| unreachable(&lease, &error))?;
                    }
                    None => return Err(unreadable(service, &error.into_error())),
                },
            }
        }
    }

    fn kept(&self) -> MutexGuard<'_, HashMap<Target, Vec<Kept>>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn take(&self, target: &Target) -> Option<SendRequest<Body>> {
        loop {
            let Kept { mut sender, since } = self.kept().get_mut(target)?.pop()?;
            if since.elapsed() < KEPT_FOR && sender.ready().await.is_ok() {
                return Some(sender);
            }
        }
    }

    fn keep(&self, target: Target, sender: SendRequest<Body>) {
        let mut kept = self.kept();
        let there = kept.entry(target).or_default();
        there.retain(|one| one.since.elapsed() < KEPT_FOR && !one.sender.is_closed());
        if there.len() < KEPT {
            there.push(Kept { sender, since: Instant::now() });
        }
    }
}

/// Picks instances of the route's service until one can be connected to.
pub async fn connect_any<T>(
    route: &Route,
    wish: &Wish,
    connect: impl AsyncFn(&Lease) -> std::io::Result<T>,
) -> Result<(Lease, T), Refusal> {
    let mut tried: Vec<Lease> = Vec::new();
    let mut last: Option<Refusal> = None;
    while let Some(lease) = route.pick(wish, &tried) {
        match connect(&lease).await {
            Ok(connected) => return Ok((lease, connected)),
            Err(error) => {
                tracing::warn!(service = %lease.service(), instance = %lease.instance(), target = %lease.target(), %error, "cannot connect");
                last = Some(unreachable(&lease, &error));
                tried.push(lease);
            }
        }
    }
    Err(last.unwrap_or_else(|| Refusal::NoInstance { service: route.service().to_string() }))
}

async fn open(target: &Target, limit: Duration) -> std::io::Result<SendRequest<Body>> {
    let leg = dial(target, limit).await?;
    let (sender, connection) = http1::handshake(TokioIo::new(leg)).await.map_err(std::io::Error::other)?;
    tokio::task::spawn_local(connection);
    Ok(sender)
}

/// Sends one request over a leg of its own: for an upgrade, after which the leg is the tunnel's.
pub async fn exchange(
    leg: Leg,
    request: Request<Body>,
    service: &Arc<str>,
    limit: Duration,
) -> Result<Response<Incoming>, Refusal> {
    let (mut sender, connection) =
        http1::handshake(TokioIo::new(leg)).await.map_err(|error| unreadable(service, &error))?;
    tokio::task::spawn_local(connection.with_upgrades());
    match tokio::time::timeout(limit, sender.send_request(request)).await {
        Err(_) => Err(no_answer(service, limit)),
        Ok(answer) => answer.map_err(|error| unreadable(service, &error)),
    }
}

/// An answer that is passed on as it is, and holds its lease until its end.
pub fn passed_on(response: Response<Incoming>, lease: Lease) -> Response<Body> {
    response.map(|body| Answer { body, lease: Some(lease), keep: None }.boxed_unsync())
}

fn unreachable(lease: &Lease, error: &std::io::Error) -> Refusal {
    let why = match error.kind() {
        std::io::ErrorKind::TimedOut => "it did not accept a connection in time".to_owned(),
        std::io::ErrorKind::ConnectionRefused => "nothing listens there".to_owned(),
        _ => error.to_string(),
    };
    Refusal::Unreachable {
        service: lease.service().to_string(),
        last: format!("{} at {}: {why}", lease.instance(), lease.target()),
    }
}

fn no_answer(service: &Arc<str>, waited: Duration) -> Refusal {
    Refusal::NoAnswer { service: service.to_string(), waited }
}

fn unreadable(service: &Arc<str>, error: &hyper::Error) -> Refusal {
    let problem = if error.is_incomplete_message() {
        "it ended the connection before its answer was complete"
    } else if error.is_parse() {
        "it is no HTTP/1.1 answer"
    } else if error.is_canceled() || error.is_closed() {
        "it closed the connection"
    } else {
        "the connection broke"
    };
    Refusal::Unreadable { service: service.to_string(), problem: problem.into() }
}

/// Waits for an answer for as long as the request moves, and then for `limit`; `None` when that has passed.
async fn answer_of<T>(answer: impl Future<Output = T>, progress: &Progress, limit: Duration) -> Option<T> {
    let mut answer = std::pin::pin!(answer);
    loop {
        let seen = progress.count();
        if let Ok(answer) = tokio::time::timeout(limit, &mut answer).await {
            return Some(answer);
        }
        if progress.count() == seen {
            return None;
        }
    }
}

/// How many parts of a request's body have gone.
#[derive(Clone, Default)]
struct Progress(Arc<AtomicU64>);

impl Progress {
    fn count(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

fn watched(request: Request<Incoming>) -> (Request<Body>, Progress) {
    let progress = Progress::default();
    let moved = progress.clone();
    let request = request.map(|body| {
        body.map_frame(move |frame| {
            moved.0.fetch_add(1, Ordering::Relaxed);
            frame
        })
        .boxed_unsync()
    });
    (request, progress)
}

/// A service's body on its way to the client.
struct Answer {
    body: Incoming,
    lease: Option<Lease>,
    keep: Option<(Arc<Upstreams>, Target, SendRequest<Body>)>,
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
            self.lease = None;
            if let Some((upstreams, target, sender)) = self.keep.take() {
                upstreams.keep(target, sender);
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
            && let Some((upstreams, target, sender)) = self.keep.take()
        {
            upstreams.keep(target, sender);
        }
    }
}
