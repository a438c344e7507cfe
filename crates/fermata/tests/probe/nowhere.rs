//! Networks that lead nowhere: each in a namespace of its own, each with a verdict in bounded time.

use crate::lan::Lan;

const FILE: &str = "version: 2\nservices: {}\n";

/// Runs the probe on the server's machine, and gives the code of what breaks.
fn broken(lan: &Lan, before: &[&str], url: &str) -> Vec<String> {
    let ended = lan.fermata_with(before, &["probe", url, "--timeout", "2", "--format", "json"]);
    assert_eq!((ended.code, ended.stderr.as_str()), (Some(1), ""), "{ended:?}");
    let report: serde_json::Value = serde_json::from_str(&ended.stdout).expect("JSON");
    let hops = report["hops"].as_array().expect("hops");
    let broken = hops.iter().filter(|hop| hop["verdict"] == "broken");
    broken.map(|hop| format!("{} {}", hop["name"], hop["advice"][0]["code"]).replace('"', "")).collect()
}

#[test]
fn a_firewall_that_swallows_packets() {
    let lan = Lan::new(FILE, &[8080]);
    lan.on_client(
        "nft 'table inet guard { chain input { type filter hook input priority 0; tcp dport 8080 drop; }; }'",
    );
    assert_eq!(broken(&lan, &[], "ws://10.77.0.2:8080/"), ["tcp tcp-silent"]);
    assert_eq!(broken(&lan, &[], "wss://[fd77::2]:8080/"), ["tcp tcp-silent"]);
}

#[test]
fn a_firewall_that_rejects_packets() {
    let lan = Lan::new(FILE, &[]);
    lan.on_client(
        "nft 'table inet guard { chain input { type filter hook input priority 0;
              tcp dport 8080 reject with icmpx admin-prohibited; }; }'",
    );
    assert_eq!(broken(&lan, &[], "ws://10.77.0.2:8080/"), ["tcp unreachable"]);
}

#[test]
fn no_route() {
    let lan = Lan::new(FILE, &[]);
    assert_eq!(broken(&lan, &[], "ws://203.0.113.7/"), ["tcp no-route"]);
    assert_eq!(broken(&lan, &[], "ws://[2001:db8::7]/"), ["tcp no-route"]);
}

#[test]
fn a_machine_that_is_not_there() {
    let lan = Lan::new(FILE, &[]);
    // Nobody answers who has the address (RFC 826), which takes the kernel 3 s, longer than the probe waits.
    assert_eq!(broken(&lan, &[], "ws://10.77.0.99/"), ["tcp tcp-silent"]);
}

/// Words in front of a command that make it ask this resolver alone.
fn resolver(lan: &Lan, address: &str) -> [String; 5] {
    lan.folder.write("resolv.conf", &format!("nameserver {address}\noptions timeout:30 attempts:1\n"));
    lan.folder.write("nsswitch.conf", "hosts: dns\n");
    let script =
        "mount --bind resolv.conf /etc/resolv.conf; mount --bind nsswitch.conf /etc/nsswitch.conf; exec \"$@\"";
    ["unshare", "--mount", "sh", "-ec", script].map(str::to_owned)
}

#[test]
fn a_resolver_that_says_nothing() {
    let lan = Lan::new(FILE, &[]);
    lan.on_client("nft 'table inet guard { chain input { type filter hook input priority 0; udp dport 53 drop; }; }'");
    let words = resolver(&lan, "10.77.0.2");
    let words: Vec<&str> = words.iter().map(String::as_str).chain(["sh"]).collect();
    assert_eq!(broken(&lan, &words, "ws://app.example/"), ["dns resolver-silent"]);
}

#[test]
fn no_resolver() {
    let lan = Lan::new(FILE, &[]);
    let words = resolver(&lan, "10.77.0.1");
    let words: Vec<&str> = words.iter().map(String::as_str).chain(["sh"]).collect();
    assert_eq!(broken(&lan, &words, "ws://app.example/"), ["dns no-resolver"]);
}
