//! What a path of the sample service does. The words stand at the path's end, so that they work behind any prefix.

use std::time::Duration;

use fermata_wire::{Close, Code};
use http::{StatusCode, Uri};

/// The largest message that is echoed or sent.
pub(super) const MAX_MESSAGE: usize = 64 << 20;

/// What a socket does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Conduct {
    /// Sends every message back.
    Echo,
    /// `/slow?by=1s`: sends every message back, late.
    Slow(Duration),
    /// `/push?every=1s`: sends a numbered message at every tick, and echoes.
    Push(Duration),
    /// `/silent`: reads and says nothing (Pings are answered).
    Silent,
    /// `/headers`: says first what arrived, then echoes.
    Headers,
    /// `/send/1048576`: says first a binary message of that many bytes, then echoes.
    Send(usize),
    /// `/close/4000?after=0s&reason=...`: closes.
    Close(Close, Duration),
    /// `/drop?after=0s`: ends the connection without a Close.
    Drop(Duration),
}

/// What a request that is no WebSocket handshake gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Plain {
    /// What arrived; the body of a POST comes back.
    Arrival,
    /// `/healthz`: 200, for health checks.
    Healthy,
    /// `/tester`: the page that tests a WebSocket.
    Tester,
    /// `/events`: Server-Sent Events, one each second.
    Events,
}

/// `/status/503`: answers with that status, a handshake too.
pub(super) fn status(path: &str) -> Option<StatusCode> {
    let (before, number) = path.rsplit_once('/')?;
    let status = StatusCode::from_bytes(number.as_bytes()).ok()?;
    (before.ends_with("/status") && !status.is_informational()).then_some(status)
}

/// What to do with a plain request.
pub(super) fn plain(path: &str) -> Plain {
    match path.rsplit('/').next() {
        Some("healthz") => Plain::Healthy,
        Some("tester") => Plain::Tester,
        Some("events") => Plain::Events,
        _ => Plain::Arrival,
    }
}

/// What to do with a socket, or why its path makes no sense.
pub(super) fn socket(uri: &Uri) -> Result<Conduct, &'static str> {
    let mut segments = uri.path().rsplit('/');
    let (last, before) = (segments.next().unwrap_or_default(), segments.next().unwrap_or_default());
    match (before, last) {
        ("close", code) => {
            let code = code.parse().map(Code).ok().filter(|code| code.may_be_sent());
            let code = code.ok_or("/close/CODE needs a code that may be sent: 1000-1003, 1007-1014 or 3000-4999")?;
            let reason = parameter(uri, "reason").unwrap_or_else(|| "as the path asks".to_owned());
            Ok(Conduct::Close(Close { code, reason: reason.into() }, duration(uri, "after", Duration::ZERO)?))
        }
        ("send", size) => match size.parse() {
            Ok(size) if size <= MAX_MESSAGE => Ok(Conduct::Send(size)),
            _ => Err("/send/BYTES needs a number up to 67108864"),
        },
        (_, "slow") => Ok(Conduct::Slow(duration(uri, "by", Duration::from_secs(1))?)),
        (_, "push") => Ok(Conduct::Push(duration(uri, "every", Duration::from_secs(1))?.max(Duration::from_millis(1)))),
        (_, "drop") => Ok(Conduct::Drop(duration(uri, "after", Duration::ZERO)?)),
        (_, "silent") => Ok(Conduct::Silent),
        (_, "headers") => Ok(Conduct::Headers),
        _ => Ok(Conduct::Echo),
    }
}

fn parameter(uri: &Uri, name: &str) -> Option<String> {
    let query = uri.query()?.as_bytes();
    url::form_urlencoded::parse(query).find(|(key, _)| key == name).map(|(_, value)| value.into_owned())
}

/// `500ms`, `2s` or a bare number of seconds.
fn duration(uri: &Uri, name: &str, default: Duration) -> Result<Duration, &'static str> {
    let Some(text) = parameter(uri, name) else { return Ok(default) };
    let (number, unit) = match text.strip_suffix("ms") {
        Some(number) => (number, 1),
        None => (text.strip_suffix('s').unwrap_or(&text), 1000),
    };
    match number.parse::<u32>() {
        Ok(number) => Ok(Duration::from_millis(u64::from(number) * unit)),
        Err(_) => Err("a duration is written as 500ms or 2s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(uri: &str) -> Result<Conduct, &'static str> {
        socket(&uri.parse().expect("a URI"))
    }

    #[test]
    fn the_end_of_a_path_says_what_its_socket_does() {
        let close = Close { code: Code(4000), reason: "go home".into() };
        let cases = [
            ("/", Conduct::Echo),
            ("/anything/at/all", Conduct::Echo),
            ("/slow", Conduct::Slow(Duration::from_secs(1))),
            ("/prefix/slow?by=250ms", Conduct::Slow(Duration::from_millis(250))),
            ("/push?every=0ms", Conduct::Push(Duration::from_millis(1))),
            ("/silent", Conduct::Silent),
            ("/headers", Conduct::Headers),
            ("/send/1048576", Conduct::Send(1 << 20)),
            ("/app/close/4000?reason=go+home&after=3", Conduct::Close(close, Duration::from_secs(3))),
            ("/drop", Conduct::Drop(Duration::ZERO)),
        ];
        for (uri, expected) in cases {
            assert_eq!(of(uri), Ok(expected), "{uri}");
        }
    }

    #[test]
    fn a_code_that_may_not_be_sent_is_refused_with_those_that_may() {
        for uri in ["/close/1006", "/close/99", "/close/no", "/send/67108865", "/slow?by=soon"] {
            assert!(of(uri).is_err(), "{uri}");
        }
    }

    #[test]
    fn a_status_is_read_from_the_path() {
        assert_eq!(status("/status/503"), Some(StatusCode::SERVICE_UNAVAILABLE));
        assert_eq!(status("/status/101"), None);
        assert_eq!(status("/503"), None);
        assert_eq!(status("/status"), None);
    }
}
