//! What a process writes: its two streams, each read line by line by a task of its own, and held still while the instance
//! is handed on.

use std::os::fd::OwnedFd;
use std::pin::Pin;
use std::time::Duration;

use tokio::net::unix::pipe;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::event::{InstanceName, Line, Stream};
use super::lines::{self, Rest};

/// One stream that nobody reads now.
#[derive(Debug)]
pub(super) struct Voice {
    pub(super) stream: Stream,
    pub(super) pipe: OwnedFd,
    /// The beginning of a line.
    pub(super) begun: Vec<u8>,
}

/// The streams of a process, being read.
#[derive(Debug)]
pub(super) struct Voices {
    tasks: JoinSet<Option<Voice>>,
    hold: watch::Sender<bool>,
}

impl Voices {
    /// Gives on what is written, at the speed at which it is taken. An error tells which streams cannot be read.
    pub(super) fn listen(
        voices: Vec<Voice>,
        name: &InstanceName,
        lines: &mpsc::Sender<Line>,
    ) -> (Voices, Vec<std::io::Error>) {
        let mut all = Voices { tasks: JoinSet::new(), hold: watch::Sender::new(false) };
        let mut errors = Vec::new();
        for Voice { stream, pipe, begun } in voices {
            match pipe::Receiver::from_owned_fd(pipe) {
                Ok(pipe) => {
                    all.tasks.spawn(listen(stream, pipe, begun, name.clone(), lines.clone(), all.hold.subscribe()));
                }
                Err(error) => errors.push(error),
            }
        }
        (all, errors)
    }

    /// One that speaks by itself, until it has ended or is held, which it is told by what `speak` gets. Nothing of it is
    /// among what is left.
    pub(super) fn of<S: Future<Output = ()> + Send + 'static>(speak: impl FnOnce(Held) -> S) -> Voices {
        let hold = watch::Sender::new(false);
        let speech = speak(Box::pin(held(hold.subscribe())));
        let mut all = Voices { tasks: JoinSet::new(), hold };
        all.tasks.spawn(async move {
            speech.await;
            None
        });
        all
    }

    /// Waits until all streams have ended, so that everything written has been given on.
    pub(super) async fn fall_silent(&mut self, at_most: Duration) {
        let _ = timeout(at_most, async { while self.tasks.join_next().await.is_some() {} }).await;
    }

    /// Stops reading.
    pub(super) async fn shutdown(mut self) {
        self.tasks.shutdown().await;
    }

    /// Stops reading; what was read has been given on, but for lines that have only begun. Streams that have ended are not
    /// among what is left.
    pub(super) async fn hold(mut self) -> Vec<Voice> {
        self.hold.send_replace(true);
        let mut held = Vec::new();
        while let Some(ended) = self.tasks.join_next().await {
            held.extend(ended.ok().flatten());
        }
        held
    }
}

/// Comes when all are to hold still.
pub(super) type Held = Pin<Box<dyn Future<Output = ()> + Send>>;

async fn held(mut hold: watch::Receiver<bool>) {
    // Without anybody who could say so, nobody holds it.
    if hold.wait_for(|hold| *hold).await.is_err() {
        std::future::pending::<()>().await;
    }
}

async fn listen(
    stream: Stream,
    mut pipe: pipe::Receiver,
    begun: Vec<u8>,
    name: InstanceName,
    lines: mpsc::Sender<Line>,
    hold: watch::Receiver<bool>,
) -> Option<Voice> {
    let give = |text| {
        let line = Line { instance: name.clone(), stream, text };
        // Where nobody listens any more, the process may still write.
        let given = lines.send(line);
        async { drop(given.await) }
    };
    match lines::read(&mut pipe, begun, give, held(hold)).await {
        // Out of the event loop.
        Ok(Rest::Begun(begun)) => Some(Voice { stream, pipe: pipe.into_nonblocking_fd().ok()?, begun }),
        // What cannot be read on has ended.
        Ok(Rest::End) | Err(_) => None,
    }
}
