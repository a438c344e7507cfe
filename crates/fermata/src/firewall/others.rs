//! Other programs that are in charge of a machine's firewall: they are told in their own words, and left alone.

use fermata_spec::Network;

use super::rules::{Door, Rules};

/// Somebody else's firewall.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Other {
    /// ufw of Debian and Ubuntu.
    Ufw,
    /// firewalld of Fedora, RHEL and SUSE.
    Firewalld,
}

impl Other {
    pub(super) fn of_chain(name: &str) -> Option<Other> {
        matches!(name, "ufw-user-input" | "ufw6-user-input").then_some(Other::Ufw)
    }

    pub(super) fn of_table(name: &str) -> Option<Other> {
        (name == "firewalld").then_some(Other::Firewalld)
    }

    /// What it is called.
    pub fn name(self) -> &'static str {
        match self {
            Other::Ufw => "ufw",
            Other::Firewalld => "firewalld",
        }
    }

    /// Its own commands that open what the rules open, SSH first.
    pub fn open(self, rules: &Rules) -> Vec<String> {
        let ssh = rules.ssh.iter().map(|port| Door { gate: super::Gate::tcp(*port), from: None });
        let mut commands: Vec<String> = ssh.chain(rules.doors.keys().copied()).map(|door| self.allow(&door)).collect();
        commands.extend(self.activate());
        commands
    }

    /// Its own commands for one door.
    pub fn one(self, door: &Door, open: bool) -> Vec<String> {
        let command = if open { self.allow(door) } else { self.deny(door) };
        [command].into_iter().chain(self.activate()).collect()
    }

    fn allow(self, door: &Door) -> String {
        self.change(door, "ufw allow", "add")
    }

    fn deny(self, door: &Door) -> String {
        self.change(door, "ufw delete allow", "remove")
    }

    fn change(self, door: &Door, ufw: &str, firewalld: &str) -> String {
        let (port, protocol) = (door.gate.port, door.gate.protocol.name());
        match (self, door.from) {
            (Other::Ufw, None) => format!("{ufw} {port}/{protocol}"),
            (Other::Ufw, Some(from)) => format!("{ufw} proto {protocol} from {from} to any port {port}"),
            (Other::Firewalld, None) => format!("firewall-cmd --permanent --{firewalld}-port={port}/{protocol}"),
            (Other::Firewalld, Some(from)) => format!(
                "firewall-cmd --permanent --{firewalld}-rich-rule='rule family={} source address={from} port \
                 port={port} protocol={protocol} accept'",
                family(from)
            ),
        }
    }

    fn activate(self) -> Option<String> {
        match self {
            Other::Ufw => None,
            Other::Firewalld => Some("firewall-cmd --reload".to_owned()),
        }
    }
}

fn family(network: Network) -> &'static str {
    if network.address.is_ipv4() { "ipv4" } else { "ipv6" }
}
