//! A text by lines, as a person looks at it.

use std::ops::Range;

/// A line of the text, without its end.
#[derive(Debug, Clone, Copy)]
pub(super) struct Line<'t> {
    pub(super) text: &'t str,
    pub(super) start: usize,
}

/// The lines of a text up to the one in which a byte stands.
pub(super) fn lines_to(text: &str, at: usize) -> Vec<Line<'_>> {
    let mut lines = Vec::new();
    let mut start = 0;
    for line in text.split_inclusive('\n') {
        lines.push(Line { text: line.trim_end_matches(['\n', '\r']), start });
        start += line.len();
        if start > at {
            break;
        }
    }
    lines
}

impl<'t> Line<'t> {
    pub(super) fn end(&self) -> usize {
        self.start + self.text.len()
    }

    /// Bytes of white space before anything else.
    pub(super) fn indent(&self) -> usize {
        self.text.len() - self.text.trim_start().len()
    }

    /// Without indentation, trailing blanks, and the dashes of list items in front.
    pub(super) fn body(&self) -> &'t str {
        let mut body = self.text.trim();
        while let Some(rest) = body.strip_prefix("- ") {
            body = rest.trim_start();
        }
        body
    }

    /// Bytes before [`Line::body`].
    pub(super) fn body_column(&self) -> usize {
        self.text.trim_end().len() - self.body().len()
    }

    /// Whether a dash stands in front.
    pub(super) fn is_item(&self) -> bool {
        self.body_column() > self.indent() || self.text.trim() == "-"
    }

    pub(super) fn is_blank(&self) -> bool {
        let text = self.text.trim();
        text.is_empty() || text.starts_with('#')
    }

    /// Key and value where the line has a colon with a blank or nothing behind it.
    pub(super) fn key(&self) -> Option<(&'t str, &'t str)> {
        let body = self.body();
        if let Some(key) = body.strip_suffix(':')
            && !key.contains(": ")
        {
            return Some((key, ""));
        }
        body.split_once(": ").map(|(key, value)| (key, value.trim_start()))
    }

    /// The bytes of a part of [`Line::body`].
    pub(super) fn body_part(&self, part: Range<usize>) -> Range<usize> {
        let start = self.start + self.body_column();
        start + part.start..start + part.end
    }

    /// The bytes of [`Line::body`].
    pub(super) fn body_span(&self) -> Range<usize> {
        self.body_part(0..self.body().len())
    }

    /// The bytes of the line without blanks around it.
    pub(super) fn whole(&self) -> Range<usize> {
        let indent = self.indent().min(self.text.trim_end().len());
        self.start + indent..self.start + self.text.trim_end().len()
    }

    /// The bytes of the line.
    pub(super) fn all(&self) -> Range<usize> {
        self.start..self.end()
    }
}

/// Whether a text is a single word that could be a key.
pub(super) fn is_word(text: &str) -> bool {
    let letter = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | '.');
    !text.is_empty() && text.starts_with(|c: char| c.is_alphabetic() || c == '_') && text.chars().all(letter)
}
