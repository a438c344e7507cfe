//! When to try again, and how many outcomes in a row make a verdict.

use std::convert::Infallible;
use std::time::Duration;

use tokio::time::{Instant, sleep, sleep_until};

use super::{Checker, Verdict};

/// The first wait of something that has just been started: it is used as soon as it listens.
const FIRST_WAIT: Duration = Duration::from_millis(50);

/// Tries of a check, one after the other, until it passes.
struct Tries<'a> {
    checker: &'a Checker,
    /// Before the next try. Each wait is twice as long as the one before, up to the check's period.
    wait: Duration,
    in_a_row: u32,
}

/// What a try came to.
enum Try {
    /// The check passes, thresholds included.
    Passes,
    /// It passed, but not often enough yet.
    Counts,
    /// It failed; what was seen.
    Fails(String),
}

impl Tries<'_> {
    async fn next(&mut self) -> Try {
        sleep(self.wait).await;
        self.wait = (self.wait * 2).clamp(FIRST_WAIT, self.checker.period.max(FIRST_WAIT));
        if let Err(why) = self.checker.once().await {
            self.in_a_row = 0;
            return Try::Fails(why);
        }
        self.in_a_row += 1;
        if self.in_a_row >= self.checker.success_threshold { Try::Passes } else { Try::Counts }
    }
}

impl Checker {
    /// Checks for ever something that was started at `started`: tells when the check passes, when it fails, and each
    /// failure before it passes.
    pub async fn follow(&self, started: Instant, mut tell: impl FnMut(Verdict)) -> Infallible {
        self.eventually(started, |why| tell(Verdict::Fails(why))).await;
        self.follow_on(tell).await
    }

    /// The same for something whose check has passed already.
    pub async fn follow_on(&self, mut tell: impl FnMut(Verdict)) -> Infallible {
        loop {
            tell(Verdict::Passes);
            tell(Verdict::Fails(self.failed().await));
            self.passed(self.tries_after(self.period), |why| tell(Verdict::Fails(why))).await;
        }
    }

    /// Returns once the check passes, however often it fails before.
    pub(in crate::run) async fn eventually(&self, started: Instant, tell_failure: impl FnMut(String)) {
        sleep_until(started + self.initial_delay).await;
        self.passed(self.tries_after(Duration::ZERO), tell_failure).await;
    }

    /// Returns once the check passes, or with what was seen last. It may fail as long as `failure_threshold` tries, one
    /// each period, take: at least as long as with Kubernetes, which tries no more often than that.
    pub(in crate::run) async fn in_time(
        &self,
        started: Instant,
        mut tell_failure: impl FnMut(&str),
    ) -> Result<(), String> {
        sleep_until(started + self.initial_delay).await;
        let deadline = Instant::now() + self.period * self.failure_threshold;
        let mut tries = self.tries_after(Duration::ZERO);
        loop {
            match tries.next().await {
                Try::Passes => return Ok(()),
                Try::Counts => {}
                Try::Fails(why) if Instant::now() >= deadline => return Err(why),
                Try::Fails(why) => tell_failure(&why),
            }
        }
    }

    /// Returns once the check fails, with what was seen.
    pub(in crate::run) async fn until_failed(&self, started: Instant) -> String {
        sleep_until(started + self.initial_delay).await;
        self.failed().await
    }

    fn tries_after(&self, wait: Duration) -> Tries<'_> {
        Tries { checker: self, wait, in_a_row: 0 }
    }

    async fn passed(&self, mut tries: Tries<'_>, mut tell_failure: impl FnMut(String)) {
        loop {
            match tries.next().await {
                Try::Passes => return,
                Try::Counts => {}
                Try::Fails(why) => tell_failure(why),
            }
        }
    }

    /// Tries once a period until the check has failed often enough in a row.
    async fn failed(&self) -> String {
        let mut in_a_row = 0;
        loop {
            sleep(self.period).await;
            match self.once().await {
                Ok(()) => in_a_row = 0,
                Err(why) => {
                    in_a_row += 1;
                    if in_a_row >= self.failure_threshold {
                        return why;
                    }
                }
            }
        }
    }
}
