//! The proxies: what each is told, and how each is started.

use std::fs;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::child::Process;
use crate::machine::said;

/// A proxy that can be measured.
#[derive(Debug, Clone)]
pub(crate) struct Proxy {
    pub(crate) kind: Kind,
    pub(crate) program: PathBuf,
    pub(crate) version: String,
}

/// Which proxy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// This project.
    Fermata,
    /// A bare forwarder of bytes.
    Floor,
    /// HAProxy.
    Haproxy,
    /// nginx.
    Nginx,
    /// Caddy.
    Caddy,
}

impl Kind {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Kind::Fermata => "fermata",
            Kind::Floor => "floor",
            Kind::Haproxy => "haproxy",
            Kind::Nginx => "nginx",
            Kind::Caddy => "caddy",
        }
    }

    /// The floor knows no TLS.
    pub(crate) fn has_tls(self) -> bool {
        self != Kind::Floor
    }
}

/// What a proxy is to do.
pub(crate) struct Setting<'a> {
    pub(crate) folder: &'a Path,
    pub(crate) core: usize,
    /// `host:port`, or `unix:/path`.
    pub(crate) service: String,
    /// The peers get large buffers, which they need to move much.
    pub(crate) large_buffers: bool,
}

/// A proxy that runs.
pub(crate) struct Running {
    pub(crate) process: Process,
    pub(crate) clear: SocketAddr,
    pub(crate) tls: SocketAddr,
}

/// The fermata to measure: `named`, or one that is built now.
pub(crate) fn fermata_binary(named: Option<&Path>) -> io::Result<PathBuf> {
    if let Some(named) = named {
        return fs::canonicalize(named)
            .map_err(|error| io::Error::other(format!("cannot find {}: {error}", named.display())));
    }
    let own = std::env::current_exe()?;
    let folder = own.parent().unwrap_or(Path::new("."));
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let built = Command::new(cargo)
        .args(["build", "--release", "--locked", "--quiet", "-p", "fermata", "--bin", "fermata"])
        .status();
    match built {
        Ok(status) if status.success() => fs::canonicalize(folder.join("fermata")).map_err(|error| {
            io::Error::other(format!("no fermata beside {}: {error}; name one with --fermata", own.display()))
        }),
        _ => Err(io::Error::other("cargo build --release has failed; name a binary with --fermata")),
    }
}

/// Fermata, the floor, and those peers that are wanted; without a wish, those that are installed.
pub(crate) fn all(fermata: PathBuf, wanted: Option<&[String]>) -> io::Result<Vec<Proxy>> {
    let version = said(&fermata.to_string_lossy(), &["--version"]);
    let mut all = vec![
        Proxy { kind: Kind::Fermata, program: fermata, version },
        Proxy { kind: Kind::Floor, program: std::env::current_exe()?, version: "floor: epoll, read, write".into() },
    ];
    for (kind, arguments) in [(Kind::Haproxy, "-v"), (Kind::Nginx, "-v"), (Kind::Caddy, "version")] {
        let named = wanted.map(|names| names.iter().any(|name| name == kind.name()));
        let found = find(kind.name());
        match (named, found) {
            (Some(true) | None, Some(program)) => {
                let version = said(&program.to_string_lossy(), &[arguments]);
                let version = if kind == Kind::Caddy { format!("Caddy {version}") } else { version };
                all.push(Proxy { kind, program, version });
            }
            (Some(true), None) => {
                return Err(io::Error::other(format!(
                    "{0} is not installed (Debian: apt-get install {0})",
                    kind.name()
                )));
            }
            _ => {}
        }
    }
    Ok(all)
}

fn find(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    // Debian's daemons, where the path of a user who is not root does not have them.
    std::env::split_paths(&path)
        .chain(["/usr/sbin".into()])
        .map(|folder| folder.join(program))
        .find(|file| file.is_file())
}

fn free_port() -> io::Result<SocketAddr> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()
}

impl Proxy {
    /// Starts it, and waits until it serves.
    pub(crate) fn start(&self, setting: &Setting<'_>) -> io::Result<Running> {
        self.start_under(&[], setting)
    }

