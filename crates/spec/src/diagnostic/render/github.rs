//! For a GitHub workflow: its commands that put annotations beside the lines of a change.

use std::fmt::Write;

use super::Checked;
use crate::diagnostic::{Diagnostic, Severity};

/// One line for each diagnostic of all files.
pub fn github(files: &[Checked<'_>]) -> String {
    files.iter().flat_map(|file| file.diagnostics.iter().map(|said| command(file, said))).collect()
}

fn command(file: &Checked<'_>, said: &Diagnostic) -> String {
    let name = match said.severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
        Severity::Note => "notice",
    };
    let (start, end) = file.source.ends(&said.places[0].span);
    let mut properties =
        format!("file={},line={},endLine={},title={}", property(file.source.name()), start.line, end.line, said.code);
    // Columns are only understood within one line.
    if start.line == end.line {
        let _ = write!(properties, ",col={},endColumn={}", start.column, end.column);
    }
    let message = match &said.help {
        Some(help) => format!("{}\n{help}", said.titled()),
        None => said.titled(),
    };
    format!("::{name} {properties}::{}\n", data(&message))
}

/// Escapes as GitHub's toolkit does for the text of a command.
fn data(text: &str) -> String {
    text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

/// Escapes as GitHub's toolkit does for a property.
fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}
