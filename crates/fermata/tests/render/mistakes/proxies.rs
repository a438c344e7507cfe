//! Mistakes in the configuration of HAProxy.

use super::Mistake;
use super::made::Made;

const HAPROXY: &str = "haproxy";

/// All of them.
pub(super) const MISTAKES: &[Mistake] = &[
    Mistake {
        sentence: "sockets that end after the time that requests have, or tunnels without any limit",
        shown: &[(&[HAPROXY], |made| {
            let limits: Vec<&str> = values(made, "timeout tunnel");
            !limits.is_empty()
                && limits.iter().all(|limit| seconds(limit).is_some_and(|limit| limit >= made.ping().max(1.0) * 2.0))
        })],
    },
    Mistake {
        sentence: "a client that takes for ever: no limit for its head, for what it says, or for half of a tunnel",
        shown: &[(&[HAPROXY], |made| {
            let names = ["connect", "http-request", "client", "server", "client-fin", "server-fin"];
            names.iter().all(|name| !values(made, &format!("timeout {name}")).is_empty())
        })],
    },
    Mistake {
        sentence: "processes from before a reload that live until their last socket ends, or cut it before its time to leave",
        shown: &[(&[HAPROXY], |made| {
            let stop = values(made, "hard-stop-after").first().copied().and_then(seconds);
            stop.is_some_and(|stop| stop > 0.0 && stop >= made.drain())
        })],
    },
    Mistake {
        sentence: "a question at the path of a WebSocket that is no handshake",
        shown: &[(&[HAPROXY], |made| {
            let asked = values(made, "http-check send meth GET uri");
            asked.iter().all(|rest| {
                let path = rest.split(' ').next().unwrap_or_default();
                let shakes = rest.contains("hdr Upgrade websocket");
                shakes || !["/ws", "/cable"].contains(&path)
            })
        })],
    },
    Mistake {
        sentence: "headers looked for where bytes are passed, which finds none and says nothing",
        shown: &[(&[HAPROXY], |made| {
            let sections = made.text.split("\n\n").filter(|section| section.contains("\n  mode tcp\n"));
            sections.into_iter().all(|section| !section.contains("hdr(") && !section.contains("http-request "))
        })],
    },
    Mistake {
        sentence: "round robin, which piles sockets up on the oldest servers, where the file does not say so",
        shown: &[(&[HAPROXY], |made| {
            let said = made.spec.places.find("load_balancer.configuration.balance").is_some()
                || made.spec.places.find("load_balancer.balance").is_some();
            said || values(made, "balance").iter().all(|way| *way == "leastconn")
        })],
    },
    Mistake {
        sentence: "the clients' own word for who they are passed on",
        shown: &[(&[HAPROXY], |made| {
            made.text.contains("http-request del-header X-Forwarded-For") && made.text.contains("option forwardfor")
        })],
    },
];

/// What stands behind some words at the begin of a line.
fn values<'m>(made: &'m Made, words: &str) -> Vec<&'m str> {
    let rest = |line: &'m str| line.trim_start().strip_prefix(words)?.strip_prefix(' ');
    made.text.lines().filter_map(rest).collect()
}

/// `1h`, `10m`, `30s`, `500ms`.
fn seconds(text: &str) -> Option<f64> {
    let (number, unit) = text.split_at(text.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(text.len()));
    let unit = match unit {
        "h" => 3600.0,
        "m" => 60.0,
        "s" => 1.0,
        "ms" | "" => 0.001,
        _ => return None,
    };
    number.parse::<f64>().ok().map(|number| number * unit)
}
