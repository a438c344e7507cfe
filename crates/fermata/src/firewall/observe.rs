//! Looks at the machine: what nftables has loaded, who listens, where SSH comes in. Changes nothing.

use std::collections::BTreeSet;
use std::fs;
use std::io::{self, Write};
use std::net::{Ipv4Addr, Ipv6Addr};
use std::process::{Command, Stdio};

use serde_json::Value;

use super::loaded::{self, Loaded};
use super::others::Other;
use super::passage::Ruleset;
use super::rules::{Gate, SSH, Transport};

/// Our table, as far as it can be seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Table {
    /// It cannot: why, and what to do.
    Unseen(String),
    /// It is not loaded.
    Absent,
    /// It is.
    Loaded(Loaded),
}

/// What a machine is like.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Observed {
    /// Our table.
    pub table: Table,
    /// Another firewall that is in charge.
    pub other: Option<Other>,
    /// Ports that Docker publishes. They never come by our table.
    pub published: BTreeSet<Gate>,
    /// Ports that something listens on, loopback apart.
    pub listening: BTreeSet<Gate>,
    /// Ports of SSH: by its configuration, and of the session that this runs in.
    pub ssh: BTreeSet<u16>,
    /// Docker's bridges.
    pub bridges: BTreeSet<String>,
    /// Everybody's rules.
    pub ruleset: Ruleset,
}

/// Looks.
pub fn observe() -> Observed {
    let (table, other, published, ruleset) = match nft(&["-j", "list", "ruleset"], None).and_then(|text| parse(&text)) {
        Ok(listing) => {
            let seen = loaded::read(&listing);
            let table = seen.table.map_or(Table::Absent, Table::Loaded);
            (table, seen.other, seen.published, Ruleset::read(&listing))
        }
        Err(why) => (Table::Unseen(why), None, BTreeSet::new(), Ruleset::default()),
    };
    let mut ssh = configured_ssh();
    ssh.extend(session_ssh());
    ssh.insert(SSH);
    Observed { table, other, published, listening: listening(), ssh, bridges: bridges(), ruleset }
}

fn parse(text: &str) -> Result<Value, String> {
    serde_json::from_str(text).map_err(|error| format!("nft's answer is not understood: {error}"))
}

/// Runs nft. An error is what it says, with a way out.
pub(super) fn nft(arguments: &[&str], input: Option<&str>) -> Result<String, String> {
    // A user's PATH has no sbin on Debian.
    let path = std::env::var("PATH").unwrap_or_default() + ":/usr/sbin:/sbin";
    let mut command = Command::new("nft");
    command.args(arguments).env("PATH", path).env("LC_ALL", "C");
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let missing = |error: io::Error| match error.kind() {
        io::ErrorKind::NotFound => "nft is not installed; install the package nftables".to_owned(),
        _ => format!("nft cannot be run: {error}"),
    };
    let mut child = command.spawn().map_err(missing)?;
    if let (Some(mut stdin), Some(text)) = (child.stdin.take(), input) {
        // If nft ends before it has read everything, its own words say why.
        let _ = stdin.write_all(text.as_bytes());
    }
    let output = child.wait_with_output().map_err(|error| format!("nft cannot be run: {error}"))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    if said.contains("Operation not permitted") || said.contains("must be root") {
        return Err("nftables shows its rules to root only; run it with sudo".to_owned());
    }
    Err(format!("nft says: {}", said.trim()))
}

/// The table in nftables' own words, to be put back.
pub(super) fn listing() -> Result<Option<String>, String> {
    match nft(&["list", "table", "inet", super::ruleset::TABLE], None) {
        Ok(text) => Ok(Some(text)),
        Err(why) if why.contains("No such file") => Ok(None),
        Err(why) => Err(why),
    }
}

/// `Port` and `ListenAddress` of `sshd_config(5)`.
fn configured_ssh() -> BTreeSet<u16> {
    let more = fs::read_dir("/etc/ssh/sshd_config.d").into_iter().flatten().flatten().map(|entry| entry.path());
    let files = more.chain(["/etc/ssh/sshd_config".into()]);
    files.filter_map(|file| fs::read_to_string(file).ok()).flat_map(|text| ssh_ports(&text)).collect()
}

fn ssh_ports(config: &str) -> Vec<u16> {
    let ports = config.lines().filter_map(|line| {
        let mut words = line.split([' ', '\t', '=']).filter(|word| !word.is_empty());
        let (key, value) = (words.next()?, words.next()?.trim_matches('"'));
        match key.to_ascii_lowercase().as_str() {
            "port" => value.parse().ok(),
            // host:port, [host]:port; a bare IPv6 address has no port.
            "listenaddress" => {
                let (host, port) = value.rsplit_once(':')?;
                (host.ends_with(']') || !host.contains(':')).then(|| port.parse().ok()).flatten()
            }
            _ => None,
        }
    });
    ports.collect()
}

