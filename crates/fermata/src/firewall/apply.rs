//! Loads a plan, all of it or nothing, and takes it back unless it is confirmed. Makes no choices.
//!
//! Two things take it back, each without the other. The kernel stops closing ports when the time is over: the drop
//! rules ask a set whose elements have a time-out, which no crash of ours can prevent. And a process of its own, which
//! has left the terminal and its session, then loads what was there before. It is the one process that outlives its
//! command; the state folder says what it waits for, and it ends with `confirm` or with the time.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use super::observe::{self, Table};
use super::plan::Plan;
use super::ruleset::{self, TABLE};
use super::state::{self, Pending, State, StateError, Store};

/// How often the watching process looks whether somebody has confirmed.
const GLANCE: Duration = Duration::from_millis(100);
/// How long after the time a watching process is given up, and whoever comes next takes the rules back.
const GRACE: u64 = 2;
/// What the watching process says when it watches.
pub const WATCHING: &str = "watching";

/// Why something was not applied. Nothing has changed then, unless it says so.
#[derive(Debug, thiserror::Error)]
pub enum ApplyError {
    /// Rules cannot be loaded.
    #[error("nothing was changed: {0}")]
    Nft(String),
    /// The state folder.
    #[error("nothing was changed: {0}")]
    State(#[from] StateError),
    /// An earlier apply has not been confirmed.
    #[error(
        "nothing was changed: earlier rules still await fermata firewall confirm, for {} more; confirm them or wait",
        super::span(*left)
    )]
    Pending {
        /// The time that is left.
        left: Duration,
    },
    /// The process that takes rules back cannot be started.
    #[error("nothing was changed: the process that would take the rules back cannot be started: {0}")]
    Watch(std::io::Error),
    /// There is nothing to confirm.
    #[error("nothing awaits a confirm; rules that were not confirmed in time have been taken back")]
    NothingPending,
    /// There is nothing to load at boot.
    #[error("nothing was ever confirmed here, so there is nothing to load; run fermata firewall apply, then confirm")]
    NothingConfirmed,
}

/// Loads a plan and goes; what was there before comes back after `within`, unless [`confirm`] comes first.
pub fn apply(plan: &Plan, folder: &Path, within: Duration) -> Result<(), ApplyError> {
    let store = Store::lock(folder)?;
    let mut state = settled(&store)?;
    let before = observe::listing().map_err(ApplyError::Nft)?;
    let id = format!("{:016x}", fastrand::u64(..));
    let until = state::now() + within.as_secs();
    state.pending = Some(Pending { id: id.clone(), base: plan.base.clone(), until, before });
    store.write(&state)?;
    let loaded = watch_from_outside(folder, &id, within)
        .map_err(ApplyError::Watch)
        .and_then(|()| load(&plan.script(Some(within)).to_string()).map_err(ApplyError::Nft));
    if loaded.is_err() {
        state.pending = None;
        store.write(&state)?;
    }
    loaded
}

/// Rules that were applied stay.
pub fn confirm(folder: &Path) -> Result<(), ApplyError> {
    let store = Store::lock(folder)?;
    let mut state = store.read()?;
    if state.pending.as_ref().is_some_and(|pending| pending.until + GRACE < state::now()) {
        take_back(&store, &mut state)?;
    }
    let Some(pending) = state.pending.take() else { return Err(ApplyError::NothingPending) };
    state.base = Some(pending.base);
    load_state(&state)?;
    Ok(store.write(&state)?)
}

/// Loads what was confirmed last, for good: nobody is there to confirm it when a machine boots.
pub fn at_boot(folder: &Path) -> Result<(), ApplyError> {
    let store = Store::lock(folder)?;
    let mut state = store.read()?;
    if state.base.is_none() {
        return Err(ApplyError::NothingConfirmed);
    }
    // Whatever awaited a confirm went with the kernel that had it.
    state.pending = None;
    load_state(&state)?;
    Ok(store.write(&state)?)
}

/// Changes what was decided by hand, and loads it where our table is loaded. Tells whether it was.
pub fn by_hand<T>(folder: &Path, decide: impl FnOnce(&mut State) -> T) -> Result<(T, bool), ApplyError> {
    let store = Store::lock(folder)?;
    let mut state = settled(&store)?;
    let table = observe::observe().table;
    if let Table::Unseen(why) = table {
        return Err(ApplyError::Nft(why));
    }
    let answer = decide(&mut state);
    let is_loaded = matches!(table, Table::Loaded(_)) && state.base.is_some();
    if is_loaded {
        load_state(&state)?;
    }
    store.write(&state)?;
    Ok((answer, is_loaded))
}

/// Waits until rules are confirmed or their time is over, and then loads what was there before them.
pub fn watch(folder: &Path, id: &str, within: Duration) -> Result<(), ApplyError> {
    let deadline = Instant::now() + within;
    let mine = |state: &State| state.pending.as_ref().is_some_and(|pending| pending.id == id);
    while Instant::now() < deadline {
        std::thread::sleep(GLANCE);
        if !mine(&state::peek(folder)?) {
            return Ok(());
        }
    }
    let store = Store::lock(folder)?;
    let mut state = store.read()?;
    if mine(&state) { take_back(&store, &mut state) } else { Ok(()) }
}

/// The state, with nothing that awaits a confirm.
fn settled(store: &Store) -> Result<State, ApplyError> {
    let mut state = store.read()?;
    if let Some(pending) = &state.pending {
        let now = state::now();
        if now <= pending.until + GRACE {
            return Err(ApplyError::Pending { left: Duration::from_secs(pending.until.saturating_sub(now)) });
        }
        take_back(store, &mut state)?;
    }
    Ok(state)
}

fn take_back(store: &Store, state: &mut State) -> Result<(), ApplyError> {
    let Some(pending) = &state.pending else { return Ok(()) };
    let before = pending.before.as_deref().unwrap_or_default();
    // Both lines are needed: to delete a table that is not there is an error, to add one that is there is none.
    let script = format!("table inet {TABLE}\ndelete table inet {TABLE}\n{before}");
    observe::nft(&["-f", "-"], Some(&script)).map_err(ApplyError::Nft)?;
    state.pending = None;
    Ok(store.write(state)?)
}

fn load_state(state: &State) -> Result<(), ApplyError> {
    let Some(base) = &state.base else { return Ok(()) };
    let rules = state.rules(base, state::now());
    load(&ruleset::script(&rules, None).to_string()).map_err(ApplyError::Nft)
}

fn load(script: &str) -> Result<(), String> {
    observe::nft(&["-j", "-f", "-"], Some(script)).map(drop)
}

/// Starts the watching process, and returns when it watches.
fn watch_from_outside(folder: &Path, id: &str, within: Duration) -> std::io::Result<()> {
    let seconds = within.as_secs().to_string();
    let mut command = Command::new(std::env::current_exe()?);
    command.args(["firewall", "watch", id, &seconds, "--state-dir"]).arg(std::path::absolute(folder)?);
    command.current_dir("/").stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut child = command.spawn()?;
    let mut said = String::new();
    if let Some(stdout) = child.stdout.take() {
        BufReader::new(stdout).read_line(&mut said)?;
    }
    if said.trim() == WATCHING { Ok(()) } else { Err(std::io::Error::other("it ended at once")) }
}
