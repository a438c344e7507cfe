//! A service.yml as it is being put together, and its text: keys in the order that the reference has them, comments where
//! something was decided.

use std::collections::{HashMap, HashSet};

use super::ports::Opened;
use super::source::Value;
use crate::render::yaml::{self, Item, Map};

/// Keys of a service in the order in which they are written.
const ORDER: &[&str] = &[
    "image",
    "build_root",
    "dockerfile_path",
    "git_url",
    "git_branch",
    "command",
    "work_dir",
    "ports",
    "traffic_matches",
    "replicas",
    "type",
    "requires",
    "env_vars",
    "volumes",
    "health",
    "constraints",
    "stop_grace",
    "websocket",
    "post_start_command",
    "pre_stop_command",
    "security_context",
    "tags",
    "annotations",
];

/// The file.
#[derive(Debug, Default)]
pub(super) struct File<'a> {
    /// Comments at the top.
    pub(super) above: Vec<String>,
    pub(super) services: Vec<Service<'a>>,
    /// Sections beside `services`, with a comment each.
    pub(super) sections: Vec<(&'static str, &'static str, yaml::Value)>,
}

/// One service.
#[derive(Debug, Default)]
pub(super) struct Service<'a> {
    pub(super) name: String,
    /// Comments above it.
    pub(super) above: Vec<String>,
    pub(super) ports: Vec<Opened>,
    /// Names, each with where it was asked for.
    pub(super) requires: Vec<(String, Value<'a>)>,
    pub(super) env_vars: Vec<(String, String)>,
    pub(super) volumes: Vec<Item>,
    pub(super) tags: Vec<String>,
    pub(super) limits: Resources,
    pub(super) requests: Resources,
    keys: Vec<(&'static str, Option<String>, yaml::Value)>,
    security: Map,
}

/// Memory in bytes, CPU in thousandths.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Resources {
    pub(super) memory: Option<u64>,
    pub(super) cpu: Option<u32>,
}

impl Service<'_> {
    pub(super) fn new(name: &str) -> Self {
        Service { name: name.to_owned(), ..Service::default() }
    }

    /// Sets a key; a later value replaces an earlier one.
    pub(super) fn put(&mut self, key: &'static str, value: impl Into<yaml::Value>) {
        self.keys.retain(|(known, ..)| *known != key);
        self.keys.push((key, None, value.into()));
    }

    /// Sets a key with a comment above it.
    pub(super) fn put_with(&mut self, key: &'static str, comment: impl Into<String>, value: impl Into<yaml::Value>) {
        self.put(key, value);
        if let Some(last) = self.keys.last_mut() {
            last.1 = Some(comment.into());
        }
    }

    /// Sets a key to a text, where there is one.
    pub(super) fn put_some_text(&mut self, key: &'static str, value: &Value<'_>) {
        if let Some(text) = value.expect_text("a text") {
            self.put(key, yaml::Value::text(text));
        }
    }

    pub(super) fn has(&self, key: &str) -> bool {
        self.keys.iter().any(|(known, ..)| *known == key)
    }

    /// Sets a key of `security_context`.
    pub(super) fn secure(&mut self, key: &str, value: yaml::Value) {
        self.security.put(key, value);
    }

    /// Sets a variable; a later value replaces an earlier one at its place.
    pub(super) fn set_variable(&mut self, name: String, value: String) {
        match self.env_vars.iter_mut().find(|(known, _)| *known == name) {
            Some(known) => known.1 = value,
            None => self.env_vars.push((name, value)),
        }
    }

    fn map(mut self) -> Map {
        if let Some(resources) = resources(self.requests, self.limits) {
            let mut constraints = Map::default();
            constraints.put("resources", resources);
            match self.keys.iter_mut().find(|(key, ..)| *key == "constraints") {
                Some((_, _, yaml::Value::Map(others))) => others.extend(constraints),
                _ => self.put("constraints", constraints),
            }
        }
        if !self.security.is_empty() {
            let security = std::mem::take(&mut self.security);
            self.put("security_context", security);
        }
        if !self.ports.is_empty() {
            let ports = self.ports.iter().map(Opened::item).collect();
            self.put("ports", yaml::Value::List(ports));
        }
        if !self.requires.is_empty() {
            let names: Vec<String> = self.requires.iter().map(|(name, _)| name.clone()).collect();
            self.put("requires", yaml::Value::words(names));
        }
        if !self.env_vars.is_empty() {
            let table = yaml::Value::table(&self.env_vars);
            self.put("env_vars", table);
        }
        if !self.volumes.is_empty() {
            let volumes = std::mem::take(&mut self.volumes);
            self.put("volumes", yaml::Value::List(volumes));
        }
        if !self.tags.is_empty() {
            let tags = yaml::Value::lines(self.tags.iter().cloned());
            self.put("tags", tags);
        }
        let mut map = Map::default();
        self.keys.sort_by_key(|(key, ..)| ORDER.iter().position(|known| known == key));
        for (key, comment, value) in self.keys {
            if let Some(comment) = comment {
                map.comment(comment);
            }
            map.put(key, value);
        }
        map
    }
}

