//! Ends what an earlier Fermata left behind when it was killed.
//!
//! Never by a pid alone, which may have been given to somebody else since: a group is ended when the process that leads
//! it started at the time that was written down, or when one of its processes carries the invocation in its environment.

use std::collections::BTreeSet;

use rustix::process::Pid;
use tokio::sync::mpsc::UnboundedSender;
use tokio::task::JoinSet;

use super::event::Event;
use super::group;
use super::process::{CHECK, INVOCATION};
use super::procs::{self, Stat};
use super::state::{Group, Roster};

/// Ends every group that the roster of an earlier run names, all at once, and returns when they are gone.
pub(super) async fn sweep(roster: &mut Roster, events: &UnboundedSender<Event>) {
    let leftover = roster.leftover();
    let tell = |event| {
        let _ = events.send(event);
    };
    leftover.trouble.into_iter().for_each(|text| tell(Event::Trouble(text)));
    let mut ending = JoinSet::new();
    for left in &leftover.groups {
        for number in numbers(left, &procs::all()) {
            tell(Event::Swept { instance: left.instance.clone(), group: number });
            if let Some(number) = Pid::from_raw(number) {
                // From here on the number alone will do: it stays taken while the group lives, and none comes round
                // again between two looks.
                ending.spawn(group::end(number, left.stop_grace, group::gone(number)));
            }
        }
    }
    while let Some(ended) = ending.join_next().await {
        if let Ok(Err(unkillable)) = ended {
            tell(Event::Trouble(unkillable.to_string()));
        }
    }
    for group in leftover.groups {
        roster.forget(&group.invocation).into_iter().for_each(|text| tell(Event::Trouble(text)));
    }
}

/// The process groups in which something of `group` is left: its own, and those of its health checks.
fn numbers(group: &Group, all: &[Stat]) -> BTreeSet<i32> {
    let own = rustix::process::getpgrp().as_raw_nonzero().get();
    let living = all.iter().filter(|stat| stat.is_living() && stat.group != own);
    living.filter(|stat| belongs(group, stat)).map(|stat| stat.group).collect()
}

fn belongs(group: &Group, stat: &Stat) -> bool {
    let carries = |variable| procs::was_started_with(stat.pid, variable, &group.invocation);
    match group.leader {
        Some(leader) if leader.pid == stat.pid => leader.start == stat.start && stat.group == stat.pid,
        Some(leader) if leader.pid == stat.group => carries(INVOCATION),
        // Killed before it could write down the pid: only the process that leads its group is certainly ours to end.
        None if stat.pid == stat.group => carries(INVOCATION) || carries(CHECK),
        _ => carries(CHECK),
    }
}
