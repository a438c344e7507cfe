//! What nftables says is loaded (libnftables-json(5)): our table, Docker's published ports, and who else is in charge.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use fermata_spec::Network;
use serde_json::Value;

use super::others::Other;
use super::rules::{Door, Gate, Rules, Transport};
use super::ruleset::{BRIDGES, ENFORCED, OPEN, SSH, TABLE, comments, set_of};

/// Our table as it is loaded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Loaded {
    /// What it opens.
    pub rules: Rules,
    /// Whether it is as Fermata writes it; otherwise somebody changed it.
    pub intact: bool,
    /// How long it closes ports unless confirmed; `None`: for good.
    pub probation: Option<Duration>,
}

/// Everything of a listing that matters here.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Listing {
    pub(super) table: Option<Loaded>,
    pub(super) published: BTreeSet<Gate>,
    pub(super) other: Option<Other>,
}

/// Elements of a set, and how long each stays.
type Elements = Vec<(Value, Option<Duration>)>;

/// Reads `nft -j list ruleset`.
pub(super) fn read(listing: &Value) -> Listing {
    let objects: Vec<(&str, &Value)> = listing["nftables"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|object| object.as_object()?.iter().next().map(|(kind, value)| (kind.as_str(), value)))
        .collect();
    let of = |wanted: &'static str| objects.iter().filter(move |(kind, _)| *kind == wanted).map(|(_, value)| *value);
    let other = of("chain")
        .find_map(|chain| Other::of_chain(text(chain, "name")))
        .or_else(|| of("table").find_map(|table| Other::of_table(text(table, "name"))));
    let published = of("rule").filter(|&rule| is_dockers(rule)).filter_map(published).collect();
    let ours = |value: &&Value| text(value, "family") == "inet" && text(value, "table") == TABLE;
    let is_table = |table: &Value| text(table, "family") == "inet" && text(table, "name") == TABLE;
    let table = of("table")
        .any(is_table)
        .then(|| table(&of("set").filter(ours).collect::<Vec<_>>(), &of("rule").filter(ours).collect::<Vec<_>>()));
    Listing { table, published, other }
}

fn text<'v>(value: &'v Value, key: &str) -> &'v str {
    value[key].as_str().unwrap_or_default()
}

fn table(sets: &[&Value], rules: &[&Value]) -> Loaded {
    let sets: BTreeMap<&str, Elements> = sets.iter().map(|set| (text(set, "name"), elements(set))).collect();
    let of = |name: &str| sets.get(name).into_iter().flatten();
    let said: Vec<&str> = rules.iter().map(|rule| text(rule, "comment")).collect();
    let networks: Vec<Network> = said.iter().filter_map(|said| said.strip_prefix("from ")?.parse().ok()).collect();
    let mut doors = BTreeMap::new();
    for from in [None].into_iter().chain(networks.iter().copied().map(Some)) {
        let name = from.map_or_else(|| OPEN.to_owned(), set_of);
        let gates = of(&name).filter_map(|(value, left)| Some((gate(value)?, *left)));
        doors.extend(gates.map(|(gate, left)| (Door { gate, from }, left)));
    }
    let ssh = of(SSH).filter_map(|(value, _)| port(value)).collect();
    let bridges = of(BRIDGES).filter_map(|(value, _)| value.as_str().map(str::to_owned)).collect();
    let enforced: Vec<Option<Duration>> = of(ENFORCED).map(|(_, left)| *left).collect();
    let intact = said == comments(networks)
        && enforced.len() == 2
        && rules.iter().zip(&said).all(|(rule, said)| verdict(rule) == expected_verdict(said));
    let probation = enforced.into_iter().flatten().min();
    Loaded { rules: Rules { doors, ssh, bridges }, intact, probation }
}

fn verdict(rule: &Value) -> &str {
    let last = rule["expr"].as_array().and_then(|expr| expr.last()).and_then(Value::as_object);
    last.and_then(|last| last.keys().next()).map_or("", String::as_str)
}

fn expected_verdict(comment: &str) -> &'static str {
    if comment.starts_with("new ") { "drop" } else { "accept" }
}

fn elements(set: &Value) -> Elements {
    let all = set["elem"].as_array().into_iter().flatten();
    all.map(|element| match element.get("elem") {
        None => (element.clone(), None),
        Some(timed) => (timed["val"].clone(), timed["expires"].as_u64().map(Duration::from_secs)),
    })
    .collect()
}

fn gate(value: &Value) -> Option<Gate> {
    let parts = value["concat"].as_array()?;
    Some(Gate { protocol: transport(parts.first()?.as_str()?)?, port: port(parts.get(1)?)? })
}

fn transport(name: &str) -> Option<Transport> {
    [Transport::Tcp, Transport::Udp].into_iter().find(|one| one.name() == name)
}

fn port(value: &Value) -> Option<u16> {
    value.as_u64()?.try_into().ok()
}

fn is_loopback(address: &Value) -> bool {
    address.as_str().and_then(|address| address.parse::<std::net::IpAddr>().ok()).is_some_and(|ip| ip.is_loopback())
}

/// Docker's rules for published ports: chain DOCKER of the iptables backend, tables `docker-bridges` of the nftables one.
fn is_dockers(rule: &Value) -> bool {
    text(rule, "chain") == "DOCKER" || text(rule, "table") == "docker-bridges"
}

/// The port that a rule rewrites the destination of.
fn published(rule: &Value) -> Option<Gate> {
    let statements = rule["expr"].as_array()?;
    let rewrites = |one: &Value| one.get("dnat").is_some() || one["xt"]["name"] == "DNAT";
    // What is published on loopback is for this machine alone.
    let is_local = |one: &Value| {
        let of = &one["match"];
        of["op"] == "==" && text(&of["left"]["payload"], "field") == "daddr" && is_loopback(&of["right"])
    };
    if !statements.iter().any(rewrites) || statements.iter().any(is_local) {
        return None;
    }
    statements.iter().find_map(|one| {
        let payload = &one["match"]["left"]["payload"];
        if text(payload, "field") != "dport" {
            return None;
        }
        Some(Gate { protocol: transport(text(payload, "protocol"))?, port: port(&one["match"]["right"])? })
    })
}
