//! Silence.

use std::time::Duration;

use super::super::idle::{Ending, Silence};
use super::super::report::{Advice, Hop, Name};
use super::super::talk::said_code;
use super::lasting;

/// Limits on silence as they are set from the factory, in seconds, and what they are called where they are set.
const IDLE: [(u64, &str); 9] = [
    (30, "timeout client and timeout server in HAProxy, where timeout tunnel is not set"),
    (50, "timeout_client_data and timeout_member_data of an OpenStack Octavia listener, in milliseconds"),
    (
        60,
        "proxy_read_timeout in nginx, idle_timeout.timeout_seconds of an AWS load balancer, http_idle_timeout_seconds at \
         DigitalOcean",
    ),
    (100, "Cloudflare, where it can't be set"),
    (240, "idle_timeout_in_minutes of an Azure load balancer's rule"),
    (300, "stream_idle_timeout in Envoy; Azure Front Door, where it can't be set"),
    (350, "tcp.idle_timeout.seconds of an AWS NLB's listener"),
    (600, "timeout_tunnel at Scaleway, the timeout of a Vultr load balancer; AWS API Gateway, where it can't be set"),
    (3600, "timeout tunnel of a HAProxy ingress (timeout-tunnel); DigitalOcean's limit after the upgrade"),
];

/// Limits on age.
const AGE: [(u64, &str); 3] = [
    (30, "timeoutSec of a Google Cloud backend service: 86400 is what it should be for WebSockets"),
    (7200, "AWS API Gateway, where it can't be set"),
    (14400, "Azure Front Door, where it can't be set"),
];

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
    known(advice, after, &IDLE)
}

fn age(after: Duration) -> Advice {
    let advice =
        Advice::new("age-limit", "Connections are ended at a certain age, whether they talk or not: no Ping helps.")
            .then("Have clients reconnect by themselves, with growing pauses that differ from client to client.");
    known(advice, after, &AGE)
}

/// Names who has such a limit, within 5 %.
fn known(advice: Advice, after: Duration, limits: &[(u64, &str)]) -> Advice {
    let seconds = after.as_secs_f64();
    let near = limits.iter().find(|(limit, _)| (seconds / *limit as f64 - 1.0).abs() < 0.05);
    match near {
        Some((limit, who)) => advice.then(format!("{limit} s is usual for: {who}.")),
        None => advice,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::probe::report::Step;

    #[test]
    fn usual_limits_are_known_by_their_length() {
        let named = |advice: Advice| match advice.fix.last() {
            Some(Step::Do(text)) => text.clone(),
            _ => String::new(),
        };
        assert!(
            named(silent(Duration::from_millis(60_400))).starts_with("60 s is usual for: proxy_read_timeout in nginx")
        );
        assert!(named(silent(Duration::from_secs(351))).contains("tcp.idle_timeout.seconds of an AWS NLB"));
        assert!(named(age(Duration::from_secs(30))).contains("timeoutSec of a Google Cloud backend service"));
        assert!(!named(silent(Duration::from_secs(77))).contains("usual"));
    }
}
