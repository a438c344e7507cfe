//! `fermata firewall`: what should be open, against what is; and the changes, which go away unless they are confirmed.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::json;

use super::file::{self, Loaded};
use super::{Answer, Failure, state_dir};
use crate::cli::{Firewall, FirewallAct, FirewallAllow, FirewallApply, FirewallDeny, FirewallPlan, Format};
use crate::firewall::apply::{self, ApplyError, WATCHING};
use crate::firewall::observe::{Observed, Table, observe};
use crate::firewall::openings::{doors, unopened, without_balancers};
use crate::firewall::others::Other;
use crate::firewall::{Door, Plan, State, now, peek, plan, span, unit::unit};

/// Runs it.
pub fn run(args: &Firewall) -> Result<Answer, Failure> {
    let folder = state_dir(args.state_dir.as_deref());
    match &args.act {
        FirewallAct::Plan(args) => show(args, &folder),
        FirewallAct::Apply(args) => load(args, &folder),
        FirewallAct::Confirm => {
            apply::confirm(&folder).map_err(failed)?;
            anstream::println!("confirmed: these rules stay; to have them after a reboot, see fermata firewall unit");
            Ok(Answer::Yes)
        }
        FirewallAct::Allow(args) => allow(args, &folder),
        FirewallAct::Deny(args) => deny(args, &folder),
        FirewallAct::List { format } => list(*format, &folder),
        FirewallAct::Unit => {
            let program = std::env::current_exe().map_err(|error| Failure::No(error.to_string()))?;
            let folder = std::path::absolute(&folder).map_err(|error| Failure::No(error.to_string()))?;
            anstream::print!("{}", unit(&program, &folder));
            Ok(Answer::Yes)
        }
        FirewallAct::Watch { id, seconds } => watch(&folder, id, *seconds),
    }
}

/// The time for a `confirm`, on a command line: long enough to type it, short enough to wait for.
pub fn window(text: &str) -> Result<Duration, String> {
    let time = whole_seconds(text)?;
    let most = Duration::from_hours(1);
    if time > most { Err("wait at most 1h".to_owned()) } else { Ok(time) }
}

/// The time of a door, on a command line.
pub fn time(text: &str) -> Result<Duration, String> {
    let time = whole_seconds(text)?;
    // What the kernel counts in milliseconds of 64 bits is more than enough, and this is ten years.
    let most = Duration::from_hours(10 * 365 * 24);
    if time > most { Err("for more than ten years, leave --for out".to_owned()) } else { Ok(time) }
}

fn whole_seconds(text: &str) -> Result<Duration, String> {
    let time = super::duration(text)?;
    if time < Duration::from_secs(1) { Err("the shortest time is 1s".to_owned()) } else { Ok(time) }
}

/// Leaves the terminal's session first: what ends that session must not end this.
fn watch(folder: &Path, id: &str, seconds: u64) -> Result<Answer, Failure> {
    rustix::process::setsid().map_err(|error| Failure::No(error.to_string()))?;
    anstream::println!("{WATCHING}");
    apply::watch(folder, id, Duration::from_secs(seconds)).map_err(failed)?;
    Ok(Answer::Yes)
}

#[allow(clippy::needless_pass_by_value, reason = "it is what map_err gives")]
fn failed(error: ApplyError) -> Failure {
    Failure::No(error.to_string())
}

fn remembered(folder: &Path) -> Result<State, Failure> {
    peek(folder).map_err(|error| Failure::No(error.to_string()))
}

/// `None` means that what is wrong with the file has been printed.
fn planned(path: Option<&PathBuf>, folder: &Path) -> Result<Option<Plan>, Failure> {
    let Some(Loaded { spec, .. }) = file::load(path.map(PathBuf::as_path))? else { return Ok(None) };
    let mut plan = Plan::new(doors(&spec), &remembered(folder)?, &observe(), now());
    for gate in unopened(&spec).into_iter().filter(|gate| !plan.rules.lets_in(*gate)) {
        plan.notes.push(format!(
            "the file publishes {gate}, and nothing opens it: fermata firewall allow {gate}, or a rule under firewall"
        ));
    }
    for gate in without_balancers(&spec) {
        plan.notes.push(format!(
            "the rule for {gate} lets in load balancers, and the file names none: list them under gateway.trusted_proxies"
        ));
    }
    Ok(Some(plan))
}

fn show(args: &FirewallPlan, folder: &Path) -> Result<Answer, Failure> {
    let Some(plan) = planned(args.file.as_ref(), folder)? else { return Ok(Answer::No) };
    match args.format {
        Format::Json => anstream::println!("{}", super::json(&plan.json())),
        Format::Human => anstream::print!("{plan}"),
    }
    Ok(Answer::Yes)
}

fn load(args: &FirewallApply, folder: &Path) -> Result<Answer, Failure> {
    if args.at_boot {
        apply::at_boot(folder).map_err(failed)?;
        return Ok(Answer::Yes);
    }
    let Some(plan) = planned(args.file.as_ref(), folder)? else { return Ok(Answer::No) };
    if let Table::Unseen(why) = &plan.table {
        return Err(Failure::No(format!("nothing was changed: {why}")));
    }
    anstream::print!("{plan}");
    if plan.other.is_some() {
        return Err(Failure::No("nothing was changed: two firewalls on one machine contradict each other".into()));
    }
    if plan.changes.is_empty() && plan.is_confirmed() {
        return Ok(Answer::Yes);
    }
    apply::apply(&plan, folder, args.confirm_within).map_err(failed)?;
    let time = span(args.confirm_within);
    anstream::println!(
        "applied for {time}: try a new connection, then fermata firewall confirm; otherwise it goes away"
    );
    Ok(Answer::Yes)
}

