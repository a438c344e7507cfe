//! What was looked at and what was found: a value that can be printed, compared and kept, and its writers.
//!
//! `probe` and `doctor` make reports, each with topics of its own; people, programs and CI systems read them in the same
//! forms. Nothing here looks at anything.

mod html;
mod junit;
mod markup;
pub(crate) mod text;

use std::fmt::Display;
use std::time::Duration;

use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};

pub use html::Html;
pub use junit::Junit;

/// What was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report<T> {
    /// What it is about: a URL, a file.
    pub subject: String,
    /// What came of it.
    pub outcome: Outcome,
    /// Each thing that was looked at, in order.
    pub findings: Vec<Finding<T>>,
}

/// What the findings of one kind of report are about, and the words that belong to it.
pub trait Topic: Copy + Ord + Display + Serialize {
    /// The command that makes such reports.
    const COMMAND: &'static str;
    /// Under which keys programs find the subject and the findings.
    const KEYS: [&'static str; 2];
    /// What is said when nothing is to be said: its first words, and the rest.
    const WELL: [&'static str; 2];

    /// What stands before a trouble.
    fn lead(self) -> String;
}

impl<T: Topic> Report<T> {
    /// From findings, with what follows from them.
    pub fn new(subject: String, findings: Vec<Finding<T>>) -> Report<T> {
        let outcome = match findings.iter().map(|finding| finding.verdict).max() {
            Some(Verdict::Broken) => Outcome::Broken,
            Some(Verdict::Remark) => Outcome::WorksWithRemarks,
            _ => Outcome::Works,
        };
        Report { subject, outcome, findings }
    }

    /// The first finding that breaks.
    pub fn broken(&self) -> Option<&Finding<T>> {
        self.findings.iter().find(|finding| finding.verdict == Verdict::Broken)
    }
}

impl<T: Topic> Serialize for Report<T> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let [subject, findings] = T::KEYS;
        let mut map = to.serialize_map(Some(3))?;
        map.serialize_entry(subject, &self.subject)?;
        map.serialize_entry("outcome", &self.outcome)?;
        map.serialize_entry(findings, &self.findings)?;
        map.end()
    }
}

/// What came of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// All is as it should be.
    Works,
    /// It is, and something is worth changing.
    WorksWithRemarks,
    /// It is not.
    Broken,
}

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding<T> {
    /// What.
    pub name: T,
    /// How it is.
    pub verdict: Verdict,
    /// How long it took, where that is worth knowing.
    #[serde(rename = "ms", serialize_with = "milliseconds")]
    pub took: Option<Duration>,
    /// What was seen.
    pub says: String,
    /// What else was seen.
    pub details: Vec<Detail>,
    /// What to make of it.
    pub advice: Vec<Advice>,
}

/// How something is, from good to bad.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// Not tried, because something before it is broken.
    Skipped,
    /// As it should be.
    Works,
    /// It works, and something is worth changing.
    Remark,
    /// No WebSocket gets past it.
    Broken,
}

/// Something else that was seen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Detail {
    /// What.
    pub says: String,
    /// How long it took, where that is worth knowing.
    #[serde(rename = "ms", serialize_with = "milliseconds", skip_serializing_if = "Option::is_none")]
    pub took: Option<Duration>,
}

/// What to make of something, and what to change where.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Advice {
    /// A name for programs that stays the same when the words change.
    pub code: &'static str,
    /// What it means.
    pub says: String,
    /// What to do.
    pub fix: Vec<Step>,
}

/// One thing to do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Step {
    /// In words.
    Do(String),
    /// As lines of a configuration or a command, letter by letter.
    Write(String),
}

impl Advice {
    /// Without anything to do yet.
    pub fn new(code: &'static str, says: impl Into<String>) -> Advice {
        Advice { code, says: says.into(), fix: Vec::new() }
    }

    /// With something to do.
    #[must_use]
    pub fn then(mut self, step: impl Into<String>) -> Advice {
        self.fix.push(Step::Do(step.into()));
        self
    }

    /// With something to write.
    #[must_use]
    pub fn write(mut self, lines: impl Into<String>) -> Advice {
        self.fix.push(Step::Write(lines.into()));
        self
    }
}

impl<T: Topic> Finding<T> {
    /// As it should be.
    pub fn works(name: T, took: Option<Duration>, says: impl Into<String>) -> Finding<T> {
        let (details, advice) = (Vec::new(), Vec::new());
        Finding { name, verdict: Verdict::Works, took, says: says.into(), details, advice }
    }

    /// Something that nothing gets past.
    pub fn broken(name: T, took: Option<Duration>, says: impl Into<String>, advice: Advice) -> Finding<T> {
        Finding { verdict: Verdict::Broken, advice: vec![advice], ..Finding::works(name, took, says) }
    }

    /// Not tried.
    pub fn skipped(name: T) -> Finding<T> {
        Finding { verdict: Verdict::Skipped, ..Finding::works(name, None, "not tried") }
    }

    /// With something else that was seen.
    #[must_use]
    pub fn detail(mut self, says: impl AsRef<str>) -> Finding<T> {
        self.details.push(Detail { says: says.as_ref().to_owned(), took: None });
        self
    }

    /// With something worth changing.
    #[must_use]
    pub fn remark(self, advice: Advice) -> Finding<T> {
        self.advised(Verdict::Remark, advice)
    }

    /// With something that has to be changed, or is worth it.
    #[must_use]
    pub fn advised(mut self, verdict: Verdict, advice: Advice) -> Finding<T> {
        self.verdict = self.verdict.max(verdict);
        self.advice.push(advice);
        self
    }
}

#[allow(clippy::ref_option, reason = "serde calls it so")]
fn milliseconds<S: Serializer>(took: &Option<Duration>, to: S) -> Result<S::Ok, S::Error> {
    took.map(|took| (took.as_secs_f64() * 1e6).round() / 1e3).serialize(to)
}
