//! The last hops, on an open socket: ping, messages, close.

use std::time::Duration;

use fermata_wire::frame::Opcode;
use fermata_wire::{Close, Code};
use tokio::time::{Instant, timeout_at};

use super::sizes::{self, Limit};
use super::socket::{End, Heard, Socket};
use super::stream::Way;
use super::target::Question;
use super::ws;

/// Pings whose least round trip counts.
const PINGS: usize = 3;

/// How long an echo may come after the Pong that was asked for after it.
const GRACE: Duration = Duration::from_secs(1);

/// How long the other side may take to notice that a client has ended its side.
const NOTICES: Duration = Duration::from_secs(5);

/// Why a socket doesn't talk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Trouble {
    /// A Ping went unanswered.
    NoPong(Duration),
    /// A frame began to come, and was not complete in time.
    Slow(Duration),
    /// The service closed.
    Closed(Option<Code>, String),
    /// The connection ended otherwise.
    Ended(End),
}

/// What the service makes of messages that it can't know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Said {
    /// Both come back as they were.
    Echo { trip: Duration, largest: usize, limit: Option<Limit> },
    /// Text comes back and binary doesn't, or otherwise.
    TextOnly(String),
    /// Something else comes, or nothing.
    Other { messages: usize, first: Option<String> },
    /// The service closed: it takes messages of its own kind only.
    Closed(Option<Code>, String),
    /// The connection ended without a Close.
    Ended(End),
}

/// How a Close is taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Parting {
    /// A Close came back, and the end of the connection after it.
    Clean(Option<Code>),
    /// A Close came back, and the connection stayed.
    Lingering,
    /// The connection ended without a Close.
    NoClose,
    /// Nothing happened.
    Silent(Duration),
    /// The server broke a rule.
    Broken(End),
}

/// Sends Pings and takes the least round trip.
pub(super) async fn ping(socket: &mut Socket, limit: Duration) -> Result<Duration, Trouble> {
    let deadline = Instant::now() + limit;
    let mut least = limit;
    for number in 0..PINGS {
        let payload = format!("fermata {number} {:08x}", fastrand::u32(..)).into_bytes();
        let start = Instant::now();
        socket.send(Opcode::Ping, &payload).await.map_err(Trouble::Ended)?;
        loop {
            match timeout_at(deadline, socket.next()).await {
                Err(_) if socket.has_part() => return Err(Trouble::Slow(limit)),
                Err(_) => return Err(Trouble::NoPong(limit)),
                Ok(Err(end)) => return Err(Trouble::Ended(end)),
                Ok(Ok(Heard::Close(code, reason))) => return Err(Trouble::Closed(code, reason)),
                Ok(Ok(Heard::Pong(back))) if back == payload => break,
                Ok(Ok(_)) => {}
            }
        }
        least = least.min(start.elapsed());
    }
    Ok(least)
}

/// Sends a text and some bytes, and sees what comes.
pub(super) async fn messages(socket: &mut Socket, question: &Question, way: &Way) -> Said {
    let text = format!("fermata probe {:08x}", fastrand::u32(..));
    let bytes: Vec<u8> = (0..=u8::MAX).collect();
    let deadline = Instant::now() + question.hop_timeout;
    let start = Instant::now();
    let text_back = match sent_back(socket, Opcode::Text, text.as_bytes(), deadline).await {
        Ok(back) => back,
        Err(said) => return said,
    };
    let trip = start.elapsed();
    match text_back {
        Back::Same => {}
        Back::Other { messages, first } => return Said::Other { messages, first },
    }
    match sent_back(socket, Opcode::Binary, &bytes, deadline).await {
        Ok(Back::Same) => {}
        Ok(Back::Other { first: Some(first), .. }) => return Said::TextOnly(format!("comes back as {first}")),
        Ok(Back::Other { first: None, .. }) => return Said::TextOnly("does not come back".to_owned()),
        Err(Said::Closed(code, _)) => return Said::TextOnly(format!("is answered with a Close {}", said_code(code))),
        Err(other) => return other,
    }
    let (largest, limit) = sizes::look(question, way).await;
    Said::Echo { trip, largest, limit }
}

