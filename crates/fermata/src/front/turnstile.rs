//! A turnstile between a leg and the HTTP library: it lets one judged request through at a time.
//!
//! The library sees a head only once it is whole and has been found good, and nothing of the next request before this one
//! is answered. So every head on a connection is judged by the same rules as the first, what follows a request stays on
//! the leg (a tunnel's first frames, mostly), and a refusal can still be told in words.

use std::cell::Cell;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep};

use super::extent::Extent;
use super::head::{self, Head};
use crate::http::Refusal;
use crate::net::Leg;

/// A kept connection may be silent this long between two requests: nginx's `keepalive_timeout`.
const IDLE: Duration = Duration::from_secs(75);

/// What a head may be.
#[derive(Debug, Clone, Copy)]
pub struct HeadLimits {
    /// Its bytes.
    pub size: usize,
    /// From its first byte to its last.
    pub time: Duration,
}

/// A leg that is read one request at a time.
pub(super) struct Turnstile {
    leg: Leg,
    limits: HeadLimits,
    stage: Stage,
    /// When the wait for a head is over.
    clock: Pin<Box<Sleep>>,
    turn: Rc<Cell<Turn>>,
}

/// How far the reading of requests is.
enum Stage {
    /// Waits for a head; this much of it has been judged.
    Head { judged: usize },
    /// A good head is being read, and this much of it is left.
    Given { left: usize, body: Option<Extent> },
    /// Its body is being read.
    Body(Extent),
    /// It has been read, and waits for the end of its answer.
    Answered,
    /// There is no further request.
    Over(Option<Refusal>),
}

/// Whose turn it is to speak.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Turn {
    /// The client's.
    Client,
    /// The service's: a request has come, and is being answered.
    Service,
    /// The answer is whole, and on its way to the client.
    Said,
}

impl Turnstile {
    /// The leg may have been read from already, but nothing of that is older than a request's first byte.
    pub(super) fn new(leg: Leg, limits: HeadLimits) -> Turnstile {
        let (clock, turn) = (Box::pin(sleep(limits.time)), Rc::new(Cell::new(Turn::Client)));
        Turnstile { leg, limits, stage: Stage::Head { judged: 0 }, clock, turn }
    }

    /// Where the end of an answer is to be noted.
    pub(super) fn turn(&self) -> Rc<Cell<Turn>> {
        self.turn.clone()
    }

    /// The leg, and why its last request was not let through.
    pub(super) fn into_parts(self) -> (Leg, Option<Refusal>) {
        match self.stage {
            Stage::Over(refusal) => (self.leg, refusal),
            _ => (self.leg, None),
        }
    }

    /// The answer to the last request is with the client: it may say the next.
    fn next(&mut self) -> Stage {
        let limit = if self.leg.unread().is_empty() { IDLE } else { self.limits.time };
        self.clock.as_mut().reset(Instant::now() + limit);
        Stage::Head { judged: 0 }
    }

    /// Waits for a whole head, of which some has been judged.
    fn poll_head(&mut self, task: &mut Context<'_>, mut judged: usize) -> Poll<io::Result<Stage>> {
        loop {
            match self.judge(judged) {
                Ok(Some(Head { size, body })) => return Poll::Ready(Ok(Stage::Given { left: size, body })),
                Ok(None) => {}
                Err(refusal) => return Poll::Ready(Ok(Stage::Over(Some(refusal)))),
            }
            judged = self.leg.unread().len();
            self.stage = Stage::Head { judged };
            match self.leg.poll_fill(task) {
                Poll::Ready(Ok(0)) => return Poll::Ready(Ok(Stage::Over(None))),
                Poll::Ready(Ok(_)) if judged == 0 => self.clock.as_mut().reset(Instant::now() + self.limits.time),
                Poll::Ready(filled) => drop(filled?),
                Poll::Pending => {
                    ready!(self.clock.as_mut().poll(task));
                    let late = (judged > 0).then_some(Refusal::HeadTimeout(self.limits.time));
                    return Poll::Ready(Ok(Stage::Over(late)));
                }
            }
        }
    }

    /// A head becomes whole, or wrong, at a line's end. Who begins with something else is told at once.
    fn judge(&self, judged: usize) -> Result<Option<Head>, Refusal> {
        let (unread, most) = (self.leg.unread(), self.limits.size);
        let fresh = &unread[judged..];
        let worth_it = judged == 0 || fresh.contains(&b'\n') || unread.len() >= most;
        if worth_it && !fresh.is_empty() { head::judge(unread, most) } else { Ok(None) }
    }

    /// Gives out what is left of a head.
    fn give(&mut self, left: usize, body: Option<Extent>, into: &mut ReadBuf<'_>) -> Stage {
        let given = left.min(into.remaining());
        into.put_slice(&self.leg.unread()[..given]);
        self.leg.used(given);
        if given < left {
            return Stage::Given { left: left - given, body };
        }
        self.turn.set(Turn::Service);
        body.map_or(Stage::Answered, Stage::Body)
    }

    /// While an answer is under way the library only asks whether the client has left; nothing but that is told.
    fn poll_gone(&mut self, task: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.leg.unread().is_empty() && ready!(self.leg.poll_fill(task))? == 0 {
            return Poll::Ready(Ok(()));
        }
        Poll::Pending
    }
}

/// Reads a body straight into the library's buffer, and puts back what came behind it.
fn poll_body(leg: &mut Leg, body: &mut Extent, task: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
    let before = into.filled().len();
    ready!(Pin::new(&mut *leg).poll_read(task, into))?;
    let fresh = &into.filled()[before..];
    let taken = body.take(fresh).map_err(|_| io::Error::new(io::ErrorKind::InvalidData, "the chunks are broken"))?;
    leg.unread_first(&fresh[taken..]);
    into.set_filled(before + taken);
    Poll::Ready(Ok(()))
}

impl AsyncRead for Turnstile {
    fn poll_read(mut self: Pin<&mut Self>, task: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let turnstile = &mut *self;
        loop {
            match &mut turnstile.stage {
                Stage::Head { judged } => {
                    let judged = *judged;
                    turnstile.stage = ready!(turnstile.poll_head(task, judged))?;
                }
                Stage::Given { left, body } => {
                    let (left, body) = (*left, body.take());
                    turnstile.stage = turnstile.give(left, body, into);
                    return Poll::Ready(Ok(()));
                }
                Stage::Body(body) => {
                    ready!(poll_body(&mut turnstile.leg, body, task, into))?;
                    if body.is_over() {
                        turnstile.stage = Stage::Answered;
                    }
                    return Poll::Ready(Ok(()));
                }
                Stage::Answered if turnstile.turn.get() == Turn::Client => turnstile.stage = turnstile.next(),
                Stage::Answered => return turnstile.poll_gone(task),
                Stage::Over(_) => return Poll::Ready(Ok(())),
            }
        }
    }
}

impl AsyncWrite for Turnstile {
    fn poll_write(mut self: Pin<&mut Self>, task: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.leg).poll_write(task, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        task: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.leg).poll_write_vectored(task, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.leg.is_write_vectored()
    }

    /// The library flushes once it has written all it had: an answer that was whole before has been given then.
    fn poll_flush(mut self: Pin<&mut Self>, task: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(Pin::new(&mut self.leg).poll_flush(task))?;
        if self.turn.get() == Turn::Said {
            self.turn.set(Turn::Client);
            // What has come meanwhile was held back, and nothing else would make the library ask again.
            task.waker().wake_by_ref();
        }
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, task: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.leg).poll_shutdown(task)
    }
}
