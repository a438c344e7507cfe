//! What is loaded lets in whom it should, and nobody else.

use crate::lan::{Lan, V4, V6};
use crate::support::until;

pub(crate) const FILE: &str = "version: 2
services:
  web:
    ports: [{container: 3000, http: 8080}, {container: 3000, tcp: 9000}, {container: 3000, tcp: 9001}]
firewall:
  rules: [{port: 9000, from: 10.77.0.0/24}]
";

#[test]
fn the_file_s_ports_are_open_to_whom_it_says_and_all_others_are_closed() {
    let lan = Lan::new(FILE, &[22, 8080, 9000, 9001]);
    lan.is_open(9001);
    lan.protect();
    lan.is_open(22);
    lan.is_open(8080);
    lan.is_closed(9001);
    assert!(lan.connects(V4, 9000, "30"), "10.77.0.0/24 is let in");
    assert!(!lan.connects(V6, 9000, "1"), "nobody else is");
    // From the machine itself nothing is closed, and it is seen in the neighbourhood.
    lan.on_server("timeout 30 bash -c 'exec 3<>/dev/tcp/127.0.0.1/9001 4<>/dev/tcp/::1/9001'");
}

#[test]
fn datagrams_come_in_where_the_file_says_and_nowhere_else() {
    let file = "version: 2
services:
  dns: {ports: [{container: 5353, udp: 5353}, {container: 5354, udp: 5354}, {container: 5355, udp: 5355}]}
firewall:
  rules: [{port: 5353, protocol: udp}, {port: 5354, protocol: udp, from: 10.77.0.0/24}]
";
    let mut lan = Lan::new(file, &[]);
    lan.echoes_datagrams(&[5353, 5354, 5355]);
    assert!(lan.echoes(V4, 5355, "30") && lan.echoes(V6, 5355, "30"), "nothing is loaded yet");
    lan.protect();
    assert!(lan.echoes(V4, 5353, "30") && lan.echoes(V6, 5353, "30"), "everybody is let in");
    assert!(lan.echoes(V4, 5354, "30"), "10.77.0.0/24 is let in");
    assert!(!lan.echoes(V6, 5354, "1"), "nobody else is");
    assert!(!lan.echoes(V4, 5355, "1") && !lan.echoes(V6, 5355, "1"), "nobody is");
    lan.does(&["allow", "5355/udp", "--for", "20m"]);
    assert!(lan.echoes(V4, 5355, "30") && lan.echoes(V6, 5355, "30"), "opened by hand");
}

#[test]
fn a_plan_that_is_applied_changes_nothing_a_second_time() {
    let lan = Lan::new(FILE, &[]);
    lan.protect();
    lan.does(&["allow", "5353/udp", "--for", "20m"]);
    lan.does(&["allow", "9001/tcp", "--from", "2001:db8::/32"]);
    let before = lan.on_server("nft -s list ruleset | sed 's/ expires [0-9a-z]*//'");
    let nothing = "nothing changes: it is loaded as it should be\n";
    assert_eq!(lan.does(&["plan"]), nothing);
    assert_eq!(lan.does(&["apply"]), nothing);
    assert_eq!(lan.on_server("nft -s list ruleset | sed 's/ expires [0-9a-z]*//'"), before);
}

#[test]
fn a_port_is_opened_by_hand_for_a_time_and_closes_by_itself() {
    let lan = Lan::new(FILE, &[9001]);
    lan.protect();
    lan.is_closed(9001);
    assert_eq!(lan.does(&["allow", "9001/tcp", "--for", "20m"]), "open: 9001/tcp, for 20m\n");
    lan.is_open(9001);
    assert_eq!(lan.does(&["allow", "9001/tcp", "--for", "2s"]), "open: 9001/tcp, for 2s\n");
    until("the time is over", || !lan.connects(V4, 9001, "1"));
    lan.is_closed(9001);
}

#[test]
fn a_port_of_the_file_is_closed_by_hand_and_opened_again_but_never_that_of_ssh() {
    let lan = Lan::new(FILE, &[8080]);
    lan.protect();
    assert_eq!(lan.does(&["deny", "8080"]), "closed to new connections: 8080/tcp\n");
    lan.is_closed(8080);
    assert!(lan.does(&["list"]).contains("closed by hand: 8080/tcp\n"));
    lan.does(&["allow", "8080"]);
    lan.is_open(8080);
    let refused = lan.firewall(&["deny", "22/tcp"]);
    assert_eq!(
        (refused.code, refused.stderr.as_str()),
        (Some(1), "error: 22/tcp is how SSH comes in, and is never closed by fermata\n")
    );
    let unknown = lan.firewall(&["deny", "7777/udp"]);
    assert_eq!((unknown.code, unknown.stderr.as_str()), (Some(1), "error: 7777/udp was not open\n"));
}

#[test]
fn the_port_of_the_present_ssh_session_stays_open_in_this_session_and_ever_after() {
    let lan = Lan::new(FILE, &[2222, 9001]);
    let session = ["env", "SSH_CONNECTION=10.77.0.2 50000 10.77.0.1 2222"];
    assert_eq!(lan.firewall_with(&session, &["apply"]).code, Some(0));
    lan.does(&["confirm"]);
    lan.is_open(2222);
    assert_eq!(lan.does(&["plan"]).lines().next(), Some("nothing changes: it is loaded as it should be"));
    assert_eq!(lan.firewall(&["deny", "2222"]).code, Some(1));
}

#[test]
fn a_connection_that_is_open_when_its_port_is_closed_goes_on() {
    let lan = Lan::new(FILE, &[9001]);
    let talk = "exec 3<>/dev/tcp/10.77.0.1/9001; echo connected; until [ -e go ]; do sleep 0.05; done
                printf 'GET / HTTP/1.1\\r\\nHost: x\\r\\nConnection: close\\r\\n\\r\\n' >&3; head -n 1 <&3";
    let client = lan.client(talk);
    client.wait_for("that it is connected", |line| line == "connected");
    lan.protect();
    lan.is_closed(9001);
    lan.folder.write("go", "");
    client.wait_for("an answer", |line| line.starts_with("HTTP/1.1 200"));
}

#[test]
fn what_was_confirmed_is_loaded_again_when_the_machine_boots() {
    let lan = Lan::new(FILE, &[9001]);
    let early = lan.firewall(&["apply", "--at-boot"]);
    assert_eq!(
        (early.code, early.stderr.as_str()),
        (
            Some(1),
            "error: nothing was ever confirmed here, so there is nothing to load; run fermata firewall apply, then confirm\n"
        )
    );
    lan.protect();
    lan.does(&["allow", "9001", "--from", "10.77.0.2"]);
    let before = lan.on_server("nft -s list ruleset");
    lan.on_server("nft flush ruleset");
    lan.does(&["apply", "--at-boot"]);
    assert_eq!(lan.on_server("nft -s list ruleset"), before);
}
