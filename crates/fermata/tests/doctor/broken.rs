//! Servers on which something is in the way.

use crate::lan::Lan;
use crate::support::Folder;
use crate::ward::{assert_told, certificate, codes, doctor, insist_on, text};

/// All that can be wrong at once.
#[test]
fn everything_that_is_in_the_way_is_told_with_its_fix() {
    let lan = Lan::new(
        "version: 2
services:
  chat:
    address: 127.0.0.1:3000
    traffic_matches: [chat.test, www.test, new.test]
    ports: [{container: 3000, http: 8080, https: 8443}]
tls: {certificates: [{cert: old.pem, key: old.key}]}
gateway: {max_connections: 4000}
",
        &[8080],
    );
    certificate(&lan.folder, "old", &["chat.test", "www.test"], 2021);
    lan.on_server(
        "iptables -t nat -N DOCKER; iptables -t nat -A PREROUTING -m addrtype --dst-type LOCAL -j DOCKER
         iptables -t nat -A DOCKER ! -i docker0 -p tcp -m tcp --dport 5432 -j DNAT --to-destination 172.17.0.2:5432
         iptables -t nat -A DOCKER -d 127.0.0.1 ! -i docker0 -p tcp -m tcp --dport 6379 -j DNAT --to-destination 172.17.0.3:6379
         nft 'table inet guard { chain input { type filter hook input priority 0; policy drop;
              ct state established,related accept; iif lo accept; tcp dport 8080 accept; }; }'
         echo 40 >/proc/sys/net/netfilter/nf_conntrack_tcp_timeout_established",
    );
    let hosts = "10.77.0.9 chat.test\n127.0.0.1 new.test\n";
    let seen = doctor(&lan, hosts, "", &[]);
    assert_eq!((seen.code, seen.stderr.as_str()), (Some(1), ""));
    assert_told!("everything", text(&seen));
    let seen = doctor(&lan, hosts, "", &["--format", "json"]);
    assert_eq!(
        codes(&seen),
        [
            "service-absent",
            "port-taken",
            "port-closed",
            "docker-publishes",
            "descriptors-too-few",
            "conntrack-forgets",
            "certificate-expired",
            "certificate-self-signed",
            "certificate-missing",
            "name-elsewhere",
            "name-loopback",
            "name-missing",
        ]
    );
    for line in doctor(&lan, hosts, "", &[]).stdout.lines() {
        assert!(line.chars().count() <= 80 || line.starts_with("      "), "more than 80 columns: {line}");
    }
}

const PLAIN: &str = "version: 2
services:
  chat:
    address: 127.0.0.1:3000
    ports: [{container: 3000, http: 8080}, {container: 3001, tcp: 9001}]
";

#[test]
fn a_table_of_fermata_s_that_is_behind_the_file() {
    let lan = Lan::new(PLAIN, &[3000, 3001]);
    lan.protect();
    lan.folder.write("service.yml", &PLAIN.replace("8080", "443"));
    let seen = doctor(&lan, "", "", &["--format", "json"]);
    assert_eq!((codes(&seen), seen.code), (vec!["firewall-behind".to_owned(), "port-not-ruled".to_owned()], Some(1)));
    lan.does(&["apply"]);
    let seen = doctor(&lan, "", "", &["--format", "json"]);
    assert_eq!(codes(&seen), ["port-not-ruled", "firewall-unconfirmed"]);
}

#[test]
fn iptables_that_rejects_one_version_of_ip_alone() {
    let lan = Lan::new(PLAIN, &[3000, 3001]);
    lan.on_server(
        "ip6tables -A INPUT -m state --state ESTABLISHED -j ACCEPT; ip6tables -A INPUT -i lo -j ACCEPT
         ip6tables -A INPUT -p tcp --dport 9001 -j ACCEPT; ip6tables -A INPUT -j REJECT",
    );
    let seen = doctor(&lan, "", "", &[]);
    let expected = "Firewall: New connections to 8080/tcp end in chain INPUT of table ip6 filter:\n\
                    no rule there lets them in.\n  - Open them there, in its own words:\n      \
                    ip6tables -I INPUT -p tcp --dport 8080 -j ACCEPT\n";
    assert!(seen.stdout.contains(expected), "{}", seen.stdout);
    assert_eq!(seen.code, Some(1));
}

