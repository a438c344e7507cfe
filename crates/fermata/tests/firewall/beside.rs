//! Beside other people's rules.

use crate::lan::Lan;
use crate::loads::FILE;

const DOCKER: &str = "iptables -t nat -N DOCKER; iptables -t nat -A PREROUTING -m addrtype --dst-type LOCAL -j DOCKER
    iptables -t nat -A DOCKER ! -i docker0 -p tcp -m tcp --dport 8081 -j DNAT --to-destination 172.17.0.2:80
    iptables -N DOCKER-USER; iptables -I FORWARD -j DOCKER-USER; iptables -P FORWARD DROP
    nft add table ip docker-bridges; nft 'add chain ip docker-bridges published { type nat hook prerouting priority -100; }'
    nft add rule ip docker-bridges published tcp dport 8082 dnat to 172.18.0.2:80";

/// Everything that is loaded and not ours, without counters.
const THEIRS: &str = "iptables-save | grep -v '^#' | sed 's/\\[.*\\]//'; nft -s list table ip docker-bridges";

#[test]
fn docker_s_rules_are_left_alone_and_what_they_open_is_said() {
    let lan = Lan::new(FILE, &[]);
    lan.on_server(DOCKER);
    let before = lan.on_server(THEIRS);
    let note = "note: Docker publishes 8081/tcp, 8082/tcp: such connections are forwarded and never come by this table, \
                so they are open whatever it says; publish on 127.0.0.1 what is not for everybody, or filter in Docker's \
                chain DOCKER-USER\n";
    assert!(lan.does(&["plan"]).contains(note), "{}", lan.does(&["plan"]));
    lan.protect();
    assert!(lan.does(&["list"]).ends_with(note), "{}", lan.does(&["list"]));
    assert_eq!(lan.on_server(THEIRS), before);
}

#[test]
fn ufw_is_told_in_its_own_words_and_left_alone() {
    let lan = Lan::new(FILE, &[]);
    lan.on_server("iptables -N ufw-user-input");
    let said = lan.firewall(&["apply"]);
    let words = "ufw is in charge of this machine's firewall, and is left alone; ufw's own words:
  ufw allow 22/tcp
  ufw allow 8080/tcp
  ufw allow proto tcp from 10.77.0.0/24 to any port 9000
";
    assert!(said.stdout.ends_with(words), "{said:?}");
    assert_eq!(
        (said.code, said.stderr.as_str()),
        (Some(1), "error: nothing was changed: two firewalls on one machine contradict each other\n")
    );
    assert!(!lan.on_server("nft list tables").contains("fermata"));
}

#[test]
fn firewalld_is_told_in_its_own_words_and_left_alone() {
    let lan = Lan::new(FILE, &[]);
    lan.on_server("nft add table inet firewalld");
    let said = lan.firewall(&["allow", "9000/tcp", "--from", "203.0.113.0/24"]);
    let words = "firewalld is in charge of this machine's firewall; nothing was changed. In firewalld's own words:
  firewall-cmd --permanent --add-rich-rule='rule family=ipv4 source address=203.0.113.0/24 port port=9000 protocol=tcp accept'
  firewall-cmd --reload
";
    assert_eq!((said.code, said.stdout.as_str()), (Some(1), words));
}

#[test]
fn without_root_it_plans_and_says_what_it_needs() {
    let lan = Lan::new(FILE, &[]);
    let unable = ["setpriv", "--bounding-set=-net_admin", "--inh-caps=-net_admin"];
    let planned = lan.firewall_with(&unable, &["plan"]);
    let expected = "\
what is loaded cannot be seen: nftables shows its rules to root only; run it with sudo; if nothing is, this changes:
  + 8080/tcp   from anywhere
  + 9000/tcp   from 10.77.0.0/24
  + 22/tcp     from anywhere (ssh)
  - everything else: new TCP connections and UDP datagrams from outside
note: the file publishes 9001/tcp, and nothing opens it: fermata firewall allow 9001/tcp, or a rule under firewall
";
    assert_eq!((planned.code, planned.stdout.as_str()), (Some(0), expected), "{planned:?}");
    for arguments in [&["apply"][..], &["allow", "9001"]] {
        let refused = lan.firewall_with(&unable, arguments);
        assert_eq!(
            (refused.code, refused.stderr.as_str()),
            (Some(1), "error: nothing was changed: nftables shows its rules to root only; run it with sudo\n")
        );
    }
}

#[test]
fn bad_input_changes_nothing_and_is_told() {
    let lan = Lan::new(FILE, &[]);
    for (arguments, words) in [
        (&["allow", "0/tcp"][..], "\"0\" is not a port; use 1 to 65535, as in 9000/tcp"),
        (&["allow", "9000/sctp"], "\"sctp\" is not a protocol; use tcp or udp, as in 9000/tcp"),
        (&["allow", "9000", "--from", "10.0.0.0/33"], "\"10.0.0.0/33\" is not an address or a network"),
        (&["allow", "9000", "--for", "0"], "the shortest time is 1s"),
        (&["apply", "--confirm-within", "2h"], "wait at most 1h"),
    ] {
        let said = lan.firewall(arguments);
        assert_eq!(said.code, Some(2), "{said:?}");
        assert!(said.stderr.contains(words), "{said:?}");
    }
    lan.folder.write("service.yml", "services: 3\n");
    assert_eq!(lan.firewall(&["apply"]).code, Some(1));
    assert!(!lan.on_server("nft list tables").contains("fermata"));
    assert!(!lan.folder.path().join("state/firewall.json").exists());
}
