//! `fermata echo`: a small WebSocket and HTTP service to try a path with, and the real service of the project's tests.
//!
//! Every path is a WebSocket that echoes; some paths do something else, so that one can see what it looks like
//! (`/close/4000`, `/push`, `/slow`: [`conduct`]). Plain requests are told what arrived ([`arrival`]), because that shows
//! which proxies a request came through. It is a sample, not a product: no TLS, no limits but those that keep it alive.

mod arrival;
mod conduct;
mod socket;

use std::convert::Infallible;
use std::future::Future;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use fermata_wire::handshake::{self, Offer};
use http::header::{
    CONNECTION, CONTENT_TYPE, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_PROTOCOL, SEC_WEBSOCKET_VERSION, UPGRADE,
};
use http::{Method, Request, Response, StatusCode};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Bytes, Frame, Incoming};
use hyper::service::service_fn;
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::page;
use arrival::Arrival;
use conduct::{Conduct, Plain};

/// How long peers have to answer the Close 1001 of a service that ends.
const FAREWELL: Duration = Duration::from_secs(2);

type Body = BoxBody<Bytes, hyper::Error>;

/// A handshake that was answered with 101, until the connection becomes its socket.
type Upgrading = Arc<Mutex<Option<(OnUpgrade, Conduct, Arrival)>>>;

/// Serves until `shutdown`; then every socket gets a Close 1001, and this returns once they are gone.
pub async fn serve(listener: TcpListener, shutdown: impl Future<Output = ()>) {
    let instance: Arc<str> = instance(listener.local_addr().ok()).into();
    let (end, ending) = watch::channel(false);
    let mut connections = JoinSet::new();
    let mut shutdown = std::pin::pin!(shutdown);
    loop {
        tokio::select! {
            () = &mut shutdown => break,
            Some(_) = connections.join_next() => {}
            accepted = listener.accept() => match accepted {
                Ok((stream, peer)) => {
                    connections.spawn(connection(stream, peer, instance.clone(), ending.clone()));
                }
                // Out of descriptors (accept(2), EMFILE): those that end make room.
                Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
            },
        }
    }
    drop(listener);
    end.send_replace(true);
    let _ = tokio::time::timeout(FAREWELL, async { while connections.join_next().await.is_some() {} }).await;
}

/// What tells one copy of the service from another: the machine's or container's name, and the port.
fn instance(address: Option<SocketAddr>) -> String {
    let host = std::env::var("HOSTNAME").unwrap_or_else(|_| "localhost".to_owned());
    address.map_or(host.clone(), |address| format!("{host}:{}", address.port()))
}

