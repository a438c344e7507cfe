//! Syntax errors in words that help.

use std::ops::Range;

use crate::diagnostic::{Diagnostic, codes};

/// What is wrong around byte `at`, where the parser stopped with `words`; and the bytes to leave out to read on.
pub(super) fn explain(text: &str, at: usize, words: &str) -> (Diagnostic, Range<usize>) {
    let start = text[..at].rfind('\n').map_or(0, |end| end + 1);
    let end = text[at..].find('\n').map_or(text.len(), |end| at + end);
    (Diagnostic::new(&codes::YAML, "", at..end, format!("YAML cannot be read here: {words}")), start..end)
}

/// The text with some of it turned into blanks of the same length; `None` where there is nothing left to turn.
pub(super) fn blank(text: &str, range: Range<usize>) -> Option<String> {
    let lost = text.get(range.clone())?;
    if lost.trim().is_empty() {
        return None;
    }
    let mut blanked = String::with_capacity(text.len());
    blanked.push_str(&text[..range.start]);
    blanked.extend(lost.bytes().map(|byte| if byte == b'\n' { '\n' } else { ' ' }));
    blanked.push_str(&text[range.end..]);
    Some(blanked)
}
