//! A 101 that a browser does not accept.

use fermata_wire::handshake::BadAnswer;

use super::super::dialect;
use super::super::http::Answer;
use super::super::target::Question;
use crate::report::Advice;

/// What is wrong with it.
pub(super) fn words(bad: BadAnswer, answer: &Answer) -> String {
    let header = |name: &str| {
        answer.header(name).map_or("nothing".to_owned(), |value| format!("\"{}\"", dialect::shown(value.as_bytes())))
    };
    let what = match bad {
        BadAnswer::Upgrade => format!("Upgrade says {}", header("upgrade")),
        BadAnswer::Connection => format!("Connection says {}", header("connection")),
        BadAnswer::Accept => "Sec-WebSocket-Accept does not fit the key".to_owned(),
        BadAnswer::Protocol => format!("subprotocol {} was not offered", header("sec-websocket-protocol")),
        BadAnswer::Extension => format!("extension {} was not offered", header("sec-websocket-extensions")),
        BadAnswer::Body => "it announces a body".to_owned(),
    };
    format!("101, but {what}")
}

/// What to do about it.
pub(super) fn advice(bad: BadAnswer) -> Advice {
    match bad {
        BadAnswer::Upgrade | BadAnswer::Connection => {
            Advice::new("bad-101", "The answer does not switch to WebSocket properly; a browser ends the connection.")
                .then(
                    "A 101 has to say \"Upgrade: websocket\" and \"Connection: Upgrade\" (RFC 6455 4.2.2). A proxy in \
             between may take them out.",
                )
        }
        BadAnswer::Accept => Advice::new(
            "bad-accept",
            "The answer belongs to another handshake: it came out of a cache, or the service computes it wrongly. A \
             browser ends the connection.",
        )
        .then("Keep caches away from this path (Cache-Control: no-store); a proxy must not answer handshakes itself.")
        .then("RFC 6455 4.2.2 says how it is computed:")
        .write("base64(SHA-1(key + \"258EAFA5-E914-47DA-95CA-C5AB0DC85B11\"))"),
        BadAnswer::Protocol => Advice::new(
            "bad-subprotocol",
            "The service chose a subprotocol that the client did not offer; a browser ends the connection.",
        )
        .then("Offer it, if the client speaks it: --subprotocol NAME")
        .then("Else have the service choose only among those that were offered (RFC 6455 4.2.2)."),
        BadAnswer::Extension => Advice::new(
            "bad-extension",
            "The service chose an extension that was not offered; a browser ends the connection.",
        )
        .then("Have it choose only among those that were offered (RFC 6455 9.1), or update its library."),
        BadAnswer::Body => Advice::new(
            "bad-101-body",
            "The 101 announces a body, which it can't have (RFC 9110 15.2): what follows is unclear to every client.",
        )
        .then("Take Content-Length and Transfer-Encoding out of the 101."),
    }
}

/// A 101 over HTTP/1.0.
pub(super) fn old_http() -> Advice {
    Advice::new("old-http", "The 101 came over HTTP/1.0; a browser ends the connection (RFC 6455 4.1).")
        .then("Have whoever answers speak HTTP/1.1; behind nginx: proxy_http_version 1.1;")
}

/// Subprotocols were offered and none was chosen.
pub(super) fn no_subprotocol(question: &Question) -> Advice {
    let offered = question.protocols.join(", ");
    Advice::new(
        "no-subprotocol",
        format!(
            "The service chose none of the subprotocols {offered}. A browser that offered some and gets none gives \
             up."
        ),
    )
    .then("Have the service choose one of those that its clients offer, or have the clients offer none.")
}
