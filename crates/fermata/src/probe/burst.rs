//! The last hop: several handshakes at once, as when many clients come back after a restart.

use std::time::Duration;

use futures_util::future::join_all;
use tokio::time::Instant;

use super::stream::Way;
use super::target::Question;
use super::ws::{self, Trouble};

/// Handshakes at once: more than a browser opens to one host, fewer than any service should mind.
pub(super) const HANDSHAKES: usize = 20;

/// What a burst showed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Burst {
    /// What each took that was granted, in order.
    pub(super) granted: Vec<Duration>,
    /// What the others got: a status, or `None` for no answer.
    pub(super) refused: Vec<Option<u16>>,
    /// What all of them took together.
    pub(super) took: Duration,
}

/// Opens them all at once, keeps them until the last is open, and closes them.
pub(super) async fn look(question: &Question, way: &Way) -> Burst {
    let start = Instant::now();
    let attempts = join_all((0..HANDSHAKES).map(|_| async {
        let start = Instant::now();
        (ws::try_open(question, way).await, start.elapsed())
    }));
    let attempts = attempts.await;
    let took = start.elapsed();
    let mut burst = Burst { granted: Vec::new(), refused: Vec::new(), took };
    let mut open = Vec::new();
    for (outcome, took) in attempts {
        match outcome {
            Ok(socket) => {
                burst.granted.push(took);
                open.push(socket);
            }
            Err(Trouble::Refused(answer)) => burst.refused.push(Some(answer.status)),
            Err(_) => burst.refused.push(None),
        }
    }
    burst.granted.sort();
    burst.refused.sort();
    join_all(open.into_iter().map(ws::leave)).await;
    burst
}
