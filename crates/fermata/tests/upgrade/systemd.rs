//! Under a real systemd, with the unit of `docs/upgrade.md`: it follows the main process from one program to the next, and
//! everything else that it does with a service still reaches the right one.

use std::ops::Deref;
use std::path::Path;
use std::process::Output;

use futures_util::StreamExt;
use tokio_tungstenite::tungstenite::Message;

use crate::clients::{Socket, echo, file, open, runtime};
use crate::support::{Folder, Network, Systemd, TlsFront, UNIT, free_port, until};

const PAGE: &str = include_str!("../../../../docs/upgrade.md");

/// `fermata up` in a folder, run by a systemd.
struct Machine(Systemd);

impl Machine {
    fn boot(folder: Folder) -> Machine {
        let unit = unit(folder.path());
        Machine(Systemd::boot(folder, &[(UNIT, &unit)], Network::Shared, ""))
    }

    /// Runs a command of fermata that must not fail, from the same namespace.
    fn ask(&self, arguments: &[&str]) -> Output {
        let state = self.folder.path().join("state").display().to_string();
        self.order(&[&[FERMATA], arguments, &["--state-dir", &state]].concat())
    }

    /// What `fermata status` says, as JSON.
    fn status(&self) -> serde_json::Value {
        let output = self.ask(&["status", "--format", "json"]);
        serde_json::from_slice(&output.stdout).expect("the status is JSON")
    }
}

impl Deref for Machine {
    type Target = Systemd;

    fn deref(&self) -> &Systemd {
        &self.0
    }
}

const FERMATA: &str = env!("CARGO_BIN_EXE_fermata");

/// The unit that the page on upgrades shows, for this program and this folder.
fn unit(folder: &Path) -> String {
    let shown =
        PAGE.split_once("```ini\n").and_then(|(_, rest)| rest.split_once("```")).expect("the page has a unit").0;
    let place = "/usr/local/bin/fermata up /etc/fermata/service.yml";
    assert!(shown.contains(place), "{shown}");
    let folder = folder.display();
    let here = format!("{FERMATA} up {folder}/service.yml --state-dir {folder}/state");
    // None of the targets that a machine has is there.
    format!("[Unit]\nDefaultDependencies=no\n{}", shown.replace(place, &here))
}

/// The code of the Close that a client gets next.
async fn farewell(socket: &mut Socket, systemd: &Machine) -> u16 {
    match socket.next().await {
        Some(Ok(Message::Close(Some(close)))) => close.code.into(),
        other => panic!("{other:?} instead of a Close\n{}", systemd.log()),
    }
}

#[test]
fn systemd_follows_the_main_process_reloads_it_and_stops_it() {
    let (port, container) = (free_port(), free_port());
    let folder = Folder::new("");
    folder.write("service.yml", &file(port, container, ""));
    let systemd = Machine::boot(folder);
    let mut main = systemd.shows("MainPID");
    runtime().block_on(async {
        let mut socket = open(port).await;
        for _ in 0..2 {
            systemd.ask(&["upgrade"]);
            let before = std::mem::replace(&mut main, systemd.status()["pid"].to_string());
            assert_ne!(main, before);
            until("systemd knows the new process", || systemd.shows("MainPID") == main);
            until("the old one has ended", || {
                !systemd.run(&["test", "-e", &format!("/proc/{before}")]).status.success()
            });
            echo(&mut socket, "still here").await;
        }

        systemd.folder.write("service.yml", &file(port, container, "  also:\n    ports: [{container: 9}]\n"));
        systemd.order(&["systemctl", "reload", UNIT]);
        until("the file was read again", || systemd.status()["services"].as_array().is_some_and(|all| all.len() == 2));
        echo(&mut socket, "and here").await;
        assert_eq!(
            [systemd.shows("MainPID"), systemd.shows("NRestarts"), systemd.shows("SubState")],
            [main.as_str(), "0", "running"]
        );

        systemd.order(&["systemctl", "stop", "--no-block", UNIT]);
        assert_eq!(farewell(&mut socket, &systemd).await, 1001);
    });
    until("systemd has stopped it", || systemd.shows("ActiveState") == "inactive");
    assert_eq!(systemd.shows("Result"), "success", "{}", systemd.log());
}

#[test]
fn a_stop_by_systemd_reaches_what_has_moved_and_what_has_stayed_over_tls() {
    let (port, https, container) = (free_port(), free_port(), free_port());
    let folder = Folder::new("");
    let text = file(port, container, "").replace(&format!("http: {port}"), &format!("http: {port}, https: {https}"));
    folder.write("service.yml", &(text + "tls:\n  certificates: [{cert: app.pem, key: app.key}]\n"));
    let front = TlsFront::of(https, &folder.write_certificate("app", &["localhost"]));
    let systemd = Machine::boot(folder);
    runtime().block_on(async {
        let (mut clear, mut tls) = (open(port).await, open(front.port).await);
        systemd.ask(&["upgrade"]);
        echo(&mut clear, "in the new process").await;
        echo(&mut tls, "in the old process").await;
        systemd.order(&["systemctl", "stop", "--no-block", UNIT]);
        assert_eq!([farewell(&mut clear, &systemd).await, farewell(&mut tls, &systemd).await], [1001, 1001]);
    });
    until("systemd has stopped it", || systemd.shows("ActiveState") == "inactive");
    assert_eq!(systemd.shows("Result"), "success", "{}", systemd.log());
}

#[test]
fn systemd_starts_another_where_the_one_that_took_over_was_killed() {
    let (port, container) = (free_port(), free_port());
    let folder = Folder::new("");
    folder.write("service.yml", &file(port, container, ""));
    let systemd = Machine::boot(folder);
    systemd.ask(&["upgrade"]);
    let second = systemd.status()["pid"].to_string();
    until("systemd knows the new process", || systemd.shows("MainPID") == second);
    systemd.order(&["kill", "-KILL", &second]);
    until("systemd has started another", || {
        systemd.shows("NRestarts") == "1" && systemd.shows("ActiveState") == "active"
    });
    assert_eq!(systemd.status()["pid"].to_string(), systemd.shows("MainPID"));
    runtime().block_on(async { echo(&mut open(port).await, "at your service").await });
}
