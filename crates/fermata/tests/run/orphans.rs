//! What happens to the processes of a Fermata that was killed, and to those of others.

use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use fermata::run::{Event, Roster, StateLock};

use crate::site::{Site, is_running, up};

/// Tells the process that runs [`host`] which folder to use; tests do not set it.
const FOLDER: &str = "FERMATA_TEST_FOLDER";

/// A Fermata to be killed: not a test by itself, but a program that tests run.
#[tokio::test]
async fn host() {
    let Some(folder) = std::env::var_os(FOLDER) else { return };
    let folder = Path::new(&folder);
    let mut site = Site::with("./program");
    site.caller.folder = folder.to_owned();
    site.spec.services[0].stop_grace = Duration::from_millis(300);
    let mut running = up(&folder.join("state"), site.plan().unwrap()).await.ok().unwrap();
    loop {
        println!("host says: {}", running.line().await.text);
    }
}

/// Runs `host` until the service has told `lines` lines, and gives them.
fn run_host(site: &Site, lines: usize) -> (Child, Vec<String>) {
    let mut host = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "orphans::host", "--nocapture"])
        .env(FOLDER, site.folder.path())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let output = BufReader::new(host.stdout.take().unwrap());
    let said = output.lines().filter_map(|line| Some(line.unwrap().split_once("host says: ")?.1.to_owned()));
    let lines = said.take(lines).collect();
    (host, lines)
}

fn kill(mut host: Child) {
    host.kill().unwrap();
    host.wait().unwrap();
}

fn roster(site: &Site, text: &str) {
    fs::create_dir_all(site.state()).unwrap();
    fs::write(site.state().join("processes.json"), text).unwrap();
}

/// A process that has nothing to do with Fermata, in a group of its own.
struct Bystander(Child);

impl Bystander {
    fn start() -> Bystander {
        Bystander::with(&[])
    }

    fn with(env: &[(&str, &str)]) -> Bystander {
        let mut command = Command::new("sleep");
        Bystander(command.arg("1000").envs(env.iter().copied()).process_group(0).spawn().unwrap())
    }

    fn pid(&self) -> String {
        self.0.id().to_string()
    }
}

