//! service.yml: from text to a checked [`Spec`], or to every problem at once, each at its place.
//!
//! Text in, [`Spec`] or [`Diagnostic`]s out: this crate opens no file and no socket and asks no clock. On the way a text
//! becomes a tree that knows its bytes (`tree`), the tree becomes values by the tables of the format (`grammar`, `reader`,
//! `format`), and rules look at the values together (`check`).

mod advice;
pub mod balancers;
mod check;
pub mod diagnostic;
mod format;
mod grammar;
pub mod model;
mod reader;
#[cfg(test)]
mod reference;
mod schema;
pub mod tree;

pub use diagnostic::render::{Position, Source as SourceText};
pub use diagnostic::{Diagnostic, Place, Severity};
pub use model::*;
pub use reader::nearest_word;
pub use schema::schema;
pub use tree::MAX_BYTES;

/// What reading a file came to.
#[derive(Debug, Clone, PartialEq)]
pub struct Outcome {
    /// The checked file; `None` where one of the diagnostics is an error.
    pub spec: Option<Spec>,
    /// Everything there is to say, in the order of the text.
    pub diagnostics: Vec<Diagnostic>,
}

impl Outcome {
    /// The same with warnings as errors.
    #[must_use]
    pub fn strict(mut self) -> Self {
        for diagnostic in &mut self.diagnostics {
            if diagnostic.severity == Severity::Warning {
                diagnostic.severity = Severity::Error;
                self.spec = None;
            }
        }
        self
    }

    /// How many diagnostics there are of a severity.
    pub fn count(&self, severity: Severity) -> usize {
        self.diagnostics.iter().filter(|diagnostic| diagnostic.severity == severity).count()
    }
}

/// Reads a YAML text of any format as a tree: the first step of [`read`], with its limits and its words for what is not
/// YAML. `None` where the text has no document, or one of the diagnostics is an error that leaves nothing to read.
pub fn read_tree(text: &str) -> (Option<tree::Node>, Vec<Diagnostic>) {
    let said = diagnostic::Diagnostics::default();
    let loaded = tree::load(text, &said);
    (loaded.root, said.into_sorted())
}

/// Reads and checks the text of a service.yml.
pub fn read(text: &str) -> Outcome {
    let said = diagnostic::Diagnostics::default();
    let loaded = tree::load(text, &said);
    let reading = reader::Reading { said, partial: !loaded.whole, ..reader::Reading::default() };
    let sections = match &loaded.root {
        Some(root) => format::file::read(root, &reading),
        None => format::file::none(&reading),
    };
    check::check(&sections, &reading);
    let places = Places(reading.places.into_inner());
    let diagnostics = reading.said.into_sorted();
    let refused = diagnostics.iter().any(|diagnostic| diagnostic.severity == Severity::Error);
    let spec = (!refused).then(|| sections.into_spec(places));
    Outcome { spec, diagnostics }
}
