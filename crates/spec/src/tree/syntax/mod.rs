//! Syntax errors in words that help: a parser says where it gave up, this looks for the slip that made it give up.
//!
//! Each guess looks only at the lines up to that place. The lines that an explanation concerns are then blanked, so that the
//! rest of the file can be read as well. A guess that is not sure keeps quiet; then the parser's own words are shown.

mod colons;
mod indents;
mod lines;
mod quotes;
mod words;

use std::ops::Range;

use crate::diagnostic::{Diagnostic, codes};

use lines::{Line, lines_to};

/// What is wrong, and what to leave out to read on.
#[derive(Debug)]
pub(super) struct Explanation {
    pub(super) diagnostic: Diagnostic,
    /// Bytes to blank; empty where reading on would only lead to errors that come from this one.
    pub(super) leave_out: Vec<Range<usize>>,
    /// Whether the slip was found. Otherwise the words are the parser's.
    pub(super) sure: bool,
}

/// The parser's complaint, with the lines up to it.
#[derive(Debug)]
struct Complaint<'t> {
    text: &'t str,
    at: usize,
    words: &'t str,
    /// Up to the line of the place.
    lines: Vec<Line<'t>>,
    /// The last few lines that are not blank, the last one first.
    near: Vec<Line<'t>>,
}

/// How many lines above the parser's place a slip is looked for, unless it is an open quote or bracket.
const REACH: usize = 3;

/// Explains why the parser stopped at byte `at` with `words`.
pub(super) fn explain(text: &str, at: usize, words: &str) -> Explanation {
    let lines = lines_to(text, at);
    let near = lines.iter().rev().filter(|line| !line.is_blank()).take(REACH).copied().collect();
    let complaint = Complaint { text, at, words, lines, near };
    let guesses: [fn(&Complaint<'_>) -> Option<Explanation>; 11] = [
        words::conflict,
        indents::tab,
        quotes::open_quote,
        quotes::escape,
        words::braces,
        words::reserved,
        indents::dash,
        colons::missing,
        indents::too_deep,
        colons::in_value,
        indents::misaligned,
    ];
    guesses
        .iter()
        .find_map(|guess| guess(&complaint))
        .or_else(|| quotes::open_bracket(&complaint))
        .unwrap_or_else(|| complaint.unknown())
}

/// The text with some of it turned into blanks, byte for byte; `None` where that changes nothing.
pub(super) fn blank(text: &str, ranges: &[Range<usize>]) -> Option<String> {
    let mut bytes = text.as_bytes().to_vec();
    for range in ranges {
        for byte in bytes.get_mut(range.clone())? {
            if *byte != b'\n' {
                *byte = b' ';
            }
        }
    }
    let blanked = String::from_utf8(bytes).ok()?;
    (blanked != text).then_some(blanked)
}

impl Explanation {
    /// The slip is in this line; the line and what is indented below it are left out.
    fn sure(complaint: &Complaint<'_>, line: &Line<'_>, diagnostic: Diagnostic) -> Self {
        Explanation { diagnostic, leave_out: vec![block(complaint.text, line)], sure: true }
    }
}

/// A line and the lines below it that are indented deeper.
fn block(text: &str, line: &Line<'_>) -> Range<usize> {
    let mut end = line.end();
    let mut start = (end + 1).min(text.len());
    for below in text[start..].split_inclusive('\n') {
        let below_line = Line { text: below.trim_end_matches(['\n', '\r']), start };
        if !below_line.is_blank() && below_line.indent() <= line.indent() {
            break;
        }
        end = below_line.end();
        start += below.len();
    }
    line.start..end
}

impl Complaint<'_> {
    /// The words of the parser, at its place.
    fn unknown(&self) -> Explanation {
        let line = self.lines.last().copied().unwrap_or(Line { text: "", start: 0 });
        let place = match self.near.first() {
            Some(near) if line.is_blank() || self.at >= line.end() => near.whole(),
            _ => self.at..line.end().max(self.at),
        };
        let message = if self.says("expect ':'") {
            "neither a key with a colon nor an item with a dash".to_owned()
        } else {
            format!("YAML cannot be read here ({})", self.words.trim_start_matches("while "))
        };
        let diagnostic = Diagnostic::new(&codes::YAML, "", place, message)
            .help("look at this line and the one above it: quotes, colons, brackets and indentation");
        Explanation { diagnostic, leave_out: vec![block(self.text, &line)], sure: false }
    }

    fn says(&self, words: &str) -> bool {
        self.words.contains(words)
    }
}
