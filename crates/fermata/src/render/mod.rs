//! Configuration for other programs: one file here for each, a pure function of the [`Spec`].
//!
//! A renderer touches no file, no socket and no clock. What its target cannot express it says, with the place in the
//! service.yml and a way out; it never writes something else in silence.

mod compose;
mod references;
pub mod yaml;

use fermata_spec::{Diagnostic, Place, Severity, Spec};

/// Something that can be rendered for.
#[derive(Debug, Clone, Copy)]
pub struct Target {
    /// What it is called on the command line.
    pub name: &'static str,
    /// What it writes.
    pub about: &'static str,
    render: fn(&Spec) -> Rendered,
}

/// All targets.
pub const TARGETS: &[Target] =
    &[Target { name: "compose", about: "compose.yaml for docker compose", render: compose::render }];

/// What a target is given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rendered {
    /// The files.
    pub files: Vec<File>,
    /// What the target cannot express, in the order of the service.yml.
    pub said: Vec<Diagnostic>,
}

/// One file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct File {
    /// Its name, without a folder.
    pub name: &'static str,
    /// Its text; the first line is [`MARK`].
    pub text: String,
}

/// The first line of every file that is rendered. One that begins otherwise is somebody's own.
pub const MARK: &str = "# Written by fermata render; change service.yml and render again.";

/// The target of a name.
pub fn target(name: &str) -> Option<&'static Target> {
    TARGETS.iter().find(|target| target.name == name)
}

impl Target {
    /// Renders a checked file.
    pub fn render(&self, spec: &Spec) -> Rendered {
        (self.render)(spec)
    }
}

/// Collects what a target cannot express.
struct Gaps<'s> {
    spec: &'s Spec,
    said: Vec<Diagnostic>,
}

impl<'s> Gaps<'s> {
    fn new(spec: &'s Spec) -> Self {
        Gaps { spec, said: Vec::new() }
    }

    /// Whether the file says something of this path itself.
    fn has(&self, path: &str) -> bool {
        self.spec.places.find(path).is_some()
    }

    /// Says that a value is left out, and what to do instead.
    fn left_out(&mut self, path: &str, why: impl Into<String>, instead: impl Into<String>) {
        self.say(Severity::Warning, path, format!("left out: {}", why.into()), instead.into());
    }

    /// The same, where the file has the value.
    fn left_out_if_there(&mut self, path: &str, why: &str, instead: &str) {
        if self.has(path) {
            self.left_out(path, why, instead);
        }
    }

    /// Says that a value means something else there.
    fn changed(&mut self, path: &str, how: impl Into<String>, advice: impl Into<String>) {
        self.say(Severity::Warning, path, how.into(), advice.into());
    }

    fn say(&mut self, severity: Severity, path: &str, message: String, help: String) {
        let span = self.nearest(path);
        let places = vec![Place { span, label: String::new() }];
        self.said.push(Diagnostic {
            code: "W-RENDER",
            severity,
            path: path.to_owned(),
            message,
            help: Some(help),
            places,
        });
    }

    /// Where a value stands, or the nearest one around it.
    fn nearest(&self, path: &str) -> std::ops::Range<usize> {
        let mut path = path;
        loop {
            if let Some(place) = self.spec.places.find(path) {
                return place;
            }
            match path.rfind(['.', '[']) {
                Some(end) => path = &path[..end],
                None => return 0..0,
            }
        }
    }

    fn into_sorted(mut self) -> Vec<Diagnostic> {
        self.said.sort_by_key(|said| said.places[0].span.start);
        self.said
    }
}
