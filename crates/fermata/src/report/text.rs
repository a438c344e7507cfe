//! A report for people: at most 80 columns, coloured where the terminal takes it.

use std::fmt::{self, Display, Formatter, Write};
use std::time::Duration;

use anstyle::{AnsiColor, Style};

use super::{Advice, Finding, Outcome, Report, Step, Topic, Verdict};

const WIDTH: usize = 80;

/// Where what was seen begins: after the mark, the name and the time.
const TEXT_AT: usize = 24;

impl<T: Topic> Display for Report<T> {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        let bold = Style::new().bold();
        writeln!(out, "{bold}{}{bold:#}\n", self.subject)?;
        let (skipped, tried): (Vec<_>, Vec<_>) =
            self.findings.iter().partition(|finding| finding.verdict == Verdict::Skipped);
        for finding in tried {
            lines(out, finding)?;
        }
        let skipped: Vec<String> = skipped.iter().map(|finding| finding.name.to_string()).collect();
        if !skipped.is_empty() {
            writeln!(out, " {} {} not tried", mark(Verdict::Skipped), skipped.join(", "))?;
        }
        writeln!(out)?;
        conclusion(out, self)
    }
}

fn lines<T: Topic>(out: &mut Formatter<'_>, finding: &Finding<T>) -> fmt::Result {
    let took = finding.took.map(time).unwrap_or_default();
    // A long name takes the room of a time that is not there.
    let name = format!("{:<9} {took:>9}", finding.name);
    write!(out, " {} {:<19}  ", mark(finding.verdict), name.trim_end())?;
    wrapped(out, &finding.says, TEXT_AT, Style::new())?;
    for detail in &finding.details {
        let took = detail.took.map(time).unwrap_or_default();
        write!(out, "{:13}{took:>9}  ", "")?;
        wrapped(out, &detail.says, TEXT_AT, Style::new().dimmed())?;
    }
    Ok(())
}

fn conclusion<T: Topic>(out: &mut Formatter<'_>, report: &Report<T>) -> fmt::Result {
    match report.outcome {
        Outcome::Broken => {}
        Outcome::Works => {
            let green = AnsiColor::Green.on_default().bold();
            let [first, rest] = T::WELL;
            writeln!(out, "{green}{first}{green:#}{rest}")?;
        }
        Outcome::WorksWithRemarks => {
            let yellow = AnsiColor::Yellow.on_default().bold();
            writeln!(out, "{yellow}It works{yellow:#}, and this is worth knowing:")?;
        }
    }
    let mut before: Option<T> = None;
    for (finding, advice) in
        report.findings.iter().flat_map(|finding| finding.advice.iter().map(move |advice| (finding, advice)))
    {
        // Where it works, a line has been said already.
        if before.is_some() || report.outcome != Outcome::Broken {
            writeln!(out)?;
        }
        let broken = finding.verdict == Verdict::Broken;
        let lead = match before {
            Some(name) if broken && name == finding.name => "Besides:".to_owned(),
            _ if broken => finding.name.lead(),
            _ => format!("{}:", finding.name),
        };
        let style = if broken { AnsiColor::Red.on_default().bold() } else { Style::new().bold() };
        write!(out, "{style}{lead}{style:#} ")?;
        advice_lines(out, advice, lead.chars().count() + 1)?;
        before = Some(finding.name);
    }
    Ok(())
}

/// Follows a lead that stands on the line already.
pub(crate) fn advice_lines(out: &mut Formatter<'_>, advice: &Advice, lead: usize) -> fmt::Result {
    let mut lines = wrap(&advice.says, WIDTH - 1, lead).into_iter();
    writeln!(out, "{}", lines.next().unwrap_or_default())?;
    for line in lines {
        writeln!(out, "{line}")?;
    }
    for step in &advice.fix {
        match step {
            Step::Do(text) => {
                out.write_str("  - ")?;
                wrapped(out, text, 4, Style::new())?;
            }
            Step::Write(text) => {
                let cyan = AnsiColor::Cyan.on_default();
                for line in text.lines() {
                    writeln!(out, "      {cyan}{line}{cyan:#}")?;
                }
            }
        }
    }
    Ok(())
}

/// Writes text from where the cursor stands, its further lines indented.
pub(crate) fn wrapped(out: &mut Formatter<'_>, text: &str, indent: usize, style: Style) -> fmt::Result {
    for (number, line) in wrap(text, WIDTH - indent, 0).iter().enumerate() {
        if number > 0 {
            write!(out, "{:indent$}", "")?;
        }
        writeln!(out, "{style}{line}{style:#}")?;
    }
    Ok(())
}

/// Breaks text between words, the first line shorter by `used`. A word longer than a line stands alone and whole, so
/// that it can be copied.
fn wrap(text: &str, width: usize, used: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    let mut column = used;
    for word in text.split(' ') {
        let length = word.chars().count();
        let line = lines.last_mut().expect("never empty");
        if !line.is_empty() && column + 1 + length > width {
            lines.push(word.to_owned());
            column = length;
        } else {
            if !line.is_empty() {
                line.push(' ');
                column += 1;
            }
            line.push_str(word);
            column += length;
        }
    }
    lines
}

/// A verdict as one character.
pub(super) fn sign(verdict: Verdict) -> char {
    match verdict {
        Verdict::Works => '✓',
        Verdict::Remark => '!',
        Verdict::Broken => '✗',
        Verdict::Skipped => '·',
    }
}

/// The same in its colour.
pub(crate) fn mark(verdict: Verdict) -> String {
    let sign = sign(verdict);
    let style = match verdict {
        Verdict::Works => AnsiColor::Green.on_default(),
        Verdict::Remark => AnsiColor::Yellow.on_default(),
        Verdict::Broken => AnsiColor::Red.on_default().bold(),
        Verdict::Skipped => Style::new().dimmed(),
    };
    let mut text = String::new();
    let _ = write!(text, "{style}{sign}{style:#}");
    text
}

/// A time with three digits at most.
pub(crate) fn time(took: Duration) -> String {
    let ms = took.as_secs_f64() * 1e3;
    match ms {
        ..10.0 => format!("{ms:.1} ms"),
        ..1000.0 => format!("{ms:.0} ms"),
        _ => format!("{:.1} s", ms / 1e3),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_broken_between_words_and_long_words_stay_whole() {
        assert_eq!(wrap("one two three", 8, 0), ["one two", "three"]);
        assert_eq!(wrap("one two three", 8, 5), ["one", "two", "three"]);
        assert_eq!(wrap("a wss://long.example/path b", 8, 0), ["a", "wss://long.example/path", "b"]);
    }

    #[test]
    fn times_have_three_digits_at_most() {
        for (micros, text) in [(40, "0.0 ms"), (1_234, "1.2 ms"), (31_600, "32 ms"), (1_240_000, "1.2 s")] {
            assert_eq!(time(Duration::from_micros(micros)), text);
        }
    }
}
