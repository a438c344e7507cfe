//! Rules that nobody confirms go away.

use std::fs;

use rustix::process::{Pid, Signal, kill_process};

use crate::lan::{Lan, V4};
use crate::loads::FILE;
use crate::support::until;

#[test]
fn rules_that_nobody_confirms_are_taken_back_whole() {
    let lan = Lan::new(FILE, &[9001]);
    lan.does(&["apply", "--confirm-within", "3s"]);
    assert!(lan.on_server("nft list tables").contains("table inet fermata"));
    until("they are gone", || !lan.on_server("nft list tables").contains("fermata"));
    lan.is_open(9001);
    let late = lan.firewall(&["confirm"]);
    assert_eq!(
        (late.code, late.stderr.as_str()),
        (Some(1), "error: nothing awaits a confirm; rules that were not confirmed in time have been taken back\n")
    );
}

#[test]
fn what_was_there_before_comes_back() {
    let lan = Lan::new(FILE, &[]);
    lan.protect();
    let before = lan.on_server("nft -s list ruleset");
    lan.folder.write("service.yml", &FILE.replace("9000, from", "9002, from"));
    lan.does(&["apply", "--confirm-within", "2s"]);
    let again = lan.firewall(&["allow", "7000"]);
    assert_eq!(again.code, Some(1));
    assert!(again.stderr.contains("earlier rules still await fermata firewall confirm"), "{again:?}");
    until("the old rules are back", || lan.on_server("nft -s list ruleset") == before);
}

#[test]
fn the_kernel_opens_everything_again_even_if_all_of_fermata_is_killed() {
    let lan = Lan::new(FILE, &[9001]);
    lan.does(&["apply", "--confirm-within", "5s"]);
    let watching = watching(&lan);
    kill_process(watching, Signal::KILL).expect("it is there");
    until("ports are open again", || lan.connects(V4, 9001, "1"));
    // Whoever comes next tidies up.
    until("the next command finds nothing in its way", || lan.firewall(&["apply"]).code == Some(0));
}

#[test]
fn rules_that_are_confirmed_stay_and_nothing_watches_any_more() {
    let lan = Lan::new(FILE, &[9001]);
    lan.does(&["apply"]);
    let watching = watching(&lan);
    lan.does(&["confirm"]);
    until("nothing watches", || !is_there(watching));
    lan.is_closed(9001);
}

/// The process that watches this state folder.
fn watching(lan: &Lan) -> Pid {
    let folder = lan.folder.path().join("state").display().to_string();
    let pids = fs::read_dir("/proc").expect("/proc is there").flatten();
    let found = pids.filter_map(|entry| {
        let line = fs::read(entry.path().join("cmdline")).ok()?;
        let line = String::from_utf8_lossy(&line).replace('\0', " ");
        let ours = line.contains("firewall watch") && line.contains(&folder);
        ours.then(|| entry.file_name().to_str()?.parse().ok().and_then(Pid::from_raw)).flatten()
    });
    found.into_iter().next().expect("a process watches")
}

/// Whether it runs; one that has ended and was not waited for does not.
fn is_there(pid: Pid) -> bool {
    let stat = fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_nonzero())).unwrap_or_default();
    stat.rsplit_once(") ").is_some_and(|(_, rest)| !rest.starts_with('Z'))
}
