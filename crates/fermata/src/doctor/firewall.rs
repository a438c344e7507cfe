//! Firewalls: whether the file's ports can be reached from outside.

use std::collections::{BTreeMap, BTreeSet};

use fermata_spec::Spec;

use super::{Finding, Topic};
use crate::firewall::observe::{Observed, Table};
use crate::firewall::openings::{doors, unopened};
use crate::firewall::plan::Change;
use crate::firewall::{Closed, Door, Gate, Plan, State, Version, now, span};
use crate::report::{Advice, Verdict};

pub(super) fn look(spec: &Spec, remembered: &State, observed: &Observed) -> Finding {
    if let Table::Unseen(why) = &observed.table {
        let advice = Advice::new("firewall-unseen", format!("Whether a firewall closes ports is not known: {why}."));
        return Finding::works(Topic::Firewall, None, "what is loaded cannot be seen").remark(advice);
    }
    let plan = Plan::new(doors(spec), remembered, observed, now());
    let shut = unopened(spec);
    let wanted: BTreeSet<Gate> = plan.base.doors.iter().map(|door| door.gate).chain(shut.iter().copied()).collect();
    let mut finding = Finding::works(Topic::Firewall, None, in_charge(observed));
    let closed = by_others(&wanted, observed);
    if let Table::Loaded(loaded) = &observed.table {
        let opens = |change: &Change| match change {
            Change::Open(door, _) => Some(door.gate),
            _ => None,
        };
        let missing: BTreeSet<Gate> = plan.changes.iter().filter_map(opens).collect();
        if !missing.is_empty() {
            finding.says = format!("the table inet fermata closes {}", list(&missing));
            finding = finding.advised(Verdict::Broken, not_applied(&missing));
        }
        let shut: BTreeSet<Gate> = shut.into_iter().filter(|gate| !loaded.rules.lets_in(*gate)).collect();
        if !shut.is_empty() {
            finding = finding.remark(not_ruled(&shut));
        }
        if let Some(left) = loaded.probation {
            let says = format!("The table inet fermata is not confirmed, and goes away in {}.", span(left));
            finding = finding.remark(Advice::new("firewall-unconfirmed", says).write("sudo fermata firewall confirm"));
        }
    }
    if let Some(gates) = closed.values().next() {
        finding.says = format!("closed to everybody outside: {}", list(gates));
    }
    closed.iter().fold(finding, |finding, (by, gates)| finding.advised(Verdict::Broken, is_closed(by, gates, observed)))
}

fn in_charge(observed: &Observed) -> String {
    match (&observed.table, observed.other) {
        (_, Some(other)) => format!("{} is in charge, and nothing shows that it closes the file's ports", other.name()),
        (Table::Loaded(_), _) => "the table inet fermata is loaded, and the file's ports are open".to_owned(),
        _ => "nothing closes the file's ports; fermata firewall is not in use".to_owned(),
    }
}

/// Gates by the chain of somebody else's that lets nobody in.
fn by_others(wanted: &BTreeSet<Gate>, observed: &Observed) -> BTreeMap<Closed, BTreeSet<Gate>> {
    let mut closed: BTreeMap<Closed, BTreeSet<Gate>> = BTreeMap::new();
    for gate in wanted {
        for version in [Version::V4, Version::V6] {
            if let Some(by) = observed.ruleset.closes(*gate, version) {
                closed.entry(by).or_default().insert(*gate);
            }
        }
    }
    closed
}

fn is_closed(by: &Closed, gates: &BTreeSet<Gate>, observed: &Observed) -> Advice {
    let says = format!("New connections to {} end in {by}: no rule there lets them in.", list(gates));
    let advice = Advice::new("port-closed", says);
    let lines: Vec<String> = match (observed.other, by.table.as_str()) {
        (Some(other), _) => gates.iter().flat_map(|gate| other.one(&Door { gate: *gate, from: None }, true)).collect(),
        // The names that iptables gives to its table and chain.
        (None, "filter") if by.chain == "INPUT" => {
            let program = if by.family == "ip6" { "ip6tables" } else { "iptables" };
            let line =
                |gate: &Gate| format!("{program} -I INPUT -p {} --dport {} -j ACCEPT", gate.protocol.name(), gate.port);
            gates.iter().map(line).collect()
        }
        _ => {
            let Closed { family, table, chain } = by;
            let line = |gate: &Gate| {
                format!("nft insert rule {family} {table} {chain} {} dport {} accept", gate.protocol.name(), gate.port)
            };
            gates.iter().map(line).collect()
        }
    };
    advice.then("Open them there, in its own words:").write(lines.join("\n"))
}

fn not_applied(gates: &BTreeSet<Gate>) -> Advice {
    Advice::new("firewall-behind", format!("The file opens {}, and the table that is loaded does not.", list(gates)))
        .write("sudo fermata firewall apply\nsudo fermata firewall confirm")
}

fn not_ruled(gates: &BTreeSet<Gate>) -> Advice {
    let lines: Vec<String> = gates.iter().map(|gate| format!("sudo fermata firewall allow {gate}")).collect();
    let says = format!("The file publishes {}, and nothing opens that to the outside.", list(gates));
    Advice::new("port-not-ruled", says)
        .then("If it is meant for the outside, add a rule under firewall, or:")
        .write(lines.join("\n"))
}

fn list(gates: &BTreeSet<Gate>) -> String {
    gates.iter().map(Gate::to_string).collect::<Vec<_>>().join(", ")
}
