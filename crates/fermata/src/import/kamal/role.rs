//! Roles: what runs of the application's own image, and on which hosts.

use super::proxy::Whose;
use super::{Edge, env, labels, options, proxy};
use crate::import::draft::Service;
use crate::import::source::Value;
use crate::import::{amounts, known, mounts};
use crate::render::yaml::{self, Map};

/// One role.
pub(super) struct Role<'a> {
    pub(super) name: String,
    pub(super) hosts: Vec<String>,
    /// Its own keys, where it has any.
    value: Option<Value<'a>>,
    place: Value<'a>,
}

/// The roles of the file: plain `servers` are the role `web`.
pub(super) fn roles<'a>(root: &Value<'a>) -> Vec<Role<'a>> {
    let Some(servers) = root.get("servers").filter(|servers| !servers.is_null()) else { return Vec::new() };
    if !servers.is_map() {
        let hosts = hosts(&servers);
        return vec![Role { name: super::PRIMARY.to_owned(), hosts, value: None, place: servers }];
    }
    let role = |(name, value): (&str, Value<'a>)| {
        let own = value.is_map();
        let hosts = if own { value.get("hosts").map(|value| hosts(&value)).unwrap_or_default() } else { hosts(&value) };
        Role { name: name.to_owned(), hosts, value: own.then(|| value.clone()), place: value }
    };
    servers.entries().filter(|(name, value)| is_name(name, value)).map(role).collect()
}

pub(super) fn is_name(name: &str, value: &Value<'_>) -> bool {
    let good = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte));
    if !good {
        value.left_out("not a name for a service", "use letters, digits and dashes");
    }
    good
}

/// Host names; tags behind them are for variables only.
pub(super) fn hosts(value: &Value<'_>) -> Vec<String> {
    let host = |item: &Value<'_>| {
        let name = item.text().or_else(|| item.entries().next().map(|(name, _)| name));
        let good = name.filter(|name| known::is_host(name));
        if item.is_map() {
            item.note("the tags of the host are left out", "they only choose variables: set those on the server");
        }
        if good.is_none() {
            item.unexpected("the name or address of a host");
        }
        good.map(str::to_owned)
    };
    let mut hosts: Vec<String> = Vec::new();
    for host in value.items().iter().filter_map(host) {
        if !hosts.contains(&host) {
            hosts.push(host);
        }
    }
    hosts
}

/// The service of a role.
pub(super) fn service<'a>(
    root: &Value<'a>,
    role: &Role<'a>,
    primary: bool,
    folder: &str,
    edge: &mut Edge,
) -> Service<'a> {
    let mut service = Service::new(&role.name);
    image(root, &mut service, primary);
    for (key, value) in root.entries() {
        match key {
            "env" => env(&value, &mut service),
            "labels" => labels(&value, &mut service),
            "volumes" => volumes(&value, &mut service, folder),
            "boot" => boot(&value, &mut service),
            "drain_timeout" if primary => drain(&value, &mut service),
            _ => {}
        }
    }
    for (key, value) in role.value.iter().flat_map(Value::entries) {
        own(key, &value, &mut service);
    }
    if !primary && !role.hosts.is_empty() {
        role.place.note(
            format!("ran on {}", role.hosts.join(", ")),
            "this file starts it wherever fermata up runs; keep a file of its own for other servers",
        );
    }
    proxy::read(root, role.value.as_ref(), Whose::of(primary), &mut service, edge);
    service
}

/// The name of the image with its registry. Kamal adds the version as a tag.
fn image(root: &Value<'_>, service: &mut Service<'_>, say: bool) {
    let Some(value) = root.get("image") else {
        root.changed("no image", "write the image under the services by hand");
        return;
    };
    let Some(image) = value.text().filter(|image| !image.is_empty() && !image.contains(char::is_whitespace)) else {
        value.unexpected("the name of an image");
        return;
    };
    let server = root
        .get("registry")
        .and_then(|registry| registry.get_text("server"))
        .filter(|server| !server.contains("docker.io") && !server.contains(char::is_whitespace));
    let image = server.map_or(image.to_owned(), |server| format!("{}/{image}", server.trim_end_matches('/')));
    if say {
        value.changed(
            "Kamal adds the version that it has just built as a tag, and here it is the tag latest",
            format!("write the tag of a version: image: {image}:1.4"),
        );
    }
    service.put("image", yaml::Value::text(image));
}

/// Keys of a role.
fn own(key: &str, value: &Value<'_>, service: &mut Service<'_>) {
    match key {
        "hosts" | "proxy" => {}
        "cmd" => service.put_some_text("command", value),
        "env" => env(value, service),
        "labels" => labels(value, service),
        "options" => options(value, service),
        "stop_wait_time" => match value.text().and_then(amounts::duration) {
            Some(time) => service.put("stop_grace", yaml::Value::Bare(amounts::seconds(time))),
            None => value.unexpected("a number of seconds"),
        },
        "logging" => value.note("left out: output is always captured", "fermata logs shows it"),
        "asset_path" => value
            .left_out("files of several versions side by side", "serve assets from a place that keeps the old ones"),
        _ => value.left_out("not known here", "look up what it did, and write it by hand"),
    }
}

pub(super) fn volumes(value: &Value<'_>, service: &mut Service<'_>, folder: &str) {
    for item in value.items() {
        let Some(text) = item.expect_text("HOST:CONTAINER") else { continue };
        service.volumes.extend(mounts::short(text, folder, &item));
    }
}

/// `boot.limit`: on how many hosts at once; here, how many instances may be missing at once.
fn boot(value: &Value<'_>, service: &mut Service<'_>) {
    for (key, value) in value.entries() {
        match (key, value.text()) {
            ("limit", Some(limit)) if is_share(limit) => {
                let mut constraints = Map::default();
                constraints.put("max_unavailable", yaml::Value::Bare(limit.to_owned()));
                service.put_with("constraints", "max_unavailable was boot.limit, which counted hosts", constraints);
            }
            _ => value.note("left out: how Kamal starts containers", "nothing has to be done"),
        }
    }
}

fn is_share(text: &str) -> bool {
    let digits = text.strip_suffix('%').unwrap_or(text);
    let number = digits.parse::<u32>().ok().filter(|_| digits.bytes().all(|byte| byte.is_ascii_digit()));
    number.is_some_and(|number| number <= if digits.len() < text.len() { 100 } else { 999_999_999 })
}

/// How long old containers go on with what they have begun.
fn drain(value: &Value<'_>, service: &mut Service<'_>) {
    let Some(time) = value.text().and_then(amounts::duration) else {
        value.unexpected("a number of seconds");
        return;
    };
    let seconds = amounts::seconds(time);
    let text = if seconds.ends_with('s') { seconds } else { format!("{seconds}s") };
    let mut websocket = Map::default();
    websocket.put("drain", yaml::Value::text(text));
    service.put("websocket", websocket);
}
