//! The first hop: which addresses a name has.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use tokio::time::{Instant, timeout};
use url::Host;

use super::advise;
use super::name::{Hop, Name};
use super::target::{Addresses, Question, Target};

/// Why a name has no address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Trouble {
    /// The resolver says that there is no such name.
    NoSuchName,
    /// The name is there, without an address.
    NoAddress,
    /// The resolver can't be asked, or doesn't know at the moment.
    NoResolver,
    /// The resolver didn't answer in time.
    Silent(Duration),
    /// Anything else.
    Other(String),
}

/// Looks the name up.
pub(super) async fn look(question: &Question) -> (Hop, Option<Vec<SocketAddr>>) {
    let target = &question.target;
    let found = |addresses: &[IpAddr]| -> Vec<SocketAddr> {
        addresses.iter().map(|address| SocketAddr::new(*address, target.port())).collect()
    };
    let literal = match (&question.addresses, target.host()) {
        (Addresses::Given(given), _) => {
            return (Hop::works(Name::Dns, None, "not asked: the address was given"), Some(found(given)));
        }
        (_, Host::Ipv4(address)) => IpAddr::V4(*address),
        (_, Host::Ipv6(address)) => IpAddr::V6(*address),
        (_, Host::Domain(name)) => return resolve(name, target, question.hop_timeout).await,
    };
    (Hop::works(Name::Dns, None, "an address, nothing to look up"), Some(found(&[literal])))
}

async fn resolve(name: &str, target: &Target, limit: Duration) -> (Hop, Option<Vec<SocketAddr>>) {
    let start = Instant::now();
    let answer = timeout(limit, tokio::net::lookup_host((name, target.port()))).await;
    let took = Some(start.elapsed());
    let trouble = match answer {
        Err(_) => Trouble::Silent(limit),
        Ok(Err(error)) => trouble_of(&error.to_string()),
        Ok(Ok(addresses)) => {
            let mut addresses: Vec<SocketAddr> = addresses.collect();
            let mut seen = Vec::new();
            addresses.retain(|address| {
                !seen.contains(address) && {
                    seen.push(*address);
                    true
                }
            });
            if !addresses.is_empty() {
                let list: Vec<String> = addresses.iter().map(|address| address.ip().to_string()).collect();
                return (Hop::works(Name::Dns, took, format!("{name} is {}", list.join(", "))), Some(addresses));
            }
            Trouble::NoAddress
        }
    };
    let (says, advice) = advise::dns(&trouble, name);
    (Hop::broken(Name::Dns, took, says, advice), None)
}

/// From the words of getaddrinfo(3): the standard library keeps them and drops the number.
fn trouble_of(words: &str) -> Trouble {
    let said = |text: &str| words.contains(text);
    if said("Name or service not known") || said("Name does not resolve") || said("nodename nor servname") {
        Trouble::NoSuchName
    } else if said("No address associated") {
        Trouble::NoAddress
    } else if said("Temporary failure") || said("Try again") {
        Trouble::NoResolver
    } else {
        let words = words.strip_prefix("failed to lookup address information: ").unwrap_or(words);
        Trouble::Other(words.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_of_the_resolver_become_a_trouble() {
        let cases = [
            ("failed to lookup address information: Name or service not known", Trouble::NoSuchName),
            ("failed to lookup address information: No address associated with hostname", Trouble::NoAddress),
            ("failed to lookup address information: Temporary failure in name resolution", Trouble::NoResolver),
            ("failed to lookup address information: System error", Trouble::Other("System error".into())),
        ];
        for (words, trouble) in cases {
            assert_eq!(trouble_of(words), trouble);
        }
    }
}
