//! `fermata render keepalived`: two files, and what a real keepalived says to them.

mod support;

use std::process::Command;

use support::{Folder, program};

const FILE: &str = "
load_balancer:
  servers: [{name: web1, address: 10.77.0.11}]
  floating: {address: 10.77.0.10, interface: fermata0, balancers: [10.77.0.8, 10.77.0.9]}
";

fn rendered() -> Folder {
    let folder = Folder::new(FILE);
    let ended = folder.run(&["render", "keepalived", "-o", "."]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    folder
}

#[test]
fn each_of_two_balancers_gets_a_file_of_its_own() {
    let folder = rendered();
    let read = |name: &str| std::fs::read_to_string(folder.path().join(name)).expect("it was written");
    let (first, second) = (read("keepalived-1.conf"), read("keepalived-2.conf"));
    let expected = first
        .replace("balancer with the address 10.77.0.8", "balancer with the address 10.77.0.9")
        .replace("router_id balancer-1", "router_id balancer-2")
        .replace("priority 100", "priority 90")
        .replace("unicast_src_ip 10.77.0.8", "unicast_src_ip 10.77.0.9")
        .replace("unicast_peer {\n    10.77.0.9", "unicast_peer {\n    10.77.0.8");
    assert_eq!(second, expected);
    assert!(first.contains("  virtual_ipaddress {\n    10.77.0.10 dev fermata0\n  }\n"), "{first}");
}

#[test]
fn the_balancer_is_asked_where_it_listens() {
    let file = FILE.replace("  floating", "  ports: {http: \"8000:80\"}\n  floating") + "gateway: {bind: 10.77.0.8}\n";
    let folder = Folder::new(&file);
    let ended = folder.run(&["render", "keepalived", "-o", "."]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let text = std::fs::read_to_string(folder.path().join("keepalived-1.conf")).expect("it was written");
    assert!(text.contains("script \"/bin/bash -c '</dev/tcp/10.77.0.8/8000'\"\n"), "{text}");
}

/// keepalived looks for the interface: in a network of the test's own, which goes with its processes.
#[test]
fn keepalived_itself_takes_both() {
    let folder = rendered();
    let script = "set -e
ip link add fermata0 type veth peer name fermata1
ip addr add 10.77.0.8/24 dev fermata0
ip addr add 10.77.0.9/24 dev fermata0
ip link set fermata0 up
ip link set fermata1 up
for file in keepalived-1.conf keepalived-2.conf; do keepalived -t -f $PWD/$file; done
sed 's/priority 100/priority nonsense/' keepalived-1.conf > broken.conf
! keepalived -t -f $PWD/broken.conf
";
    let mut command: Command = program("unshare");
    command.args(["--net", "--map-root-user", "bash", "-c", script]).current_dir(folder.path());
    let ended = command.output().expect("unshare is there");
    let said = String::from_utf8_lossy(&ended.stdout) + String::from_utf8_lossy(&ended.stderr);
    assert!(ended.status.success(), "{said}");
    let complaints: Vec<&str> = said.lines().filter(|line| !line.contains("broken.conf")).collect();
    assert_eq!(complaints, Vec::<&str>::new());
}

#[test]
fn without_a_floating_address_it_says_what_to_write() {
    let folder = Folder::new("load_balancer:\n  servers: [{name: web1, address: 10.77.0.11}]\n");
    let ended = folder.run(&["render", "keepalived"]);
    assert_eq!(ended.code, Some(1));
    assert!(ended.stderr.contains("there is no floating address"), "{ended:?}");
}
