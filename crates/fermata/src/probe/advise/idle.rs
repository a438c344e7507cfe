//! Silence.

use std::time::Duration;

use fermata_spec::balancers::{Usual, ages, silences};

use super::super::idle::{Ending, Silence};
use super::super::name::{Hop, Name};
use super::super::talk::said_code;
use super::lasting;
use crate::report::Advice;

/// So many are named of those who have the same limit.
const NAMED: usize = 4;

/// The hop of the silence.
pub(in super::super) fn idle(silence: &Silence) -> Hop {
    let Silence { waited, every, limit, aged } = silence;
    let Some((after, ending)) = limit else {
        let says = format!("silent connections stay for {} at least", lasting(*waited));
        return Hop::works(Name::Idle, Some(*waited), says);
    };
    let how = match ending {
        Ending::Close(code, reason) if reason.is_empty() => format!("is ended by a Close, {}", said_code(*code)),
        Ending::Close(code, reason) => format!("is ended by a Close, {}: \"{reason}\"", said_code(*code)),
        Ending::Cut => "is cut without a Close".to_owned(),
        Ending::Dropped(alive) if alive.is_zero() => "is dropped without a word at some time before".to_owned(),
        Ending::Dropped(alive) => format!("is dropped without a word, later than {}", lasting(*alive)),
    };
    let every = lasting(*every);
    if *aged {
        let says = format!("a connection {how}, with a Ping every {every} as well");
        return Hop::works(Name::Idle, Some(*after), says).remark(age(*after));
    }
    let says = format!("a silent connection {how}; one with a Ping every {every} stays");
    Hop::works(Name::Idle, Some(*after), says).remark(silent(*after))
}

fn silent(after: Duration) -> Advice {
    let often = (after.as_secs() / 2).clamp(1, 25);
    let advice = Advice::new("idle-limit", "Connections that say nothing for a while are ended on the way.")
        .then(format!("Have the service or its clients send something every {often} s; Pings do (RFC 6455 5.5.2)."))
        .then("Behind Fermata: keepalive does that on both sides, every 25 s unless told otherwise.");
    known(advice, after, &silences())
}

fn age(after: Duration) -> Advice {
    let advice =
        Advice::new("age-limit", "Connections are ended at a certain age, whether they talk or not: no Ping helps.")
            .then("Have clients reconnect by themselves, with growing pauses that differ from client to client.");
    known(advice, after, &ages())
}

/// Names who has such a limit, within 5 %.
fn known(advice: Advice, after: Duration, limits: &[Usual]) -> Advice {
    let seconds = after.as_secs_f64();
    let near = |limit: &u64| (seconds / *limit as f64 - 1.0).abs() < 0.05;
    let Some(limit) = limits.iter().map(|limit| limit.seconds).find(near) else { return advice };
    let who: Vec<String> = limits.iter().filter(|one| one.seconds == limit).map(ToString::to_string).collect();
    let more = if who.len() > NAMED { "; and others" } else { "" };
    advice.then(format!("{limit} s is usual for: {}{more}.", who[..who.len().min(NAMED)].join("; ")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::Step;

    #[test]
    fn usual_limits_are_known_by_their_length() {
        let named = |advice: Advice| match advice.fix.last() {
            Some(Step::Do(text)) => text.clone(),
            _ => String::new(),
        };
        assert!(
            named(silent(Duration::from_millis(60_400))).starts_with("60 s is usual for: proxy_read_timeout in nginx")
        );
        assert!(
            named(silent(Duration::from_secs(351)))
                .contains("tcp.idle_timeout.seconds of the listener in AWS Network Load Balancer")
        );
        assert!(named(age(Duration::from_secs(30))).contains("timeoutSec of the backend service"));
        assert!(!named(silent(Duration::from_secs(77))).contains("usual"));
    }
}
