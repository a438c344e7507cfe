//! What would change: pure, a value that can be printed, compared and loaded.

use std::collections::BTreeSet;
use std::fmt;
use std::time::Duration;

use serde_json::{Value, json};

use super::observe::{Observed, Table};
use super::others::Other;
use super::rules::{Door, Gate, Rules, span};
use super::ruleset;
use super::state::{Base, State};

/// Two clocks count a door's time, ours and the kernel's, in whole seconds and not from the same moment.
const TOLERANCE: Duration = Duration::from_secs(5);

/// One difference.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// A door opens, for good or for a time.
    Open(Door, Option<Duration>),
    /// A door closes.
    Close(Door),
    /// A door stays, and its time is another.
    Time(Door, Option<Duration>),
    /// A port of SSH opens.
    Ssh(u16),
    /// A port that was SSH's is so no more.
    SshGone(u16),
    /// What comes from a bridge is let in.
    Bridge(String),
    /// A bridge is gone.
    BridgeGone(String),
    /// Everything that is not open closes.
    Enforce,
    /// Somebody changed the table; it becomes ours again.
    Repair,
}

/// What is there, and what becomes of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// What is loaded now.
    pub table: Table,
    /// The differences; empty: nothing is to be done.
    pub changes: Vec<Change>,
    /// What is to be loaded.
    pub rules: Rules,
    /// The same, as it is remembered.
    pub base: Base,
    /// Who is in charge instead.
    pub other: Option<Other>,
    /// Ports that something listens on now and that would be closed.
    pub closes: BTreeSet<Gate>,
    /// What else there is to know.
    pub notes: Vec<String>,
}

impl Plan {
    /// Compares what a file wants with what is there.
    pub fn new(doors: BTreeSet<Door>, state: &State, observed: &Observed, now: u64) -> Plan {
        let mut ssh = observed.ssh.clone();
        // The port by which somebody came in once is not closed because this time nobody came in by it.
        ssh.extend(state.base.iter().flat_map(|base| &base.ssh));
        let base = Base { doors, ssh, bridges: observed.bridges.clone() };
        let rules = state.rules(&base, now);
        let changes = match &observed.table {
            Table::Loaded(loaded) => {
                let repair = (!loaded.intact).then_some(Change::Repair);
                repair.into_iter().chain(differences(&loaded.rules, &rules)).collect()
            }
            Table::Absent | Table::Unseen(_) => {
                differences(&Rules::default(), &rules).into_iter().chain([Change::Enforce]).collect()
            }
        };
        let unseen = |gate: &&Gate| !rules.lets_in(**gate) && !observed.published.contains(*gate);
        let closes = observed.listening.iter().filter(unseen).copied().collect();
        let notes = docker(&observed.published, &rules).into_iter().collect();
        Plan { table: observed.table.clone(), changes, rules, base, other: observed.other, closes, notes }
    }

    /// Whether what is loaded stays without a `confirm`.
    pub fn is_confirmed(&self) -> bool {
        matches!(&self.table, Table::Loaded(loaded) if loaded.probation.is_none())
    }

    /// What nft is given (libnftables-json(5)). `probation`: how long ports stay closed unless somebody confirms.
    pub fn script(&self, probation: Option<Duration>) -> Value {
        ruleset::script(&self.rules, probation)
    }

    /// For programs.
    pub fn json(&self) -> Value {
        let (loaded, unseen) = match &self.table {
            Table::Unseen(why) => (Value::Null, json!(why)),
            Table::Absent => (json!(false), Value::Null),
            Table::Loaded(_) => (json!(true), Value::Null),
        };
        json!({
            "loaded": loaded,
            "unseen": unseen,
            "other": self.other.map(Other::name),
            "changes": self.changes.iter().map(ToString::to_string).collect::<Vec<_>>(),
            "open": doors(&self.rules),
            "ssh": self.rules.ssh,
            "closes": self.closes,
            "notes": self.notes,
        })
    }
}

/// Doors for programs.
pub fn doors(rules: &Rules) -> Vec<Value> {
    let door = |(door, left): (&Door, &Option<Duration>)| {
        json!({
            "port": door.gate.port,
            "protocol": door.gate.protocol.name(),
            "from": door.from.map(|network| network.to_string()),
            "seconds": left.map(|left| left.as_secs()),
        })
    };
    rules.doors.iter().map(door).collect()
}

