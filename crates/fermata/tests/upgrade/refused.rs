//! Upgrades that are none: the old process goes on as if nothing had been tried, and whoever asked is told why.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use rustix::process::geteuid;
use tokio::task::JoinSet;

use crate::actor::{POINTS, script};
use crate::clients::{Socket, ask_meanwhile, count, echo, file, open, open_many, pid, runtime, upgrade};
use crate::support::{Fermata, free_port, until};

/// What all these have in common.
const NOTHING: &str = "error: not upgraded, and nothing has changed: ";

/// A fermata, and tunnels that are used all the time.
struct Site {
    fermata: Fermata,
    port: u16,
    pid: i32,
    stop: tokio::sync::watch::Sender<bool>,
    counters: JoinSet<(u64, Socket)>,
}

impl Site {
    async fn new() -> Site {
        let port = free_port();
        let fermata = Fermata::up(&file(port, free_port(), ""));
        let (stop, stopped) = tokio::sync::watch::channel(false);
        let sockets = open_many(port, 130).await;
        let counters = sockets.into_iter().map(|socket| count(socket, stopped.clone())).collect();
        Site { pid: pid(&fermata), fermata, port, stop, counters }
    }

    /// Tries this program; returns what was said about it.
    async fn tries(&self, program: &Path) -> String {
        let (code, done, why) =
            ask_meanwhile(&self.fermata, &["upgrade", "--binary", program.to_str().expect("UTF-8")]).await;
        assert_eq!((code, done.as_str()), (Some(1), ""), "{why}");
        assert_eq!(pid(&self.fermata), self.pid, "the same process answers");
        echo(&mut open(self.port).await, "a new tunnel").await;
        let said = why.strip_prefix(&format!("starting {}\n", program.display())).unwrap_or(&why);
        said.trim_end().replace(&program.display().to_string(), "PROGRAM")
    }

    /// Nobody has noticed anything; and after all that an upgrade works.
    async fn goes_on(mut self) {
        upgrade(&self.fermata).await;
        self.stop.send_replace(true);
        while let Some(counted) = self.counters.join_next().await {
            counted.expect("no message was lost, doubled or late");
        }
        let ended = self.fermata.stop();
        assert_eq!(ended.code, Some(0), "{}{}", ended.stdout, ended.stderr);
        assert_eq!(ended.stdout.lines().filter(|line| line.ends_with("│ web.1 starts")).count(), 1);
        let (ends, closed) =
            (ended.stderr.matches("tunnel ended").count(), ended.stderr.matches("client-gone").count());
        assert!(ends >= closed);
    }
}

#[test]
fn a_program_that_dies_at_any_point_changes_nothing() {
    runtime().block_on(async {
        let site = Site::new().await;
        for point in POINTS {
            let why = site.tries(&script(&site.fermata.folder, point)).await;
            assert_eq!(why, format!("{NOTHING}it ended with signal: 9 (SIGKILL)"), "{point}");
        }
        site.goes_on().await;
    });
}

#[test]
fn a_program_that_says_something_else_changes_nothing() {
    runtime().block_on(async {
        let site = Site::new().await;
        let mut said = Vec::new();
        for point in ["speaks other words", "speaks nonsense", "refuses", "takes without being told to"] {
            let why = site.tries(&script(&site.fermata.folder, point)).await;
            said.push(why.strip_prefix(NOTHING).unwrap_or_else(|| panic!("{why}")).to_owned());
        }
        assert_eq!(
            said,
            [
                "fermata 9.9.9 hands over in another way (version 2) than this one (version 1); stop this one and start \
                 that one",
                "it says what cannot be understood: invalid type: string \"good morning\", expected struct Hello at line \
                 1 column 14",
                "it is not in the mood",
                "it says what cannot be understood: Taken instead of Ready",
            ]
        );
        site.goes_on().await;
    });
}

#[test]
fn a_program_that_is_no_fermata_is_not_started() {
    runtime().block_on(async {
        let site = Site::new().await;
        let folder = site.fermata.folder.path();
        let plain = site.fermata.folder.write("plain", "#!/bin/sh\necho fermata 1\n");
        std::fs::set_permissions(&plain, std::fs::Permissions::from_mode(0o644)).expect("a file of one's own");
        let text = site.fermata.folder.write("text", "this is no program\n");
        std::fs::set_permissions(&text, std::fs::Permissions::from_mode(0o755)).expect("a file of one's own");
        let tried = [
            Path::new("/bin/false").to_owned(),
            Path::new("/bin/true").to_owned(),
            folder.join("missing"),
            plain,
            text,
            folder.to_owned(),
        ];
        let mut said = Vec::new();
        for program in tried {
            let why = site.tries(&program).await;
            said.push(why.strip_prefix(NOTHING).unwrap_or_else(|| panic!("{why}")).to_owned());
        }
        assert_eq!(
            said,
            [
                "PROGRAM is no fermata: asked for its version, it ended with exit status: 1",
                "PROGRAM is no fermata: asked for its version, it ended with exit status: 0",
                "there is no program PROGRAM; name the new fermata with --binary",
                "PROGRAM cannot be executed: see its permissions (chmod +x)",
                "PROGRAM cannot be executed: Exec format error (os error 8)",
                "PROGRAM cannot be executed: see its permissions (chmod +x)",
            ]
        );
        site.goes_on().await;
    });
}

