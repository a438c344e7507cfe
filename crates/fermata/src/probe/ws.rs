//! The fifth hop: the upgrade, asked for as a browser does it, and every header of the answer.

use std::time::Duration;

use ::http::header::ORIGIN;
use fermata_wire::Close;
use fermata_wire::Code;
use fermata_wire::handshake::{self, BadAnswer, Chosen, Offer};
use tokio::time::Instant;

use super::http::{self, Answer, Trouble as HttpTrouble};
use super::socket::Socket;
use super::stream::Way;
use super::target::Question;

/// What a look aside may take.
const ASIDE: Duration = Duration::from_secs(2);

/// Why there is no WebSocket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Trouble {
    /// Nothing that is HTTP came back.
    NoAnswer(HttpTrouble),
    /// The answer is not a 101.
    Refused(Box<Answer>),
    /// The answer is a 101 without the `Origin` that was sent, and this with it.
    Origin(String, Box<Answer>),
    /// The answer is a 101 only without the compression that every browser offers.
    Compression(Box<Trouble>),
    /// The 101 came over HTTP/1.0, which browsers refuse (RFC 6455 4.1: at least 1.1).
    OldHttp,
    /// The 101 breaks a rule.
    BadAnswer(BadAnswer, Box<Answer>),
}

/// An upgrade that was granted.
pub(super) struct Open {
    pub(super) socket: Socket,
    pub(super) protocol: Option<String>,
    /// Whether compression is taken when it is offered.
    pub(super) compression: bool,
}

/// What asking for the upgrade showed.
pub(super) struct Look {
    pub(super) took: Duration,
    pub(super) outcome: Result<Open, Trouble>,
}

/// What a handshake says besides what every handshake says.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Extra {
    Nothing,
    NoOrigin,
    Compression,
}

/// Asks for the upgrade, and looks aside where that explains a refusal.
pub(super) async fn look(question: &Question, way: &Way) -> Look {
    let start = Instant::now();
    let opened = ask(question, way, Extra::Nothing, question.hop_timeout).await;
    let took = start.elapsed();
    let aside = ASIDE.min(question.hop_timeout);
    let outcome = match opened {
        Ok((socket, chosen)) => match compressed(question, way, aside).await {
            Ok(compression) => Ok(Open { socket, protocol: chosen.protocol, compression }),
            Err(trouble) => Err(Trouble::Compression(Box::new(trouble))),
        },
        Err(Trouble::Refused(answer)) if matches!(answer.status, 400 | 401 | 403 | 404) => {
            match ask(question, way, Extra::NoOrigin, aside).await {
                Ok((socket, _)) => {
                    leave(socket).await;
                    Err(Trouble::Origin(origin(question), answer))
                }
                Err(_) => Err(Trouble::Refused(answer)),
            }
        }
        Err(other) => Err(other),
    };
    Look { took, outcome }
}

/// Another socket to the same place.
pub(super) async fn open(question: &Question, way: &Way) -> Option<Socket> {
    try_open(question, way).await.ok()
}

/// The same, with what was in the way.
pub(super) async fn try_open(question: &Question, way: &Way) -> Result<Socket, Trouble> {
    ask(question, way, Extra::Nothing, question.hop_timeout).await.map(|(socket, _)| socket)
}

/// Whether compression is taken. Only an answer that refuses the offer is a trouble: time runs out for other reasons.
async fn compressed(question: &Question, way: &Way, limit: Duration) -> Result<bool, Trouble> {
    match ask(question, way, Extra::Compression, limit).await {
        Ok((socket, chosen)) => {
            leave(socket).await;
            Ok(chosen.frames != fermata_wire::Frames::Plain)
        }
        // Too many sockets, or too many in a short time, is not about compression.
        Err(Trouble::Refused(answer)) if matches!(answer.status, 429 | 503) => Ok(false),
        Err(Trouble::NoAnswer(_)) => Ok(false),
        Err(trouble) => Err(trouble),
    }
}

async fn ask(question: &Question, way: &Way, extra: Extra, limit: Duration) -> Result<(Socket, Chosen), Trouble> {
    let key = handshake::key(fastrand::u128(..).to_be_bytes());
    let mut offer =
        Offer { accept: handshake::accept(&key), protocols: question.protocols.clone(), extensions: Vec::new() };
    let (origin, protocols) = (origin(question), question.protocols.join(", "));
    let mut lines = vec![
        ("upgrade", "websocket"),
        ("connection", "Upgrade"),
        ("sec-websocket-key", key.as_str()),
        ("sec-websocket-version", handshake::VERSION),
    ];
    if extra != Extra::NoOrigin {
        lines.push(("origin", origin.as_str()));
    }
    if !question.protocols.is_empty() {
        lines.push(("sec-websocket-protocol", protocols.as_str()));
    }
    if extra == Extra::Compression {
        lines.push(("sec-websocket-extensions", "permessage-deflate; client_max_window_bits"));
        offer.extensions.push("permessage-deflate".to_owned());
    }
    let mut question = question.clone();
    question.headers.retain(|(name, _)| *name != ORIGIN || extra != Extra::NoOrigin);
    let request = http::head(&question, &lines);
    let (stream, answer) = http::exchange(way, &request, limit).await.map_err(Trouble::NoAnswer)?;
    if answer.status != 101 {
        return Err(Trouble::Refused(Box::new(answer)));
    }
    if answer.is_old {
        return Err(Trouble::OldHttp);
    }
    match handshake::read_answer(&offer, &answer.headers) {
        Ok(chosen) => Ok((Socket::new(stream, answer.rest, question.hop_timeout), chosen)),
        Err(bad) => Err(Trouble::BadAnswer(bad, Box::new(answer))),
    }
}

/// The origin that is sent: a page of the same host, unless another was asked for.
fn origin(question: &Question) -> String {
    let asked = question.headers.iter().find(|(name, _)| *name == ORIGIN);
    asked.and_then(|(_, value)| value.to_str().ok()).map_or_else(|| question.target.origin(), str::to_owned)
}

/// Says goodbye to a socket that has served its purpose.
pub(super) async fn leave(mut socket: Socket) {
    let _ = socket.close(&Close::new(Code::NORMAL, "")).await;
}
