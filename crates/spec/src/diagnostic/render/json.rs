//! For programs.

use serde_json::{Value, json as value};

use super::{Checked, Position, Source};
use crate::diagnostic::{Diagnostic, Place, Severity};

/// All files and what was said about each.
pub fn json(files: &[Checked<'_>]) -> Value {
    let file = |file: &Checked<'_>| {
        let accepted = file.diagnostics.iter().all(|said| said.severity != Severity::Error);
        let said: Vec<Value> = file.diagnostics.iter().map(|said| diagnostic(file.source, said)).collect();
        value!({ "file": file.source.name(), "accepted": accepted, "diagnostics": said })
    };
    value!({ "files": files.iter().map(file).collect::<Vec<Value>>() })
}

fn diagnostic(source: &Source<'_>, said: &Diagnostic) -> Value {
    value!({
        "code": said.code,
        "severity": said.severity.to_string(),
        "path": said.path,
        "message": said.message,
        "help": said.help,
        "places": said.places.iter().map(|place| place_of(source, place)).collect::<Vec<Value>>(),
    })
}

fn place_of(source: &Source<'_>, place: &Place) -> Value {
    let (start, end) = source.ends(&place.span);
    let position =
        |at: usize, position: Position| value!({ "line": position.line, "column": position.column, "byte": at });
    value!({ "label": place.label, "start": position(place.span.start, start), "end": position(place.span.end, end) })
}
