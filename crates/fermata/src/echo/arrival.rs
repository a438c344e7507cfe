//! What a request looked like when it arrived, told to whoever sent it: as a page, as text, as JSON.

use std::fmt::Write;
use std::net::SocketAddr;

use http::header::{ACCEPT, HOST};
use http::{HeaderMap, Request, Response, StatusCode};

use super::{Body, with_type};

const PAGE: &str = include_str!("arrival.html");

/// What arrived.
#[derive(Debug, Clone)]
pub(super) struct Arrival {
    instance: String,
    peer: SocketAddr,
    request: String,
    path: String,
    headers: HeaderMap,
}

impl Arrival {
    /// Keeps what there is to tell of a request.
    pub(super) fn of<B>(request: &Request<B>, peer: SocketAddr, instance: &str) -> Arrival {
        Arrival {
            instance: instance.to_owned(),
            peer,
            request: format!("{} {} {:?}", request.method(), request.uri(), request.version()),
            path: request.uri().path().to_owned(),
            headers: request.headers().clone(),
        }
    }

    /// A page for browsers, JSON for programs that ask for it, text for everybody else.
    pub(super) fn answer(&self) -> Response<Body> {
        let accepts = |kind: &str| {
            self.headers.get(ACCEPT).and_then(|accept| accept.to_str().ok()).is_some_and(|accept| accept.contains(kind))
        };
        if accepts("text/html") {
            with_type(StatusCode::OK, "text/html; charset=utf-8", self.page())
        } else if accepts("application/json") {
            with_type(StatusCode::OK, "application/json", self.json() + "\n")
        } else {
            with_type(StatusCode::OK, "text/plain; charset=utf-8", self.text())
        }
    }

    /// For programs; also the first message of `/headers`.
    pub(super) fn json(&self) -> String {
        let headers: Vec<_> = self.lines().map(|(name, value)| [name.to_owned(), value]).collect();
        serde_json::json!({
            "instance": self.instance,
            "peer": self.peer.to_string(),
            "request": self.request,
            "headers": headers,
        })
        .to_string()
    }

    fn text(&self) -> String {
        let base = self.base();
        format!(
            "This is Fermata's sample service, instance {instance}.\n\
             \n\
             Your request came from {peer} and looked like this when it arrived:\n\
             \n\
             {head}\
             \n\
             WebSockets to try (every other path echoes, too):\n\
             \n  \
             {base}/             echoes text and binary, up to 64 MiB a message\n  \
             {base}/headers      says first what arrived, as JSON\n  \
             {base}/push         a message each second        (?every=100ms)\n  \
             {base}/slow         echoes a second late         (?by=250ms)\n  \
             {base}/silent       reads and says nothing\n  \
             {base}/send/1048576 says first a message of so many bytes\n  \
             {base}/close/4000   closes with that code        (?reason=...&after=5s)\n  \
             {base}/drop         ends without a Close         (?after=5s)\n\
             \n\
             Plain requests: /healthz, /status/503, /events (Server-Sent Events), /tester (a page\n\
             to test WebSockets with); the body of a POST comes back.\n",
            instance = self.instance,
            peer = self.peer,
            head = self.head("  "),
        )
    }

    fn page(&self) -> String {
        PAGE.replace("{instance}", &escaped(&self.instance))
            .replace("{peer}", &self.peer.to_string())
            .replace("{head}", &escaped(&self.head("")))
    }

    fn head(&self, indent: &str) -> String {
        let mut head = format!("{indent}{}\n", self.request);
        for (name, value) in self.lines() {
            let _ = writeln!(head, "{indent}{name}: {value}");
        }
        head
    }

    fn lines(&self) -> impl Iterator<Item = (&str, String)> {
        self.headers.iter().map(|(name, value)| (name.as_str(), String::from_utf8_lossy(value.as_bytes()).into_owned()))
    }

    /// The address as the visitor sees it, as far as the headers tell.
    fn base(&self) -> String {
        let of = |name: &str| self.headers.get(name).and_then(|value| value.to_str().ok());
        let scheme = if of("x-forwarded-proto") == Some("https") { "wss" } else { "ws" };
        let host = of("x-forwarded-host").or(of(HOST.as_str())).unwrap_or("localhost");
        format!("{scheme}://{host}{}", self.path.trim_end_matches('/'))
    }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
