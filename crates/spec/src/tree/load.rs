//! From text to [`Node`], in time and memory that the text's length bounds.
//!
//! The parser gives events, and this file builds the tree itself: an alias is copied only while the copies stay small,
//! depth and size have limits, and both places of a duplicate key are known.

use std::borrow::Cow;
use std::collections::HashMap;
use std::ops::Range;

use saphyr_parser::{Event, Parser, ScalarStyle, StrInput, Tag};

use super::offsets::Offsets;
use super::{Entry, Kind, Node, Scalar, maps, syntax};
use crate::diagnostic::{Diagnostic, Diagnostics, codes, quote};

/// Longest text that is read, in bytes. The longest real file that we know has 61 lines.
pub const MAX_BYTES: usize = 4 << 20;
/// Deepest nesting. The format itself needs ten levels.
const MAX_DEPTH: usize = 64;
/// Most values in one document, copies made for aliases included. A long text counts as several.
const MAX_NODES: usize = 500_000;
/// Bytes of text that count as another value.
const LONG_TEXT: usize = 64;
/// How many syntax errors are looked for: the lines of each are blanked and the text is read again.
const MAX_SYNTAX_ERRORS: usize = 10;

/// A text, read as far as it can be.
pub(crate) struct Loaded {
    /// The document; `None` where the text has none, or where it is refused.
    pub(crate) root: Option<Node>,
    /// Whether every line of the text is in `root`.
    pub(crate) whole: bool,
}

/// Reads a text. What YAML forbids is said in `said`; the lines concerned are left out, and the rest is read.
pub(crate) fn load(text: &str, said: &Diagnostics) -> Loaded {
    let refused = Loaded { root: None, whole: false };
    if text.len() > MAX_BYTES {
        let message = format!("the file is larger than {} MiB, the most that is read", MAX_BYTES >> 20);
        said.add(Diagnostic::new(&codes::YAML_LIMIT, "", 0..0, message));
        return refused;
    }
    let mut blanked = Cow::Borrowed(text);
    for round in 0..MAX_SYNTAX_ERRORS {
        let mut loader = Loader::new(&blanked);
        match loader.run() {
            Ok(root) => {
                loader.said.into_iter().for_each(|diagnostic| said.add(diagnostic));
                return Loaded { root, whole: round == 0 };
            }
            Err(Stop::Refused(diagnostic)) => {
                said.add(*diagnostic);
                return refused;
            }
            Err(Stop::Syntax { at, words }) => {
                let explanation = syntax::explain(&blanked, at, &words);
                if round > 0 && !explanation.sure {
                    // Probably only what the lines left out have made of the rest.
                    return refused;
                }
                said.add(explanation.diagnostic);
                match syntax::blank(&blanked, &explanation.leave_out) {
                    Some(rest) => blanked = rest.into(),
                    None => return refused,
                }
            }
        }
    }
    refused
}

/// Why reading stopped.
enum Stop {
    /// Beyond a limit; nothing of the text is used.
    Refused(Box<Diagnostic>),
    /// Not YAML, at this byte, in the parser's words.
    Syntax { at: usize, words: String },
}

/// One pass over a text.
struct Loader<'t> {
    text: &'t str,
    parser: Parser<'t, StrInput<'t>>,
    offsets: Offsets,
    /// Open lists and maps, the outermost first.
    open: Vec<Open>,
    /// Finished values with an anchor.
    anchors: HashMap<usize, Node>,
    nodes: usize,
    root: Option<Node>,
    said: Vec<Diagnostic>,
}

/// A list or map that is not yet closed.
struct Open {
    start: usize,
    /// Written with brackets or braces, so that its end is a character of the text.
    flow: bool,
    anchor: usize,
    content: Content,
}

enum Content {
    List(Vec<Node>),
    Map { entries: Vec<Entry>, key: Option<Node> },
}

impl<'t> Loader<'t> {
    fn new(text: &'t str) -> Self {
        Loader {
            text,
            parser: Parser::new_from_str(text),
            offsets: Offsets::new(text),
            open: Vec::new(),
            anchors: HashMap::new(),
            nodes: 0,
            root: None,
            said: Vec::new(),
        }
    }

    fn run(&mut self) -> Result<Option<Node>, Stop> {
        while let Some(event) = self.parser.next_event() {
            let (event, span) = event.map_err(|error| Stop::Syntax {
                at: self.offsets.byte(error.marker().index()),
                words: error.info().to_owned(),
            })?;
            let span = self.offsets.byte(span.start.index())..self.offsets.byte(span.end.index());
            match event {
                Event::DocumentStart(_) if self.has_document() => {
                    self.say_second_document(span);
                    break;
                }
                Event::Scalar(text, style, anchor, tag) => {
                    let is_string = self.read_tag(tag.as_deref(), &span);
                    let plain = style == ScalarStyle::Plain && !is_string;
                    let block = matches!(style, ScalarStyle::Literal | ScalarStyle::Folded);
                    let span = if block { self.without_trailing_blanks(span) } else { span };
                    let scalar = Scalar { text: text.into_owned(), plain };
                    self.finish(Node { kind: Kind::Scalar(scalar), span }, anchor)?;
                }
                Event::SequenceStart(anchor, tag) => {
                    self.read_tag(tag.as_deref(), &span);
                    self.enter(&span, anchor, Content::List(Vec::new()))?;
                }
                Event::MappingStart(anchor, tag) => {
                    self.read_tag(tag.as_deref(), &span);
                    self.enter(&span, anchor, Content::Map { entries: Vec::new(), key: None })?;
                }
                Event::SequenceEnd | Event::MappingEnd => self.leave(&span)?,
                Event::Alias(anchor) => self.copy(anchor, span)?,
                _ => {}
            }
        }
        Ok(self.root.take())
    }

