//! `fermata connections`: lists, follows and closes live tunnels.

use serde::Serialize;

use super::{Answer, Failure, ask, table};
use crate::admin::{ConnectionRow, EndedRow, Filter, Reply, Request, Target};
use crate::cli::{Connections, ConnectionsAct, Format};

/// Runs it.
pub fn run(args: &Connections) -> Result<Answer, Failure> {
    let filter = Filter { ids: args.id.clone(), target: args.to.clone().map(Target), client: args.client };
    let folder = args.at.state_dir.as_deref();
    match args.act {
        ConnectionsAct::Close if filter == Filter::default() && !args.all => {
            Err(Failure::Usage("name the tunnels to close by --id, --to or --client, or all of them by --all".into()))
        }
        ConnectionsAct::Close => ask(folder, &Request::Close(filter), |_| ()),
        ConnectionsAct::List if args.follow => {
            ask(folder, &Request::Follow(filter), |reply| follow(&reply, args.format))
        }
        ConnectionsAct::List => ask(folder, &Request::Connections(filter), |reply| {
            if let Reply::Connections { connections } = reply {
                match args.format {
                    Format::Json => anstream::println!("{}", super::json(&connections)),
                    Format::Human => anstream::print!("{}", text(&connections)),
                }
            }
        }),
    }
}

/// A line for each change; for programs, a line for each tunnel that is there already as well.
fn follow(reply: &Reply, format: Format) {
    match (reply, format) {
        (Reply::Connections { connections }, Format::Human) => anstream::print!("{}", text(connections)),
        (Reply::Connections { connections }, Format::Json) => {
            for one in connections {
                anstream::println!("{}", json_line("live", one));
            }
        }
        (Reply::Opened(one), Format::Human) => anstream::println!("{}", opened(one)),
        (Reply::Opened(one), Format::Json) => anstream::println!("{}", json_line("opened", one)),
        (Reply::Ended(one), Format::Human) => anstream::println!("{}", ended(one)),
        (Reply::Ended(one), Format::Json) => anstream::println!("{}", json_line("ended", one)),
        _ => {}
    }
}

/// A row, and which change it is of, as one line of JSON.
fn json_line(change: &str, row: &impl Serialize) -> String {
    #[derive(Serialize)]
    struct Changed<'a, T> {
        change: &'a str,
        #[serde(flatten)]
        row: &'a T,
    }
    // Rows have no keys but names, and no values that refuse.
    serde_json::to_string(&Changed { change, row }).unwrap_or_default()
}

fn opened(one: &ConnectionRow) -> String {
    format!("+ {}  {}  {}  {}", one.id, one.client, one.instance, carries(one))
}

fn ended(one: &EndedRow) -> String {
    format!(
        "- {}  {}  {}  {} {} after {:.0} s, messages {} / {}, bytes {} / {}",
        one.id,
        one.client,
        one.instance,
        one.cause,
        one.code,
        one.age,
        one.messages[0],
        one.messages[1],
        one.bytes[0],
        one.bytes[1]
    )
}

fn text(connections: &[ConnectionRow]) -> String {
    const TITLES: [&str; 9] = [
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
            one.ping.map(millis).join(" / "),
        ]
    });
    table::render(&TITLES, rows)
}

/// `websocket chat.v2 (tls 1.3)`.
fn carries(one: &ConnectionRow) -> String {
    let protocol = one.protocol.as_ref().map_or_else(String::new, |name| format!(" {name}"));
    let tls = match (&one.tls_version, one.tls) {
        (Some(version), _) => format!(" (tls {version})"),
        (None, true) => " (tls)".into(),
        (None, false) => String::new(),
    };
    format!("{}{protocol}{tls}", one.carries)
}

/// A dash before the first Pong: nobody was silent for `keepalive` yet.
fn millis(ping: Option<f32>) -> String {
    ping.map_or_else(|| "-".into(), |millis| format!("{millis:.1} ms"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row() -> ConnectionRow {
        ConnectionRow {
            id: 17,
            client: [203, 0, 113, 9].into(),
            service: "web".into(),
            instance: "web.2".into(),
            carries: "websocket".into(),
            http: Some("HTTP/1.1".into()),
            tls: true,
            tls_version: Some("1.3".into()),
            age: 61.4,
            idle: 2.0,
            bytes: [120, 340],
            messages: [3, 8],
            protocol: Some("chat.v2".into()),
            ping: [Some(23.44), None],
        }
    }

    #[test]
    fn a_tunnel_is_one_line() {
        assert_eq!(
            text(&[row()]),
            "ID  CLIENT       INSTANCE  CARRIES                      AGE   IDLE  MESSAGES IN / OUT  BYTES IN / OUT  PING CLIENT / SERVICE\n\
             17  203.0.113.9  web.2     websocket chat.v2 (tls 1.3)  61 s  2 s   3 / 8              120 / 340       23.4 ms / -\n"
        );
    }

    #[test]
    fn a_change_is_one_line() {
        assert_eq!(opened(&row()), "+ 17  203.0.113.9  web.2  websocket chat.v2 (tls 1.3)");
        let row = EndedRow {
            id: 17,
            client: [203, 0, 113, 9].into(),
            service: "web".into(),
            instance: "web.2".into(),
            cause: "client-close".into(),
            code: 1000,
            age: 61.4,
            bytes: [120, 340],
            messages: [3, 8],
        };
        assert_eq!(
            ended(&row),
            "- 17  203.0.113.9  web.2  client-close 1000 after 61 s, messages 3 / 8, bytes 120 / 340"
        );
        assert_eq!(
            json_line("ended", &row),
            r#"{"change":"ended","id":17,"client":"203.0.113.9","service":"web","instance":"web.2","cause":"client-close","code":1000,"age":61.4,"bytes":[120,340],"messages":[3,8]}"#
        );
    }
}
