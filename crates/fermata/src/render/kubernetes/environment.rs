//! Variables: what is known stands in a `ConfigMap`, what is not comes from a `Secret` that whoever applies it makes.

use std::collections::{BTreeMap, BTreeSet};

use fermata_spec::{Service, service_path};

use super::names::{head, object};
use crate::render::Gaps;
use crate::render::references::{Piece, pieces};
use crate::render::yaml::{Map, Value};

/// The `Secret` with the variables of the application.
pub(super) const SECRET: &str = "env";

/// Secrets that have to be there, and their keys.
pub(super) type Secrets = BTreeMap<String, BTreeSet<String>>;

/// The variables of one service's containers, as they are put together.
#[derive(Debug, Default)]
pub(super) struct Environment {
    /// Known values.
    known: Vec<(String, String)>,
    /// Variables of the application that others are made of, by their own name.
    helpers: BTreeSet<String>,
    /// How often they were referred to.
    referred: usize,
    /// What is made of them or generated, in the order of the file.
    made: Vec<Map>,
    /// Secrets that have to be there, and their keys.
    pub(super) secrets: Secrets,
}

impl Environment {
    pub(super) fn of(service: &Service, gaps: &mut Gaps<'_>) -> Environment {
        let mut environment = Environment::default();
        for (name, value) in &service.env_vars {
            let path = format!("{}.env_vars.{name}", service_path(&service.name));
            environment.add(&object(&service.name), name, value, &path, gaps);
        }
        environment
    }

    fn add(&mut self, service: &str, name: &str, value: &str, path: &str, gaps: &mut Gaps<'_>) {
        if matches!(value, "AUTO_GENERATE" | "AUTO_GENERATE_32") {
            let secret = format!("{service}-generated");
            let instead = format!("make the Secret {secret} with a random {name} before the first start");
            gaps.changed(path, "Kubernetes makes up no values", instead);
            self.made.push(from_secret(name, &secret, name));
            self.secrets.entry(secret).or_default().insert(name.to_owned());
            return;
        }
        if let [Piece::Variable { name: variable, default: None }] = pieces(value)[..] {
            self.made.push(from_secret(name, SECRET, variable));
            self.secrets.entry(SECRET.to_owned()).or_default().insert(variable.to_owned());
            return;
        }
        let before = self.referred;
        // `$(` means something to Kubernetes in `env`, and nothing in a service.yml's variables.
        let made = self.text(&value.replace("$(", "$$("), path, gaps);
        if before == self.referred {
            self.known.push((name.to_owned(), made.replace("$$(", "$(")));
        } else {
            self.made.push(Map::of([("name", Value::text(name)), ("value", Value::text(made))]));
        }
    }

    /// A text whose references are Kubernetes': `$(ENV_VAR)`, with that variable beside it.
    pub(super) fn text(&mut self, text: &str, path: &str, gaps: &mut Gaps<'_>) -> String {
        let mut made = String::new();
        for piece in pieces(text) {
            match piece {
                Piece::Text(text) => made.push_str(text),
                Piece::Variable { name, default: Some(default) } => {
                    let how = format!("Kubernetes knows no defaults: {name} is \"{default}\"");
                    gaps.changed(path, how, "change it in a Kustomize overlay where it is otherwise");
                    made.push_str(default);
                }
                Piece::Variable { name, default: None } => made.push_str(&self.helper(name)),
                Piece::Elsewhere { written, service, name } => {
                    let known = service.and_then(|service| elsewhere(service, name, gaps));
                    if let Some(known) = known {
                        made.push_str(&known);
                    } else {
                        let how = format!("{written} comes from the Secret {SECRET}");
                        gaps.changed(path, how, format!("put {name} into it"));
                        made.push_str(&self.helper(name));
                    }
                }
            }
        }
        made
    }

    fn helper(&mut self, name: &str) -> String {
        self.helpers.insert(name.to_owned());
        self.referred += 1;
        self.secrets.entry(SECRET.to_owned()).or_default().insert(name.to_owned());
        format!("$(ENV_{name})")
    }

    /// The `ConfigMap` of known values.
    pub(super) fn config_map(&self, service: &str) -> Option<Map> {
        if self.known.is_empty() {
            return None;
        }
        let mut map = head("v1", "ConfigMap", &format!("{service}-env"));
        map.put("data", Value::table(&self.known));
        Some(map)
    }

    /// Changes with the known values, so that pods are replaced when those do: FNV-1a, 64 bits (Fowler, Noll, Vo).
    pub(super) fn fingerprint(&self) -> Option<String> {
        let text: String = self.known.iter().map(|(name, value)| format!("{name}={value}\n")).collect();
        let hash = text
            .bytes()
            .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
        (!self.known.is_empty()).then(|| format!("{hash:016x}"))
    }

    /// `envFrom` and `env` of the container.
    pub(super) fn put(self, service: &str, container: &mut Map) {
        if !self.known.is_empty() {
            let reference = Map::of([("name", Value::text(format!("{service}-env")))]);
            container.put("envFrom", Value::maps([Map::of([("configMapRef", reference.into())])]));
        }
        let helpers = self.helpers.iter().map(|name| from_secret(&format!("ENV_{name}"), SECRET, name));
        let all: Vec<Map> = helpers.chain(self.made).collect();
        if !all.is_empty() {
            container.put("env", Value::maps(all));
        }
    }
}

fn from_secret(name: &str, secret: &str, key: &str) -> Map {
    let reference = Map::of([("name", Value::text(secret)), ("key", Value::text(key))]);
    let from = Map::of([("secretKeyRef", reference.into())]);
    Map::of([("name", Value::text(name)), ("valueFrom", from.into())])
}

/// A variable of another service, where it is a plain text.
fn elsewhere(service: &str, name: &str, gaps: &Gaps<'_>) -> Option<String> {
    let service = gaps.spec.services.iter().find(|one| &*one.name == service)?;
    let (_, value) = service.env_vars.iter().find(|(known, _)| known == name)?;
    match pieces(value)[..] {
        [Piece::Text(text)] if !text.starts_with("AUTO_GENERATE") => Some(text.to_owned()),
        _ => None,
    }
}
