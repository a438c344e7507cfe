//! What looks, at a machine or from outside.

use std::net::IpAddr;
use std::path::PathBuf;

use clap::{Args, ValueEnum};

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
