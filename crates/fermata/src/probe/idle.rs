//! The hop that is only taken when it is asked for: how long a connection may be silent, found by waiting.
//!
//! Several sockets wait side by side. One stays silent to the end, some wake up on the way (whoever drops a connection
//! without telling anybody is found out by the first that gets no Pong), and one is pinged all the time: if that one
//! ends as well, the limit is one on age and no Ping helps.

use std::time::Duration;

use fermata_wire::frame::Opcode;
use fermata_wire::{Close, Code};
use futures_util::future::join_all;
use tokio::time::{Instant, timeout_at};

use super::socket::{End, Heard, Socket};
use super::stream::Way;
use super::target::Question;
use super::ws;

/// Silences after which a socket wakes up, in seconds: between the limits that are usual, so that a drop that nobody
/// tells falls between two of them.
const WAKE: [u64; 12] = [12, 25, 40, 55, 80, 110, 200, 270, 325, 400, 620, 900];

/// How often the pinged socket is pinged at least.
const PING: Duration = Duration::from_secs(5);

/// How a silent connection ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Ending {
    /// With a Close.
    Close(Option<Code>, String),
    /// By the end of the connection, or a reset.
    Cut,
    /// It was dropped, and nobody said so: it was alive after this silence and dead after the other.
    Dropped(Duration),
}

/// What waiting showed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Silence {
    /// How long was waited.
    pub(super) waited: Duration,
    /// How often the pinged socket was pinged.
    pub(super) every: Duration,
    /// When and how silent sockets ended.
    pub(super) limit: Option<(Duration, Ending)>,
    /// Whether the pinged one ended as well.
    pub(super) aged: bool,
}

/// What became of one socket.
enum Fate {
    Ended(Duration, Ending),
    Alive,
    Dead,
}

/// Waits; `None` when there are no sockets to wait on.
pub(super) async fn look(question: &Question, way: &Way, wait: Duration) -> Option<Silence> {
    let every = PING.min(wait / 6);
    let mut wakes: Vec<Duration> = WAKE.into_iter().map(Duration::from_secs).filter(|wake| *wake < wait).collect();
    wakes.push(wait);
    let pinged = ws::open(question, way).await?;
    let silent = join_all(wakes.iter().map(|wake| async move {
        let socket = ws::open(question, way).await?;
        Some((*wake, wait_silently(socket, *wake, question.hop_timeout).await))
    }));
    let (silent, pinged) = tokio::join!(silent, keep_awake(pinged, every, wait, question.hop_timeout));
    let mut limit: Option<(Duration, Ending)> = None;
    let mut last_alive = Duration::ZERO;
    for (wake, fate) in silent.into_iter().flatten() {
        let found = match fate {
            Fate::Alive => {
                last_alive = wake;
                continue;
            }
            Fate::Ended(after, ending) => (after, ending),
            Fate::Dead => (wake, Ending::Dropped(last_alive)),
        };
        if limit.as_ref().is_none_or(|(shortest, _)| found.0 < *shortest) {
            limit = Some(found);
        }
    }
    Some(Silence { waited: wait, every, limit, aged: matches!(pinged, Fate::Ended(..) | Fate::Dead) })
}

/// Says nothing until it is time, then asks whether anybody is there.
async fn wait_silently(mut socket: Socket, wake: Duration, patience: Duration) -> Fate {
    let start = Instant::now();
    if let Some(fate) = until(&mut socket, start, start + wake).await {
        return fate;
    }
    asked(&mut socket, start, patience).await
}

/// Pings all the time.
async fn keep_awake(mut socket: Socket, every: Duration, wait: Duration, patience: Duration) -> Fate {
    let start = Instant::now();
    while start.elapsed() < wait {
        let next = Instant::now() + every;
        if let Some(fate) = until(&mut socket, start, next.min(start + wait)).await {
            return fate;
        }
        if socket.send(Opcode::Ping, b"").await.is_err() {
            return Fate::Ended(start.elapsed(), Ending::Cut);
        }
    }
    asked(&mut socket, start, patience).await
}

/// Hears what comes until a moment; the fate, if it was sealed before.
async fn until(socket: &mut Socket, start: Instant, moment: Instant) -> Option<Fate> {
    loop {
        match timeout_at(moment, socket.next()).await {
            Err(_) => return None,
            Ok(Ok(Heard::Close(code, reason))) => {
                return Some(Fate::Ended(start.elapsed(), Ending::Close(code, reason)));
            }
            Ok(Ok(_)) => {}
            Ok(Err(_)) => return Some(Fate::Ended(start.elapsed(), Ending::Cut)),
        }
    }
}

/// Whether a Ping is answered.
async fn asked(socket: &mut Socket, start: Instant, patience: Duration) -> Fate {
    let marker = fastrand::u64(..).to_be_bytes();
    if socket.send(Opcode::Ping, &marker).await.is_err() {
        return Fate::Dead;
    }
    let deadline = Instant::now() + patience;
    loop {
        match timeout_at(deadline, socket.next()).await {
            Ok(Ok(Heard::Pong(back))) if back == marker => {
                let _ = socket.close(&Close::new(Code::NORMAL, "")).await;
                return Fate::Alive;
            }
            Ok(Ok(Heard::Close(code, reason))) => return Fate::Ended(start.elapsed(), Ending::Close(code, reason)),
            Ok(Ok(_)) => {}
            // A reset as the answer to a Ping: the connection was forgotten on the way before.
            Ok(Err(End::HungUp | End::Broke(_) | End::Violation(_))) | Err(_) => return Fate::Dead,
        }
    }
}
