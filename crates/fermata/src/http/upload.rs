//! The body of a request on its way to the service, watched: so that a wait for an answer knows whom it is for.

use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http::Request;
use http_body_util::BodyExt;
use hyper::body::{Body as HttpBody, Frame, Incoming, SizeHint};

use super::reply::{Body, Refusal};

/// The body of a request.
pub(super) struct Upload {
    body: Incoming,
    progress: Progress,
}

/// How far a body is; a copy tells of the same one. (The lock is never waited for: hyper wants bodies that could be sent
/// to another thread.)
#[derive(Clone, Default)]
pub(super) struct Progress(Arc<Mutex<Seen>>);

#[derive(Default)]
struct Seen {
    parts: u64,
    waits_for: WaitsFor,
    broken: bool,
}

/// Who has to do something before it can go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum WaitsFor {
    /// The service, to read on or to answer.
    #[default]
    Service,
    /// The client, to send more.
    Client,
}

impl Upload {
    pub(super) fn of(request: Request<Incoming>) -> (Request<Body>, Progress) {
        let progress = Progress::default();
        let upload = |body| Upload { body, progress: progress.clone() }.boxed_unsync();
        (request.map(upload), progress)
    }
}

impl HttpBody for Upload {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        task: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        self.progress.seen().waits_for = WaitsFor::Client;
        let frame = ready!(Pin::new(&mut self.body).poll_frame(task));
        let mut seen = self.progress.seen();
        seen.waits_for = WaitsFor::Service;
        seen.parts += 1;
        seen.broken |= matches!(frame, Some(Err(_)));
        drop(seen);
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Progress {
    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the client has left, or has sent what is no body.
    pub(super) fn is_broken(&self) -> bool {
        self.seen().broken
    }

    /// Waits for an answer for as long as the body moves, and then for `limit`; after that says who is to blame.
    pub(super) async fn answer_of<T>(&self, answer: impl Future<Output = T>, limit: Duration) -> Result<T, WaitsFor> {
        let mut answer = std::pin::pin!(answer);
        loop {
            let before = self.seen().parts;
            if let Ok(answer) = tokio::time::timeout(limit, &mut answer).await {
                return Ok(answer);
            }
            let seen = self.seen();
            if seen.parts == before {
                return Err(seen.waits_for);
            }
        }
    }
}

impl WaitsFor {
    pub(super) fn refusal(self, service: &str, waited: Duration) -> Refusal {
        match self {
            WaitsFor::Client => Refusal::BodyTimeout(waited),
            WaitsFor::Service => Refusal::NoAnswer { service: service.to_owned(), waited },
        }
    }
}
