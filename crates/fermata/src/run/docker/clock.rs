//! The time as the engine writes it.

use std::time::SystemTime;

/// The days from the first of March of the year 0 to the beginning of 1970.
const TO_1970: i64 = 719_468;

/// What the engine's time of a start is, in seconds: `2026-03-01T12:00:00.5Z` (RFC 3339, always in UTC).
pub(super) fn seconds_since_1970(text: &str) -> Option<i64> {
    let (date, time) = text.strip_suffix('Z')?.split_once('T')?;
    let numbers = |text: &str, by: char| -> Option<Vec<i64>> {
        text.split(by).map(|part| part.split('.').next()?.parse().ok()).collect()
    };
    let (&[year, month, day], &[hour, minute, second]) = (&*numbers(date, '-')?, &*numbers(time, ':')?) else {
        return None;
    };
    // A year that begins in March has its leap day last.
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let days = 365 * year + year / 4 - year / 100 + year / 400 + (153 * month + 2) / 5 + day - 1;
    Some((days - TO_1970) * 86_400 + hour * 3600 + minute * 60 + second)
}

/// Seconds since 1970.
pub(super) fn now() -> i32 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    i32::try_from(since.as_secs()).unwrap_or(i32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_of_a_start_is_understood() {
        assert_eq!(seconds_since_1970("1970-01-01T00:00:00Z"), Some(0));
        assert_eq!(seconds_since_1970("2000-02-29T23:59:59.999999999Z"), Some(951_868_799));
        assert_eq!(seconds_since_1970("2026-11-28T08:30:11.5Z"), Some(1_795_854_611));
        assert_eq!(seconds_since_1970("yesterday"), None);
        assert_eq!(seconds_since_1970("2026-11-28T08:30Z"), None);
    }
}
