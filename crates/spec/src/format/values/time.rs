//! Durations and rates.

use std::time::Duration;

use super::is_digits;
use crate::diagnostic::{codes, quote};
use crate::grammar::{Numbers, Shape, Text};
use crate::reader::Field;

/// A count of seconds that no deadline of ours exceeds: a year.
const MAX_SECONDS: u64 = 366 * 24 * 60 * 60;

pub(crate) const DURATION: Shape = Shape::Text(&Text {
    expected: "a duration such as 30s, 5m or 1h, or a number of seconds",
    pattern: r"^([0-9]{1,9}(ms|s|m|h|d))+$|^[0-9]{1,8}$",
    numbers: Numbers::Between(0, 31_622_400),
});

/// A duration that is not zero.
pub(crate) const INTERVAL: Shape = Shape::Text(&Text {
    expected: "a duration of more than 0, such as 30s, 5m or 1h, or a number of seconds",
    pattern: r"^(?=.*[1-9])(([0-9]{1,9}(ms|s|m|h|d))+|[0-9]{1,8})$",
    numbers: Numbers::Between(1, 31_622_400),
});

pub(crate) const TIMEOUT: Shape = Shape::Text(&Text {
    expected: "a duration such as 30s, 5m or 1h, or off",
    pattern: r"^([0-9]{1,9}(ms|s|m|h|d))+$|^[0-9]{1,8}$|^off$",
    numbers: Numbers::Between(0, 31_622_400),
});

pub(crate) const RATE: Shape = Shape::Text(&Text {
    expected: "a rate such as 200/s",
    pattern: r"^0*[1-9][0-9]{0,8}(/s)?$",
    numbers: Numbers::Between(1, 999_999_999),
});

/// `1m30s`, `500ms`, or seconds.
pub(crate) fn duration(text: &str) -> Option<Duration> {
    let mut rest = text;
    if let Ok(seconds) = rest.parse::<u64>() {
        return (seconds <= MAX_SECONDS && is_digits(rest)).then(|| Duration::from_secs(seconds));
    }
    let mut total = Duration::ZERO;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit())?;
        let number: u64 = rest[..digits].parse().ok()?;
        rest = &rest[digits..];
        let letters = rest.find(|c: char| c.is_ascii_digit()).unwrap_or(rest.len());
        let unit = match &rest[..letters] {
            "ms" => Duration::from_millis(1),
            "s" => Duration::from_secs(1),
            "m" => Duration::from_mins(1),
            "h" => Duration::from_hours(1),
            "d" => Duration::from_hours(24),
            _ => return None,
        };
        total = total.checked_add(unit.checked_mul(u32::try_from(number).ok()?)?)?;
        rest = &rest[letters..];
    }
    (!text.is_empty() && total <= Duration::from_secs(MAX_SECONDS)).then_some(total)
}

/// What was probably meant by a text that is no duration, where one is expected: `25 secs`, `1.5 hours`, `2 Minutes`.
pub(crate) fn meant(shape: &Shape, text: &str) -> Option<String> {
    let Shape::Text(Text { expected, .. }) = shape else { return None };
    if !expected.starts_with("a duration") {
        return None;
    }
    let text = text.trim().to_ascii_lowercase();
    let (number, unit) = text.split_at(text.find(|c: char| !c.is_ascii_digit() && c != '.')?);
    let (unit, millis) = match unit.trim() {
        "ms" | "msec" | "msecs" | "millis" | "millisecond" | "milliseconds" => ("ms", 1),
        "s" | "sec" | "secs" | "second" | "seconds" => ("s", 1000),
        "m" | "min" | "mins" | "minute" | "minutes" => ("m", 60 * 1000),
        "h" | "hr" | "hrs" | "hour" | "hours" => ("h", 60 * 60 * 1000),
        "d" | "day" | "days" => ("d", 24 * 60 * 60 * 1000),
        _ => return None,
    };
    let whole = match number.split_once('.') {
        None => format!("{number}{unit}"),
        // A fraction is so many of a smaller unit: one digit is enough for what people write.
        Some((whole, tenths)) if tenths.len() == 1 => {
            let tenths = whole.parse::<u64>().ok()?.checked_mul(10)?.checked_add(tenths.parse().ok()?)?;
            let millis = tenths.checked_mul(millis)?.checked_div(10)?;
            let units = [("m", 60 * 1000), ("s", 1000), ("ms", 1)];
            let (unit, count) = units.iter().find(|(_, count)| millis % count == 0)?;
            format!("{}{unit}", millis / count)
        }
        Some(_) => return None,
    };
    duration(&whole).is_some().then_some(whole)
}

/// A duration that is not zero.
pub(crate) fn interval(text: &str) -> Option<Duration> {
    duration(text).filter(|duration| !duration.is_zero())
}

/// A duration of the original's, which version 2 writes as a number of seconds.
pub(crate) fn seconds(field: &Field<'_>, parse: fn(&str) -> Option<Duration>) -> Option<Duration> {
    let duration = field.parse(parse)?;
    let text = field.text()?;
    if !is_digits(text) && duration.subsec_millis() == 0 {
        let message = format!("{} is version 1's spelling; version 2 counts seconds", quote(text));
        field.say_help(&codes::VALUE_OLD, message, format!("write {}", duration.as_secs()));
    }
    Some(duration)
}

/// A duration, or `None` for `off`.
#[allow(clippy::option_option, reason = "the outer one: whether it can be read; the inner one: whether it is on")]
pub(crate) fn timeout(text: &str) -> Option<Option<Duration>> {
    if text == "off" { Some(None) } else { duration(text).map(Some) }
}

/// Messages a second.
pub(crate) fn rate(text: &str) -> Option<u32> {
    let number = text.strip_suffix("/s").unwrap_or(text);
    number.parse().ok().filter(|rate| *rate > 0 && is_digits(number))
}
