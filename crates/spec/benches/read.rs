//! What reading a file costs: `cargo bench -p fermata-spec`.
//!
//! Each figure is the fastest of many rounds, because a machine that does other work can only add to it. The last column
//! shows whether the cost grows with the file alone.
#![allow(clippy::print_stdout, reason = "a benchmark prints")]

use std::fmt::Write;
use std::hint::black_box;
use std::time::{Duration, Instant};

use fermata_spec::{SourceText, read};

const ROUNDS: usize = 20;

fn main() {
    println!("{:<28}{:>10}{:>10}{:>12}{:>14}", "", "lines", "KiB", "ms", "ns a line");
    for lines in [100, 1_000, 10_000, 40_000] {
        show("services without a fault", &plain(lines));
    }
    for lines in [1_000, 10_000, 40_000] {
        show("a fault in every service", &faulty(lines));
    }
}

fn show(name: &str, text: &str) {
    let fastest = (0..ROUNDS).map(|_| round(text)).min().unwrap_or_default();
    let lines = text.lines().count();
    let each = fastest.as_nanos() as usize / lines;
    println!("{name:<28}{lines:>10}{:>10}{:>12.2}{each:>14}", text.len() / 1024, fastest.as_secs_f64() * 1000.0);
}

/// Reading, checking, and showing everything that is said.
fn round(text: &str) -> Duration {
    let start = Instant::now();
    let outcome = read(black_box(text));
    let source = SourceText::new("service.yml", text);
    for diagnostic in &outcome.diagnostics {
        black_box(source.render(diagnostic, true));
    }
    black_box(outcome);
    start.elapsed()
}

/// Services of ten lines each.
fn plain(lines: usize) -> String {
    let mut text = "version: 2\nservices:\n".to_owned();
    for number in 0..lines / 10 {
        let _ = write!(
            text,
            "  service-{number}:\n    image: example/service:{number}\n    ports:\n    - container: 3000\n      http: 8080\n    traffic_matches: [s{number}.example.com]\n    env_vars:\n      NUMBER: {number}\n    health:\n      ready: {{type: http, endpoint: /healthz}}\n"
        );
    }
    text
}

/// The same with an unknown key in each.
fn faulty(lines: usize) -> String {
    plain(lines).replace("    env_vars:", "    env_var:")
}
