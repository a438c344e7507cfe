//! A report for people: at most 80 columns, coloured where the terminal takes it.

use std::fmt::{self, Display, Formatter, Write};
use std::time::Duration;

use anstyle::{AnsiColor, Style};

use super::report::{Advice, Hop, Name, Outcome, Report, Step, Verdict};

const WIDTH: usize = 80;

/// Where what was seen begins: after the mark, the name and the time.
const TEXT_AT: usize = 24;

impl Display for Report {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        let bold = Style::new().bold();
        writeln!(out, "{bold}{}{bold:#}\n", self.url)?;
        for hop in self.hops.iter().filter(|hop| hop.verdict != Verdict::Skipped) {
            hop_lines(out, hop)?;
        }
        let skipped: Vec<String> =
            self.hops.iter().filter(|hop| hop.verdict == Verdict::Skipped).map(|hop| hop.name.to_string()).collect();
        if !skipped.is_empty() {
            writeln!(out, " {} {} not tried", mark(Verdict::Skipped), skipped.join(", "))?;
        }
        writeln!(out)?;
        conclusion(out, self)
    }
}

impl Display for Name {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        out.pad(match self {
            Name::Dns => "DNS",
            Name::Tcp => "TCP",
            Name::Tls => "TLS",
            Name::Http => "HTTP",
            Name::Upgrade => "Upgrade",
            Name::Ping => "Ping",
            Name::Messages => "Messages",
            Name::Close => "Close",
            Name::Idle => "Idle",
        })
    }
}

fn hop_lines(out: &mut Formatter<'_>, hop: &Hop) -> fmt::Result {
    let took = hop.took.map(time).unwrap_or_default();
    write!(out, " {} {:<9} {took:>9}  ", mark(hop.verdict), hop.name)?;
    wrapped(out, &hop.says, TEXT_AT, Style::new())?;
    for detail in &hop.details {
        let took = detail.took.map(time).unwrap_or_default();
        write!(out, "{:13}{took:>9}  ", "")?;
        wrapped(out, &detail.says, TEXT_AT, Style::new().dimmed())?;
    }
    Ok(())
}

fn conclusion(out: &mut Formatter<'_>, report: &Report) -> fmt::Result {
    match report.outcome {
        Outcome::Broken => {}
        Outcome::Works => {
            let green = AnsiColor::Green.on_default().bold();
            writeln!(out, "{green}It works{green:#}: a WebSocket opens here, talks and closes.")?;
        }
        Outcome::WorksWithRemarks => {
            let yellow = AnsiColor::Yellow.on_default().bold();
            writeln!(out, "{yellow}It works{yellow:#}, and this is worth knowing:")?;
        }
    }
    let mut said = false;
    for (hop, advice) in report.hops.iter().flat_map(|hop| hop.advice.iter().map(move |advice| (hop, advice))) {
        if hop.verdict == Verdict::Broken {
            if said {
                writeln!(out)?;
            }
            let red = AnsiColor::Red.on_default().bold();
            let lead = if said { "Besides:".to_owned() } else { format!("{} breaks:", hop.name) };
            write!(out, "{red}{lead}{red:#} ")?;
            advice_lines(out, advice, lead.chars().count() + 1)?;
        } else {
            writeln!(out)?;
            let lead = format!("{}:", hop.name);
            let bold = Style::new().bold();
            write!(out, "{bold}{lead}{bold:#} ")?;
            advice_lines(out, advice, lead.chars().count() + 1)?;
        }
        said = true;
    }
    Ok(())
}

/// Follows a lead that stands on the line already.
fn advice_lines(out: &mut Formatter<'_>, advice: &Advice, lead: usize) -> fmt::Result {
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
fn wrapped(out: &mut Formatter<'_>, text: &str, indent: usize, style: Style) -> fmt::Result {
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

fn mark(verdict: Verdict) -> String {
    let (sign, style) = match verdict {
        Verdict::Works => ('✓', AnsiColor::Green.on_default()),
        Verdict::Remark => ('!', AnsiColor::Yellow.on_default()),
        Verdict::Broken => ('✗', AnsiColor::Red.on_default().bold()),
        Verdict::Skipped => ('·', Style::new().dimmed()),
    };
    let mut text = String::new();
    let _ = write!(text, "{style}{sign}{style:#}");
    text
}

/// A time with three digits at most.
fn time(took: Duration) -> String {
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
