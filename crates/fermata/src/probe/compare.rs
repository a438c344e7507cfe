//! Several addresses of one service, along a chain from its clients to the service itself: where it breaks.

use std::fmt::{self, Display, Formatter};

use anstyle::{AnsiColor, Style};
use serde::Serialize;

use super::name::{Hop, Name, Report};
use crate::report::text::{advice_lines, mark, time, wrapped};
use crate::report::{Advice, Outcome, Verdict};

/// As many columns with times have room in a terminal.
const WITH_TIMES: usize = 5;

/// Reports along a chain, from the clients' end to the service's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Comparison {
    /// What came of them together.
    pub outcome: Outcome,
    /// What follows from them.
    pub says: Vec<String>,
    /// Each of them.
    pub reports: Vec<Report>,
}

impl Comparison {
    /// Of reports in the order in which a request passes what they are about.
    pub fn new(reports: Vec<Report>) -> Comparison {
        let outcome = reports.iter().map(|report| report.outcome).max().unwrap_or(Outcome::Works);
        let says = match reports.iter().rposition(|report| report.outcome == Outcome::Broken) {
            Some(at) => broken(&reports, at),
            None => vec![format!("It works at all {}.", reports.len())],
        };
        let says = says.into_iter().chain(added(&reports)).collect();
        Comparison { outcome, says, reports }
    }

    /// The hop that breaks nearest to the service.
    fn seam(&self) -> Option<&Hop> {
        self.reports.iter().rev().find_map(Report::broken)
    }
}

/// The innermost that breaks is the one to look at: what lies outside of it has no chance.
fn broken(reports: &[Report], at: usize) -> Vec<String> {
    let here = &reports[at];
    let hop = here.broken().map_or(String::new(), |hop| format!(" ({}: {})", hop.name, hop.says));
    let outer = reports[..at].iter().filter(|report| report.outcome != Outcome::Broken).count();
    let mut says = match reports.get(at + 1) {
        Some(inner) => vec![format!(
            "It works at {} and breaks at {}{hop}: what answers there, or what is between the two, breaks it.",
            inner.subject, here.subject
        )],
        None => vec![format!("It breaks at {} already{hop}, nearest to the service: begin there.", here.subject)],
    };
    if outer > 0 {
        says.push(
            "Something farther from the service works all the same: it takes another way, or the order is not that of \
             the chain."
                .to_owned(),
        );
    }
    says
}

/// What each adds to what was said of the one behind it.
fn added(reports: &[Report]) -> Vec<String> {
    let codes = |report: &Report| -> Vec<(Name, &'static str)> {
        let works = report.findings.iter().filter(|hop| hop.verdict == Verdict::Remark);
        works.flat_map(|hop| hop.advice.iter().map(|advice| (hop.name, advice.code))).collect()
    };
    let pairs = reports.windows(2).filter_map(|pair| {
        let [outer, inner] = pair else { return None };
        if inner.outcome == Outcome::Broken {
            return None;
        }
        let behind = codes(inner);
        let new: Vec<String> = codes(outer)
            .into_iter()
            .filter(|code| !behind.contains(code))
            .map(|(name, code)| format!("{name} ({code})"))
            .collect();
        (!new.is_empty())
            .then(|| format!("New at {}, and not there at {}: {}.", outer.subject, inner.subject, new.join(", ")))
    });
    pairs.collect()
}

impl Display for Comparison {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        let bold = Style::new().bold();
        for (number, report) in (1..).zip(&self.reports) {
            writeln!(out, " {bold}{number}{bold:#}  {}", report.subject)?;
        }
        let with_times = self.reports.len() <= WITH_TIMES;
        let width = if with_times { 13 } else { 4 };
        let numbers: String = (1..=self.reports.len()).map(|number| format!("{number:<width$}")).collect();
        writeln!(out, "\n{:11}{bold}{}{bold:#}", "", numbers.trim_end())?;
        let mut names: Vec<Name> =
            self.reports.iter().flat_map(|report| &report.findings).map(|hop| hop.name).collect();
        names.sort();
        names.dedup();
        for name in names {
            row(out, name, &self.reports, with_times, width)?;
        }
        writeln!(out)?;
        for says in &self.says {
            wrapped(out, says, 0, Style::new())?;
        }
        if let Some(hop) = self.seam() {
            let red = AnsiColor::Red.on_default().bold();
            for advice in &hop.advice {
                advised(out, hop, advice, red)?;
            }
        }
        Ok(())
    }
}

fn row(out: &mut Formatter<'_>, name: Name, reports: &[Report], with_times: bool, width: usize) -> fmt::Result {
    let cell = |report: &Report| {
        let Some(hop) = report.findings.iter().find(|hop| hop.name == name) else { return " ".repeat(width) };
        let took = hop.took.filter(|_| with_times).map(time).unwrap_or_default();
        format!("{} {took:<rest$}", mark(hop.verdict), rest = width - 2)
    };
    let cells: String = reports.iter().map(cell).collect();
    writeln!(out, "{}", format!(" {name:<10}{cells}").trim_end())
}

fn advised(out: &mut Formatter<'_>, hop: &Hop, advice: &Advice, style: Style) -> fmt::Result {
    let lead = format!("{} breaks:", hop.name);
    write!(out, "\n{style}{lead}{style:#} ")?;
    advice_lines(out, advice, lead.chars().count() + 1)
}