impl Drop for Bystander {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[tokio::test]
async fn what_a_killed_fermata_left_is_ended_at_the_next_start() {
    let site = Site::with("sh -c 'echo again; sleep 1000'");
    // A child in the same group, and neither of them ends when asked to.
    let program = "#!/bin/sh\ntrap '' TERM\nsh -c 'echo $$; while :; do sleep 1000; done' &\necho $$\nwait\nwait\n";
    site.program("program", program);
    let (host, left) = run_host(&site, 2);
    kill(host);
    assert!(left.iter().all(|pid| is_running(pid)), "{left:?}");
    let mut running = site.up().await;
    let Event::Swept { instance, group } = running.event().await else { panic!("nothing was swept") };
    assert_eq!(instance, "web.1");
    assert!(left.contains(&group.to_string()), "{group} is none of {left:?}");
    assert!(!left.iter().any(|pid| is_running(pid)), "{left:?}");
    assert_eq!(running.until("web.1 is ready").await, ["web.1 starts", "web.1 is ready"]);
    running.down().await;
}

#[tokio::test]
async fn a_child_whose_parent_is_gone_is_recognised_by_its_environment() {
    let site = Site::with("sleep 1000");
    site.program("program", "#!/bin/sh\necho $$\nsh -c 'echo $$; exec sleep 1000' &\nwait\n");
    let (host, left) = run_host(&site, 2);
    // The parent goes while nobody is there to notice.
    kill(host);
    Command::new("kill").args(["-9", &left[0]]).status().unwrap();
    while is_running(&left[0]) {
        tokio::task::yield_now().await;
    }
    assert!(is_running(&left[1]));
    let mut running = site.up().await;
    assert!(matches!(running.event().await, Event::Swept { .. }));
    assert!(!is_running(&left[1]));
    running.down().await;
}

#[tokio::test]
async fn a_fermata_beside_another_lets_its_processes_live() {
    let (mine, other) = (Site::with("sleep 1000"), Site::with("sh -c 'echo $$$$; sleep 1000'"));
    let mut theirs = other.up().await;
    let pid = theirs.line().await.text;
    let mut running = mine.up().await;
    assert_eq!(running.until("web.1 is ready").await, ["web.1 starts", "web.1 is ready"]);
    running.down().await;
    assert!(is_running(&pid));
    theirs.down().await;
}

#[tokio::test]
async fn a_pid_that_was_given_to_somebody_else_is_left_alone() {
    let site = Site::with("sleep 1000");
    let bystander = Bystander::start();
    let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap();
    let group = |leader: &str| {
        let grace = r#"{"secs": 1, "nanos": 0}"#;
        format!(r#"{{"instance": "web.1", "invocation": "f00", "stop_grace": {grace}, "leader": {leader}}}"#)
    };
    let reused = group(&format!(r#"{{"pid": {}, "start": 1}}"#, bystander.pid()));
    let groups = format!("[{reused}, {}]", group("null"));
    roster(&site, &format!(r#"{{"version": 1, "boot": "{}", "groups": {groups}}}"#, boot.trim()));
    let mut running = site.up().await;
    assert_eq!(running.until("web.1 is ready").await, ["web.1 starts", "web.1 is ready"]);
    running.down().await;
    assert!(is_running(&bystander.pid()));
}

#[tokio::test]
async fn what_was_started_just_before_the_end_and_what_checks_left_is_found_by_its_environment() {
    let site = Site::with("sleep 1000");
    // Other runs of this test may be under way.
    let invocation = &format!("test-{}", std::process::id());
    let started = Bystander::with(&[("FERMATA_INVOCATION", invocation)]);
    let check = Bystander::with(&[("FERMATA_CHECK", invocation), ("FERMATA_INVOCATION", "other")]);
    let other = Bystander::with(&[("FERMATA_INVOCATION", &format!("{invocation}1"))]);
    let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap();
    let grace = r#"{"secs": 1, "nanos": 0}"#;
    let group =
        format!(r#"{{"instance": "web.1", "invocation": "{invocation}", "stop_grace": {grace}, "leader": null}}"#);
    roster(&site, &format!(r#"{{"version": 1, "boot": "{}", "groups": [{group}]}}"#, boot.trim()));
    let mut running = site.up().await;
    let swept = running.until("web.1 starts").await;
    assert_eq!(swept.len(), 3, "{swept:?}");
    assert!(!is_running(&started.pid()) && !is_running(&check.pid()) && is_running(&other.pid()));
    running.down().await;
}

#[tokio::test]
async fn a_roster_of_another_boot_says_nothing() {
    let site = Site::with("sleep 1000");
    let bystander = Bystander::start();
    let stat = fs::read_to_string(format!("/proc/{}/stat", bystander.pid())).unwrap();
    let began = stat.rsplit_once(") ").unwrap().1.split(' ').nth(19).unwrap();
    let leader = format!(r#"{{"pid": {}, "start": {began}}}"#, bystander.pid());
    let grace = r#"{"secs": 1, "nanos": 0}"#;
    let group = format!(r#"{{"instance": "web.1", "invocation": "f00", "stop_grace": {grace}, "leader": {leader}}}"#);
    roster(&site, &format!(r#"{{"version": 1, "boot": "another", "groups": [{group}]}}"#));
    let mut running = site.up().await;
    running.until("web.1 is ready").await;
    running.down().await;
    assert!(is_running(&bystander.pid()));
}

#[tokio::test]
async fn a_roster_that_cannot_be_read_is_told_and_hinders_nothing() {
    for (text, why) in [
        ("{\"version\": 1, \"bo", "EOF while parsing a string at line 1 column 18"),
        ("{\"version\": 7, \"boot\": \"x\", \"groups\": []}", "it was written by another version (7)"),
    ] {
        let site = Site::with("sleep 1000");
        roster(&site, text);
        let mut running = site.up().await;
        let path = site.state().join("processes.json");
        let wanted = format!(
            "{} cannot be read: {why}; if an earlier run was killed, its processes may still be there: look for \
             FERMATA_INVOCATION= in their environment",
            path.display()
        );
        assert_eq!(running.until("web.1 is ready").await, [&wanted, "web.1 starts", "web.1 is ready"]);
        running.down().await;
    }
}

#[tokio::test]
async fn a_roster_that_cannot_be_written_is_told_once_and_hinders_nothing() {
    let site = Site::with("sh -c 'exit 1'");
    // What a full disk would do: the file cannot be made.
    fs::create_dir_all(site.state().join("processes.json.new")).unwrap();
    let mut running = site.up().await;
    let mut seen = running.until("web.1 ended").await;
    seen.extend(running.until("web.1 ended").await);
    let troubles: Vec<&String> = seen.iter().filter(|text| text.contains("cannot be written")).collect();
    let wanted = format!(
        "web.1: {} cannot be written: Is a directory (os error 21); services run on, but if this fermata is killed, \
         the next one will not find their processes",
        site.state().join("processes.json").display()
    );
    assert_eq!(troubles, [&wanted]);
    running.down().await;
}

#[test]
fn a_state_folder_is_held_by_one_fermata_and_the_second_is_told_which() {
    let site = Site::new();
    let lock = StateLock::take(&site.state()).unwrap();
    let refused = StateLock::take(&site.state()).unwrap_err();
    let wanted = format!(
        "the state folder {} is used by another fermata (pid {}); stop that one, or choose another folder with \
         --state-dir",
        site.state().display(),
        std::process::id()
    );
    assert_eq!(refused.to_string(), wanted);
    drop(Roster::open(&lock));
    drop(lock);
    StateLock::take(&site.state()).unwrap();
}

#[test]
fn a_state_folder_that_cannot_be_made_is_told() {
    let site = Site::new();
    site.file("state", "");
    let refused = StateLock::take(&site.state()).unwrap_err();
    let wanted = format!(
        "the state folder {} cannot be used: File exists (os error 17); choose another one with --state-dir",
        site.state().display()
    );
    assert_eq!(refused.to_string(), wanted);
}
