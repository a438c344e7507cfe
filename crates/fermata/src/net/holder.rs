//! Which process holds a port, from `/proc` (proc(5)): a socket's inode, and who has it open. A best effort: another user's
//! processes cannot be looked into without privileges.

use std::fmt;
use std::fs;

use super::listen::Transport;

/// A process that holds a port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holder {
    /// The name of its program (`proc_pid_comm(5)`).
    pub name: String,
    /// Its number.
    pub pid: u32,
}

impl fmt::Display for Holder {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{} (pid {})", self.name, self.pid)
    }
}

/// The process that holds `port`.
pub fn of(port: u16, transport: Transport) -> Option<Holder> {
    let tables: &[&str] = match transport {
        Transport::Tcp => &["/proc/net/tcp", "/proc/net/tcp6"],
        Transport::Udp => &["/proc/net/udp", "/proc/net/udp6"],
    };
    let inodes: Vec<String> = tables
        .iter()
        .filter_map(|table| fs::read_to_string(table).ok())
        .flat_map(|table| table.lines().filter_map(|line| inode(line, port, transport)).collect::<Vec<_>>())
        .collect();
    fs::read_dir("/proc").ok()?.flatten().find_map(|entry| {
        let pid: u32 = entry.file_name().to_str()?.parse().ok()?;
        let open = fs::read_dir(entry.path().join("fd")).ok()?;
        let holds = open.flatten().any(|descriptor| {
            fs::read_link(descriptor.path())
                .is_ok_and(|link| inodes.iter().any(|inode| link.to_str() == Some(&format!("socket:[{inode}]"))))
        });
        let name = fs::read_to_string(entry.path().join("comm")).ok()?;
        holds.then(|| Holder { name: name.trim().to_owned(), pid })
    })
}

/// The inode of a socket that listens on (UDP: is bound to) `port`, from one line of the kernel's table.
fn inode(line: &str, port: u16, transport: Transport) -> Option<String> {
    /// `TCP_LISTEN`, and what the kernel prints for a UDP socket that is bound but not connected.
    const LISTENING: &str = "0A";
    const BOUND: &str = "07";
    let mut fields = line.split_whitespace();
    let local = fields.nth(1)?;
    let state = fields.nth(1)?;
    let wanted = if transport == Transport::Tcp { LISTENING } else { BOUND };
    let (_, hex) = local.rsplit_once(':')?;
    (u16::from_str_radix(hex, 16).ok()? == port && state == wanted).then(|| fields.nth(5)).flatten().map(str::to_owned)
}
