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

/// The first socket wakes up after so many seconds, and each other one after a fifth more than the one before: a drop that
/// nobody tells is then known to a tenth. A limit that is told, by a Close or the end of the connection, is known exactly.
const FIRST: f64 = 3.5;
const MORE: f64 = 1.2;

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
    let wakes = std::iter::successors(Some(FIRST), |wake| Some(wake * MORE)).map(Duration::from_secs_f64);
    let wakes: Vec<Duration> = wakes.take_while(|wake| *wake < wait).chain([wait]).collect();
    let pinged = ws::open(question, way).await?;
    let silent = join_all(wakes.iter().map(|wake| async move {
        let socket = ws::open(question, way).await?;
        Some((*wake, wait_silently(socket, *wake, question.hop_timeout).await))
    }));
    let (silent, pinged) = tokio::join!(silent, keep_awake(pinged, every, wait, question.hop_timeout));
    let fates: Vec<(Duration, Fate)> = silent.into_iter().flatten().collect();
    let limit = limit(&fates);
    Some(Silence { waited: wait, every, limit, aged: matches!(pinged, Fate::Ended(..) | Fate::Dead) })
}

/// The shortest silence that was the end of a connection.
fn limit(fates: &[(Duration, Fate)]) -> Option<(Duration, Ending)> {
    let alive = fates.iter().filter(|(_, fate)| matches!(fate, Fate::Alive)).map(|(wake, _)| *wake).max();
    let dropped = fates.iter().filter(|(_, fate)| matches!(fate, Fate::Dead)).map(|(wake, _)| *wake).min();
    let told = fates.iter().filter_map(|(_, fate)| match fate {
        Fate::Ended(after, ending) => Some((*after, ending.clone())),
        Fate::Alive | Fate::Dead => None,
    });
    let told = told.min_by_key(|(after, _)| *after);
    let silently = |dropped: Duration| {
        let alive = alive.filter(|alive| *alive < dropped).unwrap_or_default();
        (dropped, Ending::Dropped(alive))
    };
    match (told, dropped) {
        // One that woke up in the moment of its end looks as if it had been dropped.
        (Some(told), Some(dropped)) if told.0 < dropped.mul_f64(MORE) => Some(told),
        (_, Some(dropped)) => Some(silently(dropped)),
        (told, None) => told,
    }
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
            Ok(Err(End::HungUp | End::Stuck(_) | End::Broke(_) | End::Violation(_))) | Err(_) => return Fate::Dead,
        }
    }
}
