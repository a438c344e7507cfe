//! Sizes, memory, shares of a CPU and of instances.

use super::is_digits;
use crate::grammar::{Numbers, Shape, Text};
use crate::model::Share;

pub(crate) const SIZE: Shape = Shape::Text(&Text {
    expected: "a size such as 512KiB or 16MiB, or a number of bytes",
    pattern: r"^0*[1-9][0-9]{0,11}([kKMG](i?B?)?|B)?$",
    numbers: Numbers::Between(1, 1_099_511_627_776),
});

pub(crate) const MEMORY: Shape = Shape::Text(&Text {
    expected: "a memory size such as 100M, 512Mi or 2G",
    pattern: r"^[0-9]{1,12}(\.[0-9]{1,3})?([kKmMgGT]i?)?$",
    numbers: Numbers::Decimal,
});

pub(crate) const CPU: Shape = Shape::Text(&Text {
    expected: "thousandths of a CPU such as 500m, or whole ones such as 2 or 0.5",
    pattern: r"^[0-9]{1,6}(m|\.[0-9]{1,3})?$",
    numbers: Numbers::Decimal,
});

pub(crate) const SHARE: Shape = Shape::Text(&Text {
    expected: "a percentage such as 30%, or a number of instances",
    pattern: r"^(0*[0-9]{1,9}|0*(100|[0-9]{1,2})%)$",
    numbers: Numbers::Between(0, 999_999_999),
});

/// Bytes: `16MiB`, `16M` and `16MB` alike are 1024-based, as in nginx and `HAProxy`.
pub(crate) fn size(text: &str) -> Option<u64> {
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let number: u64 = text[..digits].parse().ok()?;
    let shift = match &text[digits..] {
        "" | "B" => 0,
        "k" | "K" | "kB" | "KB" | "KiB" | "Ki" | "ki" | "kiB" => 10,
        "M" | "MB" | "MiB" | "Mi" => 20,
        "G" | "GB" | "GiB" | "Gi" => 30,
        _ => return None,
    };
    let bytes = number.checked_mul(1 << shift)?;
    (1..=1 << 40).contains(&bytes).then_some(bytes)
}

/// Bytes, by Kubernetes' suffixes: `M` is 10^6 and `Mi` 2^20; `m` is what people write for `M`.
pub(crate) fn memory(text: &str) -> Option<u64> {
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let unit: u64 = match &text[end..] {
        "" => 1,
        "k" | "K" => 1_000,
        "m" | "M" => 1_000_000,
        "g" | "G" => 1_000_000_000,
        "T" => 1_000_000_000_000,
        "ki" | "Ki" => 1 << 10,
        "mi" | "Mi" => 1 << 20,
        "gi" | "Gi" => 1 << 30,
        "Ti" => 1 << 40,
        _ => return None,
    };
    thousandths(&text[..end])?.checked_mul(unit).map(|bytes| bytes / 1000)
}

/// Thousandths of a CPU.
pub(crate) fn cpu(text: &str) -> Option<u32> {
    match text.strip_suffix('m') {
        Some(millis) if is_digits(millis) => millis.parse().ok(),
        Some(_) => None,
        None => u32::try_from(thousandths(text)?).ok(),
    }
}

/// `30%`, or a number of instances.
pub(crate) fn share(text: &str) -> Option<Share> {
    let number = |digits: &str| digits.parse().ok().filter(|_| is_digits(digits));
    match text.strip_suffix('%') {
        Some(percent) => number(percent).filter(|percent| *percent <= 100).map(Share::Percent),
        None => number(text).filter(|count| *count <= 999_999_999).map(Share::Count),
    }
}

/// A decimal number with at most three places, times 1000.
fn thousandths(text: &str) -> Option<u64> {
    let (whole, part) = text.split_once('.').unwrap_or((text, "0"));
    if !is_digits(whole) || !is_digits(part) || part.len() > 3 {
        return None;
    }
    let part: u64 = format!("{part:0<3}").parse().ok()?;
    whole.parse::<u64>().ok()?.checked_mul(1000)?.checked_add(part)
}