fn resources(requests: Resources, limits: Resources) -> Option<Map> {
    let amounts = |amounts: Resources| {
        let mut map = Map::default();
        map.put_some("memory", amounts.memory.map(super::amounts::memory).map(yaml::Value::text));
        map.put_some("cpu", amounts.cpu.map(|cpu| yaml::Value::text(format!("{cpu}m"))));
        (!map.is_empty()).then_some(map)
    };
    let mut map = Map::default();
    map.put_some("requests", amounts(requests));
    map.put_some("limits", amounts(limits));
    (!map.is_empty()).then_some(map)
}

impl File<'_> {
    /// Takes out of `requires` what no service.yml may say: names that are not there, and circles.
    pub(super) fn settle_requires(&mut self) {
        let names: HashSet<String> = self.services.iter().map(|service| service.name.clone()).collect();
        for service in &mut self.services {
            let mut known = HashSet::new();
            service.requires.retain(|(name, value)| {
                if !names.contains(name) {
                    value.left_out(
                        format!("there is no service \"{name}\" in this file"),
                        "start it first, or add it to the file",
                    );
                }
                names.contains(name) && known.insert(name.clone())
            });
        }
        // A requirement stays where nothing that it needs leads back.
        let mut settled: HashMap<String, Vec<String>> = HashMap::new();
        for service in &mut self.services {
            let own = service.name.clone();
            service.requires.retain(|(name, value)| {
                let circle = leads(&settled, name, &own);
                if circle {
                    value.left_out("these services wait for each other in a circle", "let one of them start alone");
                } else {
                    settled.entry(own.clone()).or_default().push(name.clone());
                }
                !circle
            });
        }
    }

    /// The text.
    pub(super) fn write(self) -> String {
        let mut file = Map::default();
        self.above.into_iter().for_each(|comment| file.comment(comment));
        file.put("version", yaml::Value::bare(2));
        let mut services = Map::default();
        for (number, service) in self.services.into_iter().enumerate() {
            if number > 0 {
                services.gap();
            }
            let mut service = service;
            for comment in std::mem::take(&mut service.above) {
                services.comment(comment);
            }
            let name = std::mem::take(&mut service.name);
            services.put(name, service.map());
        }
        file.gap();
        file.put("services", services);
        for (key, comment, value) in self.sections {
            file.gap();
            file.comment(comment);
            file.put(key, value);
        }
        file.write()
    }
}

/// Whether one service needs another, itself included.
fn leads(settled: &HashMap<String, Vec<String>>, from: &str, to: &str) -> bool {
    let mut seen = HashSet::new();
    let mut open = vec![from];
    while let Some(name) = open.pop() {
        if name == to {
            return true;
        }
        if seen.insert(name) {
            open.extend(settled.get(name).into_iter().flatten().map(String::as_str));
        }
    }
    false
}
