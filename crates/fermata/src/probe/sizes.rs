//! How large a message may be, with a service that echoes: found by trying.

use std::time::Duration;

use fermata_wire::frame::Opcode;
use fermata_wire::{Close, Code};
use tokio::time::{Instant, timeout_at};

use super::socket::{Heard, Socket};
use super::stream::Way;
use super::talk::Trouble;
use super::target::Question;
use super::ws;

/// Sizes that are tried, in bytes.
const SIZES: [usize; 4] = [1 << 10, 16 << 10, 64 << 10, 1 << 20];

/// How often the distance between what passes and what does not is halved.
const STEPS: usize = 8;

/// Where messages get too large.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Limit {
    /// The largest size that came back, in bytes.
    pub(super) passes: usize,
    /// The smallest that did not.
    pub(super) fails: usize,
    /// What happened then.
    pub(super) ending: Trouble,
}

/// The largest size that comes back, as text and as bytes, and where the limit is if there is one.
pub(super) async fn look(question: &Question, way: &Way) -> (usize, Option<Limit>) {
    let mut largest = 256;
    let Some(mut socket) = ws::open(question, way).await else { return (largest, None) };
    for size in SIZES {
        if let Err(ending) = come_back(&mut socket, size, question.hop_timeout).await {
            let limit = narrowed(question, way, Limit { passes: largest, fails: size, ending }).await;
            return (limit.passes, Some(limit));
        }
        largest = size;
    }
    let _ = socket.close(&Close::new(Code::NORMAL, "")).await;
    (largest, None)
}

/// Comes closer to a limit, to a sixteenth. A message that gets stuck takes all of its time: once is enough.
async fn narrowed(question: &Question, way: &Way, mut limit: Limit) -> Limit {
    for _ in 0..STEPS {
        if matches!(limit.ending, Trouble::NoPong(_)) || limit.fails - limit.passes <= limit.passes / 16 {
            break;
        }
        let Some(mut socket) = ws::open(question, way).await else { break };
        let middle = limit.passes.midpoint(limit.fails);
        match come_back(&mut socket, middle, question.hop_timeout).await {
            Ok(()) => {
                limit.passes = middle;
                ws::leave(socket).await;
            }
            Err(ending) => limit = Limit { fails: middle, ending, ..limit },
        }
    }
    limit
}

async fn come_back(socket: &mut Socket, size: usize, limit: Duration) -> Result<(), Trouble> {
    let text: Vec<u8> = (b'a'..=b'z').cycle().take(size).collect();
    comes_back(socket, Opcode::Text, &text, limit).await?;
    let bytes: Vec<u8> = (0..=u8::MAX).cycle().take(size).collect();
    comes_back(socket, Opcode::Binary, &bytes, limit).await
}

async fn comes_back(socket: &mut Socket, opcode: Opcode, payload: &[u8], limit: Duration) -> Result<(), Trouble> {
    let exchange = async {
        // An ending while this is being sent is told by what is read afterwards.
        let _ = socket.send(opcode, payload).await;
        loop {
            match socket.next().await {
                Ok(Heard::Binary(back)) if opcode == Opcode::Binary && back == payload => return Ok(()),
                Ok(Heard::Text(back)) if opcode == Opcode::Text && back.as_bytes() == payload => return Ok(()),
                Ok(Heard::Close(code, reason)) => return Err(Trouble::Closed(code, reason)),
                Ok(_) => {}
                Err(end) => return Err(Trouble::Ended(end)),
            }
        }
    };
    match timeout_at(Instant::now() + limit, exchange).await {
        Ok(outcome) => outcome,
        Err(_) => Err(Trouble::NoPong(limit)),
    }
}
