//! Several handshakes at once.

use super::super::burst::{Burst, HANDSHAKES};
use super::super::name::{Hop, Name};
use crate::report::{Advice, Detail};

/// The hop of the burst.
pub(in super::super) fn burst(burst: &Burst) -> Hop {
    let Burst { granted, refused, took } = burst;
    let hop = |says: String| Hop::works(Name::Burst, Some(*took), says);
    let mut hop = if refused.is_empty() {
        hop(format!("{HANDSHAKES} handshakes at once, and all are granted"))
    } else {
        hop(format!("of {HANDSHAKES} handshakes at once {} are granted", granted.len())).remark(limited(refused))
    };
    if let (Some(first), Some(last)) = (granted.first(), granted.last()) {
        let detail = |says: &str, took| Detail { says: says.to_owned(), took: Some(took) };
        hop.details.extend([detail("the quickest", *first), detail("the slowest", *last)]);
    }
    hop
}

fn limited(refused: &[Option<u16>]) -> Advice {
    let mut counted: Vec<(Option<u16>, usize)> = Vec::new();
    for status in refused {
        match counted.iter_mut().find(|(known, _)| known == status) {
            Some((_, count)) => *count += 1,
            None => counted.push((*status, 1)),
        }
    }
    let words = counted.iter().map(|(status, count)| match status {
        Some(status) => format!("{count} got {status}"),
        None => format!("{count} got no answer"),
    });
    let words: Vec<String> = words.collect();
    let says = format!(
        "When {HANDSHAKES} clients come at once, as after a restart, some are turned away: {}.",
        words.join(", ")
    );
    let advice = Advice::new("burst-limited", says);
    let answered = |wanted: u16| refused.contains(&Some(wanted));
    if answered(429) {
        return advice
            .then("There is a limit for each address; people in one office or behind one provider share an address:")
            .write("websocket.max_connections_per_ip         Fermata's service.yml\nlimit_conn, limit_req                    nginx");
    }
    if answered(503) {
        return advice
            .then("There is a limit on connections or on the rate of handshakes:")
            .write(
                "websocket.max_connections, max_handshake_rate   Fermata's service.yml\nmaxconn                                         HAProxy\n\
                 worker_connections, limit_conn                  nginx",
            )
            .then("Clients should wait a random time before they come back.");
    }
    advice
        .then("A queue of connections overflows, or workers run out: raise the backlog and the number of workers.")
        .then("A server that serves one connection a worker (WSGI, prefork) can hold only as many as it has workers.")
}
