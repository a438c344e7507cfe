//! The systemd unit that loads what was confirmed when a machine boots.

use std::path::Path;

/// Its text. It comes before the network does, so that no port is open too early (systemd.special(7)).
pub fn unit(program: &Path, folder: &Path) -> String {
    format!(
        "[Unit]
Description=Firewall of Fermata
DefaultDependencies=no
RequiresMountsFor={folder}
After=local-fs.target systemd-modules-load.service nftables.service
Before=network-pre.target shutdown.target
Wants=network-pre.target
Conflicts=shutdown.target

[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart={program} firewall apply --at-boot --state-dir {folder}

[Install]
WantedBy=sysinit.target
",
        program = escaped(program),
        folder = escaped(folder),
    )
}

/// A path in a unit: spaces would end it, percent signs begin a specifier (systemd.unit(5)).
fn escaped(path: &Path) -> String {
    path.display().to_string().replace('\\', "\\x5c").replace(' ', "\\x20").replace('%', "%%")
}
