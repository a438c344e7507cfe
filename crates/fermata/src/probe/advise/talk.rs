//! The open socket.

use std::time::Duration;

use fermata_wire::Code;

use super::super::name::{Hop, Name};
use super::super::socket::{End, Violation};
use super::super::talk::{Leaving, Parting, Said, Trouble, said_code};
use super::lasting;
use super::sizes::{limited, size};
use crate::report::{Advice, Detail};

/// The hop of the Pings.
pub(in super::super) fn ping(outcome: &Result<Duration, Trouble>, took: Duration) -> Hop {
    match outcome {
        Ok(least) => Hop::works(Name::Ping, Some(*least), "a Ping gets its Pong"),
        Err(Trouble::NoPong(limit)) => {
            Hop::works(Name::Ping, Some(took), format!("no Pong within {}", lasting(*limit))).remark(
                Advice::new(
                    "no-pong",
                    "Pings are not answered. Whoever keeps connections alive by them (Fermata does, after keepalive: \
                 25s) takes this service for dead.",
                )
                .then("Have the service answer Pings (RFC 6455 5.5.2); libraries do so while somebody reads from them.")
                .then("Until then: keepalive: off in Fermata's service.yml."),
            )
        }
        Err(Trouble::Slow(limit)) => {
            let says = format!("a frame begins to come, and is not complete after {}", lasting(*limit));
            Hop::works(Name::Ping, Some(took), says).remark(
                Advice::new("slow-frames", "Frames come byte by byte, or a large one before the Pong takes too long.")
                    .then("The server, or something on the way, is overloaded or limits the rate: look at its load and its log.")
                    .then("Give it more time: --timeout 60"),
            )
        }
        Err(Trouble::Closed(code, reason)) => {
            let says = format!("the service closes at once: {}", code_and_reason(*code, reason));
            Hop::broken(Name::Ping, Some(took), says, closed_at_once(*code))
        }
        Err(Trouble::Ended(end)) => {
            let (says, advice) = ended(end);
            Hop::broken(Name::Ping, Some(took), says, advice)
        }
    }
}

/// The hop of the messages.
pub(in super::super) fn messages(said: &Said, took: Duration) -> Hop {
    let works = |says: String| Hop::works(Name::Messages, Some(took), says);
    match said {
        Said::Echo { trip, largest, limit } => {
            let says = format!("text and binary come back, up to {}", size(*largest));
            let hop = Hop::works(Name::Messages, Some(*trip), says);
            limit.iter().fold(hop, limited)
        }
        Said::TextOnly(binary) => works(format!("text comes back; binary {binary}")),
        Said::Other { messages: 0, .. } => works("the service does not echo, and says nothing by itself".to_owned()),
        Said::Other { messages, first } => {
            let plural = if *messages == 1 { "a message" } else { "messages" };
            let hop = works(format!("the service does not echo; it has {plural} of its own"));
            first.iter().fold(hop, |hop, first| hop.detail(format!("first {first}")))
        }
        Said::Closed(code, reason) => {
            works(format!("the service takes its own messages only: it closes with {}", code_and_reason(*code, reason)))
        }
        Said::Ended(End::HungUp) => works("the connection ends without a Close when a message comes".to_owned())
            .remark(
            Advice::new(
                "hung-up-at-message",
                "The probe sent a text that the service can't know, and the connection ended without a Close: the \
                     service fails on it, or a proxy on the way does. Browsers tell their pages 1006 then.",
            )
            .then(
                "Look into the service's log. It should close with 1003, 1007 or 1008 when a message makes no sense.",
            ),
        ),
        Said::Ended(end) => {
            let (says, advice) = ended(end);
            Hop::broken(Name::Messages, Some(took), says, advice)
        }
    }
}

/// The hop of the Close.
pub(in super::super) fn parting(parting: &Parting, took: Duration) -> Hop {
    let works = |says: &str| Hop::works(Name::Close, Some(took), says);
    match parting {
        Parting::Clean(code) => works(&format!("a Close comes back, {}, and the connection ends", said_code(*code))),
        Parting::Lingering => works("a Close comes back, and the connection stays").remark(
            Advice::new(
                "lingering",
                "After both Closes the server has to end the connection (RFC 6455 7.1.1), and does not: it collects \
                 dead ones.",
            )
            .then("Update the WebSocket library of the service, or end the connection in its close handler."),
        ),
        Parting::NoClose => works("the connection ends without a Close").remark(
            Advice::new(
                "no-close",
                "A Close is answered by the end of the connection instead of a Close: browsers tell their pages 1006 \
                 instead of the code.",
            )
            .then("Have the service answer a Close by a Close (RFC 6455 5.5.1) before it ends the connection."),
        ),
        Parting::Silent(limit) => works(&format!("no answer to a Close within {}", lasting(*limit))).remark(
            Advice::new(
                "close-ignored",
                "A Close is not answered: clients wait for it, and the service keeps connections that are over.",
            )
            .then(
                "Have the service answer a Close by a Close (RFC 6455 5.5.1); libraries do so while somebody \
                reads from them.",
            ),
        ),
        Parting::Broken(end) => {
            let (says, advice) = ended(end);
            Hop::broken(Name::Close, Some(took), says, advice)
        }
    }
}

/// The hop of the Close, where nothing came before it either.
pub(in super::super) fn nothing_comes(took: Duration) -> Hop {
    let advice = Advice::new(
        "held-back",
        "The upgrade is granted, and then not a byte comes back: no Pong, no message, no Close. Something on the way holds \
         small pieces back until it has enough of them, or carries one direction only.",
    )
    .then("Switch buffering and inspection off for this path: in a web application firewall, a CDN's cache, an antivirus.")
    .then("By TLS (wss://) those who only look on have no part in it any more.")
    .then("Else look into the service's log, whether it reads from its sockets at all.");
    Hop::broken(Name::Close, Some(took), "nothing at all comes after the 101", advice)
}