/// What Docker's published ports mean.
pub fn docker(published: &BTreeSet<Gate>, rules: &Rules) -> Option<String> {
    let past: Vec<String> = published.iter().filter(|gate| !rules.lets_in(**gate)).map(Gate::to_string).collect();
    (!past.is_empty()).then(|| {
        format!(
            "Docker publishes {}: such connections are forwarded and never come by this table, so they are open \
             whatever it says; publish on 127.0.0.1 what is not for everybody, or filter in Docker's chain DOCKER-USER",
            past.join(", ")
        )
    })
}

fn differences(loaded: &Rules, wanted: &Rules) -> Vec<Change> {
    let mut changes = Vec::new();
    for (door, left) in &wanted.doors {
        match loaded.doors.get(door) {
            None => changes.push(Change::Open(*door, *left)),
            Some(now) if !about_equal(*now, *left) => changes.push(Change::Time(*door, *left)),
            Some(_) => {}
        }
    }
    let gone = loaded.doors.keys().filter(|door| !wanted.doors.contains_key(door));
    changes.extend(gone.map(|door| Change::Close(*door)));
    changes.extend(wanted.ssh.difference(&loaded.ssh).map(|port| Change::Ssh(*port)));
    changes.extend(loaded.ssh.difference(&wanted.ssh).map(|port| Change::SshGone(*port)));
    changes.extend(wanted.bridges.difference(&loaded.bridges).map(|name| Change::Bridge(name.clone())));
    changes.extend(loaded.bridges.difference(&wanted.bridges).map(|name| Change::BridgeGone(name.clone())));
    changes
}

fn about_equal(one: Option<Duration>, other: Option<Duration>) -> bool {
    match (one, other) {
        (Some(one), Some(other)) => one.abs_diff(other) <= TOLERANCE,
        (one, other) => one == other,
    }
}

impl fmt::Display for Change {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Change::Open(door, None) => write!(out, "+ {door}"),
            Change::Open(door, Some(left)) => write!(out, "+ {door}, for {}", span(*left)),
            Change::Close(door) => write!(out, "- {door}"),
            Change::Time(door, None) => write!(out, "~ {door}, from now on for good"),
            Change::Time(door, Some(left)) => write!(out, "~ {door}, from now on for {}", span(*left)),
            Change::Ssh(port) => write!(out, "+ {:<9}  from anywhere (ssh)", Gate::tcp(*port).to_string()),
            Change::SshGone(port) => write!(out, "- {:<9}  from anywhere (ssh)", Gate::tcp(*port).to_string()),
            Change::Bridge(name) => write!(out, "+ everything   from containers behind {name}"),
            Change::BridgeGone(name) => write!(out, "- everything   from containers behind {name}"),
            Change::Enforce => write!(out, "- everything else: new TCP connections and UDP datagrams from outside"),
            Change::Repair => write!(out, "~ the table was changed by somebody else; it is written again"),
        }
    }
}

impl fmt::Display for Plan {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.table {
            Table::Unseen(why) => writeln!(out, "what is loaded cannot be seen: {why}; if nothing is, this changes:")?,
            Table::Absent => writeln!(out, "table inet fermata is not loaded; this changes:")?,
            Table::Loaded(_) if self.changes.is_empty() => {
                writeln!(out, "nothing changes: it is loaded as it should be")?;
            }
            Table::Loaded(_) => writeln!(out, "table inet fermata is loaded; this changes:")?,
        }
        for change in &self.changes {
            writeln!(out, "  {change}")?;
        }
        if !self.closes.is_empty() {
            let ports: Vec<String> = self.closes.iter().map(Gate::to_string).collect();
            writeln!(out, "something listens there, and nobody from outside gets in: {}", ports.join(", "))?;
        }
        for note in &self.notes {
            writeln!(out, "note: {note}")?;
        }
        if let Some(other) = self.other {
            writeln!(
                out,
                "{0} is in charge of this machine's firewall, and is left alone; {0}'s own words:",
                other.name()
            )?;
            for command in other.open(&self.rules) {
                writeln!(out, "  {command}")?;
            }
        }
        Ok(())
    }
}
