//! Names and addresses.

use std::net::SocketAddr;

use super::super::dns::Trouble as DnsTrouble;
use super::super::tcp::{Trouble as TcpTrouble, Try};
use super::lasting;
use crate::report::Advice;

/// A name without an address.
pub(in super::super) fn dns(trouble: &DnsTrouble, name: &str) -> (String, Advice) {
    match trouble {
        DnsTrouble::NoSuchName => (
            format!("there is no {name}"),
            Advice::new("no-such-name", format!("The resolver says that the name {name} does not exist."))
                .then("Check the spelling.")
                .then(
                    "If the name is new, create its A record (and AAAA, for IPv6). Whoever asked too early remembers \
                     for a while that it was not there.",
                ),
        ),
        DnsTrouble::NoAddress => (
            format!("{name} has no address"),
            Advice::new("no-address", format!("The name {name} exists, and has no A or AAAA record."))
                .then("Add an A record with the address of the server or load balancer."),
        ),
        DnsTrouble::NoResolver => (
            "the resolver can't say at the moment".to_owned(),
            Advice::new(
                "no-resolver",
                "This machine could not ask for the name: its resolver did not answer properly.",
            )
            .then("Check this machine's network, and the name servers in /etc/resolv.conf."),
        ),
        DnsTrouble::Silent(limit) => (
            format!("no answer within {}", lasting(*limit)),
            Advice::new(
                "resolver-silent",
                "The resolver did not answer in time, so this machine can't find the server.",
            )
            .then("Check this machine's network, and the name servers in /etc/resolv.conf."),
        ),
        DnsTrouble::Other(words) => (
            words.clone(),
            Advice::new("resolver-failed", format!("Looking up {name} failed."))
                .then("Check this machine's network, and the name servers in /etc/resolv.conf."),
        ),
    }
}

/// What became of one address.
pub(in super::super) fn tcp_outcome(outcome: &Result<(), TcpTrouble>) -> String {
    match outcome {
        Ok(()) => "takes connections".to_owned(),
        Err(TcpTrouble::Refused) => "refuses connections".to_owned(),
        Err(TcpTrouble::Silent(limit)) => format!("says nothing within {}", lasting(*limit)),
        Err(TcpTrouble::Unreachable) => "can't be reached: a router or firewall says so".to_owned(),
        Err(TcpTrouble::NoWayFromHere) => "can't be reached from this machine".to_owned(),
        Err(TcpTrouble::Other(words)) => format!("fails: {words}"),
    }
}

/// No address takes connections.
pub(in super::super) fn tcp(tries: &[Try], local: bool) -> (String, Advice) {
    let first = tries.iter().find(|tried| tried.outcome != Err(TcpTrouble::NoWayFromHere)).or(tries.first());
    let Some(Try { address, outcome, .. }) = first else {
        return ("there is no address".to_owned(), Advice::new("no-address", "There is no address to connect to."));
    };
    let says = if tries.len() == 1 {
        format!("{address} {}", tcp_outcome(outcome))
    } else {
        format!("none of {} addresses takes connections", tries.len())
    };
    let port = address.port();
    let advice = match outcome {
        Err(TcpTrouble::Refused) => refused(*address, local),
        Err(TcpTrouble::Silent(_)) => Advice::new(
            "tcp-silent",
            format!("Packets to port {port} vanish: a firewall drops them, or the address is not in use."),
        )
        .then(format!(
            "Open port {port} for these clients on the way: the host's firewall (fermata firewall plan shows it), \
             the cloud's security group, the provider's firewall."
        ))
        .then("Check that the name points to the server that is meant."),
        Err(TcpTrouble::NoWayFromHere) => Advice::new(
            "no-route",
            format!("This machine has no way to {}: its network has no route to such addresses.", address.ip()),
        )
        .then("Probe from a machine with a route to it. IPv6 addresses need IPv6 here."),
        _ => Advice::new("unreachable", format!("The network says that {} can't be reached.", address.ip()))
            .then("Check the address, and that the server is up and in a network that this machine has a way to."),
    };
    (says, advice)
}

fn refused(address: SocketAddr, local: bool) -> Advice {
    let port = address.port();
    let advice = Advice::new("tcp-refused", format!("The machine is there, and nothing listens on its port {port}."));
    let advice = if local {
        advice
            .then(format!("Start what should listen on port {port}: fermata up, with http: {port} in its service.yml."))
    } else {
        advice
            .then(format!(
                "Start the service there, and have it listen on port {port} of a public address, not only on \
                 127.0.0.1."
            ))
            .then("A firewall that rejects instead of dropping looks the same.")
    };
    advice.then("Or correct the port: Fermata's usual ones are 8080 for ws:// and 8443 for wss://.")
}

/// Some addresses of a name take connections and these don't.
pub(in super::super) fn lame_address(lame: &[&Try]) -> Advice {
    let list: Vec<String> = lame.iter().map(|tried| tried.address.ip().to_string()).collect();
    let these = list.join(", ");
    let v6 = lame.iter().all(|tried| tried.address.is_ipv6());
    let advice = Advice::new(
        "lame-address",
        format!("The name has an address that does not work: {these}. Clients that try it first wait or fail."),
    );
    if v6 {
        advice.then("Have the server listen on IPv6 as well and open the port there, or remove the AAAA record.")
    } else {
        advice.then("Have a server listen at that address and open the port there, or remove its record.")
    }
}
