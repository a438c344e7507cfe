//! Accessories: databases and other services with images of their own.

use super::proxy::Whose;
use super::role::{hosts, is_name, volumes};
use super::{Edge, env, labels, options, proxy};
use crate::import::draft::Service;
use crate::import::known;
use crate::import::mounts::{self, Mount, Source};
use crate::import::ports::{self, Publication};
use crate::import::source::Value;
use crate::render::yaml;

/// The service of an accessory. Kamal calls its container `APP-NAME`, and others reach it by that name.
pub(super) fn read<'a>(
    app: &str,
    name: &str,
    value: &Value<'a>,
    folder: &str,
    edge: &mut Edge,
) -> (Service<'a>, Vec<Publication<'a>>) {
    let whole = value.get_text("service").map_or_else(|| format!("{app}-{name}"), str::to_owned);
    let whole = if is_name(&whole, value) { whole } else { "accessory".to_owned() };
    let mut service = Service::new(&whole);
    service.above.push(format!("the accessory {name}, under the name that Kamal gives its container"));
    let mut publications = Vec::new();
    for (key, value) in value.entries() {
        match key {
            "service" | "proxy" => {}
            "image" => image(&value, &mut service),
            "cmd" => service.put_some_text("command", &value),
            "port" => publications.extend(port(&value)),
            "env" => env(&value, &mut service),
            "labels" => labels(&value, &mut service),
            "volumes" => volumes(&value, &mut service, folder),
            "files" => files(&value, &mut service, folder),
            "directories" => directories(&value, &mut service, &format!("{folder}/{whole}")),
            "options" => options(&value, &mut service),
            "host" | "hosts" => {
                let hosts = hosts(&value).join(", ");
                value.note(
                    format!("ran on {hosts}"),
                    "this file starts it beside the application; if it runs elsewhere, write address: instead of image:",
                );
            }
            "role" | "roles" | "tag" | "tags" => {
                value.note("left out: the hosts of a role", "this file starts it beside the application");
            }
            "network" => value.note("left out: the services of a file share one network", "nothing has to be done"),
            "registry" => value.note("left out: the login that Docker keeps is used", "docker login"),
            _ => value.left_out("not known here", "look up what it did, and write it by hand"),
        }
    }
    if value.get("proxy").is_some_and(|proxy| proxy.is_map() || proxy.is_true()) {
        // Its own proxy alone: the file's belongs to the application.
        proxy::read(value, None, Whose::Accessory, &mut service, edge);
    }
    (service, publications)
}

fn image(value: &Value<'_>, service: &mut Service<'_>) {
    let Some(image) = value.text().filter(|image| !image.is_empty() && !image.contains(char::is_whitespace)) else {
        value.unexpected("the name of an image");
        return;
    };
    if let Some(word) = known::database(image) {
        value.note(
            "a database: it becomes a service",
            format!("databases: [{word}] names it for the platform that runs databases beside the services"),
        );
    }
    service.put("image", yaml::Value::text(image));
}

/// `3306` alone is published on the same number.
fn port<'a>(value: &Value<'a>) -> Option<Publication<'a>> {
    let text = value.expect_text("a port")?;
    let whole = if text.contains(':') { text.to_owned() } else { format!("{text}:{text}") };
    ports::parse(&whole, value)
}

/// `files`: Kamal uploads them beside the container; here they are mounted from where they are.
fn files(value: &Value<'_>, service: &mut Service<'_>, folder: &str) {
    for item in value.items() {
        let Some(text) = item.expect_text("LOCAL:CONTAINER") else { continue };
        beside(text, folder, &item, service);
    }
}

/// `directories`: Kamal makes them in the accessory's own folder.
fn directories(value: &Value<'_>, service: &mut Service<'_>, folder: &str) {
    for item in value.items() {
        let Some(text) = item.expect_text("FOLDER:CONTAINER") else { continue };
        if !text.starts_with('/') {
            item.changed(
                format!("the folder was on the accessory's host; it is in {folder} now, and empty"),
                "copy what it holds",
            );
        }
        beside(text, folder, &item, service);
    }
}

fn beside(text: &str, folder: &str, item: &Value<'_>, service: &mut Service<'_>) {
    let mut parts = text.split(':');
    let (source, target, mode) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default(), parts.next());
    let Some(target) = mounts::target_path(target, item) else { return };
    let path = if source.starts_with('/') { source.to_owned() } else { mounts::join(folder, source) };
    let mount = Mount { source: Source::Path(path), target, read_only: mode == Some("ro") };
    service.volumes.extend(mounts::mount(&mount, folder, item));
}
