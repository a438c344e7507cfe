//! For code scanners: SARIF 2.1.0 (OASIS, Static Analysis Results Interchange Format).

use std::fmt::Write;

use serde_json::{Value, json};

use super::{Checked, Source};
use crate::diagnostic::codes::{self, Code};
use crate::diagnostic::{Diagnostic, Place, Severity};

/// All files as one run; `version` is Fermata's.
pub fn sarif(files: &[Checked<'_>], version: &str) -> Value {
    let results = files.iter().flat_map(|file| file.diagnostics.iter().map(|said| result(file.source, said)));
    json!({
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{
            "tool": { "driver": { "name": "fermata", "version": version, "rules": codes::all().map(rule).collect::<Vec<Value>>() } },
            "columnKind": "unicodeCodePoints",
            "results": results.collect::<Vec<Value>>(),
        }],
    })
}

fn rule(code: &Code) -> Value {
    json!({
        "id": code.name,
        "shortDescription": { "text": code.title },
        "fullDescription": { "text": code.text },
        "defaultConfiguration": { "level": level(code.severity) },
    })
}

fn result(source: &Source<'_>, said: &Diagnostic) -> Value {
    let mut locations = said.places.iter().map(|place| location(source, place));
    let message = match &said.help {
        Some(help) => format!("{}; {help}", said.titled()),
        None => said.titled(),
    };
    let mut result = json!({
        "ruleId": said.code,
        "level": level(said.severity),
        "message": { "text": message },
        "locations": locations.next().into_iter().collect::<Vec<Value>>(),
        "relatedLocations": locations.collect::<Vec<Value>>(),
    });
    if let Some(index) = codes::all().position(|code| code.name == said.code) {
        result["ruleIndex"] = json!(index);
    }
    result
}

fn location(source: &Source<'_>, place: &Place) -> Value {
    let (start, end) = source.ends(&place.span);
    let mut location = json!({
        "physicalLocation": {
            "artifactLocation": { "uri": uri(source.name()) },
            "region": {
                "startLine": start.line,
                "startColumn": start.column,
                "endLine": end.line,
                "endColumn": end.column,
            },
        },
    });
    if !place.label.is_empty() {
        location["message"] = json!({ "text": place.label });
    }
    location
}

fn level(severity: Severity) -> &'static str {
    match severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
        Severity::Note => "note",
    }
}

/// A path as a relative reference (RFC 3986, 4.2): what may not stand in one is percent-encoded.
fn uri(path: &str) -> String {
    let mut uri = String::with_capacity(path.len());
    for byte in path.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~/@+,=".contains(&byte) {
            uri.push(char::from(byte));
        } else {
            let _ = write!(uri, "%{byte:02X}");
        }
    }
    uri
}
