//! What the two engines cannot have in common, counted: a table for docs/load-balancer.md.
//!
//! `cargo nextest run --release --workspace --test lb --run-ignored only --no-capture measured`

use std::collections::BTreeMap;
use std::fmt::Write;
use std::os::unix::fs::symlink;
use std::time::{Duration, Instant};

use futures_util::StreamExt;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::Message;

use crate::engine::{Balancer, Engine};
use crate::server::Server;
use crate::support::Folder;
use crate::{Ports, Socket, balance, open_many, runtime};

const TUNNELS: usize = 200;
/// How long a tunnel is watched after something happened.
const WATCHED: Duration = Duration::from_secs(8);

/// How one tunnel ended, and when.
enum Fate {
    Open { pings: usize },
    Ended { how: String, after: Duration },
}

async fn watch(mut socket: Socket, since: Instant) -> Fate {
    let mut pings = 0;
    let ended = timeout(WATCHED.saturating_sub(since.elapsed()), async {
        loop {
            match socket.next().await {
                Some(Ok(Message::Ping(_))) => pings += 1,
                Some(Ok(Message::Close(Some(close)))) => break format!("Close {}", u16::from(close.code)),
                Some(Ok(_)) => {}
                _ => break "cut".to_owned(),
            }
        }
    });
    match ended.await {
        Ok(how) => Fate::Ended { how, after: since.elapsed() },
        Err(_) => Fate::Open { pings },
    }
}

/// What became of them: how many stayed open, and how the others ended, over which time.
fn told(fates: &[Fate]) -> String {
    let mut ends = BTreeMap::<&str, Vec<Duration>>::new();
    let mut open = (0, 0);
    for fate in fates {
        match fate {
            Fate::Open { pings } => open = (open.0 + 1, open.1 + pings),
            Fate::Ended { how, after } => ends.entry(how).or_default().push(*after),
        }
    }
    let mut text = String::new();
    if open.0 > 0 {
        let _ = write!(text, "{} stay open, {} Pings; ", open.0, open.1);
    }
    for (how, mut times) in ends {
        times.sort_unstable();
        let seconds: Vec<f64> = times.iter().map(Duration::as_secs_f64).collect();
        let (first, last) = (seconds[0], seconds[seconds.len() - 1]);
        let mut tenths = [0; 10];
        for time in &seconds {
            let part = (time - first) / (last - first).max(0.001) * 10.0;
            tenths[(part as usize).min(9)] += 1;
        }
        let most = tenths.iter().max().expect("ten");
        let _ = write!(text, "{} × {how}, {first:.2} to {last:.2} s, at most {most} in a tenth of that; ", times.len());
    }
    text.trim_end_matches("; ").to_owned()
}

/// Opens the tunnels, has something done, and watches. The servers that are given back live on.
fn what_becomes(engine: Engine, keys: &[&str], event: impl FnOnce(&Balancer, Vec<Server>) -> Vec<Server>) -> String {
    let ports = Ports::new();
    let servers = [2, 3].map(|number| ports.serve(number));
    let balancer = engine.balance(ports, &servers.each_ref(), keys);
    let runtime = runtime();
    let mut sockets = Vec::new();
    runtime.block_on(open_many(ports.http, TUNNELS, &mut sockets));
    let since = Instant::now();
    let watching = std::thread::spawn(move || {
        runtime.block_on(async {
            let mut all: Vec<_> = sockets.into_iter().map(|socket| tokio::spawn(watch(socket, since))).collect();
            let mut fates = Vec::new();
            for one in &mut all {
                fates.push(one.await.expect("nobody panics"));
            }
            fates
        })
    });
    let alive = event(&balancer, servers.into());
    let fates = watching.join().expect("nobody panics");
    drop(alive);
    told(&fates)
}

#[test]
#[ignore = "a measurement, by the command above"]
fn measured_what_becomes_of_two_hundred_tunnels() {
    let drain = "websocket: {drain: 5s}";
    for engine in [Engine::Builtin, Engine::Haproxy] {
        println!("{engine:?}");
        let row = |what: &str, seen: String| println!("| {what} | {seen} |");
        row(
            "nothing, `keepalive: 1s, pong_timeout: 1s`",
            what_becomes(engine, &["websocket: {keepalive: 1s, pong_timeout: 1s}"], |_, servers| servers),
        );
        row(
            "a reload that changes the check",
            what_becomes(engine, &[drain], |balancer, servers| {
                balancer.reload_with(&servers.iter().collect::<Vec<_>>(), &[drain, "httpchk: GET /healthz"]);
                servers
            }),
        );
        row(
            "one of two servers removed, `drain: 5s`",
            what_becomes(engine, &[drain], |balancer, servers| {
                balancer.reload_with(&[&servers[1]], &[drain]);
                servers
            }),
        );
        row(
            "`fermata drain web2 --over 5s`",
            what_becomes(engine, &[drain], |balancer, servers| {
                balancer.tell(&["drain", "web2", "--over", "5s"]);
                servers
            }),
        );
        row(
            "one of two servers dies",
            what_becomes(engine, &[drain], |_, mut servers| {
                drop(servers.remove(0));
                servers
            }),
        );
        row(
            "`fermata stop`",
            what_becomes(engine, &[drain], |balancer, servers| {
                balancer.tell(&["stop"]);
                servers
            }),
        );
    }
    println!("| 10 min after a reload (`hard-stop-after`; here 3 s) | {} |", {
        let short = "haproxy: {global: hard-stop-after 3s}";
        what_becomes(Engine::Haproxy, &[short], |balancer, servers| {
            balancer.reload_with(&servers.iter().collect::<Vec<_>>(), &[short, "slow_start: 1s"]);
            servers
        })
    });
}

#[test]
#[ignore = "a measurement, by the command above"]
fn measured_a_reload_of_a_thousand_servers() {
    for engine in [Engine::Builtin, Engine::Haproxy] {
        let ports = Ports::new();
        let folder = Folder::new("");
        // Written behind a link, so that the change is not seen before the command.
        std::fs::create_dir(folder.path().join("real")).expect("a folder can be made");
        std::fs::remove_file(folder.path().join("service.yml")).expect("it is there");
        symlink("real/service.yml", folder.path().join("service.yml")).expect("a link can be made");
        folder.write("real/service.yml", &engine.long_file(ports, 1000));
        let balancer = Balancer { engine, ports, fermata: balance(folder) };
        let reload = |count: u16| {
            balancer.fermata.folder.write("real/service.yml", &engine.long_file(ports, count));
            let begin = Instant::now();
            let said = balancer.tell(&["reload"]);
            let took = begin.elapsed();
            assert_eq!(said.code, Some(0), "{said:?}");
            took.as_millis()
        };
        let mut times: Vec<u128> = [1001, 1000].into_iter().cycle().take(10).map(reload).collect();
        times.sort_unstable();
        let begin = Instant::now();
        balancer.tell(&["status", "--format", "json"]);
        println!("{engine:?}: reloads, each with a server more or less: {times:?} ms; a status: {:?}", begin.elapsed());
    }
}