/// What came after a message was sent.
enum Back {
    Same,
    Other { messages: usize, first: Option<String> },
}

/// Sends a message and a Ping after it: the Pong tells when the service has read both.
async fn sent_back(socket: &mut Socket, opcode: Opcode, payload: &[u8], deadline: Instant) -> Result<Back, Said> {
    let marker = fastrand::u64(..).to_be_bytes().to_vec();
    socket.send(opcode, payload).await.map_err(Said::Ended)?;
    // A service that hung up meanwhile has something to say, perhaps: it is read below.
    let _ = socket.send(Opcode::Ping, &marker).await;
    let (mut until, mut messages, mut first) = (deadline, 0, None);
    loop {
        let described = match timeout_at(until, socket.next()).await {
            Err(_) => return Ok(Back::Other { messages, first }),
            Ok(Err(end)) => return Err(Said::Ended(end)),
            Ok(Ok(Heard::Close(code, reason))) => return Err(Said::Closed(code, reason)),
            Ok(Ok(Heard::Pong(back))) => {
                if back == marker {
                    until = deadline.min(Instant::now() + GRACE);
                }
                continue;
            }
            Ok(Ok(Heard::Text(text))) if opcode == Opcode::Text && text.as_bytes() == payload => return Ok(Back::Same),
            Ok(Ok(Heard::Binary(back))) if opcode == Opcode::Binary && back == payload => return Ok(Back::Same),
            Ok(Ok(Heard::Text(text))) => format!("text: {}", super::dialect::shown(text.as_bytes())),
            Ok(Ok(Heard::Binary(back))) => format!("{} bytes", back.len()),
        };
        messages += 1;
        first.get_or_insert(described);
    }
}

/// Closes, and sees whether the other side does.
pub(super) async fn close(socket: &mut Socket, limit: Duration) -> Parting {
    let deadline = Instant::now() + limit;
    if let Err(end) = socket.close(&Close::new(Code::NORMAL, "the probe is done")).await {
        return if end == End::HungUp { Parting::NoClose } else { Parting::Broken(end) };
    }
    loop {
        match timeout_at(deadline, socket.next()).await {
            Err(_) => return Parting::Silent(limit),
            Ok(Err(End::HungUp)) => return Parting::NoClose,
            Ok(Err(end)) => return Parting::Broken(end),
            Ok(Ok(Heard::Close(code, _))) => {
                let ended = timeout_at(deadline.min(Instant::now() + GRACE), socket.ended_by_peer()).await;
                return if ended.is_ok() { Parting::Clean(code) } else { Parting::Lingering };
            }
            Ok(Ok(_)) => {}
        }
    }
}

/// Whether not a byte came on a socket, whatever was said on it.
pub(super) fn is_dead(ping: &Result<Duration, Trouble>, said: &Said, parting: &Parting) -> bool {
    matches!(ping, Err(Trouble::NoPong(_)))
        && matches!(said, Said::Other { messages: 0, .. })
        && matches!(parting, Parting::Silent(_))
}

/// What becomes of a connection whose client ends its side without a Close, as one that crashes does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Leaving {
    /// The other side ends too.
    Noticed(Duration),
    /// The connection stays.
    Unnoticed(Duration),
}

/// Ends the client's side of a connection, and sees whether the other side does; `None` where there is no connection.
pub(super) async fn leave_without_a_word(question: &Question, way: &Way) -> Option<Leaving> {
    let mut socket = ws::open(question, way).await?;
    let start = Instant::now();
    let limit = NOTICES.min(question.hop_timeout);
    let leaving = async {
        socket.half_close().await;
        socket.ended_by_peer().await;
    };
    let ended = timeout_at(start + limit, leaving).await;
    Some(if ended.is_ok() { Leaving::Noticed(start.elapsed()) } else { Leaving::Unnoticed(limit) })
}

/// A code in words, or that there is none.
pub(super) fn said_code(code: Option<Code>) -> String {
    code.map_or("without a code".to_owned(), |code| code.to_string())
}
