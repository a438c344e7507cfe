//! What the variables of all services are: references resolved, generated values drawn.
//!
//! Pure: the caller's environment and its randomness are arguments. A value never loses the text it was written as, so
//! that a plan can be printed without the secrets that references brought into it.

use std::collections::BTreeMap;
use std::ffi::OsStr;

use fermata_spec::Service;

use super::plan::Value;
use super::planner::Caller;
use super::reference::{self, Malformed, Owner, Piece, Reference};

/// Resolves the variables of all services, each once.
pub(super) struct Variables<'a, R> {
    services: &'a [Service],
    caller: &'a Caller,
    random: R,
    /// By the service's place in `services` and the variable's name.
    known: BTreeMap<(usize, &'a str), Result<String, String>>,
    /// Those being resolved now, to notice a circle.
    open: Vec<(usize, &'a str)>,
}

impl<'a, R: FnMut(&mut [u8])> Variables<'a, R> {
    /// `random` fills a slice with bytes fit for a password.
    pub(super) fn new(services: &'a [Service], caller: &'a Caller, random: R) -> Self {
        Variables { services, caller, random, known: BTreeMap::new(), open: Vec::new() }
    }

    /// The value of variable `name` of the service at `place`, if the file gives it one.
    pub(super) fn of_service(&mut self, place: usize, name: &str) -> Option<Result<Value, String>> {
        let (name, written) = self.services[place].env_vars.iter().rev().find(|(each, _)| each == name)?;
        let text = self.resolved(place, name, written);
        Some(text.map(|text| Value { text, written: written.clone() }))
    }

    fn resolved(&mut self, place: usize, name: &'a str, written: &'a str) -> Result<String, String> {
        if let Some(known) = self.known.get(&(place, name)) {
            return known.clone();
        }
        if self.open.contains(&(place, name)) {
            return Err(self.circle(place, name));
        }
        self.open.push((place, name));
        let text = match generated_length(written) {
            Some(length) => Ok(self.drawn(place, name, length).unwrap_or_else(|| self.generate(length))),
            None => self.text(written),
        };
        self.open.pop();
        self.known.insert((place, name), text.clone());
        text
    }

    fn circle(&self, place: usize, name: &str) -> String {
        let start = self.open.iter().position(|open| *open == (place, name)).unwrap_or_default();
        let mut names: Vec<String> =
            self.open[start..].iter().map(|(place, name)| format!("{}.{name}", self.services[*place].name)).collect();
        names.push(names[0].clone());
        format!("{} refer to each other in a circle; give one of them a value", names.join(" to "))
    }

    /// `written` with every reference replaced.
    pub(super) fn text(&mut self, written: &str) -> Result<String, String> {
        let pieces = reference::pieces(written).map_err(|Malformed(text)| {
            format!("\"{text}\" is not a reference; write _env(VAR), _env(VAR:default) or _env(SERVICE[name].VAR)")
        })?;
        pieces.into_iter().map(|piece| self.piece(piece)).collect()
    }

    fn piece(&mut self, piece: Piece<'_>) -> Result<String, String> {
        let reference = match piece {
            Piece::Text(text) => return Ok(text.to_owned()),
            Piece::Reference(reference) => reference,
        };
        match (self.find(&reference)?, reference.default) {
            (Some(text), _) => Ok(text),
            (None, Some(default)) => self.text(default),
            (None, None) => Err(missing(&reference)),
        }
    }

    fn find(&mut self, reference: &Reference<'_>) -> Result<Option<String>, String> {
        match reference.owner {
            Owner::OtherApplication(_) => Ok(None),
            Owner::Application => self.callers(reference.variable),
            Owner::Service(name) => {
                let place = self.services.iter().position(|service| &*service.name == name);
                let place = place.ok_or_else(|| format!("{} names no service of this file", reference.written))?;
                match self.of_service(place, reference.variable) {
                    Some(value) => value.map(|value| Some(value.text)),
                    None => self.callers(reference.variable),
                }
            }
        }
    }

    fn callers(&self, name: &str) -> Result<Option<String>, String> {
        let Some(value) = self.caller.env.get(OsStr::new(name)) else { return Ok(None) };
        match value.to_str() {
            Some(text) => Ok(Some(text.to_owned())),
            None => Err(format!("the environment variable {name} is not UTF-8 text; change its value")),
        }
    }

    /// What was drawn before, unless the file asks for another length now.
    fn drawn(&self, place: usize, name: &str, length: usize) -> Option<String> {
        let known = self.caller.drawn.get(&(self.services[place].name.to_string(), name.to_owned()));
        known.filter(|text| text.len() == length).cloned()
    }

    fn generate(&mut self, length: usize) -> String {
        const LETTERS: &[u8; 62] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
        let mut text = String::with_capacity(length);
        let mut bytes = [0; 64];
        while text.len() < length {
            (self.random)(&mut bytes);
            // Six bits of each byte, and those that name no letter are thrown away, so that all are equally likely.
            let drawn = bytes.iter().filter_map(|byte| LETTERS.get(usize::from(byte & 63)));
            text.extend(drawn.take(length - text.len()).map(|letter| char::from(*letter)));
        }
        text
    }
}

/// Whether such a value is drawn.
pub(super) fn is_drawn(written: &str) -> bool {
    generated_length(written).is_some()
}

/// The length that `AUTO_GENERATE` or `AUTO_GENERATE_32` asks for.
fn generated_length(written: &str) -> Option<usize> {
    match written.strip_prefix("AUTO_GENERATE")? {
        "" => Some(10),
        rest => rest.strip_prefix('_')?.parse().ok().filter(|length| (1..=1024).contains(length)),
    }
}

fn missing(reference: &Reference) -> String {
    let Reference { written, path, owner, variable, .. } = reference;
    let way_out = format!("or give a default: _env({path}:default)");
    match owner {
        Owner::Application => format!("the environment variable {variable} is not set; set it, {way_out}"),
        Owner::Service(name) => format!(
            "service {name} has no variable {variable}, and the environment has none either; add it to env_vars of \
             {name}, {way_out}"
        ),
        Owner::OtherApplication(_) => format!(
            "{written} is a variable of another application, which is not known here; write its value, {way_out}"
        ),
    }
}