    fn enter(&mut self, span: &Range<usize>, anchor: usize, content: Content) -> Result<(), Stop> {
        if self.open.len() == MAX_DEPTH {
            let message = format!("nested more than {MAX_DEPTH} levels deep");
            return Err(Stop::refused(Diagnostic::new(&codes::YAML_LIMIT, "", span.clone(), message)));
        }
        self.open.push(Open { start: span.start, flow: !span.is_empty(), anchor, content });
        Ok(())
    }

    fn leave(&mut self, span: &Range<usize>) -> Result<(), Stop> {
        let Some(open) = self.open.pop() else { return Ok(()) };
        let (kind, last) = match open.content {
            Content::List(items) => {
                let last = items.last().map_or(open.start, |item| item.span.end);
                (Kind::List(items), last)
            }
            Content::Map { entries, .. } => {
                let last = entries.last().map_or(open.start, |entry| entry.value.span.end.max(entry.key_span.end));
                (Kind::Map(maps::settle(entries, &mut self.said)), last)
            }
        };
        let end = if open.flow { span.end } else { last.max(open.start) };
        let node = Node { kind, span: open.start..end };
        let node = maps::braces(self.text, node, &mut self.said);
        self.finish(node, open.anchor)
    }

    /// Puts a finished value where it belongs.
    fn finish(&mut self, node: Node, anchor: usize) -> Result<(), Stop> {
        self.count(1, &node.span)?;
        if anchor != 0 {
            self.count(size(&node), &node.span)?;
            self.anchors.insert(anchor, node.clone());
        }
        match self.open.last_mut() {
            None => self.root = Some(node),
            Some(Open { content: Content::List(items), .. }) => items.push(node),
            Some(Open { content: Content::Map { entries, key }, .. }) => match key.take() {
                None => *key = Some(node),
                Some(key) => entries.extend(maps::entry(key, node, &mut self.said)),
            },
        }
        Ok(())
    }

    /// An alias: the value of its anchor once more. What is inside keeps the place where it is written.
    fn copy(&mut self, anchor: usize, span: Range<usize>) -> Result<(), Stop> {
        let Some(original) = self.anchors.get(&anchor) else {
            let message = "an alias stands inside the value that it repeats";
            return Err(Stop::refused(Diagnostic::new(&codes::YAML_LIMIT, "", span, message)));
        };
        let copies = size(original);
        if self.nodes + copies > MAX_NODES {
            return self.count(copies, &span);
        }
        let node = Node { kind: original.kind.clone(), span: span.clone() };
        self.count(copies, &span)?;
        self.finish(node, 0)
    }

    fn count(&mut self, more: usize, span: &Range<usize>) -> Result<(), Stop> {
        self.nodes += more;
        if self.nodes > MAX_NODES {
            let message = format!("more than {MAX_NODES} values, copies made for aliases (\"*\") included");
            return Err(Stop::refused(Diagnostic::new(&codes::YAML_LIMIT, "", span.clone(), message)));
        }
        Ok(())
    }

    /// Whether a tag makes its scalar a string (YAML 1.2.2, 10.1.1.3); says so of a tag that means nothing here.
    fn read_tag(&mut self, tag: Option<&Tag>, span: &Range<usize>) -> bool {
        let Some(tag) = tag else { return false };
        if !tag.is_yaml_core_schema() {
            let message = format!("the tag {} means nothing here and is ignored", quote(&tag.to_string()));
            self.said.push(Diagnostic::new(&codes::YAML_TAG, "", span.clone(), message));
        }
        tag.is_yaml_core_schema() && tag.suffix == "str"
    }

    fn has_document(&self) -> bool {
        self.root.as_ref().is_some_and(|root| !root.is_null())
    }

    /// One document is read; another one with anything in it is a mistake.
    fn say_second_document(&mut self, marker: Range<usize>) {
        let rest = self.text.get(marker.end..).unwrap_or_default();
        let blank = |line: &str| matches!(line.trim(), "" | "---" | "...") || line.trim_start().starts_with('#');
        if !rest.lines().all(blank) {
            let diagnostic = Diagnostic::new(&codes::YAML_DOCUMENTS, "", marker, "a second document starts here")
                .help("one file holds one service.yml; remove the line, or move what follows into a file of its own");
            self.said.push(diagnostic);
        }
    }

    fn without_trailing_blanks(&self, span: Range<usize>) -> Range<usize> {
        let written = self.text.get(span.clone()).unwrap_or_default().trim_end().len();
        span.start..span.start + written
    }
}

impl Stop {
    fn refused(diagnostic: Diagnostic) -> Self {
        Stop::Refused(Box::new(diagnostic))
    }
}

/// How many values a value holds, itself included, a long text as several. Its depth is at most [`MAX_DEPTH`].
fn size(node: &Node) -> usize {
    match &node.kind {
        Kind::Scalar(scalar) => 1 + scalar.text.len() / LONG_TEXT,
        Kind::List(items) => 1 + items.iter().map(size).sum::<usize>(),
        Kind::Map(entries) => 1 + entries.iter().map(|entry| 1 + size(&entry.value)).sum::<usize>(),
    }
}
