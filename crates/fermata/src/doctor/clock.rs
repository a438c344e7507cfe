//! The clock: certificates and sessions are judged by it.

use std::path::Path;
use std::time::{Duration, SystemTime};

use super::{Finding, Topic};
use crate::os;
use crate::report::{Advice, Verdict};

/// What may lie between two clocks that are both right.
const TOLERANCE: Duration = Duration::from_mins(1);

/// Nothing was written after now: what was shows a clock that was set back. `file` is the service.yml.
pub(super) fn look(file: &Path) -> Finding {
    let written = |path: &Path| path.metadata().and_then(|metadata| metadata.modified()).ok();
    let program = std::env::current_exe().ok();
    let traces = [program.as_deref().map(|path| (path, written(path))), Some((file, written(file)))];
    let traces = traces.into_iter().flatten().filter_map(|(path, time)| Some((path, time?)));
    judge(SystemTime::now(), traces.max_by_key(|(_, time)| *time), os::clock_is_kept())
}

fn judge(now: SystemTime, latest: Option<(&Path, SystemTime)>, kept: Option<bool>) -> Finding {
    let says = match kept {
        Some(true) => "kept right by a time service",
        Some(false) => "nobody keeps it right",
        None => "whether it is kept right cannot be seen",
    };
    let mut finding = Finding::works(Topic::Clock, None, says);
    let fix = |advice: Advice| advice.write("timedatectl set-ntp true     # or install chrony");
    if let Some((path, time)) = latest.filter(|(_, time)| *time > now + TOLERANCE) {
        let behind = time.duration_since(now).unwrap_or_default().as_secs();
        finding.says = format!("{} behind", crate::admin::span(behind));
        let advice = Advice::new(
            "clock-behind",
            format!(
                "By this clock {} was written in the future: the clock is behind, and certificates look as if they were \
             not valid yet.",
                path.display()
            ),
        );
        finding = finding.advised(Verdict::Broken, fix(advice));
    } else if kept == Some(false) {
        finding = finding.remark(fix(Advice::new(
            "clock-not-kept",
            "No time service keeps this clock right. It drifts by seconds a day; certificates, ACME and tokens suffer \
             from it.",
        )));
    }
    finding
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_before_what_was_written_is_behind_and_one_that_nobody_keeps_is_remarked() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_hours(500_000);
        let file = |later: u64| Some((Path::new("service.yml"), now + Duration::from_secs(later)));
        let code = |latest, kept| judge(now, latest, kept).advice.first().map(|advice| advice.code);
        assert_eq!(code(file(0), Some(true)), None);
        assert_eq!(code(file(30), None), None);
        assert_eq!(code(file(0), Some(false)), Some("clock-not-kept"));
        assert_eq!(code(file(7200), Some(true)), Some("clock-behind"));
        assert_eq!(judge(now, file(7200), None).says, "2 h 0 min behind");
    }

    #[test]
    fn the_kernel_is_asked() {
        // Which of both depends on the machine; a machine that says nothing is one whose kernel forbids to ask.
        let _ = os::clock_is_kept();
        let finding = look(Path::new("/proc/self/exe"));
        assert_eq!(finding.name, Topic::Clock);
    }
}
