//! `fermata top`: the state of everything again and again, with what happens in a second.

use std::io::{IsTerminal, Write};
use std::time::{Duration, Instant};

use super::{Answer, Failure, ask, status, table};
use crate::admin::{ConnectionRow, Filter, Reply, Request, Status, TunnelFigures};
use crate::cli::Top;

/// The busiest are only looked for among so many: each look asks for every one of them.
const MOST: u64 = 5000;
/// So many of them are shown.
const SHOWN: usize = 10;
/// To the first place of an empty screen (ECMA-48: CUP, ED).
const CLEAR: &str = "\x1b[H\x1b[2J";

/// What one look saw.
struct Look {
    at: Instant,
    status: Status,
    connections: Vec<ConnectionRow>,
}

/// Runs it, until Ctrl-C or as often as asked.
pub fn run(args: &Top) -> Result<Answer, Failure> {
    let mut before: Option<Look> = None;
    let mut left = args.count;
    loop {
        let look = look(args)?;
        let clear = if std::io::stdout().is_terminal() { CLEAR } else { "" };
        anstream::print!("{clear}{}\n", text(&look, before.as_ref()));
        let _ = anstream::stdout().flush();
        before = Some(look);
        left = left.map(|left| left.saturating_sub(1));
        if left == Some(0) {
            return Ok(Answer::Yes);
        }
        std::thread::sleep(args.every.max(Duration::from_millis(100)));
    }
}

fn look(args: &Top) -> Result<Look, Failure> {
    let folder = args.at.state_dir.as_deref();
    let (mut seen, mut connections) = (None, Vec::new());
    ask(folder, &Request::Status, |reply| {
        if let Reply::Status(status) = reply {
            seen = Some(status);
        }
    })?;
    let status = seen.ok_or_else(|| Failure::No("fermata ended before it had answered".into()))?;
    if status.tunnels.live <= MOST {
        ask(folder, &Request::Connections(Filter::default()), |reply| {
            if let Reply::Connections { connections: all } = reply {
                connections = all;
            }
        })?;
    }
    Ok(Look { at: Instant::now(), status, connections })
}

fn text(look: &Look, before: Option<&Look>) -> String {
    let seconds = before.map_or(1.0, |before| (look.at - before.at).as_secs_f64().max(0.001));
    let known = before.map_or_else(|| look.status.tunnels.clone(), |before| before.status.tunnels.clone());
    let a_second = |now: u64, then: u64| (now.saturating_sub(then) as f64 / seconds).round() as u64;
    let now = &look.status.tunnels;
    let ended = |figures: &TunnelFigures| figures.ended.values().sum::<u64>();
    let rates = [("clients", 0), ("services", 1)].map(|(from, at)| {
        vec![
            from.to_owned(),
            a_second(now.messages[at], known.messages[at]).to_string(),
            table::bytes(a_second(now.bytes[at], known.bytes[at])),
        ]
    });
    let mut text = format!(
        "{}\n{}\n{} tunnels ended a second\n",
        status::text(&look.status),
        table::render(&["FROM", "MESSAGES/S", "BYTES/S"], rates),
        a_second(ended(now), ended(&known)),
    );
    let busiest = busiest(look, before);
    if !busiest.is_empty() {
        let rows = busiest.into_iter().map(|(one, carried)| {
            vec![one.id.to_string(), one.client.to_string(), one.instance.clone(), table::bytes(a_second(carried, 0))]
        });
        text.push('\n');
        text += &table::render(&["BUSIEST", "CLIENT", "INSTANCE", "BYTES/S"], rows);
    }
    text
}

/// Those that have carried most since the look before.
fn busiest<'a>(look: &'a Look, before: Option<&Look>) -> Vec<(&'a ConnectionRow, u64)> {
    let Some(before) = before else { return Vec::new() };
    let sum = |one: &ConnectionRow| one.bytes.iter().sum::<u64>();
    let known = |id| before.connections.iter().find(|one| one.id == id).map_or(0, sum);
    let mut all: Vec<_> = look.connections.iter().map(|one| (one, sum(one).saturating_sub(known(one.id)))).collect();
    all.retain(|(_, carried)| *carried > 0);
    all.sort_by_key(|(one, carried)| (std::cmp::Reverse(*carried), one.id));
    all.truncate(SHOWN);
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    fn look(at: Instant, carried: [u64; 2]) -> Look {
        let connection = |id, bytes| ConnectionRow {
            id,
            client: [203, 0, 113, 9].into(),
            service: "web".into(),
            instance: "web.1".into(),
            carries: "websocket".into(),
            http: None,
            tls: false,
            tls_version: None,
            age: 1.0,
            idle: 0.0,
            bytes,
            messages: [1, 1],
            protocol: None,
            ping: [None, None],
        };
        let status = Status {
            version: "1.2.3".into(),
            pid: 42,
            uptime: 5,
            file: "service.yml".into(),
            engine: None,
            ports: Vec::new(),
            services: Vec::new(),
            ready: true,
            tunnels: TunnelFigures {
                live: 2,
                ended: [("a/1000".to_owned(), carried[0] / 100)].into(),
                bytes: carried,
                messages: carried,
            },
        };
        Look { at, status, connections: vec![connection(1, carried), connection(2, [7, 7])] }
    }

    #[test]
    fn what_happened_between_two_looks_is_told_by_the_second() {
        let start = Instant::now();
        let before = look(start, [1000, 2000]);
        let now = look(start + Duration::from_secs(2), [3000, 2_002_000]);
        let said = text(&now, Some(&before));
        let (_, rates) = said.split_once("\nFROM").expect("rates");
        assert_eq!(
            rates,
            "      MESSAGES/S  BYTES/S\n\
             clients   1000        1.0 kB\n\
             services  1000000     1.0 MB\n\
             \n10 tunnels ended a second\n\
             \nBUSIEST  CLIENT       INSTANCE  BYTES/S\n\
             1        203.0.113.9  web.1     1.0 MB\n"
        );
        assert!(text(&before, None).contains("clients   0           0 B\n"));
    }
}