    /// The same, run by another program.
    pub(crate) fn start_under(&self, runner: &[&str], setting: &Setting<'_>) -> io::Result<Running> {
        let (clear, tls) = (free_port()?, free_port()?);
        let folder = setting.folder;
        let file = |name: &str, text: String| {
            let file = folder.join(name);
            fs::write(&file, text).map(|()| file.to_string_lossy().into_owned())
        };
        let log = folder.join(format!("{}.log", self.kind.name()));
        let program = self.program.to_string_lossy();
        let start =
            |arguments: &[&str]| Process::start(&[runner, &[&*program], arguments].concat(), setting.core, &log);
        let mut process = match self.kind {
            Kind::Floor => start(&["floor", &clear.to_string(), &setting.service])?,
            Kind::Fermata => {
                let file = file("service.yml", fermata(setting, clear, tls, 10))?;
                let state = folder.join("state");
                start(&["up", &file, "--state-dir", &state.to_string_lossy()])?
            }
            Kind::Haproxy => start(&["-db", "-f", &file("haproxy.cfg", haproxy(setting, clear, tls))?])?,
            Kind::Nginx => {
                let prefix = folder.to_string_lossy();
                start(&["-p", &prefix, "-e", "nginx.log", "-c", &file("nginx.conf", nginx(setting, clear, tls))?])?
            }
            Kind::Caddy => {
                let file = file("Caddyfile", caddy(setting, clear, tls))?;
                start(&["run", "--adapter", "caddyfile", "--config", &file])?
            }
        };
        if self.kind == Kind::Fermata {
            process.wait_for_line("ready")?;
        } else {
            process.wait_for_port(if self.kind.has_tls() { tls } else { clear })?;
            process.wait_for_port(clear)?;
        }
        Ok(Running { process, clear, tls })
    }
}

/// `head_timeout` is there to be changed by a reload.
pub(crate) fn fermata(setting: &Setting<'_>, clear: SocketAddr, tls: SocketAddr, head_timeout: u32) -> String {
    let Setting { folder, service, .. } = setting;
    format!(
        "\
version: 2
services:
  echo:
    address: {service}
    ports:
    - container: {container}
      http: {http}
      https: {https}
tls:
  certificates:
  - cert: {folder}/cert.pem
    key: {folder}/key.pem
gateway:
  bind: [127.0.0.1]
  head_timeout: {head_timeout}s
",
        container = service.rsplit_once(':').filter(|_| !service.starts_with("unix:")).map_or("3000", |(_, port)| port),
        http = clear.port(),
        https = tls.port(),
        folder = folder.display(),
    )
}

fn haproxy(setting: &Setting<'_>, clear: SocketAddr, tls: SocketAddr) -> String {
    let buffers = if setting.large_buffers { "  tune.bufsize 65536\n" } else { "" };
    let service = setting.service.replace("unix:", "unix@");
    format!(
        "\
global
  nbthread 1
  maxconn 9900
{buffers}defaults
  mode http
  timeout connect 5s
  timeout client 1h
  timeout server 1h
  timeout tunnel 1h
frontend public
  bind {clear} backlog 4096
  bind {tls} backlog 4096 ssl crt {both} alpn http/1.1
  default_backend echo
backend echo
  server echo {service}
",
        both = setting.folder.join("both.pem").display(),
    )
}

fn nginx(setting: &Setting<'_>, clear: SocketAddr, tls: SocketAddr) -> String {
    let buffers = if setting.large_buffers {
        "      proxy_buffer_size 64k;\n      proxy_buffers 4 64k;\n      proxy_busy_buffers_size 128k;\n"
    } else {
        ""
    };
    let folder = setting.folder.display();
    let service = setting.service.strip_prefix("unix:").map_or(setting.service.clone(), |path| format!("unix:{path}:"));
    // As root it would drop to another user, who could not read the folder.
    let user = if rustix::process::geteuid().is_root() { "user root;\n" } else { "" };
    format!(
        "\
daemon off;
master_process off;
{user}pid {folder}/nginx.pid;
worker_rlimit_nofile {files};
events {{
  worker_connections {connections};
}}
http {{
  access_log off;
  client_body_temp_path {folder}/nginx-body;
  proxy_temp_path {folder}/nginx-proxy;
  fastcgi_temp_path {folder}/nginx-fastcgi;
  uwsgi_temp_path {folder}/nginx-uwsgi;
  scgi_temp_path {folder}/nginx-scgi;
  server {{
    listen {clear} backlog=4096;
    listen {tls} ssl backlog=4096;
    ssl_certificate {folder}/cert.pem;
    ssl_certificate_key {folder}/key.pem;
    ssl_protocols TLSv1.2 TLSv1.3;
    ssl_session_cache shared:tls:16m;
    location / {{
      proxy_pass http://{service};
      proxy_http_version 1.1;
      proxy_set_header Host $host;
      proxy_set_header Upgrade $http_upgrade;
      proxy_set_header Connection upgrade;
      proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
      proxy_read_timeout 1h;
      proxy_send_timeout 1h;
{buffers}    }}
  }}
}}
",
        files = 20_000,
        connections = 19_900,
    )
}

fn caddy(setting: &Setting<'_>, clear: SocketAddr, tls: SocketAddr) -> String {
    let folder = setting.folder.display();
    let service = setting.service.replace("unix:", "unix/");
    format!(
        "\
{{
  admin off
  auto_https off
  storage file_system {folder}/caddy
}}
http://:{http} {{
  reverse_proxy {service}
}}
https://:{https} {{
  tls {folder}/cert.pem {folder}/key.pem
  reverse_proxy {service}
}}
",
        http = clear.port(),
        https = tls.port(),
    )
}
