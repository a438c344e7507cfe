//! All that may be changed while tunnels are open, at once.

use tokio::task::JoinSet;

use crate::clients::{ask_meanwhile, count, file, open_many, pid, runtime, upgrade};
use crate::support::{Folder, TlsFront, free_port};

const CLEAR: usize = 400;
const TLS: usize = 100;

#[test]
fn five_hundred_tunnels_go_through_twenty_reloads_three_upgrades_and_two_certificates_unharmed() {
    let (http, https, container, other) = (free_port(), free_port(), free_port(), free_port());
    let text = |round: usize| {
        let side = format!(
            "  side:\n    command: $(FERMATA) echo\n    env_vars: {{ROUND: \"{round}\"}}\n    \
             ports: [{{container: {}, http: {other}}}]\n",
            free_port()
        );
        let text = file(http, container, if round.is_multiple_of(2) { "" } else { &side });
        text.replace(&format!("http: {http}"), &format!("http: {http}, https: {https}"))
            + "tls:\n  certificates: [{cert: app.pem, key: app.key}]\n"
    };
    let folder = Folder::new(&text(0));
    let certificate = folder.write_certificate("app", &["localhost"]);
    let fermata = folder.up();
    let front = TlsFront::of(https, &certificate);
    runtime().block_on(async {
        let (stop, stopped) = tokio::sync::watch::channel(false);
        let mut sockets = open_many(http, CLEAR).await;
        sockets.extend(open_many(front.port, TLS).await);
        let mut counters: JoinSet<_> = sockets.into_iter().map(|socket| count(socket, stopped.clone())).collect();
        let (mut upgrades, mut before) = (0, pid(&fermata));
        for round in 1..=20 {
            // The change of the file is noticed by itself, too: whoever comes second finds nothing to do.
            fermata.folder.write("service.yml", &text(round));
            let (_, reloaded, busy) = ask_meanwhile(&fermata, &["reload"]).await;
            assert!(reloaded.starts_with("reloaded: ") || busy.contains("is under way"), "{reloaded}{busy}");
            match round {
                7 | 14 => drop(fermata.folder.write_certificate("app", &["localhost"])),
                5 | 10 | 15 => {
                    // What the reload began is over soon.
                    while ask_meanwhile(&fermata, &["upgrade"]).await.0 != Some(0) {}
                    let now = pid(&fermata);
                    assert_ne!(now, before);
                    (before, upgrades) = (now, upgrades + 1);
                }
                _ => {}
            }
        }
        assert_eq!(upgrades, 3);
        stop.send_replace(true);
        let (mut messages, mut sockets) = (0, Vec::new());
        while let Some(counted) = counters.join_next().await {
            let (number, socket) = counted.expect("no message was lost, doubled or late");
            messages += number;
            sockets.push(socket);
        }
        assert_eq!(sockets.len(), CLEAR + TLS, "none was closed");
        assert!(messages > 0);
        upgrade(&fermata).await;
    });
    drop(front);
    assert_eq!(fermata.stop().code, Some(0));
}