fn allow(args: &FirewallAllow, folder: &Path) -> Result<Answer, Failure> {
    let door = Door { gate: args.port, from: args.from };
    let observed = observe();
    if let Some(other) = observed.other {
        return Ok(theirs(other, &door, true));
    }
    let until = args.time.map(|time| now() + time.as_secs().max(1));
    let ((), is_loaded) = apply::by_hand(folder, |state| state.hand.allow(door, until)).map_err(failed)?;
    let time = args.time.map(|time| format!(", for {}", span(time))).unwrap_or_default();
    anstream::println!("open: {}{time}", line(&door));
    tell_if_not_loaded(is_loaded);
    Ok(Answer::Yes)
}

fn deny(args: &FirewallDeny, folder: &Path) -> Result<Answer, Failure> {
    let door = Door { gate: args.port, from: args.from };
    let observed = observe();
    if let Some(other) = observed.other {
        return Ok(theirs(other, &door, false));
    }
    let (gate, from) = (args.port, args.from);
    let known = remembered(folder)?;
    let is_ssh = |port| observed.ssh.contains(port) || known.base.iter().any(|base| base.ssh.contains(port));
    if gate == crate::firewall::Gate::tcp(gate.port) && is_ssh(&gate.port) {
        return Err(Failure::No(format!("{gate} is how SSH comes in, and is never closed by fermata")));
    }
    let (did, is_loaded) = apply::by_hand(folder, |state| {
        let forgot = state.hand.forget(gate, from);
        let by_file = from.is_none() && state.base.iter().any(|base| base.doors.iter().any(|door| door.gate == gate));
        let denied = by_file && state.hand.denied.insert(gate);
        forgot || denied
    })
    .map_err(failed)?;
    if !did {
        return Err(Failure::No(format!("{} was not open", line(&door))));
    }
    anstream::println!("closed to new connections: {}", line(&door));
    tell_if_not_loaded(is_loaded);
    Ok(Answer::Yes)
}

fn line(door: &Door) -> String {
    match door.from {
        None => door.gate.to_string(),
        Some(from) => format!("{} from {from}", door.gate),
    }
}

fn tell_if_not_loaded(is_loaded: bool) {
    if !is_loaded {
        anstream::println!("remembered; it takes effect with fermata firewall apply, since the table is not loaded");
    }
}

/// Another firewall's own words, and a "no": nothing was changed.
fn theirs(other: Other, door: &Door, open: bool) -> Answer {
    let name = other.name();
    anstream::println!("{name} is in charge of this machine's firewall; nothing was changed. In {name}'s own words:");
    for command in other.one(door, open) {
        anstream::println!("  {command}");
    }
    Answer::No
}

fn list(format: Format, folder: &Path) -> Result<Answer, Failure> {
    let (state, observed) = (remembered(folder)?, observe());
    match format {
        Format::Human => anstream::print!("{}", listed(&state, &observed)),
        Format::Json => anstream::println!("{}", super::json(&listed_for_programs(&state, &observed))),
    }
    Ok(Answer::Yes)
}

fn listed(state: &State, observed: &Observed) -> String {
    let (mut lines, rules) = match &observed.table {
        Table::Loaded(loaded) => (vec!["table inet fermata is loaded; open:".to_owned()], Some(&loaded.rules)),
        Table::Absent => (vec!["table inet fermata is not loaded, so it closes nothing".to_owned()], None),
        Table::Unseen(why) => (vec![format!("what is loaded cannot be seen: {why}")], None),
    };
    if let Some(rules) = rules {
        lines.extend(rules.ssh.iter().map(|port| format!("  {:<9}  from anywhere (ssh)", format!("{port}/tcp"))));
        for (door, left) in &rules.doors {
            let by_hand = state.hand.allowed.iter().any(|allowed| allowed.door == *door);
            let time = left.map(|left| format!(", for {} more", span(left))).unwrap_or_default();
            lines.push(format!("  {door}{time}{}", if by_hand { " (by hand)" } else { "" }));
        }
        lines.extend(rules.bridges.iter().map(|name| format!("  everything from containers behind {name}")));
    } else {
        lines.extend(state.hand.allowed.iter().map(|allowed| format!("  remembered: {}", allowed.door)));
    }
    lines.extend(state.hand.denied.iter().map(|gate| format!("closed by hand: {gate}")));
    let empty = crate::firewall::Rules::default();
    lines.extend(plan::docker(&observed.published, rules.unwrap_or(&empty)).map(|note| format!("note: {note}")));
    lines.extend(observed.other.map(|other| format!("{} is in charge of this machine's firewall", other.name())));
    if let Some(pending) = &state.pending {
        let left = span(Duration::from_secs(pending.until.saturating_sub(now())));
        lines.push(format!("awaits fermata firewall confirm, for {left} more; then it goes away"));
    }
    lines.join("\n") + "\n"
}

fn listed_for_programs(state: &State, observed: &Observed) -> serde_json::Value {
    let (loaded, rules) = match &observed.table {
        Table::Loaded(loaded) => (json!(true), Some(&loaded.rules)),
        Table::Absent => (json!(false), None),
        Table::Unseen(_) => (serde_json::Value::Null, None),
    };
    json!({
        "loaded": loaded,
        "open": rules.map(plan::doors).unwrap_or_default(),
        "ssh": rules.map(|rules| rules.ssh.clone()).unwrap_or_default(),
        "by_hand": state.hand,
        "published_by_docker": observed.published,
        "other": observed.other.map(Other::name),
        "pending_until": state.pending.as_ref().map(|pending| pending.until),
    })
}
