//! How fast handshakes may come: a token bucket as a single number (the generic cell rate algorithm, ITU-T I.371), so that
//! threads share it without a lock.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// What may come at once after a pause, in time: a tenth of a second's handshakes.
const BURST: Duration = Duration::from_millis(100);
/// Who would have to wait longer is told to come back instead: browsers give up a handshake after a while, and would only
/// have held up those behind them.
const LONGEST_WAIT: Duration = Duration::from_secs(5);

/// The handshakes of one service.
#[derive(Debug)]
pub struct Arrivals {
    start: Instant,
    /// When, in nanoseconds since `start`, the next one would be on time.
    next: AtomicU64,
}

/// There are too many; so long would one have had to wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TooMany(pub Duration);

impl Default for Arrivals {
    fn default() -> Arrivals {
        Arrivals { start: Instant::now(), next: AtomicU64::new(0) }
    }
}

impl Arrivals {
    /// Takes a turn at a moment, where `rate` may come a second; says how long it has to wait for it.
    pub fn take(&self, rate: u32, at: Instant) -> Result<Duration, TooMany> {
        let now = at.saturating_duration_since(self.start).as_nanos() as u64;
        let interval = 1_000_000_000 / u64::from(rate.max(1));
        let (burst, longest) = (BURST.as_nanos() as u64, LONGEST_WAIT.as_nanos() as u64);
        let wait = |next: u64| next.saturating_sub(now).saturating_sub(burst);
        let taken = self.next.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |next| {
            (wait(next) <= longest).then(|| next.max(now) + interval)
        });
        match taken {
            Ok(next) => Ok(Duration::from_nanos(wait(next))),
            Err(next) => Err(TooMany(Duration::from_nanos(wait(next)))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn handshakes_come_at_their_rate_and_the_rest_is_told_to_come_back() {
        let arrivals = Arrivals::default();
        let now = arrivals.start;
        let waits: Vec<_> = (0..1000).map(|_| arrivals.take(100, now)).collect();
        let millis = |at: usize| waits[at].map(|wait| wait.as_millis());
        // A tenth of a second's at once, then one every 10 ms, for five seconds.
        assert_eq!([millis(0), millis(10), millis(11), millis(12)], [Ok(0), Ok(0), Ok(10), Ok(20)]);
        assert_eq!(waits.iter().filter(|wait| wait.is_ok()).count(), 511);
        assert_eq!(waits[511], Err(TooMany(Duration::from_millis(5010))));
        // Who was refused has taken nothing.
        assert_eq!(arrivals.take(100, now + Duration::from_secs(1)), Ok(Duration::from_millis(4010)));
    }

    #[test]
    fn after_a_pause_a_burst_is_taken_at_once_and_no_more() {
        let arrivals = Arrivals::default();
        let later = arrivals.start + Duration::from_hours(1);
        let at_once = (0..100).filter(|_| arrivals.take(100, later) == Ok(Duration::ZERO)).count();
        assert_eq!(at_once, 11);
    }

    #[test]
    fn the_rate_follows_what_the_instances_can_take() {
        let arrivals = Arrivals::default();
        let now = arrivals.start;
        let last = |rate| (0..100).map(|_| arrivals.take(rate, now)).last();
        assert_eq!(last(100), Some(Ok(Duration::from_millis(890))));
        // Twice as many instances: the queue goes on twice as fast.
        assert_eq!(last(200), Some(Ok(Duration::from_millis(1395))));
    }
}
