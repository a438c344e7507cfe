//! What a probe saw, hop by hop: a value that can be printed, compared and kept.

use std::time::Duration;

use serde::{Serialize, Serializer};

/// What a probe saw.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Report {
    /// Where.
    pub url: String,
    /// What came of it.
    pub outcome: Outcome,
    /// Each step of the way, in order; what lies behind a broken one was not tried.
    pub hops: Vec<Hop>,
}

impl Report {
    /// From hops, with what follows from them.
    pub(super) fn new(url: String, hops: Vec<Hop>) -> Report {
        let outcome = match hops.iter().map(|hop| hop.verdict).max() {
            Some(Verdict::Broken) => Outcome::Broken,
            Some(Verdict::Remark) => Outcome::WorksWithRemarks,
            _ => Outcome::Works,
        };
        Report { url, outcome, hops }
    }

    /// The first hop that breaks.
    pub fn broken(&self) -> Option<&Hop> {
        self.hops.iter().find(|hop| hop.verdict == Verdict::Broken)
    }
}

/// What came of a probe.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// A WebSocket opens, talks and closes.
    Works,
    /// It does, and something is worth changing.
    WorksWithRemarks,
    /// It does not.
    Broken,
}

/// One step of the way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Hop {
    /// Which.
    pub name: Name,
    /// How it went.
    pub verdict: Verdict,
    /// How long it took.
    #[serde(rename = "ms", serialize_with = "milliseconds")]
    pub took: Option<Duration>,
    /// What was seen.
    pub says: String,
    /// What else was seen.
    pub details: Vec<Detail>,
    /// What to make of it.
    pub advice: Vec<Advice>,
}

/// The hops, in their order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
#[allow(missing_docs, reason = "the names are the names")]
pub enum Name {
    Dns,
    Tcp,
    Tls,
    Http,
    Upgrade,
    Ping,
    Messages,
    Close,
    Idle,
}

/// How a hop went, from good to bad.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// Not tried, because a hop before it is broken.
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
    pub(super) fn new(code: &'static str, says: impl Into<String>) -> Advice {
        Advice { code, says: says.into(), fix: Vec::new() }
    }

    /// With something to do.
    pub(super) fn then(mut self, step: impl Into<String>) -> Advice {
        self.fix.push(Step::Do(step.into()));
        self
    }

    /// With something to write.
    pub(super) fn write(mut self, lines: impl Into<String>) -> Advice {
        self.fix.push(Step::Write(lines.into()));
        self
    }
}

impl Hop {
    /// A hop that is as it should be.
    pub(super) fn works(name: Name, took: Option<Duration>, says: impl Into<String>) -> Hop {
        let (details, advice) = (Vec::new(), Vec::new());
        Hop { name, verdict: Verdict::Works, took, says: says.into(), details, advice }
    }

    /// A hop that nothing gets past.
    pub(super) fn broken(name: Name, took: Option<Duration>, says: impl Into<String>, advice: Advice) -> Hop {
        Hop { verdict: Verdict::Broken, advice: vec![advice], ..Hop::works(name, took, says) }
    }

    /// A hop that was not tried.
    pub(super) fn skipped(name: Name) -> Hop {
        Hop { verdict: Verdict::Skipped, ..Hop::works(name, None, "not tried") }
    }

    /// With something else that was seen.
    pub(super) fn detail(mut self, says: impl AsRef<str>) -> Hop {
        self.details.push(Detail { says: says.as_ref().to_owned(), took: None });
        self
    }

    /// With something worth changing.
    pub(super) fn remark(mut self, advice: Advice) -> Hop {
        self.verdict = self.verdict.max(Verdict::Remark);
        self.advice.push(advice);
        self
    }
}

#[allow(clippy::ref_option, reason = "serde calls it so")]
fn milliseconds<S: Serializer>(took: &Option<Duration>, to: S) -> Result<S::Ok, S::Error> {
    took.map(|took| (took.as_secs_f64() * 1e6).round() / 1e3).serialize(to)
}
