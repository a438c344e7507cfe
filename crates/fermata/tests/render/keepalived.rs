//! `fermata render keepalived`: what a real keepalived says to it.

use std::process::Command;

use crate::support::golden::{inputs, rendered};
use crate::support::{Folder, program};

/// keepalived looks for the interface: in a network of the test's own, which goes with its processes.
#[test]
fn keepalived_itself_takes_every_file() {
    let folder = Folder::new("");
    let mut count = 0;
    for (input, yml) in inputs("render/keepalived") {
        for file in rendered("keepalived", &yml).files {
            folder.write(&format!("{input}-{}", file.name), &file.text);
            count += 1;
        }
    }
    assert!(count >= 10, "{count}");
    let script = "set -e
ip link add fermata0 type veth peer name fermata1
for address in 10.77.0.8/24 10.77.0.9/24; do ip addr add $address dev fermata0; done
for address in fd77::8/64 fd77::9/64; do ip addr add $address dev fermata0 nodad; done
ip link set fermata0 up
ip link set fermata1 up
for file in *.conf; do keepalived -t -f $PWD/$file; done
sed 's/priority 100/priority nonsense/' 1-plain.yml-keepalived-1.conf > broken.conf
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
