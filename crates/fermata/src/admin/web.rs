//! The status address: a page with the state of everything at `/`, `/metrics` for Prometheus, `/healthz` for load balancers,
//! and `/status.json`. It only reads: nothing can be changed here.

use std::convert::Infallible;
use std::net::TcpListener as PlainListener;
use std::time::Duration;

use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderValue, X_CONTENT_TYPE_OPTIONS};
use http::{Method, Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::protocol::{Reply, Request as Ask, Status};
use super::server::{Asked, Asking};
use super::{metrics, page};

/// Whoever scrapes has a limit of its own, ten seconds by default in Prometheus; a health check less.
const PATIENCE: Duration = Duration::from_secs(4);
/// Visitors at once; more wait to be accepted.
const MOST: usize = 64;
/// The page may wear its own style, and nothing else.
const POLICY: &str =
    "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// Answers at the status address until this is dropped, or until nobody answers `asked` any more: then `/healthz` is 503.
pub async fn serve(listener: PlainListener, asked: mpsc::Sender<Asked>) {
    let listener = match TcpListener::from_std(listener) {
        Ok(listener) => listener,
        Err(error) => return tracing::error!(%error, "cannot accept at the status address"),
    };
    let mut visits = JoinSet::new();
    loop {
        tokio::select! {
            Some(_) = visits.join_next() => {}
            accepted = listener.accept(), if visits.len() < MOST => match accepted {
                Ok((stream, _)) => {
                    let asked = asked.clone();
                    let answer = service_fn(move |request| {
                        let asked = asked.clone();
                        async move { Ok::<_, Infallible>(answer(&request, &asked).await) }
                    });
                    let mut http = http1::Builder::new();
                    // One question each: a visitor that stays would take the place of another.
                    http.timer(TokioTimer::new()).header_read_timeout(PATIENCE).keep_alive(false);
                    let visit = http.serve_connection(TokioIo::new(stream), answer);
                    visits.spawn_local(async move { drop(timeout(3 * PATIENCE, visit).await) });
                }
                // Out of descriptors (accept(2)): those that end make room.
                Err(_) => tokio::time::sleep(Duration::from_millis(100)).await,
            },
        }
    }
}

async fn answer(request: &Request<Incoming>, asked: &mpsc::Sender<Asked>) -> Response<Full<Bytes>> {
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        return text(StatusCode::METHOD_NOT_ALLOWED, "text/plain", "Only GET and HEAD are answered here.\n".into());
    }
    let path = request.uri().path();
    if !matches!(path, "/" | "/metrics" | "/healthz" | "/status.json") {
        let body = "Here are /, /metrics, /healthz and /status.json.\n".into();
        return text(StatusCode::NOT_FOUND, "text/plain", body);
    }
    let Some(status) = status(asked).await else {
        return text(StatusCode::SERVICE_UNAVAILABLE, "text/plain", "stopping\n".into());
    };
    match path {
        "/metrics" => text(StatusCode::OK, metrics::CONTENT_TYPE, metrics::text(&status)),
        "/status.json" => {
            let body = serde_json::to_string_pretty(&status).unwrap_or_default() + "\n";
            text(StatusCode::OK, "application/json", body)
        }
        "/healthz" if status.ready => text(StatusCode::OK, "text/plain", "ok\n".into()),
        "/healthz" => text(StatusCode::SERVICE_UNAVAILABLE, "text/plain", "not ready yet\n".into()),
        _ => text(StatusCode::OK, "text/html; charset=utf-8", page::html(&status)),
    }
}

/// Asks as the control socket does; `None` when everything is ending.
async fn status(asked: &mpsc::Sender<Asked>) -> Option<Status> {
    let (asking, mut replies) = Asking::new();
    asked.try_send(Asked { request: Ask::Status, asking }).ok()?;
    match timeout(PATIENCE, replies.recv()).await {
        Ok(Some(Reply::Status(status))) => Some(status),
        _ => None,
    }
}

fn text(status: StatusCode, kind: &'static str, body: String) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::from(body));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}
