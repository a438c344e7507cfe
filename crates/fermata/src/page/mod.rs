//! Pages of Fermata's own: one self-contained HTML file each, without any outside script, font or style.
//!
//! This module knows the page and the headers that belong to it. It refuses to decide where it is served: the gateway
//! has it at `/.fermata/tester`, `fermata tester` on a port of its own.

use std::convert::Infallible;
use std::future::Future;

use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS};
use http::{HeaderName, HeaderValue, Request, Response, StatusCode};
use http_body_util::Full;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

/// The page that tests a WebSocket from a browser.
pub const TESTER: &str = include_str!("tester.html");

/// Where a gateway serves it.
pub const TESTER_PATH: &str = "/.fermata/tester";

pub use fermata_spec::HEALTH_PATH;

/// Whether there is: 200, or 503.
pub fn health(ready: bool) -> Response<Full<Bytes>> {
    let mut answer = Response::new(Full::from(if ready { "ready\n" } else { "no service of this port is ready\n" }));
    if !ready {
        *answer.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
    }
    let headers = answer.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    answer
}

/// What the tester page may do: run its own script, wear its own style, open sockets anywhere, and nothing else.
/// The hashes are those of its only `<script>` and `<style>`; a test says what they have to be.
pub const TESTER_POLICY: &str = "default-src 'none'; script-src 'sha256-lUCrEuNvVxrPPttBWIhEiwHFB4KtTq6DyNsP6jxApZI='; \
     style-src 'sha256-0zJEeFaCja2x8wcjZsswQmCox6b7cQO2Cut1QHHotYI='; img-src data:; \
     connect-src ws: wss:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// The headers that the tester page is served with.
pub const TESTER_HEADERS: [(HeaderName, HeaderValue); 5] = [
    (CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8")),
    (CONTENT_SECURITY_POLICY, HeaderValue::from_static(TESTER_POLICY)),
    (X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    (REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
    (CACHE_CONTROL, HeaderValue::from_static("no-cache")),
];

/// The tester page as an answer.
pub fn answer() -> Response<Full<Bytes>> {
    let mut answer = Response::new(Full::from(TESTER));
    answer.headers_mut().extend(TESTER_HEADERS);
    answer
}

/// Serves the tester page at `/` until `shutdown`.
pub async fn serve(listener: TcpListener, shutdown: impl Future<Output = ()>) {
    let mut connections = JoinSet::new();
    let mut shutdown = std::pin::pin!(shutdown);
    loop {
        tokio::select! {
            // Dropping the set ends what is still open: a page in flight is no loss.
            () = &mut shutdown => return,
            Some(_) = connections.join_next() => {}
            Ok((stream, _)) = listener.accept() => {
                let mut http = hyper::server::conn::http1::Builder::new();
                connections.spawn(
                    http.timer(TokioTimer::new()).serve_connection(TokioIo::new(stream), service_fn(only_the_page)),
                );
            }
        }
    }
}

async fn only_the_page<B>(request: Request<B>) -> Result<Response<Full<Bytes>>, Infallible> {
    Ok(match request.uri().path() {
        "/" | "/tester" | TESTER_PATH => answer(),
        _ => {
            let mut answer = Response::new(Full::from("The tester page is at /\n"));
            *answer.status_mut() = StatusCode::NOT_FOUND;
            answer
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use base64::Engine;
    use base64::engine::general_purpose::STANDARD;
    use rustls::SupportedCipherSuite;
    use rustls::crypto::aws_lc_rs::cipher_suite::TLS13_AES_128_GCM_SHA256;

    fn hash_of(element: &str) -> String {
        let (open, close) = (format!("<{element}>"), format!("</{element}>"));
        assert_eq!(TESTER.matches(&open).count(), 1, "the page has one {open}");
        let text = TESTER.split_once(&open).and_then(|(_, rest)| rest.split_once(&close)).expect("closed").0;
        let SupportedCipherSuite::Tls13(suite) = TLS13_AES_128_GCM_SHA256 else { panic!("a suite of TLS 1.3") };
        STANDARD.encode(suite.common.hash_provider.hash(text.as_bytes()).as_ref())
    }

    #[test]
    fn the_policy_lets_the_pages_own_script_and_style_pass_and_no_other() {
        for element in ["script", "style"] {
            let source = format!("{element}-src 'sha256-{}'", hash_of(element));
            assert!(TESTER_POLICY.contains(&source), "TESTER_POLICY has to say: {source}");
        }
    }

    #[test]
    fn the_page_names_no_outside_address() {
        for outside in ["src=", "@import", "url(", "//cdn", "<iframe"] {
            assert!(!TESTER.contains(outside), "{outside}");
        }
        assert_eq!(TESTER.matches("href=").count(), 1, "the icon, which is a data: URL");
    }
}
