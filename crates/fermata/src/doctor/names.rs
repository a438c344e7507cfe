//! DNS: whether the names that the file answers to lead here.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::time::Duration;

use fermata_spec::{HostPattern, Network, Spec};
use futures_util::future::join_all;
use tokio::net::lookup_host;
use tokio::time::timeout;

use super::addresses::{is_public, own};
use super::{Finding, Topic, several};
use crate::report::{Advice, Verdict};

/// What a resolver may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// A name, and where it leads.
struct Looked {
    name: String,
    addresses: Result<BTreeSet<IpAddr>, String>,
}

pub(super) async fn look(spec: &Spec) -> Finding {
    let names = names(spec);
    let looked = join_all(names.into_iter().map(|name| async {
        let addresses = resolve(&name).await;
        Looked { name, addresses }
    }));
    judge(&looked.await, &own(), &spec.gateway.trusted_proxies)
}

/// Whole names that clients use; a pattern has no address.
fn names(spec: &Spec) -> BTreeSet<String> {
    let matches = spec.services.iter().flat_map(|service| &service.traffic_matches);
    let matches = matches.filter_map(|pattern| match pattern {
        HostPattern::Exact(name) => Some(name.clone()),
        HostPattern::Any | HostPattern::Under(_) => None,
    });
    let issued = spec.tls.acme.iter().flat_map(|acme| acme.domains.iter().cloned());
    // Addresses need no DNS, and localhost is this machine on every one (RFC 6761 6.3).
    let is_local = |name: &str| name == "localhost" || name.ends_with(".localhost");
    matches.chain(issued).filter(|name| name.parse::<IpAddr>().is_err() && !is_local(name)).collect()
}

async fn resolve(name: &str) -> Result<BTreeSet<IpAddr>, String> {
    match timeout(PATIENCE, lookup_host((name, 0))).await {
        Ok(Ok(found)) => Ok(found.map(|address| address.ip()).collect()),
        Ok(Err(error)) => {
            let words = error.to_string();
            Err(words.strip_prefix("failed to lookup address information: ").unwrap_or(&words).to_owned())
        }
        Err(_) => Err(format!("the resolver does not answer within {} s", PATIENCE.as_secs())),
    }
}

fn judge(looked: &[Looked], own: &BTreeSet<IpAddr>, trusted: &[Network]) -> Finding {
    if looked.is_empty() {
        return Finding::works(Topic::Names, None, "the file names no hosts: it answers to every name");
    }
    let mut finding = Finding::works(Topic::Names, None, format!("{} here", several(looked.len(), "name")));
    let mut wrong = Vec::new();
    for Looked { name, addresses } in looked {
        let found = match addresses {
            Ok(found) => found,
            Err(why) => {
                wrong.push(name.as_str());
                finding = finding.advised(Verdict::Broken, no_address(name, why));
                continue;
            }
        };
        let is_here = |address: &&IpAddr| own.contains(*address) || trusted.iter().any(|net| net.contains(**address));
        let (here, elsewhere): (Vec<IpAddr>, Vec<IpAddr>) = found.iter().partition(is_here);
        // A machine in a private network does not know by which public address it is known outside.
        let is_certain = |address: &IpAddr| {
            address.is_loopback()
                || own.iter().any(|own| own.is_ipv4() == address.is_ipv4() && is_public(own) == is_public(address))
        };
        if elsewhere.is_empty() {
            finding = finding.detail(format!("{name} is {}", list(&here)));
        } else if here.is_empty() && !elsewhere.iter().any(is_certain) {
            finding = finding.detail(format!(
                "{name} is {}, which may be this machine's address outside: from here it cannot be told",
                list(&elsewhere)
            ));
        } else {
            wrong.push(name.as_str());
            finding = finding.remark(leads_away(name, &here, &elsewhere, own));
        }
    }
    if !wrong.is_empty() {
        finding.says = format!("not, or not only, here: {}", wrong.join(", "));
    }
    finding
}

fn no_address(name: &str, why: &str) -> Advice {
    Advice::new("name-missing", format!("{name} has no address ({why}): no client finds this server by it."))
        .then("Add an A record (and AAAA for IPv6) with this server's address at whoever keeps the domain.")
        .then("Or correct the name: traffic_matches, or tls.acme.domains, in the file.")
}

fn leads_away(name: &str, here: &[IpAddr], elsewhere: &[IpAddr], own: &BTreeSet<IpAddr>) -> Advice {
    let away = list(elsewhere);
    if elsewhere.iter().all(IpAddr::is_loopback) {
        return Advice::new("name-loopback", format!("{name} is {away}: on each machine that is the machine itself."))
            .then("Clients elsewhere need a record with this server's address; on this server, see /etc/hosts.");
    }
    let own = list(&own.iter().copied().collect::<Vec<_>>());
    let says = if here.is_empty() {
        format!("{name} leads to {away}, and this machine has {own}.")
    } else {
        format!("{name} leads to {} here, and to {away} elsewhere: some clients go there.", list(here))
    };
    Advice::new("name-elsewhere", says)
        .then("Correct its A and AAAA records, if it is to lead here; old answers live on until their TTL ends.")
        .then("If a load balancer or proxy stands there, name its addresses under gateway.trusted_proxies.")
}

fn list(addresses: &[IpAddr]) -> String {
    addresses.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn codes(addresses: &[&str], own: &[&str]) -> Vec<&'static str> {
        let parsed = |all: &[&str]| all.iter().map(|one| one.parse().expect("an address")).collect();
        let looked = Looked { name: "app.example".to_owned(), addresses: Ok(parsed(addresses)) };
        let trusted = ["198.51.100.0/24".parse().expect("a network")];
        judge(&[looked], &parsed(own), &trusted).advice.iter().map(|advice| advice.code).collect()
    }

    #[test]
    fn names_that_lead_here_or_to_a_trusted_proxy_are_well() {
        assert!(codes(&["203.0.113.7"], &["203.0.113.7", "10.0.0.1"]).is_empty());
        assert!(codes(&["198.51.100.1"], &["203.0.113.7"]).is_empty());
    }

    #[test]
    fn names_that_lead_elsewhere_are_told_where_that_can_be_known() {
        assert_eq!(codes(&["203.0.113.8"], &["203.0.113.7"]), ["name-elsewhere"]);
        assert_eq!(codes(&["203.0.113.7", "203.0.113.8"], &["203.0.113.7"]), ["name-elsewhere"]);
        assert_eq!(codes(&["127.0.0.1"], &["203.0.113.7"]), ["name-loopback"]);
        assert!(codes(&["203.0.113.8"], &["10.0.0.1"]).is_empty(), "a private machine cannot know");
        assert_eq!(codes(&["10.0.0.2"], &["10.0.0.1"]), ["name-elsewhere"]);
    }
}
