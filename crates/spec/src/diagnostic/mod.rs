//! What `check` says: one [`Diagnostic`] for each thing, with its code, its places in the text and the way out.
//!
//! Nothing here knows the format; the readers say things, this collects, sorts and hands them over.

pub mod codes;
pub mod render;

use std::cell::RefCell;
use std::fmt;
use std::ops::Range;

use codes::Code;

/// Most diagnostics kept for one file; what goes beyond is counted.
const MAX_KEPT: usize = 500;
/// Longest text of a message, a help or a label, in bytes.
const MAX_TEXT: usize = 2000;
/// Longest piece of the file's text that a message repeats.
const MAX_QUOTED: usize = 60;

/// One thing said about a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostic {
    /// Stable name, for example `E-PORT-TAKEN`. [`codes::find`] tells more about it.
    pub code: &'static str,
    /// How bad it is.
    pub severity: Severity,
    /// Which value, for example `services.web.ports[0].http`; empty for the file as a whole.
    pub path: String,
    /// What is wrong.
    pub message: String,
    /// What to do.
    pub help: Option<String>,
    /// Where: the first is the place itself, the others are what it has to do with. Never empty.
    pub places: Vec<Place>,
}

/// A place in the text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// Bytes.
    pub span: Range<usize>,
    /// What is to be seen there; may be empty.
    pub label: String,
}

/// How bad a diagnostic is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// Good to know: an older spelling, a key that others act on.
    Note,
    /// Accepted, and probably not what was meant.
    Warning,
    /// Cannot be run as it was meant.
    Error,
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Severity::Note => "note",
            Severity::Warning => "warning",
            Severity::Error => "error",
        })
    }
}

impl Diagnostic {
    /// For people, with the source line and a caret. Make a [`render::Source`] once where there are many.
    pub fn render(&self, file_name: &str, text: &str, color: bool) -> String {
        render::Source::new(file_name, text).render(self, color)
    }

    /// The message with the path in front.
    fn titled(&self) -> String {
        if self.path.is_empty() { self.message.clone() } else { format!("{}: {}", self.path, self.message) }
    }

    pub(crate) fn new(code: &Code, path: impl Into<String>, span: Range<usize>, message: impl Into<String>) -> Self {
        Diagnostic {
            code: code.name,
            severity: code.severity,
            path: path.into(),
            message: printable(message.into()),
            help: None,
            places: vec![Place { span, label: String::new() }],
        }
    }

    /// Says what to do.
    pub(crate) fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(printable(help.into()));
        self
    }

    /// Writes something under the first place.
    pub(crate) fn label(mut self, label: impl Into<String>) -> Self {
        self.places[0].label = printable(label.into());
        self
    }

    /// Shows another place.
    pub(crate) fn also(mut self, span: Range<usize>, label: impl Into<String>) -> Self {
        self.places.push(Place { span, label: printable(label.into()) });
        self
    }
}

/// Everything said about one file while it is read.
#[derive(Debug, Default)]
pub(crate) struct Diagnostics {
    kept: RefCell<Vec<Diagnostic>>,
    beyond: RefCell<Beyond>,
}

/// What was said beyond [`MAX_KEPT`].
#[derive(Debug, Default, Clone, Copy)]
struct Beyond {
    count: usize,
    errors: usize,
}

impl Diagnostics {
    pub(crate) fn add(&self, diagnostic: Diagnostic) {
        let mut kept = self.kept.borrow_mut();
        if kept.len() < MAX_KEPT {
            kept.push(diagnostic);
        } else {
            let mut beyond = self.beyond.borrow_mut();
            beyond.count += 1;
            beyond.errors += usize::from(diagnostic.severity == Severity::Error);
        }
    }

    /// Whether what is said from now on is only counted, so that no thought need be given to its words.
    pub(crate) fn is_full(&self) -> bool {
        self.kept.borrow().len() >= MAX_KEPT
    }

    /// Whether an error was said about this value or one inside it.
    pub(crate) fn blames(&self, path: &str) -> bool {
        let is_inside = |said: &Diagnostic| {
            said.path.strip_prefix(path).is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
        };
        self.kept.borrow().iter().any(|said| said.severity == Severity::Error && is_inside(said))
    }

    /// Whether something of this code was said.
    pub(crate) fn has(&self, code: &Code) -> bool {
        self.kept.borrow().iter().any(|said| said.code == code.name)
    }

    /// Everything in the order of the text.
    pub(crate) fn into_sorted(self) -> Vec<Diagnostic> {
        let mut kept = self.kept.into_inner();
        kept.sort_by(|a, b| {
            (a.places[0].span.start, std::cmp::Reverse(a.severity))
                .cmp(&(b.places[0].span.start, std::cmp::Reverse(b.severity)))
        });
        let beyond = self.beyond.into_inner();
        if beyond.count > 0 {
            let code = if beyond.errors > 0 { &codes::MORE_ERRORS } else { &codes::MORE };
            let place = kept.last().map_or(0..0, |last| last.places[0].span.clone());
            let errors = match beyond.errors {
                0 => "none of them an error".to_owned(),
                1 => "one of them an error".to_owned(),
                errors => format!("{errors} of them errors"),
            };
            kept.push(Diagnostic::new(code, "", place, format!("and {} more, {errors}", beyond.count)));
        }
        kept
    }
}

/// A text that is harmless to print: no control characters, which could be commands to a terminal, and not without end.
fn printable(text: String) -> String {
    if text.len() <= MAX_TEXT && !text.contains(char::is_control) {
        return text;
    }
    let mut printable = String::new();
    for character in text.chars() {
        if printable.len() > MAX_TEXT {
            printable.push('…');
            break;
        }
        if character.is_control() {
            printable.extend(character.escape_default());
        } else {
            printable.push(character);
        }
    }
    printable
}

/// A piece of the file's text in double quotes, harmless to print and not too long.
pub(crate) fn quote(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len().min(MAX_QUOTED) + 2);
    quoted.push('"');
    for (count, character) in text.chars().enumerate() {
        if count == MAX_QUOTED {
            quoted.push('…');
            break;
        }
        if character.is_control() {
            quoted.extend(character.escape_default());
        } else {
            quoted.push(character);
        }
    }
    quoted.push('"');
    quoted
}