#[test]
fn ufw_itself_that_closes_the_ports() {
    insist_on("ufw");
    let mut lan = Lan::new(PLAIN, &[3000, 3001]);
    // Its own copy of /etc and /lib/ufw, so that this machine's ufw stays as it is; the firewall is the namespace's.
    lan.folder.write("ufw.sh", UFW);
    lan.on_server(&format!("cd {}; unshare --mount sh -e ufw.sh", lan.folder.path().display()));
    let seen = doctor(&lan, "", "", &[]);
    let expected = "Firewall: New connections to 8080/tcp end in chain INPUT of table ip filter: no\n\
                    rule there lets them in.\n  - Open them there, in its own words:\n      ufw allow 8080/tcp\n";
    assert!(seen.stdout.contains(expected), "{}\n{}", seen.stdout, lan.on_server("iptables-save"));
    let said = lan.firewall(&["allow", "8080"]);
    let words =
        "ufw is in charge of this machine's firewall; nothing was changed. In ufw's own words:\n  ufw allow 8080/tcp\n";
    assert_eq!((said.code, said.stdout.as_str()), (Some(1), words));
    lan.listen(8080);
    lan.is_closed(8080);
    lan.on_server(&format!("cd {}; unshare --mount sh -e ufw.sh 8080/tcp", lan.folder.path().display()));
    lan.is_open(8080);
    let seen = doctor(&lan, "", "", &["--format", "json"]);
    assert_eq!(codes(&seen), ["port-taken"], "by what listens there now, and by no firewall");
}

const UFW: &str = "PATH=$PATH:/usr/sbin:/sbin
for part in etc/ufw etc/default lib/ufw; do
    mkdir -p own/$part; [ -e own/$part/.there ] || cp -a /$part/. own/$part; touch own/$part/.there
    mount --bind own/$part /$part
done
ufw allow 9001/tcp
[ $# = 0 ] || ufw allow $1
ufw --force enable
";

#[test]
fn without_root_it_says_what_it_could_not_see_and_tells_the_rest() {
    let lan = Lan::new(PLAIN, &[3000, 3001]);
    let unable = "setpriv --bounding-set=-net_admin --inh-caps=-net_admin";
    let seen = doctor(&lan, "", unable, &["--format", "json"]);
    assert_eq!((codes(&seen), seen.code), (vec!["firewall-unseen".to_owned()], Some(0)), "{seen:?}");
}

#[test]
fn a_file_with_errors_is_told_and_the_machine_is_looked_at_all_the_same() {
    let folder = Folder::new("version: 2\nservices:\n  a: {ports: [{container: 0}]}\n");
    let seen = folder.run(&["doctor", "--state-dir", "state", "--format", "json"]);
    assert_eq!((codes(&seen), seen.code), (vec!["file-refused".to_owned()], Some(1)), "{seen:?}");
    let none = folder.run(&["doctor", "elsewhere.yml"]);
    assert_eq!((none.code, none.stderr.as_str()), (Some(2), "error: elsewhere.yml: there is no such file\n"));
}

#[test]
fn what_cannot_be_started_here_is_told() {
    let folder = Folder::new(
        "version: 2\nservices:\n  a: {command: no-such-program, ports: [{container: 3000, http: 8080}]}\n\
         gateway: {bind: [127.0.0.1, 192.0.2.1]}\n",
    );
    let seen = folder.run(&["doctor", "--state-dir", "state", "--format", "json"]);
    let report: serde_json::Value = serde_json::from_str(&seen.stdout).expect("JSON");
    let advice = |at: usize| &report["findings"][at]["advice"][0];
    assert_eq!(advice(1)["code"], "not-startable", "{report}");
    assert!(advice(1)["says"].as_str().is_some_and(|says| says.contains("no-such-program")), "{report}");
    assert_eq!(advice(2)["code"], "address-missing");
    assert_eq!(seen.code, Some(1));
}
