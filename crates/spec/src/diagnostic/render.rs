//! Diagnostics as text: for people, with the source line and a caret under the place.

use std::ops::Range;

use annotate_snippets::{Annotation, AnnotationKind, Element, Group, Level, Renderer, Snippet};

use super::{Diagnostic, Place, Severity};

/// Lines between two places that are still shown as one piece of the text.
const SAME_PIECE: usize = 12;
/// A longer line is named but not shown.
const MAX_LINE: usize = 4096;

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
        let level = match diagnostic.severity {
            Severity::Error => Level::ERROR,
            Severity::Warning => Level::WARNING,
            Severity::Note => Level::NOTE,
        };
        let title = if diagnostic.path.is_empty() {
            diagnostic.message.clone()
        } else {
            format!("{}: {}", diagnostic.path, diagnostic.message)
        };
        let mut elements: Vec<Element<'_>> = Vec::new();
        for piece in self.pieces(&diagnostic.places) {
            elements.push(self.show(&piece));
        }
        if let Some(help) = &diagnostic.help {
            elements.push(Level::HELP.message(help.as_str()).into());
        }
        let group: Group<'_> = level.primary_title(title.as_str()).id(diagnostic.code).elements(elements);
        let renderer = if color { Renderer::styled() } else { Renderer::plain() };
        renderer.render(&[group]) + "\n"
    }

    /// Places that stand close together are shown together.
    fn pieces<'d>(&self, places: &'d [Place]) -> Vec<Vec<(AnnotationKind, &'d Place)>> {
        let mut pieces: Vec<Vec<(AnnotationKind, &Place)>> = Vec::new();
        for (number, place) in places.iter().enumerate() {
            let kind = if number == 0 { AnnotationKind::Primary } else { AnnotationKind::Context };
            let line = self.line_of(place.span.start);
            let near = |piece: &&mut Vec<(AnnotationKind, &Place)>| {
                piece.iter().any(|(_, other)| self.line_of(other.span.start).abs_diff(line) <= SAME_PIECE)
            };
            match pieces.iter_mut().find(near) {
                Some(piece) => piece.push((kind, place)),
                None => pieces.push(vec![(kind, place)]),
            }
        }
        pieces
    }

    fn show<'s>(&'s self, piece: &[(AnnotationKind, &'s Place)]) -> Element<'s> {
        let first = piece.iter().map(|(_, place)| self.line_of(place.span.start)).min().unwrap_or(0);
        let last = piece.iter().map(|(_, place)| self.line_of(place.span.start)).max().unwrap_or(0);
        let window = self.lines[first]..self.lines.get(last + 1).copied().unwrap_or(self.text.len());
        if window.len() > MAX_LINE * (last - first + 1) {
            let position = self.position(piece[0].1.span.start);
            return annotate_snippets::Origin::path(self.name).line(position.line).char_column(position.column).into();
        }
        let snippet = Snippet::source(&self.text[window.clone()]).path(self.name).line_start(first + 1);
        snippet.annotations(piece.iter().map(|(kind, place)| self.mark(*kind, place, &window))).into()
    }

    /// A mark under the part of the place that stands on its first line.
    fn mark<'p>(&self, kind: AnnotationKind, place: &'p Place, window: &Range<usize>) -> Annotation<'p> {
        let line = self.line_of(place.span.start);
        let line_end = self.lines.get(line + 1).map_or(self.text.len(), |next| next - 1);
        let start = place.span.start.min(line_end);
        let end = place.span.end.clamp(start, line_end);
        let mark = kind.span(start - window.start..end - window.start);
        if place.label.is_empty() { mark } else { mark.label(place.label.as_str()) }
    }

    fn line_of(&self, at: usize) -> usize {
        self.lines.partition_point(|start| *start <= at).saturating_sub(1)
    }
}
