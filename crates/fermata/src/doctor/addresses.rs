//! The addresses of this machine, as far as clients could know it by them: from /proc, of our own network namespace.

use std::collections::BTreeSet;
use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// All that others could connect to; those of a link alone are no one's in DNS.
pub(super) fn own() -> BTreeSet<IpAddr> {
    let trie = fs::read_to_string("/proc/self/net/fib_trie").unwrap_or_default();
    let table = fs::read_to_string("/proc/self/net/if_inet6").unwrap_or_default();
    let v4 = local_v4(&trie).into_iter().map(IpAddr::V4);
    let all = v4.chain(table.lines().filter_map(v6).map(IpAddr::V6));
    all.filter(|address| !address.is_loopback() && !is_of_link(address)).collect()
}

/// RFC 3927, RFC 4291 2.5.6.
fn is_of_link(address: &IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => v4.is_link_local(),
        IpAddr::V6(v6) => v6.is_unicast_link_local(),
    }
}

/// Whether it is one by which others in the world could know a machine (RFC 1918, 3927, 4193, 4291, 6598).
pub(super) fn is_public(address: &IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => {
            let [a, b, ..] = v4.octets();
            let shared = a == 100 && (64..128).contains(&b);
            !(v4.is_private() || v4.is_loopback() || v4.is_unspecified() || shared || is_of_link(address))
        }
        IpAddr::V6(v6) => !(v6.is_loopback() || v6.is_unique_local() || v6.is_unspecified() || is_of_link(address)),
    }
}

/// The leaves of the kernel's tree of routes that are this machine's own: an address, and a line `/32 host LOCAL` below.
fn local_v4(trie: &str) -> BTreeSet<Ipv4Addr> {
    let mut found = BTreeSet::new();
    let mut last: Option<Ipv4Addr> = None;
    for line in trie.lines() {
        let words: Vec<&str> = line.split_whitespace().collect();
        match words.as_slice() {
            [.., "|--", address] => last = address.parse().ok(),
            ["/32", "host", "LOCAL"] => found.extend(last),
            _ => {}
        }
    }
    found
}

/// A line of `if_inet6`: the address in 32 digits, and five more columns (`proc_net(5)`).
fn v6(line: &str) -> Option<Ipv6Addr> {
    u128::from_str_radix(line.split_whitespace().next()?, 16).ok().map(Ipv6Addr::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn own_addresses_are_read_as_the_kernel_writes_them() {
        let trie = "Main:\n  +-- 0.0.0.0/0 3 0 5\n     |-- 192.0.2.0\n        /24 link UNICAST\nLocal:\n     |-- 192.0.2.7\n\
                    \x20       /32 host LOCAL\n     |-- 192.0.2.255\n        /32 link BROADCAST\n";
        assert_eq!(local_v4(trie), BTreeSet::from([Ipv4Addr::new(192, 0, 2, 7)]));
        assert_eq!(
            v6("fd770000000000000000000000000001 02 40 00 80     lan0"),
            Some("fd77::1".parse().expect("an address"))
        );
    }

    #[test]
    fn public_addresses_are_told_from_private_ones() {
        let public = |text: &str| is_public(&text.parse().expect("an address"));
        assert!(["203.0.113.7", "100.128.0.1", "2001:db8::1"].into_iter().all(public));
        assert!(!["10.1.2.3", "192.168.0.1", "100.64.0.1", "127.0.0.1", "fd77::1", "fe80::1"].into_iter().any(public));
    }
}