/// The port of the SSH session that this runs in: `SSH_CONNECTION` of this process or, since sudo takes it away, of one
/// that it descends from.
fn session_ssh() -> Option<u16> {
    let own = std::env::var("SSH_CONNECTION").ok();
    own.as_deref().and_then(port_of_connection).or_else(|| {
        let mut pid = std::process::id();
        // A chain of parents ends at 1; one that is longer than this is no session of a person.
        for _ in 0..64 {
            pid = parent(pid).filter(|pid| *pid > 1)?;
            let environ = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
            let said = environ.split(|byte| *byte == 0).find_map(|one| one.strip_prefix(b"SSH_CONNECTION="));
            if let Some(port) = said.and_then(|said| port_of_connection(&String::from_utf8_lossy(said))) {
                return Some(port);
            }
        }
        None
    })
}

/// Client address, client port, server address, server port (ssh(1)).
fn port_of_connection(text: &str) -> Option<u16> {
    text.split(' ').nth(3)?.parse().ok()
}

fn parent(pid: u32) -> Option<u32> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    status.lines().find_map(|line| line.strip_prefix("PPid:"))?.trim().parse().ok()
}

/// Docker's own bridges: `docker0`, `docker_gwbridge`, and `br-` with the first twelve digits of a network's id.
fn bridges() -> BTreeSet<String> {
    // Unlike /sys/class/net, which shows the network namespace that it was mounted in, this shows our own (proc_net(5)).
    let table = fs::read_to_string("/proc/self/net/dev").unwrap_or_default();
    let names = table.lines().filter_map(|line| Some(line.split_once(':')?.0.trim()));
    names.filter(|name| is_dockers(name)).map(str::to_owned).collect()
}

fn is_dockers(name: &str) -> bool {
    let of_id = |id: &str| id.len() == 12 && id.bytes().all(|byte| byte.is_ascii_hexdigit());
    matches!(name, "docker0" | "docker_gwbridge") || name.strip_prefix("br-").is_some_and(of_id)
}

/// Who listens (`proc_net(5)`): TCP in state LISTEN, UDP that is not connected and has a port of a server.
fn listening() -> BTreeSet<Gate> {
    let ephemeral = fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range").unwrap_or_default();
    let first_ephemeral = ephemeral.split_whitespace().next().and_then(|port| port.parse().ok()).unwrap_or(32768);
    let mut gates = BTreeSet::new();
    for (file, protocol, state) in [
        ("tcp", Transport::Tcp, "0A"),
        ("tcp6", Transport::Tcp, "0A"),
        ("udp", Transport::Udp, "07"),
        ("udp6", Transport::Udp, "07"),
    ] {
        let text = fs::read_to_string(format!("/proc/net/{file}")).unwrap_or_default();
        let ports = text.lines().skip(1).filter_map(|line| listener(line, state));
        let ports = ports.filter(|port| protocol == Transport::Tcp || *port < first_ephemeral);
        gates.extend(ports.map(|port| Gate { port, protocol }));
    }
    gates
}

fn listener(line: &str, wanted: &str) -> Option<u16> {
    let mut columns = line.split_whitespace().skip(1);
    let (local, state) = (columns.next()?, columns.nth(1)?);
    let (address, port) = local.split_once(':')?;
    (state == wanted && !is_loopback(address)).then(|| u16::from_str_radix(port, 16).ok()).flatten()
}

/// Words of 32 bits in the machine's order of bytes, in hexadecimal.
fn is_loopback(address: &str) -> bool {
    let words: Option<Vec<u32>> =
        (0..address.len() / 8).map(|at| u32::from_str_radix(&address[at * 8..at * 8 + 8], 16).ok()).collect();
    match words.as_deref() {
        Some([word]) => Ipv4Addr::from(word.to_ne_bytes()).is_loopback(),
        Some([a, b, c, d]) => {
            let bytes: Vec<u8> = [a, b, c, d].into_iter().flat_map(|word| word.to_ne_bytes()).collect();
            let bytes: [u8; 16] = bytes.try_into().unwrap_or_default();
            let address = Ipv6Addr::from(bytes);
            address.is_loopback() || address.to_ipv4_mapped().is_some_and(|address| address.is_loopback())
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_of_ssh_are_found_in_its_configuration() {
        let config = "# Port 1\nPort 2222\nport=2200\nListenAddress 10.0.0.1:2022\nListenAddress [::]:2023\n\
                      ListenAddress fe80::1\nPermitRootLogin no\n";
        assert_eq!(ssh_ports(config), [2222, 2200, 2022, 2023]);
        assert_eq!(port_of_connection("203.0.113.9 50000 192.0.2.1 2222"), Some(2222));
    }

    #[test]
    fn docker_s_bridges_are_told_from_other_bridges() {
        let names = ["docker0", "br-0123456789ab", "br-lan", "br0", "eth0"];
        assert_eq!(names.map(is_dockers), [true, true, false, false, false]);
    }

    #[test]
    fn listeners_are_read_as_the_kernel_writes_them() {
        let line =
            |local: &str, state: &str| format!("  0: {local} 00000000:0000 {state} 00000000:00000000 00:0 0 0 1");
        let loopback = u32::from_ne_bytes([127, 0, 0, 1]);
        assert_eq!(listener(&line("00000000:1F90", "0A"), "0A"), Some(8080));
        assert_eq!(listener(&line("00000000:1F90", "01"), "0A"), None);
        assert_eq!(listener(&line(&format!("{loopback:08X}:1F90"), "0A"), "0A"), None);
        assert_eq!(listener(&line(&format!("{:024}{:08X}:1F90", 0, 1u32.to_be()), "0A"), "0A"), None);
    }
}
