//! What is said about a file while another is made of it: a line for each, with its place, and a line with what to do.

use std::fmt::Write;

use anstyle::{AnsiColor, Style};
use fermata_spec::{Diagnostic, Severity, SourceText};

/// All of it, in the order of the file.
pub(super) fn lines(source: &SourceText<'_>, said: &[Diagnostic]) -> String {
    let mut text = String::new();
    for one in said {
        let colour = match one.severity {
            Severity::Error => AnsiColor::Red,
            Severity::Warning => AnsiColor::Yellow,
            Severity::Note => AnsiColor::Cyan,
        };
        let style = Style::new().bold().fg_color(Some(colour.into()));
        let position = source.position(one.places.first().map_or(0, |place| place.span.start));
        let (name, line, column) = (source.name(), position.line, position.column);
        let about = if one.path.is_empty() { String::new() } else { format!("{}: ", printable(&one.path)) };
        let message = printable(&one.message);
        let _ = writeln!(text, "{name}:{line}:{column}: {style}{}{style:#}: {about}{message}", one.severity);
        if let Some(help) = &one.help {
            let _ = writeln!(text, "    {}", printable(help));
        }
    }
    text
}

/// Without characters that would do something to a terminal.
fn printable(text: &str) -> String {
    text.chars().map(|letter| if letter.is_control() { '\u{fffd}' } else { letter }).collect()
}

/// `3 left out or changed, 2 notes`, or nothing for none.
pub(super) fn summary(said: &[Diagnostic]) -> String {
    let count = |severity| said.iter().filter(|one| one.severity == severity).count();
    let changed = count(Severity::Warning) + count(Severity::Error);
    let notes = match count(Severity::Note) {
        1 => "1 note".to_owned(),
        notes => format!("{notes} notes"),
    };
    format!("{changed} left out or changed, {notes}")
}
