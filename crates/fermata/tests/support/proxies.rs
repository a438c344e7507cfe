//! Real proxies, before Fermata and behind it.

use std::net::{Ipv4Addr, TcpStream};
use std::process::Command;

use super::Folder;
use super::process::{Process, until};

/// A program, also for users whose PATH has no programs of the system.
pub fn program(name: &str) -> Command {
    let mut command = Command::new(name);
    let path = std::env::var("PATH").unwrap_or_default();
    command.env("PATH", format!("{path}:/usr/sbin:/usr/local/sbin"));
    command
}

/// A `HAProxy` with this configuration, once it listens on `port`.
pub fn haproxy(folder: &Folder, configuration: &str, port: u16) -> Process {
    let defaults = "defaults\n  mode http\n  timeout connect 60s\n  timeout client 60s\n  timeout server 60s\n";
    let file = folder.write("haproxy.cfg", &format!("{defaults}{configuration}"));
    listening(Process::start(program("haproxy").arg("-db").arg("-f").arg(file)), port)
}

/// An nginx with this in its `http` block, once it listens on `port`.
pub fn nginx(folder: &Folder, http: &str, port: u16) -> Process {
    let paths: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        .map(|kind| format!("  {kind}_temp_path temp-{kind};\n"))
        .concat();
    let file = folder.write(
        "nginx.conf",
        &format!(
            "daemon off;\nmaster_process off;\npid nginx.pid;\nerror_log stderr;\nevents {{}}\n\
             http {{\n  access_log off;\n{paths}{http}}}\n"
        ),
    );
    let mut command = program("nginx");
    command.args(["-e", "stderr"]).arg("-p").arg(folder.path()).arg("-c").arg(file);
    listening(Process::start(&mut command), port)
}

/// A Caddy with this Caddyfile, once it listens on `port`. What it keeps goes into the folder.
pub fn caddy(folder: &Folder, caddyfile: &str, port: u16) -> Process {
    let file = folder.write("Caddyfile", caddyfile);
    let mut command = program("caddy");
    command.args(["run", "--adapter", "caddyfile", "--config"]).arg(file);
    for home in ["HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME"] {
        command.env(home, folder.path());
    }
    listening(Process::start(&mut command), port)
}

fn listening(process: Process, port: u16) -> Process {
    until("the proxy listens", || TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok());
    process
}
