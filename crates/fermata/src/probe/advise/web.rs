//! The plain GET.

use super::super::dialect::Dialect;
use super::super::http::{Look, Trouble};
use super::super::name::{Hop, Name};
use super::super::product;
use super::super::target::Target;
use super::tls::{client_certificate, http2_only};
use super::{lasting, proxy_protocol, speaks};
use crate::report::Advice;

/// The hop of the GET. `answered` says whether the handshake after it got an answer all the same: there are services
/// that speak nothing but WebSocket.
pub(in super::super) fn http(look: &Look, answered: bool, target: &Target) -> Hop {
    let took = Some(look.took);
    match &look.outcome {
        Ok(answer) => {
            let by = product::shown(answer).map(|by| format!(", by {by}")).unwrap_or_default();
            Hop::works(Name::Http, took, format!("a plain GET gets {}{by}", answer.line()))
        }
        Err(trouble) if answered => {
            Hop::works(Name::Http, took, format!("a plain GET gets no answer: {}", words(trouble, target)))
                .remark(speaks_no_http())
        }
        Err(trouble) => Hop::broken(Name::Http, took, words(trouble, target), advice(trouble, target)),
    }
}

pub(super) fn words(trouble: &Trouble, target: &Target) -> String {
    match trouble {
        Trouble::Speaks(dialect, shown) => format!("port {} speaks {}", target.port(), speaks(*dialect, shown)),
        Trouble::WantsTls => format!("port {} speaks HTTP inside TLS", target.port()),
        Trouble::HungUp => "the server hangs up without an answer".to_owned(),
        Trouble::Silent(limit) => format!("no answer within {}", lasting(*limit)),
        Trouble::Slow(bytes, limit) => {
            format!("the answer's head is not complete after {} ({bytes} bytes)", lasting(*limit))
        }
        Trouble::HeadTooLarge => "the answer's head has more than 64 KiB, or 128 headers".to_owned(),
        Trouble::Http2Only(_) => "the server hangs up on HTTP/1.1, and takes HTTP/2".to_owned(),
        Trouble::WantsCertificate => "the server wants a certificate from the client".to_owned(),
        Trouble::WantsProxyProtocol => "the server answers only after a PROXY protocol line".to_owned(),
        Trouble::Tls(words) => format!("TLS breaks: {words}"),
        Trouble::Other(words) => words.clone(),
    }
}

pub(super) fn advice(trouble: &Trouble, target: &Target) -> Advice {
    let port = target.port();
    match trouble {
        Trouble::Speaks(Dialect::Tls, _) | Trouble::WantsTls => Advice::new(
            "tls-here",
            format!("Port {port} is for encrypted connections."),
        )
        .then(format!("Use {}, or the port for unencrypted ones: 80 or 8080 mostly.", target.with_scheme("wss"))),
        Trouble::Speaks(Dialect::Http2, _) => Advice::new(
            "http2-only",
            "The server speaks HTTP/2 without TLS, as gRPC servers do. No browser does, and WebSockets are opened \
             over HTTP/1.1.",
        )
        .then("Have it take HTTP/1.1 on this port, or use another one."),
        Trouble::Speaks(..) => Advice::new("other-protocol", format!("Port {port} is not a web server's."))
            .then("Correct the port: Fermata's usual ones are 8080 for ws:// and 8443 for wss://."),
        Trouble::WantsProxyProtocol => proxy_protocol(),
        Trouble::HungUp => Advice::new(
            "hung-up",
            "The connection is taken and ended without an answer: whatever listens has nobody behind it, or crashes.",
        )
        .then("Look into the log of the program that listens, and check that the service behind it runs.")
        .then("Docker publishes a port before anything inside the container listens: check that it does, on 0.0.0.0."),
        Trouble::Silent(_) => Advice::new("silent", "The connection is taken, and no answer comes to a request.")
            .then("The program behind it hangs, or waits for something else than HTTP: look at its log and its port.")
            .then("Give it more time: --timeout 60"),
        Trouble::Slow(..) => Advice::new("slow", "An answer begins to come, and is not complete in time.")
            .then(
                "The server, or something on the way, is overloaded or limits the rate: look at its load and its \
                log.",
            )
            .then("Give it more time: --timeout 60"),
        Trouble::HeadTooLarge => Advice::new("head-too-large", "The answer's head is larger than clients take.")
            .then("Look for a header that grows: a cookie, mostly."),
        Trouble::Http2Only(settings) => http2_only(settings.websockets),
        Trouble::WantsCertificate => client_certificate(),
        Trouble::Tls(words) if words.contains("Certificate") => client_certificate(),
        Trouble::Tls(_) | Trouble::Other(_) => {
            Advice::new("http-failed", "The connection breaks when a request is sent.")
                .then("Look into the server's log.")
        }
    }
}

fn speaks_no_http() -> Advice {
    Advice::new(
        "no-plain-http",
        "Handshakes are answered here, and ordinary requests are not. Health checks are ordinary requests.",
    )
    .then(
        "Let the service answer plain requests, /healthz at least; until then a balancer can check only that the \
        port is open.",
    )
}
