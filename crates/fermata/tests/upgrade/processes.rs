//! What services see of an upgrade: nothing. They are the same processes, are heard, and are started again when they end.

use rustix::process::{Pid, Signal, kill_process};

use crate::clients::{echo, file, open, runtime, upgrade};
use crate::support::{Fermata, Folder, free_port, until};

/// A service that says its number, says something when it is asked to (USR1), and ends with code 7 when it is asked to
/// (USR2).
const SERVICE: &str = "#!/bin/sh
echo \"number $$ secret $SECRET\"
trap 'echo heard' USR1
trap 'echo and its end >&2; kill $!; exit 7' USR2
\"$FERMATA\" echo &
printf 'a beginning ' >&2
while :; do wait; done
";

fn up(port: u16) -> Fermata {
    let folder = Folder::new("");
    let script = folder.write("service.sh", SERVICE);
    let text = file(port, free_port(), "").replace("$(FERMATA) echo", &format!("sh {}", script.display()));
    folder.write("service.yml", &text.replace("    ports", "    env_vars: {SECRET: AUTO_GENERATE_12}\n    ports"));
    folder.up()
}

/// The number and the secret that the service has said last.
fn said(fermata: &Fermata) -> (i32, String) {
    let text = fermata.process.stdout.text();
    let line = text.lines().rev().find(|line| line.contains("│ number ")).expect("it has said its number").to_owned();
    let words: Vec<&str> = line.split(' ').collect();
    (words[words.len() - 3].parse().expect("a number"), words[words.len() - 1].to_owned())
}

fn signal(pid: i32, signal: Signal) {
    kill_process(Pid::from_raw(pid).expect("a pid"), signal).expect("it runs");
}

fn heard(fermata: &Fermata, times: usize) {
    let all = fermata.process.stdout.wait_until(|lines| {
        lines.iter().filter(|line| line.contains("│ ") && line.ends_with("heard")).count() >= times
    });
    assert!(all, "{}", fermata.process.transcript());
}

#[test]
fn a_service_runs_on_is_heard_and_is_started_again_with_what_was_drawn_for_it() {
    let port = free_port();
    let fermata = up(port);
    let (number, secret) = said(&fermata);
    assert_eq!(secret.len(), 12);
    runtime().block_on(async {
        let mut socket = open(port).await;
        for round in 1..=3 {
            upgrade(&fermata).await;
            signal(number, Signal::USR1);
            heard(&fermata, round);
            echo(&mut socket, "the same process").await;
        }
        signal(number, Signal::USR2);
        // A line that had begun before the first upgrade.
        fermata.process.wait_for("the whole line", |line| line.ends_with("│ a beginning and its end"));
        fermata
            .process
            .wait_for("how it ended", |line| line.ends_with("web.1 ended with exit code 7; starting again in 0.5 s"));
        until("it runs again", || said(&fermata).0 != number);
        let (again, same) = said(&fermata);
        assert_eq!(same, secret);
        // By the new process, which hands it on in its turn.
        fermata
            .process
            .stdout
            .wait_until(|lines| lines.iter().filter(|line| line.contains("web.1 is ready")).count() == 2);
        upgrade(&fermata).await;
        signal(again, Signal::KILL);
        fermata
            .process
            .wait_for("how it ended", |line| line.ends_with("web.1 ended with signal 9 (KILL); starting again in 1 s"));
    });
    let (fermata_said, last) = (fermata.process.stdout.text(), said(&fermata).0);
    assert!(!fermata_said.contains("nobody told how"), "{fermata_said}");
    assert_eq!(fermata.stop().code, Some(0));
    assert!(!std::path::Path::new(&format!("/proc/{last}")).exists());
}

#[test]
fn a_service_that_is_not_ready_yet_becomes_so_after_the_upgrade() {
    let port = free_port();
    let folder = Folder::new("");
    let script = folder.write(
        "service.sh",
        "#!/bin/sh\nwhile ! [ -e go ]; do echo waiting; sleep 0.05; done\nexec \"$FERMATA\" echo\n",
    );
    let side = "  side:\n    command: sh -c 'echo side is here; exec sleep 1000'\n    requires: [web]\n";
    let text = file(port, free_port(), side).replace("$(FERMATA) echo", &format!("sh {}", script.display()));
    folder.write("service.yml", &text);
    let fermata = folder.up_and_wait("│ waiting");
    runtime().block_on(upgrade(&fermata));
    fermata.folder.write("go", "");
    fermata.process.wait_for("that it is ready", |line| line.starts_with("ready"));
    fermata.process.wait_for("what waited for it", |line| line.ends_with("│ side is here"));
    let text = fermata.process.stdout.text();
    assert_eq!(text.lines().filter(|line| line.ends_with("│ web.1 starts")).count(), 1, "{text}");
    assert_eq!(fermata.stop().code, Some(0));
}
