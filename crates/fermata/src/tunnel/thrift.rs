//! When memory is worth giving back to the system: buffers that many handshakes or stalled peers had, all at once, lie
//! between small parts that live on, and the allocator keeps their pages.
//!
//! After a message of 1 MiB through each of 1,000 TLS tunnels 7 to 59 KB a tunnel stayed, where an idle one has 4.

use super::tick::Tick;

/// Fewer buffers than this are not worth it: 64 of 64 KiB are 4 MiB.
const MANY: u32 = 64;
/// The last was let go at least so many ticks ago: while there is work, the next one is taken from what is free.
const QUIET: u32 = 10;

/// Counts buffers that were let go since memory was given back.
#[derive(Debug, Default)]
pub(super) struct Thrift {
    count: u32,
    last: Option<Tick>,
}

impl Thrift {
    /// A buffer was let go: of a handshake that is done, or of a peer that has caught up.
    pub(super) fn let_go(&mut self, now: Tick) {
        self.count = self.count.saturating_add(1);
        self.last = Some(now);
    }

    /// Whether there were many, and are no more now; then the count begins anew.
    pub(super) fn is_due(&mut self, now: Tick) -> bool {
        let quiet = self.last.is_some_and(|last| now.ticks_since(last) >= QUIET);
        let due = quiet && self.count >= MANY;
        if quiet {
            *self = Thrift::default();
        }
        due
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::*;

    #[test]
    fn memory_is_given_back_once_after_a_rush() {
        let start = Instant::now();
        let tick = |ticks: u32| Tick::since(start, start + Tick::LENGTH * ticks);
        let mut thrift = Thrift::default();
        for at in 0..MANY {
            thrift.let_go(tick(at));
            assert!(!thrift.is_due(tick(at + 1)), "while there is work");
        }
        assert!(thrift.is_due(tick(MANY + QUIET)));
        assert!(!thrift.is_due(tick(MANY + 2 * QUIET)), "once");
        thrift.let_go(tick(500));
        assert!(!thrift.is_due(tick(600)), "few");
        assert_eq!(Tick::LENGTH, Duration::from_millis(100));
    }
}
