//! Ends a process group: TERM, and KILL to what is left after a while.

use std::pin::pin;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::time::{sleep, timeout};

use super::procs;

/// How long to wait before looking at a group again: the first time, and at most.
const FIRST_LOOK: Duration = Duration::from_millis(5);
const LAST_LOOK: Duration = Duration::from_millis(100);
/// How long KILL may take. What is left then belongs to another user, or hangs inside the kernel.
const KILL_GRACE: Duration = Duration::from_secs(5);

/// A group that is still there after KILL.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("process group {group} is still there after KILL ({why}); end it by hand: kill -9 -- -{group}")]
pub(super) struct Unkillable {
    group: i32,
    why: String,
}

/// Ends the group and returns when `gone` does.
pub(super) async fn end(group: Pid, grace: Duration, gone: impl Future<Output = ()>) -> Result<(), Unkillable> {
    let mut gone = pin!(gone);
    // Signals fail where nobody is left, which is what they are sent for; other failures are told after the last one.
    let _ = kill_process_group(group, Signal::TERM);
    // One that is stopped takes TERM only when it goes on.
    let _ = kill_process_group(group, Signal::CONT);
    if timeout(grace, &mut gone).await.is_ok() {
        return Ok(());
    }
    let sent = kill_process_group(group, Signal::KILL);
    timeout(KILL_GRACE, gone).await.map_err(|_| Unkillable {
        group: group.as_raw_nonzero().get(),
        why: sent.err().map_or_else(|| "it hangs inside the kernel".to_owned(), |err| err.to_string()),
    })
}

/// Returns when no process of the group runs any more.
pub(super) async fn gone(group: Pid) {
    let mut look = FIRST_LOOK;
    while procs::is_group_living(group.as_raw_nonzero().get()) {
        sleep(look).await;
        look = (look * 2).min(LAST_LOOK);
    }
}
