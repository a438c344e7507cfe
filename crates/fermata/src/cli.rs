//! The command line: types for clap, and nothing that acts.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use crate::admin::Count;
use crate::firewall::Gate;
use clap::{Args, Parser, Subcommand, ValueEnum};
use fermata_spec::Network;

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

/// `fermata check`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  fermata check
  fermata check --strict deploy/*.yml
  fermata check --format github       annotations for a CI run
  fermata check --explain E-PORT-TAKEN")]
pub struct Check {
    /// Files to check [default: service.yml, then service.yaml, of this folder]
    pub files: Vec<PathBuf>,
    /// Make warnings errors.
    #[arg(long)]
    pub strict: bool,
    /// Warn of what does not go well with this load balancer, such as aws-alb or cloudflare.
    #[arg(long, value_name = "BALANCER")]
    pub behind: Option<String>,
    /// How to print.
    #[arg(long, value_enum, default_value_t)]
    pub format: CheckFormat,
    /// Tell more about a diagnostic's code.
    #[arg(long, value_name = "CODE", conflicts_with_all = ["files", "strict", "behind", "format"])]
    pub explain: Option<String>,
}

/// How `check` prints.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum CheckFormat {
    /// For people.
    #[default]
    Human,
    /// For programs.
    Json,
    /// For code scanners (SARIF 2.1.0).
    Sarif,
    /// Annotations of a GitHub workflow.
    Github,
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

/// `fermata import`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  fermata import compose.yml                        print the service.yml
  fermata import compose.yml -o service.yml
  fermata import config/deploy.yml -o service.yml   Kamal's file")]
pub struct Import {
    /// A compose.yml of docker compose, or a config/deploy.yml of Kamal.
    pub file: PathBuf,
    /// Write the service.yml here; a file that exists stays as it is [default: print it]
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,
}

/// `fermata render`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  fermata render --list                   name the targets
  fermata render compose                  print a compose.yaml for the service.yml of this folder
  fermata render compose -o deploy        write deploy/compose.yaml
  fermata render haproxy -o /etc/haproxy  write haproxy.cfg; see docs/load-balancer.md
  fermata render aws-alb -o aws           write Terraform and a README.md into aws
  fermata render kubernetes | kubectl apply -f -
  fermata render kubernetes-edge -o base  write a Kustomize base with Fermata as the edge")]
pub struct Render {
    /// What to write for; --list names them.
    #[arg(required_unless_present = "list")]
    pub target: Option<String>,
    /// The service.yml [default: service.yml, then service.yaml, of this folder]
    pub file: Option<PathBuf>,
    /// Write into this folder, and replace what an earlier render has written [default: print]
    #[arg(short, long, value_name = "DIR")]
    pub output: Option<PathBuf>,
    /// Name the targets.
    #[arg(long, conflicts_with_all = ["target", "file", "output"])]
    pub list: bool,
}

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

/// `fermata doctor`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  sudo fermata doctor                     service.yml of this folder
  sudo fermata doctor /srv/app/service.yml
  fermata doctor --format json            works without root, and says what it could not see")]
pub struct Doctor {
    /// The service.yml [default: service.yml, then service.yaml, of this folder]
    pub file: Option<PathBuf>,
    /// How to print.
    #[arg(long, value_enum, default_value_t)]
    pub format: ReportFormat,
    /// The state folder of the fermata that runs it [default: as for up]
    #[arg(long, value_name = "DIR")]
    pub state_dir: Option<PathBuf>,
}

/// `fermata probe`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  fermata probe ws://localhost:8080/
  fermata probe wss://app.example.com/socket --subprotocol chat
  fermata probe wss://app.example.com/ --through 203.0.113.7   one server behind the name
  fermata probe wss://app.example.com/ --idle 5m               how long silence is suffered
  fermata probe --compare wss://app.example.com/ ws://10.0.0.5:8080/ ws://127.0.0.1:3000/   where along a chain it breaks
  fermata probe ws://localhost:8080/ --format json
  fermata probe wss://app.example.com/ --format html > probe.html   one file to send to a colleague
  fermata probe wss://app.example.com/ --format junit > probe.xml   one test case a hop")]
pub struct Probe {
    /// A ws://, wss://, http:// or https:// URL.
    #[arg(required_unless_present = "compare")]
    pub url: Option<String>,
    /// Probe several addresses of one service, along the chain from its clients to itself, and show where it breaks.
    #[arg(long, value_name = "URL", num_args = 1.., conflicts_with = "through")]
    pub compare: Vec<String>,
    /// How to print.
    #[arg(long, value_enum, default_value_t)]
    pub format: ReportFormat,
    /// Subprotocol to offer; repeat for several.
    #[arg(long, value_name = "NAME")]
    pub subprotocol: Vec<String>,
    /// Header to send, "Name: value"; repeat for several.
    #[arg(long, value_name = "HEADER")]
    pub header: Vec<String>,
    /// Accept any certificate, and report what is wrong with it.
    #[arg(long)]
    pub insecure: bool,
    /// Connect to this address, whatever the name resolves to.
    #[arg(long, value_name = "IP")]
    pub through: Option<IpAddr>,
    /// Be silent for so long, and find out when a silent connection is ended (90s, 5m).
    #[arg(long, value_name = "DURATION")]
    pub idle: Option<String>,
    /// Seconds that each hop may take.
    #[arg(long, value_name = "SECONDS", default_value_t = 10)]
    pub timeout: u64,
}

/// How a report is printed, of a probe or a doctor.
#[derive(Debug, Clone, Copy, Default, ValueEnum)]
pub enum ReportFormat {
    /// For people.
    #[default]
    Human,
    /// For programs.
    Json,
    /// A page: one self-contained file.
    Html,
    /// JUnit XML: one test case for each thing that was looked at.
    Junit,
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
