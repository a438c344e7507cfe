//! Our table as nftables reads it (libnftables-json(5)), and the names by which it is known again.
//!
//! Sets hold what changes, so that the rules are the same on every machine: one set for everybody's doors, one for each
//! network that some doors are for. A door that closes by itself is an element with a time-out: the kernel counts.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use fermata_spec::Network;
use serde_json::{Value, json};

use super::rules::{Gate, Rules};

/// The table's name, in the family inet.
pub(super) const TABLE: &str = "fermata";
/// While its elements live, ports are closed.
pub(super) const ENFORCED: &str = "enforced";
/// SSH's ports.
pub(super) const SSH: &str = "ssh";
/// Bridges of containers.
pub(super) const BRIDGES: &str = "bridges";
/// Everybody's doors.
pub(super) const OPEN: &str = "open";

/// Doors of one set, and the time that each has.
type Doors = BTreeMap<Gate, Option<Duration>>;

/// What replaces the table, whole, in one transaction. `probation`: how long ports stay closed without `confirm`.
pub(super) fn script(rules: &Rules, probation: Option<Duration>) -> Value {
    let table = json!({"table": {"family": "inet", "name": TABLE}});
    let mut commands = vec![json!({"add": table}), json!({"delete": table}), json!({"add": table})];
    let add = |kind: &str, value: Value| json!({"add": {kind: value}});
    commands.extend(sets(rules, probation).into_iter().map(|set| add("set", set)));
    commands.push(add("chain", chain()));
    commands.extend(chain_rules(rules).into_iter().map(|(comment, expr)| add("rule", rule(&comment, &expr))));
    json!({ "nftables": commands })
}

/// The rules' comments, in order: by them the table is known again.
pub(super) fn comments(networks: impl IntoIterator<Item = Network>) -> Vec<String> {
    let networks: BTreeSet<Network> = networks.into_iter().collect();
    let first = ["established", "loopback", "bridges", "icmp", "ssh", "dhcp", "dhcpv6", "open"];
    let from = networks.iter().map(|network| format!("from {network}"));
    first.map(str::to_owned).into_iter().chain(from).chain(["new tcp", "new udp"].map(str::to_owned)).collect()
}

/// The name of a network's set: letters, digits and underscores are what names are made of.
pub(super) fn set_of(network: Network) -> String {
    let text = format!("from_{}_{}", network.address, network.prefix);
    text.chars().map(|char| if char.is_ascii_alphanumeric() { char } else { '_' }).collect()
}

fn sets(rules: &Rules, probation: Option<Duration>) -> Vec<Value> {
    let enforced = ["ipv4", "ipv6"].map(|family| timed(json!(family), probation));
    let mut sets = vec![
        set(ENFORCED, &json!("nf_proto"), true, enforced.into()),
        set(SSH, &json!("inet_service"), false, rules.ssh.iter().map(|port| json!(port)).collect()),
        set(BRIDGES, &json!("ifname"), false, rules.bridges.iter().map(|name| json!(name)).collect()),
    ];
    let mut by_network: BTreeMap<Option<Network>, Doors> = BTreeMap::from([(None, Doors::new())]);
    for (door, left) in &rules.doors {
        by_network.entry(door.from).or_default().insert(door.gate, *left);
    }
    for (network, doors) in by_network {
        let name = network.map_or_else(|| OPEN.to_owned(), set_of);
        let elements =
            doors.iter().map(|(gate, left)| timed(json!({"concat": [gate.protocol.name(), gate.port]}), *left));
        sets.push(set(&name, &json!(["inet_proto", "inet_service"]), true, elements.collect()));
    }
    sets
}

fn set(name: &str, of: &Value, with_timeouts: bool, elements: Vec<Value>) -> Value {
    let mut set = json!({"family": "inet", "table": TABLE, "name": name, "type": of});
    if with_timeouts {
        set["flags"] = json!(["timeout"]);
    }
    // An empty list of elements is refused.
    if !elements.is_empty() {
        set["elem"] = Value::Array(elements);
    }
    set
}

