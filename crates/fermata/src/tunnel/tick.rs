//! Coarse time, and finer time for what is measured. Coarse: tenths of a second since an engine began. Four bytes a tunnel instead of sixteen, and fine enough for
//! deadlines that are counted in seconds.

use std::time::{Duration, Instant};

/// How far a tick has gone: tenths of a millisecond, for what is measured.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Fraction(u16);

impl Fraction {
    const LENGTH: Duration = Duration::from_micros(100);

    /// Of the tick of `now`, for an engine that began at `start`.
    pub(super) fn of(start: Instant, now: Instant) -> Fraction {
        let elapsed = now.saturating_duration_since(start).as_micros();
        Fraction((elapsed % Tick::LENGTH.as_micros() / Fraction::LENGTH.as_micros()) as u16)
    }
}

/// The way to a peer and back, in two bytes: since which fraction of a tick it is being measured, or how long it took.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Trip(u16);

impl Trip {
    const UNDER_WAY: u16 = 1 << 15;
    const LONGEST: u32 = Trip::UNDER_WAY as u32 - 1;

    /// It begins.
    pub(super) fn begin(fraction: Fraction) -> Trip {
        Trip(fraction.0 | Trip::UNDER_WAY)
    }

    /// It ends, so many ticks later; one that never began stays as it was.
    pub(super) fn end(self, ticks: u32, fraction: Fraction) -> Trip {
        if self.0 & Trip::UNDER_WAY == 0 {
            return self;
        }
        let begun = u32::from(self.0 & !Trip::UNDER_WAY);
        let in_a_tick = (Tick::LENGTH.as_micros() / Fraction::LENGTH.as_micros()) as u32;
        let took = ticks.saturating_mul(in_a_tick).saturating_add(u32::from(fraction.0)).saturating_sub(begun);
        Trip(took.clamp(1, Trip::LONGEST) as u16)
    }

    /// How long it took, up to 3.2 s; `None` before it has ended.
    pub(super) fn time(self) -> Option<Duration> {
        (1..Trip::UNDER_WAY).contains(&self.0).then(|| Fraction::LENGTH * u32::from(self.0))
    }
}

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trip_is_measured_in_tenths_of_a_millisecond() {
        let start = Instant::now();
        let took = |from: u64, to: u64| {
            let at = |micros: u64| start + Duration::from_micros(micros);
            let ticks = Tick::since(start, at(to)).ticks_since(Tick::since(start, at(from)));
            Trip::begin(Fraction::of(start, at(from))).end(ticks, Fraction::of(start, at(to))).time()
        };
        assert_eq!(took(1_000, 13_450), Some(Duration::from_micros(12_400)));
        assert_eq!(took(99_900, 100_300), Some(Duration::from_micros(400)), "from one tick into the next");
        assert_eq!(took(1_000, 1_010), Some(Duration::from_micros(100)), "never nothing");
        assert_eq!(took(1_000, 60_000_000), Some(Duration::from_micros(3_276_700)), "never more than this");
        assert_eq!(Trip::begin(Fraction(7)).time(), None);
        assert_eq!(Trip::default().end(3, Fraction(7)).time(), None, "nobody asked");
    }
}
