//! How long to wait before an instance that ended is started again.
//!
//! Pure: the caller measures how long it was up, and does the waiting.

use std::time::Duration;

/// The first wait; each further one is twice as long.
const FIRST: Duration = Duration::from_millis(500);
/// The longest wait. An instance that was up for as long starts anew with the first.
const LONGEST: Duration = Duration::from_secs(30);

/// The waits of one instance.
#[derive(Debug, Clone, Copy)]
pub(super) struct Backoff {
    next: Duration,
}

impl Backoff {
    pub(super) fn new() -> Backoff {
        Backoff { next: FIRST }
    }

    /// As it stood with an earlier one.
    pub(super) fn at(next: Duration) -> Backoff {
        Backoff { next: next.clamp(FIRST, LONGEST) }
    }

    /// The next wait, if nothing stays up.
    pub(super) fn next(self) -> Duration {
        self.next
    }

    /// The wait after an instance that was up for `up`.
    pub(super) fn after(&mut self, up: Duration) -> Duration {
        if up >= LONGEST {
            *self = Backoff::new();
        }
        let wait = self.next;
        self.next = (wait * 2).min(LONGEST);
        wait
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_the_longest_and_begin_anew_after_an_instance_was_up_for_a_while() {
        let mut backoff = Backoff::new();
        let mut waits = |up: u64, times: usize| -> Vec<u128> {
            (0..times).map(|_| backoff.after(Duration::from_secs(up)).as_millis()).collect()
        };
        assert_eq!(waits(0, 9), [500, 1000, 2000, 4000, 8000, 16_000, 30_000, 30_000, 30_000]);
        assert_eq!(waits(29, 1), [30_000]);
        assert_eq!(waits(30, 1), [500]);
        assert_eq!(waits(1, 2), [1000, 2000]);
    }
}
