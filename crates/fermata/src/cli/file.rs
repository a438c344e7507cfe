//! What is done with a file alone: it is checked, made of another one, or made into one.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

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
