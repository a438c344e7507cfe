//! Quotes and brackets that are not closed.

use crate::diagnostic::{Diagnostic, codes, quote};

use super::lines::Line;
use super::{Complaint, Explanation};

/// A quote that opens in a line and does not close there, or text behind a closed one.
pub(super) fn open_quote(complaint: &Complaint<'_>) -> Option<Explanation> {
    let swallowed = ["end of stream", "document indicator", "invalid indentation in quoted", "tab cannot be used"];
    let open = swallowed.iter().any(|words| complaint.says(words)) && complaint.says("quoted scalar");
    let trailing = complaint.says("trailing content after") || complaint.says("comment intercepting");
    if !open && !trailing {
        return None;
    }
    // Where a later quote closed it by accident, the line that opened it is above the parser's place.
    let line = complaint.lines.iter().find(|line| unclosed(line).is_some());
    let Some((line, start)) = line.and_then(|line| Some((line, unclosed(line)?))) else {
        return trailing.then(|| behind_quote(complaint)).flatten();
    };
    let mark = line.text[start..].chars().next()?;
    let other = if mark == '"' { '\'' } else { '"' };
    let rest = &line.text[start + 1..];
    let help = if rest.trim_end_matches([']', '}', ',', ' ']).ends_with(other) {
        format!("it opens with {mark} and ends with {other}; write the same on both sides")
    } else {
        format!("write {mark} at the end of the value as well")
    };
    let place = line.start + start..line.start + line.text.trim_end().len();
    let diagnostic = Diagnostic::new(&codes::YAML_QUOTE, "", place, "the quote opened here is not closed").help(help);
    Some(Explanation::sure(complaint, line, diagnostic))
}

/// `'it's'`, `"a" b`.
fn behind_quote(complaint: &Complaint<'_>) -> Option<Explanation> {
    let line = complaint.lines.last()?;
    let place = complaint.at..line.start + line.text.trim_end().len();
    let apostrophe = line.text.get(..complaint.at - line.start)?.ends_with('\'');
    let help = if apostrophe {
        "inside '…' an apostrophe is written ''; or put the whole value into \"…\""
    } else {
        "put the whole value into one pair of quotes; inside \"…\" a quote is written \\\""
    };
    let diagnostic =
        Diagnostic::new(&codes::YAML_QUOTE, "", place, "the value's quote is closed before this").help(help);
    Some(Explanation::sure(complaint, line, diagnostic))
}

/// `"C:\data"`.
pub(super) fn escape(complaint: &Complaint<'_>) -> Option<Explanation> {
    if !complaint.says("unknown escape character") && !complaint.says("hexadecimal number") {
        return None;
    }
    let line = complaint.lines.last()?;
    let from = complaint.at - line.start;
    let known = |byte: u8| b"0abt\tnvfre \"/\\N_LPxuU\n".contains(&byte);
    let bytes = line.text.as_bytes();
    let mut at = from;
    while at + 1 < bytes.len()
        && !(bytes[at] == b'\\' && (!known(bytes[at + 1]) || matches!(bytes[at + 1], b'x' | b'u' | b'U')))
    {
        at += if bytes[at] == b'\\' { 2 } else { 1 };
    }
    let written = line.text.get(at..)?.chars().take(2).collect::<String>();
    if !written.starts_with('\\') {
        return None;
    }
    let place = line.start + at..line.start + at + written.len();
    let message = format!("{written} means nothing inside \"…\"");
    let diagnostic = Diagnostic::new(&codes::YAML_QUOTE, "", place, message)
        .help("write \\\\ for a backslash, or put the value into '…'");
    Some(Explanation::sure(complaint, line, diagnostic))
}

/// Where in a line a quote begins a value and does not end it.
fn unclosed(line: &Line<'_>) -> Option<usize> {
    if line.is_blank() {
        return None;
    }
    let bytes = line.text.as_bytes();
    let mut at = line.indent();
    let mut fresh = true;
    while at < bytes.len() {
        match bytes[at] {
            quote @ (b'"' | b'\'') if fresh => match closing(bytes, at, quote) {
                Some(end) => {
                    at = end;
                    fresh = false;
                }
                None => return Some(at),
            },
            b'#' if at > 0 && bytes[at - 1] == b' ' => return None,
            // A value begins behind a blank that follows one of these, or right behind a bracket.
            b'[' | b'{' | b',' | b':' | b'-' | b'?' => fresh = true,
            b' ' => {}
            _ => fresh = false,
        }
        at += 1;
    }
    None
}

/// Where the quote closes that opens at `start`.
fn closing(bytes: &[u8], start: usize, quote: u8) -> Option<usize> {
    let mut at = start + 1;
    while at < bytes.len() {
        if quote == b'"' && bytes[at] == b'\\' {
            at += 2;
            continue;
        }
        if bytes[at] == quote {
            if quote == b'\'' && bytes.get(at + 1) == Some(&b'\'') {
                at += 2;
                continue;
            }
            return Some(at);
        }
        at += 1;
    }
    None
}

/// A bracket or brace that is not closed, or one too many.
pub(super) fn open_bracket(complaint: &Complaint<'_>) -> Option<Explanation> {
    if complaint.says("misplaced bracket") {
        let line = complaint.lines.last()?;
        let place = complaint.at..complaint.at + 1;
        let message = format!("{} closes nothing", quote(complaint.text.get(place.clone())?));
        let diagnostic = Diagnostic::new(&codes::YAML_BRACKET, "", place, message)
            .help("remove it, or write the bracket that it closes");
        return Some(Explanation::sure(complaint, line, diagnostic));
    }
    let (line, start) = complaint.lines.iter().rev().find_map(|line| Some((line, opening(line)?)))?;
    let mark = line.text[start..].chars().next()?;
    let end = if mark == '[' { ']' } else { '}' };
    let place = line.start + start..line.start + line.text.trim_end().len();
    let message = format!("the {mark} opened here is not closed");
    let diagnostic = Diagnostic::new(&codes::YAML_BRACKET, "", place, message).help(format!("write {end} at the end"));
    Some(Explanation::sure(complaint, line, diagnostic))
}

/// Where a value begins with a bracket or brace that the line does not close.
fn opening(line: &Line<'_>) -> Option<usize> {
    let value = line.key().map_or(line.body(), |(_, value)| value);
    if !value.starts_with(['[', '{']) {
        return None;
    }
    let open = value.matches(['[', '{']).count();
    let closed = value.matches([']', '}']).count();
    (open > closed).then(|| line.text.trim_end().len() - value.trim_end().len())
}
