//! Connection tracking of the kernel's firewall: how many connections it can remember, and how long it remembers one that
//! is silent (nf_conntrack-sysctl of the kernel's documentation).

use std::fs;
use std::time::Duration;

use fermata_spec::Spec;

use super::{Finding, Topic};
use crate::report::{Advice, Verdict};

const FOLDER: &str = "/proc/sys/net/netfilter";
/// A share of the table from which on it is soon full.
const NEARLY: f64 = 0.9;
/// One entry for each of both connections of a tunnel.
const PER_TUNNEL: u64 = 2;

/// What the kernel says.
#[derive(Clone, Copy)]
struct Seen {
    count: u64,
    most: u64,
    /// How long an established connection is remembered that says nothing.
    remembers: Duration,
}

pub(super) fn look(spec: Option<&Spec>) -> Finding {
    let number =
        |name: &str| -> Option<u64> { fs::read_to_string(format!("{FOLDER}/{name}")).ok()?.trim().parse().ok() };
    let seen = || {
        Some(Seen {
            count: number("nf_conntrack_count")?,
            most: number("nf_conntrack_max")?,
            remembers: Duration::from_secs(number("nf_conntrack_tcp_timeout_established")?),
        })
    };
    match seen() {
        Some(seen) => judge(spec, seen),
        None => Finding::works(Topic::Conntrack, None, "connections are not tracked here"),
    }
}

fn judge(spec: Option<&Spec>, seen: Seen) -> Finding {
    let Seen { count, most, remembers } = seen;
    let seconds = remembers.as_secs();
    let says = format!("{count} of {most} connections tracked; a silent one is remembered for {seconds} s");
    let mut finding = Finding::works(Topic::Conntrack, None, says);
    if count as f64 > most as f64 * NEARLY {
        let says = "The table of tracked connections is nearly full; then new connections are dropped without a word \
             (nf_conntrack: table full, in dmesg).";
        let advice = Advice::new("conntrack-full", says).write(maximum(most * 2));
        finding = finding.advised(Verdict::Broken, advice);
    }
    let Some(spec) = spec else { return finding };
    let wanted = spec.gateway.max_connections.map(|tunnels| u64::from(tunnels) * PER_TUNNEL);
    if let Some(wanted) = wanted.filter(|wanted| *wanted > most) {
        let says = format!(
            "gateway.max_connections allows for {wanted} connections, two for each tunnel, and {most} can be tracked."
        );
        finding = finding.remark(Advice::new("conntrack-small", says).write(maximum(wanted.next_power_of_two())));
    }
    // Half of the time is for a Ping that is lost.
    let quiet = |pings: Option<Duration>| pings.is_none_or(|every| remembers < every * 2);
    let silent = spec.services.iter().find(|service| quiet(service.websocket.keepalive) && seconds < 3600);
    if let Some(service) = silent {
        let pings = match service.websocket.keepalive {
            Some(every) => format!("{} is pinged every {} s", service.name, every.as_secs()),
            None => format!("{} is not pinged at all (keepalive: off)", service.name),
        };
        let says = format!(
            "A connection that says nothing for {seconds} s is forgotten, and {pings}: its packets are dropped then."
        );
        let advice = Advice::new("conntrack-forgets", says)
            .write("sysctl -w net.netfilter.nf_conntrack_tcp_timeout_established=432000")
            .then("Keep it in a file under /etc/sysctl.d; or have Pings come more often: websocket.keepalive.");
        finding = finding.remark(advice);
    }
    finding
}

fn maximum(number: u64) -> String {
    format!("sysctl -w net.netfilter.nf_conntrack_max={number}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn codes(lines: &str, seen: Seen) -> Vec<&'static str> {
        let text = format!("version: 2\nservices:\n  a:\n    address: 127.0.0.1:3000\n{lines}");
        let spec = fermata_spec::read(&text).spec.expect("a valid file");
        judge(Some(&spec), seen).advice.iter().map(|advice| advice.code).collect()
    }

    fn usual() -> Seen {
        Seen { count: 100, most: 262_144, remembers: Duration::from_hours(120) }
    }

    #[test]
    fn what_the_kernel_does_from_the_factory_is_well() {
        assert!(codes("", usual()).is_empty());
        assert!(codes("    websocket: {keepalive: off}\n", usual()).is_empty());
    }

    #[test]
    fn a_table_that_is_full_or_too_small_and_a_short_memory_are_told() {
        assert_eq!(codes("", Seen { count: 260_000, ..usual() }), ["conntrack-full"]);
        assert_eq!(codes("gateway: {max_connections: 200000}\n", usual()), ["conntrack-small"]);
        let forgetful = Seen { remembers: Duration::from_secs(40), ..usual() };
        assert_eq!(codes("", forgetful), ["conntrack-forgets"]);
        assert!(codes("    websocket: {keepalive: 15s}\n", forgetful).is_empty());
        let hardened = Seen { remembers: Duration::from_mins(10), ..usual() };
        assert_eq!(codes("    websocket: {keepalive: off}\n", hardened), ["conntrack-forgets"]);
    }
}