async fn connection(stream: TcpStream, peer: SocketAddr, instance: Arc<str>, mut ending: watch::Receiver<bool>) {
    // A frame is written whole: waiting for more bytes would only make it late.
    let _ = stream.set_nodelay(true);
    let upgrading = Upgrading::default();
    let slot = upgrading.clone();
    let service = service_fn(move |request| {
        let answer = answer(request, peer, &instance, &slot);
        async { Ok::<_, Infallible>(answer) }
    });
    let mut http = hyper::server::conn::http1::Builder::new();
    let mut connection =
        std::pin::pin!(http.timer(TokioTimer::new()).serve_connection(TokioIo::new(stream), service).with_upgrades());
    let served = tokio::select! {
        served = &mut connection => served,
        () = ends(&mut ending) => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    // hyper's connection ends at the 101; the socket goes on in the same task, so that it is counted and awaited.
    let opened = upgrading.lock().ok().and_then(|mut slot| slot.take());
    if let (Ok(()), Some((upgrade, conduct, arrival))) = (served, opened)
        && let Ok(upgraded) = upgrade.await
        && let Ok(parts) = upgraded.downcast::<TokioIo<TcpStream>>()
    {
        socket::run(parts.io.into_inner(), parts.read_buf.into(), conduct, &arrival, ending).await;
    }
}

/// Resolves when the service ends.
async fn ends(ending: &mut watch::Receiver<bool>) {
    let _ = ending.wait_for(|ends| *ends).await;
}

fn answer(mut request: Request<Incoming>, peer: SocketAddr, instance: &str, upgrading: &Upgrading) -> Response<Body> {
    if let Some(status) = conduct::status(request.uri().path()) {
        return text(status, format!("{status}, as the path asks.\n"));
    }
    let arrival = Arrival::of(&request, peer, instance);
    if handshake::asks(request.headers()) {
        let offer = match handshake::read_request(request.method(), request.version(), request.headers()) {
            Ok(offer) => offer,
            Err(bad) => return refusal(bad.status(), &bad.to_string()),
        };
        let conduct = match conduct::socket(request.uri()) {
            Ok(conduct) => conduct,
            Err(problem) => return refusal(StatusCode::BAD_REQUEST, problem),
        };
        if let Ok(mut slot) = upgrading.lock() {
            *slot = Some((hyper::upgrade::on(&mut request), conduct, arrival));
        }
        return switch(offer);
    }
    match conduct::plain(request.uri().path()) {
        Plain::Healthy => text(StatusCode::OK, "ok\n".to_owned()),
        Plain::Tester => page::answer().map(|body| body.map_err(|never| match never {}).boxed()),
        Plain::Events => events(),
        Plain::Arrival if request.method() == Method::GET || request.method() == Method::HEAD => arrival.answer(),
        Plain::Arrival => return_body(request),
    }
}

/// The 101. The first subprotocol that was offered is chosen: a browser that offered some and gets none gives up.
fn switch(offer: Offer) -> Response<Body> {
    let mut builder = Response::builder()
        .status(StatusCode::SWITCHING_PROTOCOLS)
        .header(UPGRADE, "websocket")
        .header(CONNECTION, "Upgrade")
        .header(SEC_WEBSOCKET_ACCEPT, offer.accept);
    if let Some(first) = offer.protocols.into_iter().next() {
        builder = builder.header(SEC_WEBSOCKET_PROTOCOL, first);
    }
    builder.body(Full::default().map_err(|never| match never {}).boxed()).unwrap_or_default()
}

fn refusal(status: StatusCode, why: &str) -> Response<Body> {
    let mut answer = text(status, format!("{why}\n"));
    if status == StatusCode::UPGRADE_REQUIRED {
        answer.headers_mut().insert(SEC_WEBSOCKET_VERSION, http::HeaderValue::from_static(handshake::VERSION));
    }
    answer
}

fn text(status: StatusCode, text: String) -> Response<Body> {
    with_type(status, "text/plain; charset=utf-8", text)
}

fn with_type(status: StatusCode, kind: &'static str, body: String) -> Response<Body> {
    let mut answer = Response::new(Full::from(body).map_err(|never| match never {}).boxed());
    *answer.status_mut() = status;
    answer.headers_mut().insert(CONTENT_TYPE, http::HeaderValue::from_static(kind));
    answer
}

/// The body of a POST, PUT or PATCH goes back as it comes in, so that uploads of any size can be tried.
fn return_body(request: Request<Incoming>) -> Response<Body> {
    let kind = request.headers().get(CONTENT_TYPE).cloned();
    let mut answer = Response::new(request.into_body().boxed());
    if let Some(kind) = kind {
        answer.headers_mut().insert(CONTENT_TYPE, kind);
    }
    answer
}

/// Server-Sent Events, one each second.
fn events() -> Response<Body> {
    let ticks = tokio::time::interval(Duration::from_secs(1));
    let stream = futures_util::stream::unfold((ticks, 1_u64), |(mut ticks, number)| async move {
        ticks.tick().await;
        let event = Bytes::from(format!("id: {number}\ndata: {{\"number\":{number}}}\n\n"));
        Some((Ok(Frame::data(event)), (ticks, number + 1)))
    });
    let mut answer = Response::new(StreamBody::new(stream).boxed());
    answer.headers_mut().insert(CONTENT_TYPE, http::HeaderValue::from_static("text/event-stream"));
    answer
}
