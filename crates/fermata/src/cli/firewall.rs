//! `fermata firewall` and its parts.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand};
use fermata_spec::Network;

use super::Format;
use crate::firewall::Gate;

/// `fermata firewall`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  fermata firewall plan                    what would change, as text; works without root
  sudo fermata firewall apply              loads it for 60 s
  sudo fermata firewall confirm            and now for good
  sudo fermata firewall allow 9000/tcp --from 203.0.113.0/24 --for 20m
  sudo fermata firewall deny 9000/tcp
  fermata firewall list
  fermata firewall unit                    a systemd unit that loads it at boot")]
pub struct Firewall {
    /// What to do.
    #[command(subcommand)]
    pub act: FirewallAct,
    /// Folder of what is remembered [default: as for up]
    #[arg(long, value_name = "DIR", global = true)]
    pub state_dir: Option<PathBuf>,
}

/// What `firewall` does.
#[derive(Debug, Subcommand)]
pub enum FirewallAct {
    /// Show the difference between what the file wants open and what is loaded; change nothing.
    Plan(FirewallPlan),
    /// Load it, all at once; it goes away by itself unless `confirm` comes in time.
    Apply(FirewallApply),
    /// Keep what was applied.
    Confirm,
    /// Open a port by hand, for good or for a time.
    Allow(FirewallAllow),
    /// Close a port by hand: one that was allowed, or one that the file opens.
    Deny(FirewallDeny),
    /// Show what is open.
    List {
        /// How to print.
        #[arg(long, value_enum, default_value_t)]
        format: Format,
    },
    /// Print a systemd unit that loads the confirmed rules at boot.
    Unit,
    /// Take rules back that are not confirmed in time; apply starts it.
    #[command(hide = true)]
    Watch {
        /// Which rules.
        id: String,
        /// The time.
        seconds: u64,
    },
}

/// `fermata firewall plan`.
#[derive(Debug, Args)]
pub struct FirewallPlan {
    /// The service.yml [default: service.yml, then service.yaml, of this folder]
    pub file: Option<PathBuf>,
    /// How to print.
    #[arg(long, value_enum, default_value_t)]
    pub format: Format,
}

/// `fermata firewall apply`.
#[derive(Debug, Args)]
pub struct FirewallApply {
    /// The service.yml [default: service.yml, then service.yaml, of this folder]
    pub file: Option<PathBuf>,
    /// How long it waits for `confirm` before it goes away.
    #[arg(long, value_name = "TIME", default_value = "60s", value_parser = crate::cmd::firewall::window)]
    pub confirm_within: Duration,
    /// Load what was confirmed last, for good: for the systemd unit.
    #[arg(long, conflicts_with_all = ["file", "confirm_within"])]
    pub at_boot: bool,
}

/// `fermata firewall allow`.
#[derive(Debug, Args)]
pub struct FirewallAllow {
    /// A port: 9000, 9000/tcp or 9000/udp
    pub port: Gate,
    /// Only for this address or network.
    #[arg(long, value_name = "ADDRESS|NETWORK")]
    pub from: Option<Network>,
    /// Only for so long: 20m, 2h.
    #[arg(long = "for", value_name = "TIME", value_parser = crate::cmd::firewall::time)]
    pub time: Option<Duration>,
}

/// `fermata firewall deny`.
#[derive(Debug, Args)]
pub struct FirewallDeny {
    /// A port: 9000, 9000/tcp or 9000/udp
    pub port: Gate,
    /// Only what was allowed for this address or network.
    #[arg(long, value_name = "ADDRESS|NETWORK")]
    pub from: Option<Network>,
}
