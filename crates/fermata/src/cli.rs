//! The command line: types for clap, and nothing that acts.

mod file;
mod firewall;
mod foreground;
mod look;
mod running;

use clap::{Parser, Subcommand};

pub use file::{Check, CheckFormat, Import, Render};
pub use firewall::{Firewall, FirewallAct, FirewallAllow, FirewallApply, FirewallDeny, FirewallPlan};
pub use foreground::{Echo, Engine, Lb, Run, Tester, Up};
pub use look::{Doctor, Probe, ReportFormat};
pub use running::{
    Ask, At, Connections, ConnectionsAct, Drain, Format, Logs, Redeploy, Reload, Scale, Stop, Top, Upgrade,
};

/// Holds WebSockets: from a service.yml to ws:// and wss:// on your own servers.
#[derive(Debug, Parser)]
#[command(name = "fermata", version, max_term_width = 100, arg_required_else_help = true)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run the services and the gateway in the foreground until Ctrl-C.
    Up(Up),
    /// Run the load balancer before the web servers of a file.
    Lb(Lb),
    /// One look at services, instances and tunnels of a running fermata.
    Status(Ask),
    /// A live view of services, instances and tunnels, with what happens in a second.
    Top(Top),
    /// List or close the live tunnels.
    Connections(Connections),
    /// Close the tunnels of a service or an instance, spread over a time.
    Drain(Drain),
    /// Start more instances of a service, or drain and stop some.
    Scale(Scale),
    /// Replace a service's instances one after the other; clients are told to come back (Close 1012).
    Redeploy(Redeploy),
    /// Show what the instances write.
    Logs(Logs),
    /// Read the file again and change what differs; open tunnels stay.
    Reload(Reload),
    /// Replace the running program by another one; open tunnels and services go along.
    Upgrade(Upgrade),
    /// End everything: tunnels get Close 1001, services TERM.
    Stop(Stop),
    /// Validate: every problem at once, each with its place in the file and a way out.
    Check(Check),
    /// Print the JSON Schema of service.yml, for editors.
    Schema,
    /// Make a service.yml of a compose.yml or of Kamal's deploy.yml, and say what could not be carried over.
    Import(Import),
    /// Write configuration for another program from a service.yml.
    Render(Render),
    /// The ports that should be open, against what is open: one nftables table of our own.
    Firewall(Firewall),
    /// Look at this server for what is in the way of a file's WebSockets, and say what to do about it.
    Doctor(Doctor),
    /// Connect to a URL and report hop by hop which one breaks.
    Probe(Probe),
    /// Serve the page that tests a WebSocket connection from a browser.
    Tester(Tester),
    /// Run a small WebSocket and HTTP sample service.
    Echo(Echo),
}
