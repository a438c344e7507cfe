//! Diagnostics as text: for people, for programs, for code scanners, for the annotations of a workflow.

mod github;
mod human;
mod json;
mod sarif;

use std::ops::Range;

pub use github::github;
pub use json::json;
pub use sarif::sarif;

use super::Diagnostic;

/// A file with everything that was said about it.
#[derive(Debug, Clone, Copy)]
pub struct Checked<'t> {
    /// Its name and text.
    pub source: &'t Source<'t>,
    /// What was said, in the order of the text.
    pub diagnostics: &'t [Diagnostic],
}

/// A text with the name it goes by, ready to show places of it.
#[derive(Debug)]
pub struct Source<'t> {
    name: &'t str,
    text: &'t str,
    /// The byte at which each line starts.
    lines: Vec<usize>,
}

/// A place as people count: from 1, in characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    /// Line, from 1.
    pub line: usize,
    /// Column, from 1, in characters.
    pub column: usize,
}

impl<'t> Source<'t> {
    /// Takes a text and what it is called, usually the path of its file.
    pub fn new(name: &'t str, text: &'t str) -> Self {
        let starts = text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n').map(|(at, _)| at + 1);
        Source { name, text, lines: std::iter::once(0).chain(starts).collect() }
    }

    /// The name it was made with.
    pub fn name(&self) -> &str {
        self.name
    }

    /// Line and column of a byte.
    pub fn position(&self, at: usize) -> Position {
        let line = self.line_of(at);
        let start = self.lines[line];
        let column = self.text.get(start..at).map_or(at - start, |before| before.chars().count());
        Position { line: line + 1, column: column + 1 }
    }

    /// One diagnostic for people, ending in a line break.
    pub fn render(&self, diagnostic: &Diagnostic, color: bool) -> String {
        human::render(self, diagnostic, color)
    }

    /// Where a place begins and ends.
    fn ends(&self, span: &Range<usize>) -> (Position, Position) {
        (self.position(span.start), self.position(span.end))
    }

    fn line_of(&self, at: usize) -> usize {
        self.lines.partition_point(|start| *start <= at).saturating_sub(1)
    }
}
