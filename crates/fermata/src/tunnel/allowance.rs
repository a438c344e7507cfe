//! How many messages a client may send: as many as its service takes in a second at once, refilled as time goes by.

use super::tick::Tick;

/// Parts of a message that a tick refills at a rate of one a second.
const PARTS: u32 = (1000 / Tick::LENGTH.as_millis()) as u32;

/// What a client may still send.
#[derive(Debug)]
pub(super) struct Allowance {
    /// Messages a second.
    rate: u32,
    /// In parts of a message, so that no tick's share is lost by rounding.
    left: u32,
    at: Tick,
}

impl Allowance {
    pub(super) fn new(rate: u32, now: Tick) -> Allowance {
        Allowance { rate, left: rate.saturating_mul(PARTS), at: now }
    }

    /// What is left, and when that was so.
    pub(super) fn pack(&self, base: Tick) -> (u32, i64) {
        (self.left, self.at.offset(base))
    }

    /// The same at the rate of now.
    pub(super) fn unpack(rate: u32, (left, at): (u32, i64), base: Tick) -> Allowance {
        Allowance { left: left.min(rate.saturating_mul(PARTS)), at: Tick::of(base, at), rate }
    }

    pub(super) fn at(&mut self) -> &mut Tick {
        &mut self.at
    }

    /// Takes `messages` out; false when there are not so many.
    pub(super) fn take(&mut self, messages: u64, now: Tick) -> bool {
        let full = self.rate.saturating_mul(PARTS);
        let refill = now.ticks_since(self.at).saturating_mul(self.rate);
        let left = self.left.saturating_add(refill).min(full);
        self.at = now;
        let wanted = u32::try_from(messages).unwrap_or(u32::MAX).saturating_mul(PARTS);
        self.left = left.saturating_sub(wanted);
        wanted <= left
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::{Duration, Instant};

    fn tick(millis: u64) -> Tick {
        let start = Instant::now();
        Tick::since(start, start + Duration::from_millis(millis))
    }

    #[test]
    fn a_client_that_keeps_to_an_odd_rate_is_never_refused() {
        for rate in [1, 3, 7, 13, 97] {
            let mut allowance = Allowance::new(rate, tick(0));
            let refused = (1..=u64::from(rate) * 60).find(|n| !allowance.take(1, tick(n * 1000 / u64::from(rate))));
            assert_eq!(refused, None, "{rate} messages a second");
        }
    }

    #[test]
    fn a_second_s_worth_may_come_at_once_and_no_more() {
        let mut allowance = Allowance::new(5, tick(0));
        assert!(allowance.take(5, tick(0)));
        assert!(!allowance.take(1, tick(100)));
        let mut allowance = Allowance::new(5, tick(0));
        assert!(allowance.take(5, tick(60_000)) && !allowance.take(1, tick(60_000)), "a rest is not saved up");
    }
}