/// Adds what becomes of clients that end without a Close.
pub(in super::super) fn leaving(mut hop: Hop, leaving: &Leaving) -> Hop {
    match leaving {
        Leaving::Noticed(took) => {
            let says = "a client that ends without a Close is noticed".to_owned();
            hop.details.push(Detail { says, took: Some(*took) });
            hop
        }
        Leaving::Unnoticed(limit) => {
            let says = format!("a client that ends without a Close is not noticed within {}", lasting(*limit));
            hop.detail(says).remark(
                Advice::new(
                    "half-close-unnoticed",
                    "When a client ends its side of the connection, as one that crashes does, the other side goes on: \
                     connections of clients that are gone pile up.",
                )
                .then("A proxy on the way may not pass the end on: half-closed connections have to be ended at last, by timeout client-fin in HAProxy.")
                .then("Or the service does not read: libraries notice the end while somebody reads from them."),
            )
        }
    }
}

fn closed_at_once(code: Option<Code>) -> Advice {
    let advice = |says: &str| Advice::new("closed-at-once", says);
    match code.map(|code| code.0) {
        Some(1008 | 4400..=4499 | 3000 | 3003) => {
            advice("The service lets the handshake pass and then refuses: it wants to know who asks, mostly.")
                .then("Send what it needs, or a token in the address:")
                .write("--header \"Cookie: session=...\"\n--subprotocol NAME")
        }
        Some(1011) => advice("The service fails as soon as a WebSocket is open.").then("Its log knows why."),
        Some(1001 | 1012 | 1013) => advice("The service is going away, restarts or is full at the moment.")
            .then("Try again; if it stays so, look at what restarts it."),
        Some(1002) => {
            advice("The service says that the protocol was broken; all that it got was the handshake and a Ping.")
                .then("Update its WebSocket library.")
        }
        _ => advice("The service closes right after the opening, for a reason of its own.").then(
            "Its documentation or log says what the code means; a token, a cookie or a subprotocol may be missing.",
        ),
    }
}

/// An end that is no Close.
fn ended(end: &End) -> (String, Advice) {
    match end {
        End::HungUp => (
            "101, and then the connection ends without a Close".to_owned(),
            Advice::new(
                "101-then-end",
                "The upgrade was granted, and nothing came of it: a proxy granted it before it had reached the \
                 service, or the service fails when a WebSocket opens.",
            )
            .then("Look into the service's log, then whether it runs at all."),
        ),
        End::Stuck(limit) => (
            format!("the server takes nothing that is sent to it, for {}", lasting(*limit)),
            Advice::new(
                "not-read",
                "The socket is open, and the other side does not read from it: what is sent piles up until nothing more \
                 can be sent.",
            )
            .then("The service is busy with something else than its sockets: look at its log and its load.")
            .then("A handler that only writes has to read as well, or Pings and Closes are never seen."),
        ),
        End::Broke(words) => (
            format!("the connection breaks: {words}"),
            Advice::new("broke", "The connection broke.").then("Try again; look into the server's log."),
        ),
        End::Violation(violation) => (violation_words(violation), violated(violation)),
    }
}

fn violation_words(violation: &Violation) -> String {
    match violation {
        Violation::NoFrames(shown) => format!("no WebSocket frames, but \"{shown}\""),
        Violation::Masked => "the server masks its frames".to_owned(),
        Violation::ReservedBits => "a frame has reserved bits or an unknown kind".to_owned(),
        Violation::Control => "a control frame is too long, or comes in pieces".to_owned(),
        Violation::Fragments => "the pieces of a message are in disorder".to_owned(),
        Violation::NotUtf8 => "a text message is not UTF-8".to_owned(),
        Violation::BadClose => "a Close with a code or reason that must not be".to_owned(),
        Violation::Huge(bytes) => format!("a message of {} comes", size(*bytes as usize)),
    }
}

fn violated(violation: &Violation) -> Advice {
    let advice = |says: &str| Advice::new("protocol-broken", says);
    match violation {
        Violation::NoFrames(_) => advice(
            "After the 101 came something that is no WebSocket: a proxy or the service \
            wrote an ordinary answer into it.",
        )
        .then("Whoever granted the upgrade can't do WebSockets: look at what answers behind the proxy."),
        Violation::Masked => advice("Only clients mask (RFC 6455 5.1); browsers end the connection.")
            .then("The service uses the client's side of its WebSocket library: have it use the server's."),
        Violation::ReservedBits => advice("Browsers end the connection with 1002.").then(
            "The service compresses without having agreed on it, or it is out of step: update its WebSocket library.",
        ),
        Violation::NotUtf8 => advice("Browsers end the connection with 1007.")
            .then("Have the service send bytes as binary messages, or encode text as UTF-8."),
        Violation::Huge(_) => Advice::new("huge-message", "The probe takes no messages of more than 16 MiB.")
            .then("If it is meant so, most clients will need their limits raised as well."),
        Violation::Control | Violation::Fragments | Violation::BadClose => {
            advice("Browsers end the connection with 1002 (RFC 6455 5.4, 5.5, 7.4).")
                .then("Update the WebSocket library of the service.")
        }
    }
}

pub(super) fn code_and_reason(code: Option<Code>, reason: &str) -> String {
    let code = said_code(code);
    if reason.is_empty() { code } else { format!("{code} \"{}\"", super::super::dialect::shown(reason.as_bytes())) }
}
