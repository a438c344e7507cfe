//! What a running Fermata is asked and told.

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};

use crate::admin::Count;

/// How a running Fermata is found.
#[derive(Debug, Clone, Args)]
pub struct At {
    /// The state folder of the running fermata [default: as for up]
    #[arg(long, value_name = "DIR")]
    pub state_dir: Option<PathBuf>,
}

/// `fermata status`.
#[derive(Debug, Args)]
pub struct Ask {
    /// Which fermata.
    #[command(flatten)]
    pub at: At,
    /// How to print.
    #[arg(long, value_enum, default_value_t)]
    pub format: Format,
}

/// How an answer is printed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people.
    #[default]
    Human,
    /// For programs.
    Json,
}

/// `fermata top`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  fermata top                  until Ctrl-C
  fermata top --every 5s
  fermata top --count 2 | cat  two looks, one below the other")]
pub struct Top {
    /// How often to look.
    #[arg(long, value_name = "TIME", default_value = "1s", value_parser = crate::cmd::duration)]
    pub every: Duration,
    /// End after so many looks.
    #[arg(long, value_name = "N")]
    pub count: Option<u32>,
    /// Which fermata.
    #[command(flatten)]
    pub at: At,
}

/// `fermata connections`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  fermata connections                       all live tunnels
  fermata connections list --to web.2
  fermata connections --follow              and a line for each that opens or ends
  fermata connections close --id 17
  fermata connections close --client 203.0.113.9")]
pub struct Connections {
    /// What to do with them.
    #[arg(value_enum, default_value_t)]
    pub act: ConnectionsAct,
    /// The tunnel of this number; repeat for several.
    #[arg(long)]
    pub id: Vec<u64>,
    /// Tunnels to this service or instance.
    #[arg(long, value_name = "SERVICE|INSTANCE")]
    pub to: Option<String>,
    /// Tunnels from this address.
    #[arg(long, value_name = "ADDRESS")]
    pub client: Option<IpAddr>,
    /// Close all of them.
    #[arg(long, conflicts_with_all = ["id", "to", "client"])]
    pub all: bool,
    /// Go on with a line for each that opens or ends, until Ctrl-C; with --format json an object a line.
    #[arg(long)]
    pub follow: bool,
    /// Which fermata.
    #[command(flatten)]
    pub at: At,
    /// How to print.
    #[arg(long, value_enum, default_value_t)]
    pub format: Format,
}

/// What `connections` does.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum ConnectionsAct {
    /// Print them.
    #[default]
    List,
    /// Close them with 1001.
    Close,
}

/// `fermata drain`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  fermata drain web                 over the service's own drain time
  fermata drain web.2 --over 5m     and no new traffic for that instance")]
pub struct Drain {
    /// A service, or one of its instances.
    #[arg(value_name = "SERVICE|INSTANCE")]
    pub target: String,
    /// Spread the closes over this time [default: the service's websocket.drain]
    #[arg(long, value_name = "TIME", value_parser = crate::cmd::duration)]
    pub over: Option<Duration>,
    /// Which fermata.
    #[command(flatten)]
    pub at: At,
}

/// `fermata scale`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  fermata scale web=5
  fermata scale web=+2 api=-1")]
pub struct Scale {
    /// SERVICE=N, SERVICE=+N or SERVICE=-N
    #[arg(required = true, value_name = "SERVICE=N", value_parser = crate::cmd::scale::change)]
    pub changes: Vec<(String, Count)>,
    /// Which fermata.
    #[command(flatten)]
    pub at: At,
}

/// `fermata redeploy`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  fermata redeploy web
  fermata redeploy web --image registry.example.com/web:2    back to the old image if the new never becomes ready")]
pub struct Redeploy {
    /// The service.
    pub service: String,
    /// Make the new instances of another image, which must become ready: otherwise the old one stays.
    #[arg(long)]
    pub image: Option<String>,
    /// Which fermata.
    #[command(flatten)]
    pub at: At,
}

/// `fermata logs`.
#[derive(Debug, Args)]
pub struct Logs {
    /// Only of this service.
    pub service: Option<String>,
    /// Go on as lines come, until Ctrl-C.
    #[arg(short, long)]
    pub follow: bool,
    /// Which fermata.
    #[command(flatten)]
    pub at: At,
}

/// `fermata reload`.
#[derive(Debug, Args)]
pub struct Reload {
    /// Which fermata.
    #[command(flatten)]
    pub at: At,
}

/// `fermata upgrade`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  fermata upgrade                             the running fermata becomes this one
  fermata upgrade --binary /opt/fermata-2/fermata
  fermata upgrade --linger 5m                 tunnels that cannot move (TLS) get 5 minutes")]
pub struct Upgrade {
    /// The program that takes over [default: this fermata]
    #[arg(long, value_name = "PATH")]
    pub binary: Option<PathBuf>,
    /// How long tunnels that cannot move (those over TLS) may go on in the old process; then they get Close 1001.
    #[arg(long, value_name = "TIME", value_parser = crate::cmd::duration, default_value = "1h")]
    pub linger: Duration,
    /// Which fermata.
    #[command(flatten)]
    pub at: At,
}

/// `fermata stop`.
#[derive(Debug, Args)]
pub struct Stop {
    /// Let containers go on; the next `fermata up` finds them.
    #[arg(long)]
    pub keep: bool,
    /// Which fermata.
    #[command(flatten)]
    pub at: At,
}
