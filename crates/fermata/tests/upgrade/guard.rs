//! Whoever started the first process sees its end as the end of it all, and nothing of what comes between.

use std::path::Path;

use rustix::process::{Pid, Signal, kill_process};

use crate::clients::{echo, file, open, pid, runtime, upgrade};
use crate::support::{Fermata, free_port, until};

fn runs(pid: i32) -> bool {
    Path::new(&format!("/proc/{pid}")).exists()
}

fn signal(pid: i32, signal: Signal) {
    kill_process(Pid::from_raw(pid).expect("a pid"), signal).expect("it runs");
}

/// The process that a child of this test's has under it and that is not fermata itself.
fn service_of(fermata: &Fermata, port: u16) -> i32 {
    // The echo says nothing of itself: it is found by its environment, as `PORT` is its own.
    let wanted = format!("PORT={port}");
    let all = std::fs::read_dir("/proc").expect("proc is mounted").filter_map(|one| {
        let pid: i32 = one.ok()?.file_name().to_str()?.parse().ok()?;
        let environ = std::fs::read(format!("/proc/{pid}/environ")).ok()?;
        environ.split(|byte| *byte == 0).any(|each| each == wanted.as_bytes()).then_some(pid)
    });
    all.into_iter().next().unwrap_or_else(|| panic!("no service\n{}", fermata.process.transcript()))
}

#[test]
fn a_term_to_the_first_process_ends_everything_after_any_number_of_upgrades() {
    let (port, container) = (free_port(), free_port());
    let fermata = Fermata::up(&file(port, container, ""));
    let service = service_of(&fermata, container);
    let mut all = vec![service, pid(&fermata)];
    assert_eq!(all[1], fermata.process.pid());
    runtime().block_on(async {
        let mut socket = open(port).await;
        for _ in 0..3 {
            upgrade(&fermata).await;
            all.push(pid(&fermata));
            echo(&mut socket, "still here").await;
        }
    });
    until("those in between have ended", || !runs(all[2]) && !runs(all[3]));
    assert!(runs(all[0]) && runs(all[1]) && runs(all[4]));
    let ended = fermata.stop();
    assert_eq!((ended.code, ended.stderr.contains("at once")), (Some(0), false), "{}{}", ended.stdout, ended.stderr);
    assert!(ended.stdout.contains("web.1 has stopped"), "{}", ended.stdout);
    assert_eq!(all.iter().filter(|pid| runs(**pid)).count(), 0, "nothing is left");
}

#[test]
fn a_ctrl_c_that_reaches_both_is_one_ctrl_c() {
    let port = free_port();
    let mut fermata = Fermata::up(&file(port, free_port(), ""));
    runtime().block_on(upgrade(&fermata));
    let second = pid(&fermata);
    signal(second, Signal::INT);
    fermata.process.signal(Signal::INT);
    assert_eq!(fermata.process.wait().code(), Some(0), "{}", fermata.process.transcript());
    assert!(!fermata.process.stderr.whole().contains("at once"), "{}", fermata.process.transcript());
}

#[test]
fn the_first_process_ends_as_the_last_one_does() {
    let port = free_port();
    let fermata = Fermata::up(&file(port, free_port(), ""));
    runtime().block_on(async {
        upgrade(&fermata).await;
        upgrade(&fermata).await;
    });
    let last = pid(&fermata);
    signal(last, Signal::KILL);
    let mut fermata = fermata;
    let status = fermata.process.wait();
    assert_eq!(status.code(), Some(137), "as shells have it: 128 and the signal");
    // What it left behind is ended by the next one, as ever.
    let again = fermata.folder.command(&["up", "--state-dir", "state"]);
    let again = crate::support::Process::start(&mut { again });
    again.wait_for("what it found", |line| line.contains("which an earlier run left behind"));
    again.wait_for("that it is ready", |line| line.starts_with("ready"));
}

#[test]
fn a_hangup_of_the_first_process_reads_the_file_again() {
    let port = free_port();
    let mut fermata = Fermata::up(&file(port, free_port(), ""));
    runtime().block_on(upgrade(&fermata));
    fermata.process.signal(Signal::HUP);
    fermata.process.wait_for("that it was read", |line| line.contains("reloaded: "));
    assert_eq!(fermata.stop().code, Some(0));
}