#[test]
fn a_file_that_is_broken_now_is_no_file_to_take_over() {
    let (port, container) = (free_port(), free_port());
    let fermata = Fermata::up(&file(port, container, ""));
    runtime().block_on(async {
        let mut socket = open(port).await;
        let before = pid(&fermata);
        fermata.folder.write("service.yml", &file(port, container, "").replace("container:", "contaner:"));
        let (code, done, why) = ask_meanwhile(&fermata, &["upgrade"]).await;
        assert_eq!((code, done.as_str()), (Some(1), ""));
        assert!(why.starts_with("error: the file has errors, and nothing was changed\n"), "{why}");
        assert_eq!(pid(&fermata), before);
        echo(&mut socket, "still here").await;
    });
    assert_eq!(fermata.stop().code, Some(0));
}

#[test]
fn only_one_upgrade_is_under_way_at_a_time() {
    let port = free_port();
    let fermata = Fermata::up(&file(port, free_port(), ""));
    runtime().block_on(async {
        // One that takes its time to say its version.
        let slow =
            fermata.folder.write("slow.sh", "#!/bin/sh\n: > asked\nwhile ! [ -e go ]; do sleep 0.02; done\nexit 3\n");
        std::fs::set_permissions(&slow, std::fs::Permissions::from_mode(0o755)).expect("a file of one's own");
        let mut command = fermata.folder.command(&["upgrade", "--state-dir", "state", "--binary", "slow.sh"]);
        let first = tokio::task::spawn_blocking(move || command.output().expect("fermata runs"));
        until("it is asked for its version", || fermata.folder.path().join("asked").exists());
        let (code, _, why) = ask_meanwhile(&fermata, &["upgrade"]).await;
        assert_eq!(
            (code, why.as_str()),
            (Some(1), "error: an upgrade is under way; nothing has changed by this one\n")
        );
        fermata.folder.write("go", "");
        assert_eq!(first.await.expect("no panic").status.code(), Some(1));
        upgrade(&fermata).await;
    });
    assert_eq!(fermata.stop().code, Some(0));
}

#[test]
fn an_upgrade_waits_for_no_change_that_is_under_way() {
    let port = free_port();
    let fermata = Fermata::up(&file(port, free_port(), ""));
    runtime().block_on(async {
        let held = fermata.folder.write("hold.sh", "#!/bin/sh\nexec sleep 1000\n");
        let text = std::fs::read_to_string(fermata.folder.path().join("service.yml")).expect("the file");
        let socket = open(port).await;
        fermata.folder.write("service.yml", &text.replace("$(FERMATA) echo", &format!("sh {}", held.display())));
        fermata.process.wait_for("that it starts", |line| line.ends_with("│ web.2 starts"));
        let (code, _, why) = ask_meanwhile(&fermata, &["upgrade"]).await;
        let expected = "error: a change of web is under way; upgrade again when it is done\n";
        assert_eq!((code, why.as_str()), (Some(1), expected));
        drop(socket);
    });
    assert_eq!(fermata.stop().code, Some(0));
}

#[test]
fn a_successor_is_called_by_an_upgrade_alone() {
    let folder = crate::support::Folder::new("");
    let ended = folder.run(&["up", "--successor", "--state-dir", "state"]);
    assert_eq!(ended.code, Some(2), "{}", ended.stderr);
    assert!(ended.stderr.starts_with("error: --successor is for fermata upgrade alone: "), "{}", ended.stderr);
}

#[test]
fn another_user_is_refused() {
    assert!(geteuid().is_root(), "only root can play another user: run the tests as root");
    let port = free_port();
    let fermata = Fermata::up(&file(port, free_port(), ""));
    let folder = fermata.folder.path();
    std::fs::set_permissions(folder, std::fs::Permissions::from_mode(0o755)).expect("a folder of one's own");
    // A copy that another user can reach.
    let program = folder.join("fermata");
    std::fs::copy(env!("CARGO_BIN_EXE_fermata"), &program).expect("a copy");
    for shared in [false, true] {
        if shared {
            let socket = std::fs::Permissions::from_mode(0o777);
            std::fs::set_permissions(folder.join("state/control.sock"), socket).expect("a file of one's own");
        }
        let mut command = std::process::Command::new("setpriv");
        command.args(["--reuid", "65534", "--regid", "65534", "--clear-groups"]).arg(&program);
        command.args(["upgrade", "--state-dir"]).arg(folder.join("state")).env("NO_COLOR", "1");
        let output = command.output().expect("setpriv is part of util-linux");
        let why = String::from_utf8_lossy(&output.stderr).replace(&folder.join("state").display().to_string(), "STATE");
        let expected = if shared {
            "error: this fermata belongs to user 0, not to user 65534; use sudo\n"
        } else {
            "error: the fermata with the state folder STATE belongs to somebody else; use sudo\n"
        };
        assert_eq!((output.status.code(), why.as_str()), (Some(1), expected));
    }
    assert_eq!(fermata.stop().code, Some(0));
}
