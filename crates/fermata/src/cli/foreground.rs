//! What runs in the foreground: `up`, `lb`, and the two small servers.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, ValueEnum};

/// `fermata up`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  fermata up                          service.yml of this folder
  fermata up examples/echo/service.yml
  fermata up --dry-run                print what would be started and bound")]
pub struct Up {
    /// Which file, and how.
    #[command(flatten)]
    pub run: Run,
    /// Run the databases of the file as containers, for development; services get their addresses and passwords.
    #[arg(long)]
    pub with_databases: bool,
}

/// `fermata lb`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  fermata lb                          the load balancer of service.yml of this folder
  fermata lb --dry-run                print its servers, their checks and its ports
  fermata lb --engine haproxy         the same by a real HAProxy, configured and supervised
  fermata drain web2                  in another terminal: web2 gets nothing new, its clients come back to others
  fermata reload                      after editing load_balancer.servers")]
pub struct Lb {
    /// What balances [default: what the file says, or Fermata itself]
    #[arg(long)]
    pub engine: Option<Engine>,
    /// Which file, and how.
    #[command(flatten)]
    pub run: Run,
}

/// What balances.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Engine {
    /// Fermata itself.
    Builtin,
    /// A real `HAProxy`, started and supervised.
    #[value(help = "A real HAProxy, started and supervised")]
    Haproxy,
}

/// What is run in the foreground.
#[derive(Debug, Args)]
pub struct Run {
    /// The service.yml [default: service.yml, then service.yaml, of this folder]
    pub file: Option<PathBuf>,
    /// Print the plan and change nothing.
    #[arg(long)]
    pub dry_run: bool,
    /// Folder of the control socket, generated certificates and saved state
    /// [default: /var/lib/fermata for root, else the XDG state folder]
    #[arg(long, value_name = "DIR")]
    pub state_dir: Option<PathBuf>,
    /// Take over from the fermata at the other end of the standard input: for `fermata upgrade` alone.
    #[arg(long, hide = true, conflicts_with = "dry_run")]
    pub successor: bool,
}

/// `fermata tester`.
#[derive(Debug, Args)]
#[command(after_help = "Example:
  fermata tester --listen 127.0.0.1:9999")]
pub struct Tester {
    /// Where to serve the page.
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8088")]
    pub listen: SocketAddr,
}

/// `fermata echo`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  fermata echo                        on the port in PORT, else 3000
  fermata echo --listen 127.0.0.1:0   on a free port, printed")]
pub struct Echo {
    /// Where to listen [default: 127.0.0.1 and the port in PORT, else 3000]
    #[arg(long, value_name = "ADDR")]
    pub listen: Option<SocketAddr>,
}
