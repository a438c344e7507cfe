//! Descriptors: how many tunnels the limits of the system leave room for.

use std::fs;

use fermata_spec::Spec;
use rustix::process::{Resource, getrlimit};

use super::{Finding, Topic};
use crate::admin::Status;
use crate::limits;
use crate::report::{Advice, Verdict};

/// Descriptors of a process.
struct Allowance {
    /// As many it may have.
    most: u64,
    /// So many it has; `None`: nothing runs.
    used: Option<u64>,
}

/// A share of the limit from which on it is soon reached.
const NEARLY: f64 = 0.9;

pub(super) fn look(spec: &Spec, running: Option<&Status>) -> Finding {
    let of_process = running.and_then(|status| of_process(status.pid));
    let machine = fs::read_to_string("/proc/sys/fs/file-nr").ok().and_then(|text| file_nr(&text));
    judge(spec, &of_process.unwrap_or_else(of_session), machine)
}

fn judge(spec: &Spec, allowance: &Allowance, machine: Option<(u64, u64)>) -> Finding {
    let Allowance { most, used } = *allowance;
    let room = limits::tunnels(most);
    let says = match used {
        Some(used) => format!("{used} of {most} in use; room for {room} tunnels"),
        None => format!("{most} at most for what this session starts: room for {room} tunnels"),
    };
    let mut finding = Finding::works(Topic::Descriptors, None, says);
    if used.is_some_and(|used| used as f64 > most as f64 * NEARLY) {
        let advice = Advice::new(
            "descriptors-nearly-gone",
            "The running fermata has nearly all descriptors in use: soon it \
             takes no more connections.",
        );
        finding = finding.advised(Verdict::Broken, raise(advice));
    }
    if let Some(says) = limits::too_few(spec, most) {
        finding = finding.remark(raise(Advice::new("descriptors-too-few", format!("{says}."))));
    }
    if let Some((open, limit)) = machine.filter(|(open, limit)| *open as f64 > *limit as f64 * NEARLY) {
        let says = format!("All processes together have {open} files open, and the machine allows {limit}.");
        let advice = Advice::new("files-nearly-gone", says).write(format!("sysctl -w fs.file-max={}", limit * 2));
        finding = finding.advised(Verdict::Broken, advice);
    }
    finding
}

fn raise(advice: Advice) -> Advice {
    advice.then("Under systemd: systemctl edit fermata, and then").write("[Service]\nLimitNOFILE=1048576")
}

/// What `fermata up` would have, which raises its limit itself.
fn of_session() -> Allowance {
    Allowance { most: getrlimit(Resource::Nofile).maximum.unwrap_or(u64::MAX), used: None }
}

/// `proc_pid_limits(5)`, `proc_pid_fd(5)`. Another user's process cannot be looked into.
fn of_process(pid: u32) -> Option<Allowance> {
    let limits = fs::read_to_string(format!("/proc/{pid}/limits")).ok()?;
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"))?;
    let most = match line.split_whitespace().next()? {
        "unlimited" => u64::MAX,
        number => number.parse().ok()?,
    };
    let used = fs::read_dir(format!("/proc/{pid}/fd")).ok()?.count() as u64;
    Some(Allowance { most, used: Some(used) })
}

/// Open, and at most (`proc_sys_fs(5)`).
fn file_nr(text: &str) -> Option<(u64, u64)> {
    let mut numbers = text.split_whitespace().map(str::parse);
    Some((numbers.next()?.ok()?, numbers.nth(1)?.ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn codes(gateway: &str, allowance: &Allowance, machine: Option<(u64, u64)>) -> (String, Vec<&'static str>) {
        let text = format!("version: 2\nservices:\n  a:\n    address: 127.0.0.1:3000\ngateway: {{{gateway}}}\n");
        let finding = judge(&fermata_spec::read(&text).spec.expect("a valid file"), allowance, machine);
        (finding.says, finding.advice.iter().map(|advice| advice.code).collect())
    }

    #[test]
    fn room_is_told_in_tunnels_and_too_little_of_it_is_remarked() {
        let idle = Allowance { most: 4096, used: None };
        assert_eq!(
            codes("", &idle, Some((9, 100))),
            ("4096 at most for what this session starts: room for 1998 tunnels".to_owned(), vec![])
        );
        assert_eq!(codes("max_connections: 4000", &idle, None).1, ["descriptors-too-few"]);
    }

    #[test]
    fn limits_that_are_nearly_reached_are_told() {
        let busy = Allowance { most: 1000, used: Some(950) };
        let (says, found) = codes("", &busy, Some((95, 100)));
        assert_eq!(says, "950 of 1000 in use; room for 450 tunnels");
        assert_eq!(found, ["descriptors-nearly-gone", "files-nearly-gone"]);
    }

    #[test]
    fn this_very_process_can_be_looked_into() {
        let seen = of_process(std::process::id()).expect("it is ours");
        assert!(seen.used.is_some_and(|used| used > 2 && used <= seen.most));
        assert_eq!(file_nr("2016\t0\t9223372036854775807\n"), Some((2016, 9_223_372_036_854_775_807)));
    }
}
