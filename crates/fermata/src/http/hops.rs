//! Requests that have been here before: a gateway that sends to another one leaves its mark in `CDN-Loop` (RFC 8586), the
//! header for that, which whoever stands between them passes on.

use std::sync::LazyLock;

use http::HeaderValue;
use http::header::{HeaderMap, HeaderName};

const LOOP: HeaderName = HeaderName::from_static("cdn-loop");

/// This process, among all.
static OWN: LazyLock<String> = LazyLock::new(|| format!("fermata-{:016x}", fastrand::u64(..)));

/// Leaves this process's mark.
pub fn mark(headers: &mut HeaderMap) {
    if let Ok(mark) = HeaderValue::from_str(&OWN) {
        headers.append(LOOP, mark);
    }
}

/// Whether this process has left its mark.
pub fn has_been_here(headers: &HeaderMap) -> bool {
    let lines = headers.get_all(LOOP).iter().filter_map(|line| line.to_str().ok());
    // Each element is a name, and perhaps parameters (RFC 8586 2).
    lines.flat_map(|line| line.split(',')).any(|one| one.split(';').next().is_some_and(|name| name.trim() == *OWN))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_is_known_among_those_of_others() {
        let mut headers = HeaderMap::from_iter([(LOOP, HeaderValue::from_static("example.com, fermata-1; a=b"))]);
        assert!(!has_been_here(&headers));
        mark(&mut headers);
        assert!(has_been_here(&headers));
        let joined = format!("example.com, {}; a=b", *OWN);
        assert!(has_been_here(&HeaderMap::from_iter([(LOOP, HeaderValue::from_str(&joined).expect("a value"))])));
    }
}
