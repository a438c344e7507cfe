//! What becomes of a new connection from outside in everybody's rules: pure, on what nftables lists
//! (libnftables-json(5)).
//!
//! A rule that cannot be judged from here (by address, by rate, by an extension of iptables) may apply or not, so that
//! there may be several outcomes; a port counts as closed only where no way leads in. Our own table is left out: its
//! rules are compared with those that should be.

use std::fmt;

use serde_json::Value;

use super::rules::{Gate, Transport};
use super::ruleset::TABLE;

/// Chains that lead to each other are followed so deep; the kernel has 16 (`NFT_JUMP_STACK_SIZE`).
const DEEPEST: usize = 16;

/// All rules of a machine.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Ruleset(Vec<(String, Value)>);

/// Where connections end.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Closed {
    /// `ip`, `ip6`, `inet`.
    pub family: String,
    /// The table.
    pub table: String,
    /// The chain, called from the input hook.
    pub chain: String,
}

impl fmt::Display for Closed {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "chain {} of table {} {}", self.chain, self.family, self.table)
    }
}

/// A version of IP.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names say it")]
pub enum Version {
    V4,
    V6,
}

/// A connection that somebody opens from outside.
#[derive(Clone, Copy)]
struct Packet {
    gate: Gate,
    version: Version,
}

/// Whether a rule applies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Applies {
    No,
    Perhaps,
    Yes,
}

/// What may become of a packet in a chain.
#[derive(Default)]
struct Outcomes {
    accepted: bool,
    dropped: bool,
    /// It comes to the chain's end.
    falls: bool,
}

impl Ruleset {
    /// Reads `nft -j list ruleset`.
    pub(super) fn read(listing: &Value) -> Ruleset {
        let objects = listing["nftables"].as_array().into_iter().flatten();
        let parts = objects.filter_map(|object| object.as_object()?.iter().next());
        Ruleset(parts.map(|(kind, value)| (kind.clone(), value.clone())).collect())
    }

    /// The first chain that lets nobody in from outside, if there is one.
    pub fn closes(&self, gate: Gate, version: Version) -> Option<Closed> {
        let packet = Packet { gate, version };
        let mut chains: Vec<&Value> = self.of("chain").filter(|chain| is_input(chain, version)).collect();
        chains.sort_by_key(|chain| chain["prio"].as_i64());
        chains.into_iter().find(|chain| self.lets_nobody_in(chain, packet)).map(|chain| Closed {
            family: text(chain, "family").to_owned(),
            table: text(chain, "table").to_owned(),
            chain: text(chain, "name").to_owned(),
        })
    }

    fn lets_nobody_in(&self, chain: &Value, packet: Packet) -> bool {
        let outcomes = self.walk(chain, text(chain, "name"), packet, 0);
        let policy_accepts = text(chain, "policy") != "drop";
        !(outcomes.accepted || outcomes.falls && policy_accepts)
    }

    fn of(&self, kind: &'static str) -> impl Iterator<Item = &Value> {
        self.0.iter().filter(move |(known, _)| known == kind).map(|(_, value)| value)
    }

    /// Follows a chain of the table that `base` is in.
    fn walk(&self, base: &Value, chain: &str, packet: Packet, depth: usize) -> Outcomes {
        let mut outcomes = Outcomes::default();
        if depth > DEEPEST {
            return Outcomes { accepted: true, ..outcomes };
        }
        let here = |rule: &&Value| {
            ["family", "table"].iter().all(|key| rule[*key] == base[*key]) && text(rule, "chain") == chain
        };
        for rule in self.of("rule").filter(here) {
            let parts: Vec<&Value> = rule["expr"].as_array().into_iter().flatten().collect();
            let applies = parts.iter().map(|part| applies(part, packet)).min().unwrap_or(Applies::Yes);
            let Some(verdict) = parts.last().filter(|_| applies != Applies::No).and_then(|part| Verdict::of(part))
            else {
                continue;
            };
            let ends = match verdict {
                Verdict::Accept => {
                    outcomes.accepted = true;
                    true
                }
                Verdict::Drop => {
                    outcomes.dropped = true;
                    true
                }
                Verdict::Return => {
                    outcomes.falls = true;
                    true
                }
                Verdict::Jump(to) | Verdict::Goto(to) => {
                    let there = self.walk(base, to, packet, depth + 1);
                    outcomes.accepted |= there.accepted;
                    outcomes.dropped |= there.dropped;
                    let comes_back = there.falls && matches!(verdict, Verdict::Jump(_));
                    outcomes.falls |= there.falls && !comes_back;
                    !comes_back
                }
            };
            if ends && applies == Applies::Yes {
                return outcomes;
            }
        }
        outcomes.falls = true;
        outcomes
    }
}