/// nftables takes whole seconds here; one that is nearly over gets one.
fn timed(value: Value, left: Option<Duration>) -> Value {
    match left {
        None => value,
        Some(left) => json!({"elem": {"val": value, "timeout": left.as_secs().max(1)}}),
    }
}

/// The policy is accept, since only new TCP connections and UDP datagrams are closed: everything else, from ESP to VRRP,
/// is not ours to judge.
fn chain() -> Value {
    json!({"family": "inet", "table": TABLE, "name": "input", "type": "filter", "hook": "input", "prio": 0, "policy": "accept"})
}

fn rule(comment: &str, expr: &Value) -> Value {
    json!({"family": "inet", "table": TABLE, "chain": "input", "comment": comment, "expr": expr})
}

/// Comments and expressions of all rules.
fn chain_rules(rules: &Rules) -> Vec<(String, Value)> {
    let networks: BTreeSet<Network> = rules.doors.keys().filter_map(|door| door.from).collect();
    let mut expressions = vec![
        json!([is_in(&json!({"ct": {"key": "state"}}), &json!(["established", "related"])), accept()]),
        json!([is(&meta("iifname"), &json!("lo")), accept()]),
        json!([is(&meta("iifname"), &named(BRIDGES)), accept()]),
        // Without ICMPv6 there are no neighbours (RFC 4890 4.4.1), without ICMP no path MTU (RFC 1191).
        json!([is(&meta("l4proto"), &json!({"set": ["icmp", "ipv6-icmp"]})), accept()]),
        json!([is(&field("tcp", "dport"), &named(SSH)), accept()]),
        // Answers to broadcasts and multicasts, which connection tracking does not know (RFC 2131 4.1, RFC 8415 7.2).
        json!([is(&field("udp", "sport"), &json!(67)), is(&field("udp", "dport"), &json!(68)), accept()]),
        json!([
            is(&field("ip6", "saddr"), &json!({"prefix": {"addr": "fe80::", "len": 10}})),
            is(&field("udp", "dport"), &json!(546)),
            accept()
        ]),
        json!([is(&gate(), &named(OPEN)), accept()]),
    ];
    expressions.extend(networks.iter().map(|network| {
        let family = if network.address.is_ipv4() { "ip" } else { "ip6" };
        let range = json!({"prefix": {"addr": network.address.to_string(), "len": network.prefix}});
        json!([is(&field(family, "saddr"), &range), is(&gate(), &named(&set_of(*network))), accept()])
    }));
    // What opens a connection is closed, and nothing else: packets of connections that are older than this table
    // are not known to connection tracking, and must go on.
    let opens = json!({"&": [field("tcp", "flags"), ["fin", "syn", "rst", "ack"]]});
    let enforced = is(&meta("nfproto"), &named(ENFORCED));
    expressions.push(json!([enforced, is(&opens, &json!("syn")), {"counter": null}, {"drop": null}]));
    expressions.push(json!([enforced, is(&meta("l4proto"), &json!("udp")), {"counter": null}, {"drop": null}]));
    comments(networks).into_iter().zip(expressions).collect()
}

fn is(left: &Value, right: &Value) -> Value {
    json!({"match": {"op": "==", "left": left, "right": right}})
}

fn is_in(left: &Value, right: &Value) -> Value {
    json!({"match": {"op": "in", "left": left, "right": right}})
}

fn meta(key: &str) -> Value {
    json!({"meta": {"key": key}})
}

fn field(protocol: &str, field: &str) -> Value {
    json!({"payload": {"protocol": protocol, "field": field}})
}

fn gate() -> Value {
    json!({"concat": [meta("l4proto"), field("th", "dport")]})
}

fn named(set: &str) -> Value {
    json!(format!("@{set}"))
}

fn accept() -> Value {
    json!({"accept": null})
}
