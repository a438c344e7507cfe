//! Durations, sizes and shares of a CPU as other programs write them, and as service.yml does.

use std::time::Duration;

/// service.yml takes no time longer than this: a year.
const LONGEST: Duration = Duration::from_hours(366 * 24);

/// `1m30s`, `500ms`, `1h`, or seconds (Go's durations, as compose has them).
pub(super) fn duration(text: &str) -> Option<Duration> {
    any_duration(text).filter(|time| *time <= LONGEST)
}

fn any_duration(text: &str) -> Option<Duration> {
    if let Ok(seconds) = text.parse::<f64>() {
        return Duration::try_from_secs_f64(seconds).ok();
    }
    let mut total = Duration::ZERO;
    let mut rest = text;
    while !rest.is_empty() {
        let digits = rest.find(|letter: char| !letter.is_ascii_digit() && letter != '.')?;
        let number: f64 = rest[..digits].parse().ok()?;
        rest = &rest[digits..];
        let letters = rest.find(|letter: char| letter.is_ascii_digit()).unwrap_or(rest.len());
        let unit = match &rest[..letters] {
            "ns" => 1e-9,
            "us" | "µs" => 1e-6,
            "ms" => 1e-3,
            "s" => 1.0,
            "m" => 60.0,
            "h" => 3600.0,
            "d" => 86400.0,
            _ => return None,
        };
        total = total.checked_add(Duration::try_from_secs_f64(number * unit).ok()?)?;
        rest = &rest[letters..];
    }
    (!text.is_empty()).then_some(total)
}

/// What service.yml writes: whole seconds as a number, anything else in milliseconds; never nothing at all.
pub(super) fn seconds(duration: Duration) -> String {
    match duration.as_millis() {
        0 => "1ms".to_owned(),
        millis if millis % 1000 == 0 => (millis / 1000).to_string(),
        millis => format!("{millis}ms"),
    }
}

/// Bytes: `512m`, `1.5gb`, `64k`, based on 1024 (compose-spec, "Specifying byte values").
pub(super) fn bytes(text: &str) -> Option<u64> {
    let text = text.trim().to_ascii_lowercase();
    let digits = text.find(|letter: char| !letter.is_ascii_digit() && letter != '.').unwrap_or(text.len());
    let number: f64 = text[..digits].parse().ok()?;
    let shift = match text[digits..].trim() {
        "" | "b" => 0,
        "k" | "kb" | "kib" => 10,
        "m" | "mb" | "mib" => 20,
        "g" | "gb" | "gib" => 30,
        "t" | "tb" | "tib" => 40,
        _ => return None,
    };
    let bytes = number * (1_u64 << shift) as f64;
    (1.0..1e15).contains(&bytes).then_some(bytes as u64)
}

/// `512Mi`: the largest unit that divides the bytes.
pub(super) fn memory(bytes: u64) -> String {
    match bytes {
        _ if bytes.is_multiple_of(1 << 30) => format!("{}Gi", bytes >> 30),
        _ if bytes.is_multiple_of(1 << 20) => format!("{}Mi", bytes >> 20),
        _ if bytes.is_multiple_of(1 << 10) => format!("{}Ki", bytes >> 10),
        _ => bytes.to_string(),
    }
}

/// Thousandths of a CPU, from `0.5` or `2`.
pub(super) fn millicpus(text: &str) -> Option<u32> {
    let cpus: f64 = text.trim().parse().ok()?;
    (cpus > 0.0 && cpus < 100_000.0).then(|| ((cpus * 1000.0).round() as u32).max(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_become_seconds_or_milliseconds() {
        let cases =
            [("1m30s", "90"), ("500ms", "500ms"), ("1.5s", "1500ms"), ("10", "10"), ("0s", "1ms"), ("2h", "7200")];
        for (from, to) in cases {
            assert_eq!(duration(from).map(seconds).as_deref(), Some(to), "{from}");
        }
        assert_eq!(duration("400d"), None);
        assert_eq!(duration("soon"), None);
        assert_eq!(duration(""), None);
        assert_eq!(duration("-1"), None);
    }

    #[test]
    fn sizes_keep_their_bytes() {
        let cases = [("512m", "512Mi"), ("1.5gb", "1536Mi"), ("64K", "64Ki"), ("1000", "1000"), ("2g", "2Gi")];
        for (from, to) in cases {
            assert_eq!(bytes(from).map(memory).as_deref(), Some(to), "{from}");
        }
        assert_eq!(bytes("lots"), None);
    }

    #[test]
    fn shares_of_a_cpu_become_thousandths() {
        assert_eq!(
            [millicpus("0.5"), millicpus("2"), millicpus("0"), millicpus("x")],
            [Some(500), Some(2000), None, None]
        );
    }
}
