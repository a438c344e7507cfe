//! The systemd unit of the Debian package, as it is, under a real systemd, with the package's own service.yml.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::support::{Folder, Network, Systemd, UNIT, until};

const PACKAGED: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../packaging/debian");
const FERMATA: &str = env!("CARGO_BIN_EXE_fermata");

/// Puts into place what the package installs, over what this machine has there.
const INSTALL: &str = r#"
mount -t tmpfs tmpfs /mnt
for folder in /usr/bin /etc; do
    mkdir -p /mnt/over$folder /mnt/work$folder
    mount -t overlay -o "lowerdir=$folder,upperdir=/mnt/over$folder,workdir=/mnt/work$folder" overlay $folder
done
mount -t tmpfs tmpfs /var/lib
cp "$FERMATA" /usr/bin/fermata
mkdir -p /etc/fermata
cp "$PACKAGED/service.yml" /etc/fermata/service.yml
"#;

fn unit() -> String {
    fs::read_to_string(Path::new(PACKAGED).join(UNIT)).unwrap()
}

#[test]
fn the_unit_of_the_package_starts_reloads_and_stops_fermata_within_all_its_bounds() {
    // Targets that every machine has.
    let target = "[Unit]\nDefaultDependencies=no\n";
    let targets = ["sysinit.target", "basic.target", "shutdown.target"].map(|name| (name, target));
    let install = format!("FERMATA={FERMATA} PACKAGED={PACKAGED}\n{INSTALL}");
    let unit = unit();
    let units = [&[(UNIT, unit.as_str())][..], &targets].concat();
    let systemd = Systemd::boot(Folder::new(""), &units, Network::Own, &install);
    let text = |command: &[&str]| String::from_utf8(systemd.order(command).stdout).unwrap();
    let status = || text(&["fermata", "status", "--state-dir", "/var/lib/fermata"]);
    let probe = |url: &str| systemd.run(&["fermata", "probe", url]).status.code();
    assert_eq!(probe("ws://127.0.0.1:8080/"), Some(0), "{}", systemd.log());

    let main = systemd.shows("MainPID");
    let process = text(&["cat", &format!("/proc/{main}/status")]);
    let line = |key: &str| process.lines().find_map(|line| line.strip_prefix(key)).unwrap().trim().to_owned();
    assert_ne!(line("Uid:").split_whitespace().next(), Some("0"), "{process}");
    // CAP_NET_BIND_SERVICE is bit 10 (capabilities(7)).
    let bits = ["CapEff:", "CapBnd:", "NoNewPrivs:", "Seccomp:"].map(line);
    assert_eq!(bits, ["0000000000000400", "0000000000000400", "1", "2"]);
    assert_eq!(text(&["stat", "--format", "%a", "/var/lib/private/fermata"]), "700\n");

    systemd.order(&["sed", "-i", "s/http: 8080/http: 80/", "/etc/fermata/service.yml"]);
    systemd.order(&["systemctl", "reload", UNIT]);
    until("it listens on a low port", || probe("ws://127.0.0.1:80/") == Some(0));
    assert_eq!([systemd.shows("MainPID"), systemd.shows("NRestarts")], [main.as_str(), "0"], "{}", status());

    systemd.order(&["systemctl", "stop", UNIT]);
    assert_eq!(systemd.shows("Result"), "success", "{}", systemd.log());
    assert_eq!(probe("ws://127.0.0.1:80/"), Some(1));
}

#[test]
fn systemd_takes_the_unit_of_the_package() {
    let folder = Folder::new("");
    let text = unit();
    // The program is not installed here.
    let file = folder.write("fermata.service", &text.replace("/usr/bin/fermata", FERMATA));
    let analyze = |arguments: &[&str], file: &Path| {
        let said = Command::new("systemd-analyze").args(arguments).arg(file).stdin(Stdio::null()).output().unwrap();
        (said.status.success(), String::from_utf8([said.stdout, said.stderr].concat()).unwrap())
    };
    let (well, said) = analyze(&["verify"], &file);
    assert!(well && !said.contains("fermata.service:"), "{said}");
    // 10 is a unit without bounds.
    let (well, said) = analyze(&["security", "--offline=yes", "--threshold=20"], &file);
    assert!(well, "{said}");
}
