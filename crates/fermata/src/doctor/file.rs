//! The file, and whether a Fermata runs it.

use fermata_spec::{Outcome, Severity};

use super::{Finding, Topic, several};
use crate::admin::{self, Status};
use crate::report::{Advice, Verdict};

pub(super) fn look(name: &str, checked: &Outcome, running: Option<&Status>) -> Finding {
    let (errors, warnings) = (checked.count(Severity::Error), checked.count(Severity::Warning));
    let of = |severity| checked.diagnostics.iter().find(|said| said.severity == severity);
    let advice = |code, severity, words: &str| {
        let first = of(severity).map(|said| format!(" The first: {}.", said.message)).unwrap_or_default();
        Advice::new(code, format!("{words}{first}"))
            .then("See all of it, with the places in the file:")
            .write(format!("fermata check {name}"))
    };
    let finding = if errors > 0 {
        let advice = advice("file-refused", Severity::Error, "fermata up refuses this file.");
        Finding::broken(Topic::File, None, several(errors, "error"), advice)
    } else if warnings > 0 {
        Finding::works(Topic::File, None, several(warnings, "warning"))
            .advised(Verdict::Remark, advice("file-warned", Severity::Warning, "The file works, and is warned about."))
    } else {
        Finding::works(Topic::File, None, "the file is as it should be")
    };
    match running {
        Some(status) => {
            let up = admin::span(status.uptime);
            finding.detail(format!("fermata (pid {}) runs {} here, up {up}", status.pid, status.file))
        }
        None => finding.detail("no fermata runs with this state folder"),
    }
}
