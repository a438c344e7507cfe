//! `fermata connections`: lists, follows and closes live tunnels.

use std::thread::sleep;
use std::time::Duration;

use super::{Answer, Failure, ask, table};
use crate::admin::{ConnectionRow, Filter, Reply, Request, Target};
use crate::cli::{Connections, ConnectionsAct, Format};

/// How often `--follow` looks again.
const AGAIN: Duration = Duration::from_secs(1);

/// Runs it.
pub fn run(args: &Connections) -> Result<Answer, Failure> {
    let filter = Filter { ids: args.id.clone(), target: args.to.clone().map(Target), client: args.client };
    let folder = args.at.state_dir.as_deref();
    match args.act {
        ConnectionsAct::Close if filter == Filter::default() && !args.all => {
            Err(Failure::Usage("name the tunnels to close by --id, --to or --client, or all of them by --all".into()))
        }
        ConnectionsAct::Close => ask(folder, &Request::Close(filter), |_| ()),
        ConnectionsAct::List => loop {
            let answer = list(args, filter.clone())?;
            if !args.follow {
                return Ok(answer);
            }
            sleep(AGAIN);
        },
    }
}

fn list(args: &Connections, filter: Filter) -> Result<Answer, Failure> {
    ask(args.at.state_dir.as_deref(), &Request::Connections(filter), |reply| {
        if let Reply::Connections { connections } = reply {
            match args.format {
                Format::Json => anstream::println!("{}", super::json(&connections)),
                Format::Human => anstream::print!("{}", text(&connections)),
            }
        }
    })
}

fn text(connections: &[ConnectionRow]) -> String {
    let rows = connections.iter().map(|one| {
        vec![
            one.id.to_string(),
            one.client.to_string(),
            one.instance.clone(),
            carries(one),
            format!("{:.0} s", one.age),
            format!("{:.0} s", one.idle),
            format!("{} / {}", one.messages[0], one.messages[1]),
            format!("{} / {}", one.bytes[0], one.bytes[1]),
            format!("{} / {}", millis(one.ping[0]), millis(one.ping[1])),
        ]
    });
    let titles = [
        "ID",
        "CLIENT",
        "INSTANCE",
        "CARRIES",
        "AGE",
        "IDLE",
        "MESSAGES IN / OUT",
        "BYTES IN / OUT",
        "PING CLIENT / SERVICE",
    ];
    table::render(&titles, rows)
}

/// `websocket chat.v2 (tls)`.
fn carries(one: &ConnectionRow) -> String {
    let protocol = one.protocol.as_ref().map_or_else(String::new, |name| format!(" {name}"));
    format!("{}{protocol}{}", one.carries, if one.tls { " (tls)" } else { "" })
}

/// A dash before the first Pong: nobody was silent for `keepalive` yet.
fn millis(ping: Option<f32>) -> String {
    ping.map_or_else(|| "-".into(), |millis| format!("{millis:.1} ms"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tunnel_is_one_line() {
        let row = ConnectionRow {
            id: 17,
            client: [203, 0, 113, 9].into(),
            service: "web".into(),
            instance: "web.2".into(),
            carries: "websocket".into(),
            tls: true,
            age: 61.4,
            idle: 2.0,
            bytes: [120, 340],
            messages: [3, 8],
            protocol: Some("chat.v2".into()),
            ping: [Some(23.44), None],
        };
        assert_eq!(
            text(&[row]),
            "ID  CLIENT       INSTANCE  CARRIES                  AGE   IDLE  MESSAGES IN / OUT  BYTES IN / OUT  PING CLIENT / SERVICE\n\
             17  203.0.113.9  web.2     websocket chat.v2 (tls)  61 s  2 s   3 / 8              120 / 340       23.4 ms / -\n"
        );
    }
}
