//! Colons that are missing, and colons that should not be seen.

use crate::diagnostic::{Diagnostic, codes};

use super::lines::{Line, is_word};
use super::{Complaint, Explanation};

/// `image nginx`, `image:nginx`, or a key alone without its colon.
pub(super) fn missing(complaint: &Complaint<'_>) -> Option<Explanation> {
    if !["expect ':'", "mapping values", "expected key", "illegal placement"].iter().any(|words| complaint.says(words))
    {
        return None;
    }
    let near = &complaint.near;
    (0..near.len()).find_map(|at| {
        let (line, above, below) = (&near[at], near.get(at + 1), at.checked_sub(1).and_then(|at| near.get(at)));
        is_missing(line, above, below).then(|| explain(complaint, line)).flatten()
    })
}

fn is_missing(line: &Line<'_>, above: Option<&Line<'_>>, below: Option<&Line<'_>>) -> bool {
    let body = line.body();
    if line.key().is_some() || body.starts_with(['"', '\'', '[', '{', ']', '}', '#', '-']) {
        return false;
    }
    if line.is_item() {
        // `- container 3000`: a key stands below it in the same column.
        return below
            .is_some_and(|below| below.key().is_some() && !below.is_item() && below.indent() == line.body_column());
    }
    let Some(above) = above else { return true };
    let opens = above.key().is_some_and(|(_, value)| value.is_empty());
    let text_block = above.key().is_some_and(|(_, value)| value.starts_with(['|', '>']));
    if text_block {
        return false;
    }
    // Anything deeper than the key above goes on with that key's value.
    line.indent() <= above.body_column() || (opens && is_word(body.split([' ', ':']).next().unwrap_or_default()))
}

fn explain(complaint: &Complaint<'_>, line: &Line<'_>) -> Option<Explanation> {
    let body = line.body();
    if let Some((key, value)) = body.split_once(':')
        && is_word(key)
        && !value.starts_with("//")
    {
        let message = format!("a blank is missing behind the colon of {key}");
        let place = line.body_part(key.len()..key.len() + 1);
        let diagnostic = Diagnostic::new(&codes::YAML_COLON, "", place, message).help(format!("write {key}: {value}"));
        return Some(Explanation::sure(complaint, line, diagnostic));
    }
    let (word, value) = body.split_once(' ').unwrap_or((body, ""));
    if !is_word(word) {
        return None;
    }
    let message = format!("a colon is missing after {word}");
    let place = line.body_part(0..word.len());
    let diagnostic = Diagnostic::new(&codes::YAML_COLON, "", place, message)
        .help(format!("write {word}: {}", value.trim()).trim_end().to_owned());
    Some(Explanation::sure(complaint, line, diagnostic))
}

/// `command: echo a: b`, `container: 3000 http: 80`.
pub(super) fn in_value(complaint: &Complaint<'_>) -> Option<Explanation> {
    if !complaint.says("mapping values are not allowed") {
        return None;
    }
    let line = complaint.near.first()?;
    let (key, value) = line.key()?;
    if value.starts_with(['"', '\'']) || !(value.contains(": ") || value.ends_with(':')) {
        return None;
    }
    let start = line.body().len() - value.len();
    let place = line.body_part(start..line.body().len());
    let second = value.split_once(' ').filter(|(first, _)| first.bytes().all(|byte| byte.is_ascii_digit()));
    if let Some((_, rest)) = second {
        let message = format!("two keys stand on one line, {key} and {}", rest.split(':').next().unwrap_or_default());
        let diagnostic = Diagnostic::new(&codes::YAML_COLON, "", place, message);
        let help = format!("write {rest} on a line of its own, below {key}");
        return Some(Explanation::sure(complaint, line, diagnostic.help(help)));
    }
    let message = format!("the value of {key} has a colon in it and must be quoted");
    let diagnostic = Diagnostic::new(&codes::YAML_COLON, "", place, message);
    let help = if value.contains('\'') { "put it into \"…\"".to_owned() } else { format!("write {key}: '{value}'") };
    Some(Explanation::sure(complaint, line, diagnostic.help(help)))
}
