//! Reports as a page: one self-contained file to send to a colleague. It loads nothing and runs nothing, whatever a server
//! has put into its answers: the page forbids itself both.

use std::fmt::{self, Display, Formatter};

use super::markup::escaped;
use super::text::{sign, time};
use super::{Finding, Outcome, Report, Step, Topic, Verdict};

const STYLE: &str = "\
:root { color-scheme: light dark; --good: #1a7f37; --bad: #cf222e; --so: #9a6700; --line: #8884 }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 52rem; margin: 2rem auto; padding: 0 1rem }
h1 { font-size: 1.3rem; overflow-wrap: anywhere } h2 { font-size: 1.05rem; margin: 1.5rem 0 0 }
table { border-collapse: collapse; width: 100% } td, th { padding: .3rem .6rem; text-align: left; vertical-align: top }
tr { border-top: 1px solid var(--line) } th { white-space: nowrap } td { overflow-wrap: anywhere }
td.took { text-align: right; white-space: nowrap; opacity: .7; font-variant-numeric: tabular-nums }
small { display: block; opacity: .7 } .skipped { opacity: .5 } pre { background: #8882; padding: .6rem; overflow-x: auto }
.works .sign, .works.outcome { color: var(--good) } .broken .sign, .broken.outcome, .broken h2 { color: var(--bad) }
.remark .sign, .works-with-remarks.outcome { color: var(--so) } .outcome { font-weight: 600 }
article + article { margin-top: 3rem }
footer { margin-top: 3rem; opacity: .6; font-size: .85rem }
";

/// Reports that print themselves as one page, with what follows from them together.
#[derive(Debug, Clone, Copy)]
pub struct Html<'a, T> {
    /// What is said before them; paragraphs.
    pub lead: &'a [String],
    /// The reports.
    pub reports: &'a [Report<T>],
}

impl<T: Topic> Display for Html<'_, T> {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        let subjects: Vec<&str> = self.reports.iter().map(|report| report.subject.as_str()).collect();
        let title = escaped(&format!("fermata {}: {}", T::COMMAND, subjects.join(", ")));
        write!(
            out,
            "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n\
             <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
             <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n\
             <title>{title}</title>\n<style>\n{STYLE}</style>\n"
        )?;
        for paragraph in self.lead {
            writeln!(out, "<p>{}</p>", escaped(paragraph))?;
        }
        for report in self.reports {
            whole(out, report)?;
        }
        writeln!(out, "<footer>fermata {}</footer>\n</html>", env!("CARGO_PKG_VERSION"))
    }
}

fn whole<T: Topic>(out: &mut Formatter<'_>, report: &Report<T>) -> fmt::Result {
    writeln!(out, "<article>\n<h1>{}</h1>", escaped(&report.subject))?;
    let (class, words) = match report.outcome {
        Outcome::Works => ("works", T::WELL.concat()),
        Outcome::WorksWithRemarks => ("works-with-remarks", "It works, and something is worth knowing.".to_owned()),
        Outcome::Broken => ("broken", report.broken().map(|finding| finding.says.clone()).unwrap_or_default()),
    };
    writeln!(out, "<p class=\"outcome {class}\">{}</p>\n<table>", escaped(&words))?;
    for finding in &report.findings {
        row(out, finding)?;
    }
    writeln!(out, "</table>")?;
    for finding in &report.findings {
        advice(out, finding)?;
    }
    writeln!(out, "</article>")
}

fn row<T: Topic>(out: &mut Formatter<'_>, finding: &Finding<T>) -> fmt::Result {
    let (class, sign) = (class(finding.verdict), sign(finding.verdict));
    let took = finding.took.map(time).unwrap_or_default();
    write!(out, "<tr class=\"{class}\"><td class=\"sign\">{sign}<th>{}<td class=\"took\">{took}<td>", finding.name)?;
    write!(out, "{}", escaped(&finding.says))?;
    for detail in &finding.details {
        let took = detail.took.map(|took| format!(" ({})", time(took))).unwrap_or_default();
        write!(out, "<small>{}{took}</small>", escaped(&detail.says))?;
    }
    writeln!(out)
}

fn advice<T: Topic>(out: &mut Formatter<'_>, finding: &Finding<T>) -> fmt::Result {
    for advice in &finding.advice {
        let broken = finding.verdict == Verdict::Broken;
        let lead = if broken { finding.name.lead() } else { format!("{}:", finding.name) };
        let lead = lead.trim_end_matches(':');
        writeln!(out, "<section class=\"{}\">\n<h2>{lead}</h2>", class(finding.verdict))?;
        writeln!(out, "<p>{}</p>", escaped(&advice.says))?;
        for step in &advice.fix {
            match step {
                Step::Do(words) => writeln!(out, "<p>{}</p>", escaped(words))?,
                Step::Write(lines) => writeln!(out, "<pre>{}</pre>", escaped(lines))?,
            }
        }
        writeln!(out, "</section>")?;
    }
    Ok(())
}

fn class(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Skipped => "skipped",
        Verdict::Works => "works",
        Verdict::Remark => "remark",
        Verdict::Broken => "broken",
    }
}
