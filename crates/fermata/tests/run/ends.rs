//! How services end: by TERM, by KILL, and with all that they have started.

use std::time::Duration;

use crate::site::{Running, Site, is_running};

/// Starts a child in the same group, tells the pids of both, and waits.
fn with_child(term: &str) -> String {
    format!("sh -c '{term} sh -c \"{term} while :; do sleep 1000; done\" & echo $$$$ $!; while :; do wait; done'")
}

async fn pids(running: &mut Running) -> Vec<String> {
    running.line().await.text.split(' ').map(str::to_owned).collect()
}

fn assert_gone(pids: &[String]) {
    let left: Vec<&String> = pids.iter().filter(|pid| is_running(pid)).collect();
    assert!(pids.len() == 2 && left.is_empty(), "{left:?} of {pids:?} still run");
}

#[tokio::test]
async fn stopping_ends_the_whole_group() {
    let site = Site::with(&with_child(""));
    let mut running = site.up().await;
    let pids = pids(&mut running).await;
    running.until("web.1 is ready").await;
    assert_eq!(running.down().await, ["web.1 stops", "web.1 has stopped"]);
    assert_gone(&pids);
}

#[tokio::test]
async fn what_ignores_term_is_killed_after_its_grace() {
    let mut site = Site::with(&with_child("trap \"\" TERM;"));
    site.spec.services[0].stop_grace = Duration::from_millis(200);
    let mut running = site.up().await;
    let pids = pids(&mut running).await;
    assert_eq!(running.down().await.last().unwrap(), "web.1 has stopped");
    assert_gone(&pids);
}

#[tokio::test]
async fn a_child_that_outlives_its_parent_is_ended_before_the_next_start() {
    let site = Site::with("./parent");
    site.program("parent", "#!/bin/sh\nrm -f fifo\nmkfifo fifo\n./child &\nread ready < fifo\nexit 4\n");
    site.program(
        "child",
        "#!/bin/sh\ntrap 'echo asked; exit' TERM\necho $$\necho ready > fifo\nwhile :; do sleep 0.01; done\n",
    );
    let mut running = site.up().await;
    let child = running.line().await.text;
    let end = running.until("web.1 ended").await.pop().unwrap();
    assert_eq!(end, "web.1 ended with exit code 4; starting again in 0.5 s");
    running.until_line("asked").await;
    running.until("web.1 starts").await;
    assert!(!is_running(&child), "{child} still runs");
    running.down().await;
}

#[tokio::test]
async fn a_process_that_is_stopped_can_be_ended() {
    let site = Site::with("sh -c 'echo $$$$; kill -STOP $$$$; sleep 1000'");
    let mut running = site.up().await;
    let pid = running.line().await.text;
    running.down().await;
    assert!(!is_running(&pid));
}

#[tokio::test]
async fn a_supervisor_that_is_dropped_leaves_no_process() {
    let mut site = Site::with(&with_child(""));
    site.spec.services[0].replicas = 2;
    let mut running = site.up().await;
    let (first, second) = (pids(&mut running).await, pids(&mut running).await);
    drop(running);
    // Killed, and gone as soon as the kernel has come to it.
    while first.iter().chain(&second).any(|pid| is_running(pid)) {
        tokio::task::yield_now().await;
    }
}
