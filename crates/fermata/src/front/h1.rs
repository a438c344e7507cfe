//! HTTP/1.1 on a leg: hyper reads the requests, and an [`Opening`] is what it makes of the wish for a tunnel.

use std::convert::Infallible;
use std::io;
use std::time::Duration;

use fermata_wire::handshake::{self, BadRequest, Offer};
use http::header::{CONNECTION, HeaderMap, HeaderValue, UPGRADE};
use http::{Request, Response, StatusCode};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::http::{Body, empty, keep_end_to_end};
use crate::net::Leg;

/// hyper wants at least this much for a head (its documentation of `max_buf_size`).
const SMALLEST_BUFFER: usize = 8 * 1024;

/// Serves the requests of one connection until it ends or becomes a tunnel.
pub async fn converse<F>(leg: Leg, max_head: usize, head_timeout: Duration, answer: impl Fn(Request<Incoming>) -> F)
where
    F: Future<Output = Response<Body>>,
{
    let service = service_fn(|request| {
        let answer = answer(request);
        async { Ok::<_, Infallible>(answer.await) }
    });
    let outcome = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(head_timeout)
        .max_buf_size(max_head.max(SMALLEST_BUFFER))
        .serve_connection(TokioIo::new(leg), service)
        .with_upgrades()
        .await;
    if let Err(error) = outcome {
        tracing::debug!(%error, "a client's connection ended early");
    }
}

/// A client's valid wish for a tunnel, and the one right to answer it.
pub struct Opening {
    /// What it offers.
    pub offer: Offer,
    leg: OnUpgrade,
}

impl Opening {
    /// Judges the request's handshake.
    pub fn read(request: &mut Request<Incoming>) -> Result<Opening, BadRequest> {
        let offer = handshake::read_request(request.method(), request.version(), request.headers())?;
        Ok(Opening { offer, leg: hyper::upgrade::on(request) })
    }

    /// The answer that opens the tunnel, from the service's own (verified) answer, and the client's leg once that is sent.
    pub fn accept(self, answered: HeaderMap) -> (Response<Body>, impl Future<Output = io::Result<Leg>>) {
        let mut response = Response::new(empty());
        *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
        *response.headers_mut() = answered;
        keep_end_to_end(response.headers_mut());
        response.headers_mut().insert(CONNECTION, HeaderValue::from_static("Upgrade"));
        response.headers_mut().insert(UPGRADE, HeaderValue::from_static("websocket"));
        (response, leg_of(self.leg))
    }
}

/// The leg of an upgraded connection of either side, with the bytes that hyper had read too many.
pub async fn leg_of(upgrade: OnUpgrade) -> io::Result<Leg> {
    let upgraded: Upgraded = upgrade.await.map_err(io::Error::other)?;
    let parts =
        upgraded.downcast::<TokioIo<Leg>>().map_err(|_| io::Error::other("the connection is no leg of ours"))?;
    let mut leg = parts.io.into_inner();
    leg.unread_first(&parts.read_buf);
    Ok(leg)
}

/// Says a last word and closes: reads on for a moment, since closing with unread bytes would reset the connection and take
/// the word away again (RFC 1122 4.2.2.13).
pub async fn goodbye(mut leg: Leg, word: &[u8]) {
    const LINGER: Duration = Duration::from_secs(1);
    const MOST: u64 = 256 * 1024;
    let said = async {
        leg.write_all(word).await?;
        leg.shutdown().await?;
        tokio::io::copy(&mut leg.take(MOST), &mut tokio::io::sink()).await
    };
    // The peer may be gone: then there was nobody to tell.
    let _ = tokio::time::timeout(LINGER, said).await;
}
