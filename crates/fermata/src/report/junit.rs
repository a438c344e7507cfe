//! Reports as JUnit XML, for programs that collect the results of tests: one test case for each finding.
//!
//! A remark is no failure: what is worth changing stands in `system-out`, beside what else was seen.

use std::fmt::{self, Display, Formatter};
use std::time::Duration;

use super::markup::escaped;
use super::{Advice, Finding, Report, Step, Topic, Verdict};

/// Reports that print themselves as JUnit XML, each a suite of tests.
#[derive(Debug, Clone, Copy)]
pub struct Junit<'a, T>(pub &'a [Report<T>]);

impl<T: Topic> Display for Junit<'_, T> {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        writeln!(out, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>")?;
        writeln!(out, "<testsuites>")?;
        self.0.iter().try_for_each(|report| suite(out, report))?;
        writeln!(out, "</testsuites>")
    }
}

fn suite<T: Topic>(out: &mut Formatter<'_>, report: &Report<T>) -> fmt::Result {
    let findings = &report.findings;
    let count = |verdict| findings.iter().filter(|finding| finding.verdict == verdict).count();
    let (broken, skipped) = (count(Verdict::Broken), count(Verdict::Skipped));
    let took = seconds(findings.iter().filter_map(|finding| finding.took).sum());
    let (command, subject) = (T::COMMAND, escaped(&report.subject));
    writeln!(
        out,
        "  <testsuite name=\"fermata {command} {subject}\" tests=\"{}\" failures=\"{broken}\" errors=\"0\" \
         skipped=\"{skipped}\" time=\"{took}\">",
        findings.len()
    )?;
    for finding in findings {
        test_case(out, &subject, finding)?;
    }
    writeln!(out, "  </testsuite>")
}

fn test_case<T: Topic>(out: &mut Formatter<'_>, subject: &str, finding: &Finding<T>) -> fmt::Result {
    let took = seconds(finding.took.unwrap_or_default());
    writeln!(out, "    <testcase classname=\"{subject}\" name=\"{}\" time=\"{took}\">", finding.name)?;
    let says = escaped(&finding.says);
    let advice: String = finding.advice.iter().map(advice).collect();
    match finding.verdict {
        Verdict::Skipped => writeln!(out, "      <skipped message=\"{says}\"/>")?,
        Verdict::Broken => {
            let code = finding.advice.first().map_or("broken", |advice| advice.code);
            writeln!(
                out,
                "      <failure type=\"{code}\" message=\"{says}\">{}</failure>",
                escaped(advice.trim_end())
            )?;
        }
        Verdict::Works | Verdict::Remark => {}
    }
    let seen = match finding.verdict {
        Verdict::Skipped => String::new(),
        Verdict::Broken => details(finding),
        Verdict::Works | Verdict::Remark => format!("{}\n{}{advice}", finding.says, details(finding)),
    };
    if !seen.is_empty() {
        writeln!(out, "      <system-out>{}</system-out>", escaped(seen.trim_end()))?;
    }
    writeln!(out, "    </testcase>")
}

fn details<T>(finding: &Finding<T>) -> String {
    finding.details.iter().map(|detail| format!("{}\n", detail.says)).collect()
}

fn advice(advice: &Advice) -> String {
    let steps = advice.fix.iter().map(|step| match step {
        Step::Do(words) => format!("{words}\n"),
        Step::Write(lines) => lines.lines().map(|line| format!("    {line}\n")).collect(),
    });
    format!("{}\n{}", advice.says, steps.collect::<String>())
}

fn seconds(took: Duration) -> String {
    format!("{:.6}", took.as_secs_f64())
}
