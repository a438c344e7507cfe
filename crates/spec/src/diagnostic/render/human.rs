//! For people: the source line, a caret under the place, what to do. rustc's renderer does the drawing.

use std::ops::Range;

use annotate_snippets::{Annotation, AnnotationKind, Element, Group, Level, Origin, Renderer, Snippet};

use super::Source;
use crate::diagnostic::{Diagnostic, Place, Severity};

/// Lines between two places that are still shown as one piece of the text.
const SAME_PIECE: usize = 12;
/// A longer line is named but not shown.
const MAX_LINE: usize = 4096;

/// One diagnostic, ending in a line break.
pub(super) fn render(source: &Source<'_>, diagnostic: &Diagnostic, color: bool) -> String {
    let level = match diagnostic.severity {
        Severity::Error => Level::ERROR,
        Severity::Warning => Level::WARNING,
        Severity::Note => Level::NOTE,
    };
    let title = diagnostic.titled();
    let pieces = pieces(source, &diagnostic.places);
    let mut elements: Vec<Element<'_>> = pieces.iter().map(|piece| show(source, piece)).collect();
    if let Some(help) = &diagnostic.help {
        elements.push(Level::HELP.message(help.as_str()).into());
    }
    let group: Group<'_> = level.primary_title(title.as_str()).id(diagnostic.code).elements(elements);
    let renderer = if color { Renderer::styled() } else { Renderer::plain() };
    renderer.render(&[group]) + "\n"
}

/// Places that stand close together, the diagnostic's own among them where it is.
type Piece<'d> = Vec<(AnnotationKind, &'d Place)>;

/// Sorts places into those that are shown together.
fn pieces<'d>(source: &Source<'_>, places: &'d [Place]) -> Vec<Piece<'d>> {
    let mut pieces: Vec<Piece<'d>> = Vec::new();
    for (number, place) in places.iter().enumerate() {
        let kind = if number == 0 { AnnotationKind::Primary } else { AnnotationKind::Context };
        let line = source.line_of(place.span.start);
        let is_near = |(_, other): &(_, &Place)| source.line_of(other.span.start).abs_diff(line) <= SAME_PIECE;
        match pieces.iter_mut().find(|piece| piece.iter().any(is_near)) {
            Some(piece) => piece.push((kind, place)),
            None => pieces.push(vec![(kind, place)]),
        }
    }
    pieces
}

fn show<'s>(source: &'s Source<'_>, piece: &[(AnnotationKind, &'s Place)]) -> Element<'s> {
    let lines = || piece.iter().map(|(_, place)| source.line_of(place.span.start));
    let (first, last) = (lines().min().unwrap_or(0), lines().max().unwrap_or(0));
    let window = source.lines[first]..source.lines.get(last + 1).copied().unwrap_or(source.text.len());
    if window.len() > MAX_LINE * (last - first + 1) {
        let position = source.position(piece[0].1.span.start);
        return Origin::path(source.name).line(position.line).char_column(position.column).into();
    }
    let snippet = Snippet::source(&source.text[window.clone()]).path(source.name).line_start(first + 1);
    snippet.annotations(piece.iter().map(|(kind, place)| mark(source, *kind, place, &window))).into()
}

/// A mark under the part of the place that stands on its first line.
fn mark<'p>(source: &Source<'_>, kind: AnnotationKind, place: &'p Place, window: &Range<usize>) -> Annotation<'p> {
    let line = source.line_of(place.span.start);
    let line_end = source.lines.get(line + 1).map_or(source.text.len(), |next| next - 1);
    let start = place.span.start.min(line_end);
    let end = place.span.end.clamp(start, line_end);
    let mark = kind.span(start - window.start..end - window.start);
    if place.label.is_empty() { mark } else { mark.label(place.label.as_str()) }
}
