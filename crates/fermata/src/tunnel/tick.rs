//! Coarse time: tenths of a second since an engine began. Four bytes a tunnel instead of sixteen, and fine enough for
//! deadlines that are counted in seconds.

use std::time::{Duration, Instant};

/// A point in time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Tick(u32);

impl Tick {
    /// How long a tick is.
    pub(super) const LENGTH: Duration = Duration::from_millis(100);
    /// Later than everything.
    pub(super) const NEVER: Tick = Tick(u32::MAX);

    /// As far from [`Tick::NEVER`] as from the beginning.
    pub(super) const MIDDLE: Tick = Tick(u32::MAX / 2);

    /// The tick of `now`, for an engine that began at `start`.
    pub(super) fn since(start: Instant, now: Instant) -> Tick {
        let elapsed = now.saturating_duration_since(start);
        Tick(u32::try_from(elapsed.as_millis() / Tick::LENGTH.as_millis()).unwrap_or(u32::MAX - 1))
    }

    /// This much later, at least one tick.
    pub(super) fn after(self, duration: Duration) -> Tick {
        let ticks = duration.as_millis().div_ceil(Tick::LENGTH.as_millis()).max(1);
        Tick(u32::try_from(ticks).map_or(u32::MAX - 1, |ticks| self.0.saturating_add(ticks).min(u32::MAX - 1)))
    }

    /// How many ticks it is after `base`; negative before it.
    pub(super) fn offset(self, base: Tick) -> i64 {
        i64::from(self.0) - i64::from(base.0)
    }

    /// The tick that is `offset` after `base`, or the nearest there is.
    pub(super) fn of(base: Tick, offset: i64) -> Tick {
        let ticks = i64::from(base.0).saturating_add(offset).clamp(0, i64::from(u32::MAX - 1));
        Tick(ticks as u32)
    }

    /// The same time for whoever says `now` when it was `base` here.
    pub(super) fn shifted(self, base: Tick, now: Tick) -> Tick {
        if self == Tick::NEVER { self } else { Tick::of(now, self.offset(base)) }
    }

    /// How many ticks ago `earlier` was.
    pub(super) fn ticks_since(self, earlier: Tick) -> u32 {
        self.0.saturating_sub(earlier.0)
    }

    /// How long ago `earlier` was.
    pub(super) fn time_since(self, earlier: Tick) -> Duration {
        Tick::LENGTH * self.ticks_since(earlier)
    }
}
