//! docker compose's file (compose-spec, the Compose Specification), and its older versions 1 to 3.

mod deploy;
mod elsewhere;
mod files;
mod others;
mod process;
mod published;
mod service;

use super::draft::File;
use super::ports::{Doors, Publication};
use super::source::Value;
use crate::render::yaml;

/// What a service's reader needs to know of the rest of the file.
pub(super) struct Around<'a> {
    /// Where relative paths start.
    pub(super) folder: &'a str,
    /// The sections `secrets` and `configs`.
    pub(super) secrets: Option<Value<'a>>,
    pub(super) configs: Option<Value<'a>>,
}

/// The whole file; nothing where it defines no services.
pub(super) fn read<'a>(root: &Value<'a>, folder: &'a str) -> Option<File<'a>> {
    let around = Around { folder, secrets: root.get("secrets"), configs: root.get("configs") };
    let services = match root.get("services") {
        Some(services) => {
            root.entries().filter(|(key, _)| *key != "services").for_each(|(key, value)| beside(key, &value));
            services
        }
        None => root.clone(),
    };
    let mut file = File { above: vec!["Made from a compose file by fermata import.".to_owned()], ..File::default() };
    let mut published: Vec<Vec<Publication<'a>>> = Vec::new();
    let mut databases: Vec<bool> = Vec::new();
    for (name, value) in services.entries().filter(|(name, _)| !name.starts_with("x-")) {
        if !value.is_map() {
            value.unexpected("a map with the keys of a service");
            continue;
        }
        if name.is_empty() || !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte)) {
            value.left_out("not a name for a service", "use letters, digits and dashes");
            continue;
        }
        let read = service::read(name, &value, &around);
        file.services.push(read.service);
        published.push(read.publications);
        databases.push(read.database);
    }
    if file.services.is_empty() {
        return None;
    }
    let mut doors = Doors::new(published.iter().flatten());
    for (number, publications) in published.iter().enumerate() {
        file.services[number].ports = doors.open(number, databases[number], publications);
    }
    file.settle_requires();
    if !doors.bind.is_empty() {
        let mut gateway = yaml::Map::default();
        gateway.put("bind", yaml::Value::words(doors.bind.iter().map(ToString::to_string)));
        file.sections.push(("gateway", "every port was published here alone", gateway.into()));
    }
    Some(file)
}

/// A section beside `services`.
fn beside(key: &str, value: &Value<'_>) {
    match key {
        // What they say is used where a service names them.
        "version" | "secrets" | "configs" => {}
        "name" => value.note("left out: a service.yml has no name", "fermata up --state-dir tells several apart"),
        "volumes" => value.entries().for_each(|(name, volume)| named_volume(name, &volume)),
        "networks" => {
            value.note(
                "left out: the services of a file share one network",
                "nothing has to be done, unless services were kept apart on purpose",
            );
        }
        "include" => value.left_out("other files", "import them one by one and put their services into this one"),
        key if key.starts_with("x-") => {}
        _ => value.left_out("not known here", "look up what it did, and write it by hand"),
    }
}

fn named_volume(name: &str, value: &Value<'_>) {
    let keys: Vec<&str> = value.entries().map(|(key, _)| key).filter(|key| *key != "name").collect();
    if !keys.is_empty() {
        value.left_out(
            format!("{} of the volume {}", keys.join(", ").escape_debug(), name.escape_debug()),
            "make the folder as it should be before the services start",
        );
    }
}