/// What a rule does with what it applies to.
enum Verdict<'v> {
    Accept,
    Drop,
    Return,
    Jump(&'v str),
    Goto(&'v str),
}

impl Verdict<'_> {
    /// Of a rule's last part. Whatever else stands there counts, marks or logs.
    fn of(part: &Value) -> Option<Verdict<'_>> {
        let (name, value) = part.as_object()?.iter().next()?;
        match name.as_str() {
            "accept" => Some(Verdict::Accept),
            "drop" | "reject" => Some(Verdict::Drop),
            "return" => Some(Verdict::Return),
            "jump" => Some(Verdict::Jump(text(value, "target"))),
            "goto" => Some(Verdict::Goto(text(value, "target"))),
            // Verdicts that depend on something else, the state mostly: they may let in what is new.
            "vmap" if value["key"]["ct"]["key"] != "state" => Some(Verdict::Accept),
            "xt" => matches!(text(value, "name"), "REJECT" | "DROP").then_some(Verdict::Drop),
            _ => None,
        }
    }
}

fn is_input(chain: &Value, version: Version) -> bool {
    let family = match text(chain, "family") {
        "inet" => true,
        "ip" => version == Version::V4,
        "ip6" => version == Version::V6,
        _ => false,
    };
    family && text(chain, "hook") == "input" && text(chain, "type") == "filter" && text(chain, "table") != TABLE
}

fn applies(part: &Value, packet: Packet) -> Applies {
    let Some((name, value)) = part.as_object().and_then(|part| part.iter().next()) else { return Applies::Perhaps };
    match name.as_str() {
        "match" => {
            let matches = matched(&value["left"], &value["right"], packet);
            match (text(value, "op"), matches) {
                ("!=", Applies::Yes) => Applies::No,
                ("!=", Applies::No) => Applies::Yes,
                _ => matches,
            }
        }
        "xt" if text(value, "type") == "match" => match text(value, "name") {
            // What it asks is not listed; it asks whether a connection is established, or a packet invalid.
            "conntrack" | "state" => Applies::No,
            "comment" => Applies::Yes,
            _ => Applies::Perhaps,
        },
        "limit" | "vmap" | "quota" => Applies::Perhaps,
        _ => Applies::Yes,
    }
}

fn matched(left: &Value, right: &Value, packet: Packet) -> Applies {
    let Gate { port, protocol } = packet.gate;
    let yes = |is: bool| if is { Applies::Yes } else { Applies::No };
    if let Some(key) = left["meta"]["key"].as_str() {
        return match key {
            "l4proto" => any(right, &|value| yes(is_protocol(value, protocol))),
            "nfproto" => any(right, &|value| yes(value == version_name(packet.version))),
            // It comes from outside, and not by the loopback interface; by which other one is not known.
            "iif" | "iifname" => any(right, &|value| if value == "lo" { Applies::No } else { Applies::Perhaps }),
            _ => Applies::Perhaps,
        };
    }
    if left["ct"]["key"] == "state" {
        return any(right, &|value| yes(value == "new"));
    }
    if left["fib"]["result"] == "type" {
        return any(right, &|value| yes(value == "local"));
    }
    let (of, field) = (text(&left["payload"], "protocol"), text(&left["payload"], "field"));
    match (of, field) {
        ("tcp" | "udp", _) if of != protocol.name() => Applies::No,
        ("icmp" | "icmpv6" | "sctp" | "dccp", _) => Applies::No,
        ("ip", _) if packet.version == Version::V6 => Applies::No,
        ("ip6", _) if packet.version == Version::V4 => Applies::No,
        ("ip", "protocol") | ("ip6", "nexthdr") => any(right, &|value| yes(is_protocol(value, protocol))),
        ("tcp" | "udp" | "th", "dport") => any(right, &|value| match value.as_u64() {
            Some(number) => yes(number == u64::from(port)),
            // The name of a set whose elements are not followed.
            None => Applies::Perhaps,
        }),
        _ => Applies::Perhaps,
    }
}

/// The best of all values of a set, a list or a range.
fn any(right: &Value, one: &dyn Fn(&Value) -> Applies) -> Applies {
    if let Some([low, high]) = right["range"].as_array().map(Vec::as_slice) {
        let (Some(low), Some(high)) = (low.as_u64(), high.as_u64()) else { return Applies::Perhaps };
        // A range of ports: one of them is asked for, or none.
        return (low..=high.min(low.saturating_add(65_535)))
            .map(|number| one(&number.into()))
            .max()
            .unwrap_or(Applies::No);
    }
    match right["set"].as_array().or(right.as_array()) {
        Some(values) => values.iter().map(|value| any(value, one)).max().unwrap_or(Applies::No),
        None => one(right),
    }
}

fn is_protocol(value: &Value, protocol: Transport) -> bool {
    let number = match protocol {
        Transport::Tcp => 6,
        Transport::Udp => 17,
    };
    value == protocol.name() || value == number
}

fn version_name(version: Version) -> &'static str {
    match version {
        Version::V4 => "ipv4",
        Version::V6 => "ipv6",
    }
}

fn text<'v>(value: &'v Value, key: &str) -> &'v str {
    value[key].as_str().unwrap_or_default()
}
