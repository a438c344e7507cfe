//! The kernel's table of processes (`proc_pid_stat(5)`), as far as process groups are concerned.
//!
//! Only looks; signals are sent elsewhere.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::time::Duration;

use super::usage::Usage;

/// What is known of one process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stat {
    pub(super) pid: i32,
    /// Its process group.
    pub(super) group: i32,
    /// When it started, in clock ticks since boot: together with the pid it names one process for ever.
    pub(super) start: u64,
    state: u8,
    /// Clock ticks that CPUs have worked for it, and for children that it has waited for.
    ticks: u64,
    /// Pages of memory that are resident.
    pages: u64,
}

impl Stat {
    /// Whether it still runs; a zombie only waits for its parent to notice its end.
    pub(super) fn is_living(&self) -> bool {
        !matches!(self.state, b'Z' | b'X' | b'x')
    }

    fn parse(text: &str) -> Option<Stat> {
        // The second field is the program's name in parentheses, which may hold blanks and parentheses itself.
        let (before, after) = text.rsplit_once(')')?;
        let fields: Vec<&str> = after.split_ascii_whitespace().collect();
        let field = |number: usize| fields.get(number - 3).copied();
        Some(Stat {
            pid: before.split_once(' ')?.0.parse().ok()?,
            group: field(5)?.parse().ok()?,
            start: field(22)?.parse().ok()?,
            state: *field(3)?.as_bytes().first()?,
            ticks: (14..=17).map(|number| field(number)?.parse::<u64>().ok()).sum::<Option<u64>>()?,
            pages: field(24)?.parse().ok()?,
        })
    }
}

/// One process.
pub(super) fn stat(pid: i32) -> Option<Stat> {
    Stat::parse(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
}

/// All processes.
pub(super) fn all() -> Vec<Stat> {
    let Ok(folder) = fs::read_dir("/proc") else { return Vec::new() };
    let pids = folder.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    pids.filter_map(stat).collect()
}

/// What the processes of each of these groups use together.
pub(super) fn usage(groups: &BTreeSet<i32>) -> BTreeMap<i32, Usage> {
    let (second, page) = (rustix::param::clock_ticks_per_second(), rustix::param::page_size() as u64);
    let mut usages: BTreeMap<i32, Usage> = BTreeMap::new();
    for stat in all().iter().filter(|stat| groups.contains(&stat.group)) {
        let usage = usages.entry(stat.group).or_default();
        usage.cpu += Duration::from_millis(stat.ticks * 1000 / second.max(1));
        usage.memory += stat.pages * page;
    }
    usages
}

/// Whether a process of this group still runs.
pub(super) fn is_group_living(group: i32) -> bool {
    all().iter().any(|stat| stat.group == group && stat.is_living())
}

/// Whether a process of this group runs whose environment holds `variable=value`.
pub(super) fn is_group_of(group: i32, variable: &str, value: &str) -> bool {
    let living = all().into_iter().filter(|stat| stat.group == group && stat.is_living());
    living.into_iter().any(|stat| was_started_with(stat.pid, variable, value))
}

/// Whether the environment that this process was started with holds `variable=value`.
pub(super) fn was_started_with(pid: i32, variable: &str, value: &str) -> bool {
    let Ok(environ) = fs::read(format!("/proc/{pid}/environ")) else { return false };
    let wanted = format!("{variable}={value}");
    environ.split(|byte| *byte == 0).any(|each| each == wanted.as_bytes())
}

/// Tells this boot of the machine from all others.
pub(super) fn boot_id() -> io::Result<String> {
    Ok(fs::read_to_string("/proc/sys/kernel/random/boot_id")?.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_name_may_hold_blanks_and_parentheses() {
        let text = "42 (a) b (c)) S 1 40 39 0 -1 4194304 1 2 3 4 5 6 7 8 20 0 1 0 987654 1 2 3\n";
        let stat = Stat { pid: 42, group: 40, start: 987_654, state: b'S', ticks: 5 + 6 + 7 + 8, pages: 2 };
        assert_eq!(Stat::parse(text), Some(stat));
        assert_eq!(Stat::parse("42 (a"), None);
        assert_eq!(Stat::parse("42 (a) S 1 2"), None);
    }

    #[test]
    fn this_process_is_found_with_its_group() {
        let own = stat(std::process::id().cast_signed()).unwrap();
        assert_eq!(own.group, rustix::process::getpgrp().as_raw_nonzero().get());
        let among_all = all().into_iter().any(|stat| stat.pid == own.pid && stat.start == own.start);
        assert!(own.is_living() && is_group_living(own.group) && among_all);
        assert!(usage(&[own.group].into())[&own.group].memory > 0);
    }
}
