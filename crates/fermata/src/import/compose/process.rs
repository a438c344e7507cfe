//! How a compose service's processes run: their variables, user, namespaces, beginning and end.

use crate::import::amounts::{self, duration};
use crate::import::draft::Service;
use crate::import::source::Value;
use crate::import::variables;
use crate::render::yaml;

use super::service::{line, literal, reference};

pub(super) fn environment(value: &Value<'_>, service: &mut Service<'_>) {
    for (name, text, value) in value.pairs() {
        if name.is_empty() || name.contains(['\0', '=']) {
            value.left_out("not the name of a variable", "write it by hand");
            continue;
        }
        // A name alone takes the value from whoever starts compose.
        match text.map(|text| reference(&text, &value)).or_else(|| variables::reference_to(&name)) {
            Some(text) => service.set_variable(name, text),
            None => value.left_out("not the name of a variable", "write it by hand"),
        }
    }
}

pub(super) fn env_file(value: &Value<'_>) {
    for item in value.items() {
        let path = item.text().or_else(|| item.get_text("path")).unwrap_or(".env").escape_debug().to_string();
        // Without a slash the shell looks for it in PATH (POSIX, dot).
        let path = if path.contains('/') { path } else { format!("./{path}") };
        item.left_out(
            "variables from a file",
            format!(
                "write NAME: _env(NAME) under env_vars for each, and start with: set -a; . {path}; set +a; fermata up"
            ),
        );
    }
}

pub(super) fn stop_grace(value: &Value<'_>, service: &mut Service<'_>) {
    match value.text().and_then(duration) {
        Some(time) => service.put("stop_grace", yaml::Value::Bare(amounts::seconds(time))),
        None => value.unexpected("a duration such as 30s"),
    }
}

pub(super) fn profiles(value: &Value<'_>, service: &mut Service<'_>) {
    let names = value.texts().join(", ");
    if names.is_empty() {
        return;
    }
    value.changed(
        format!("the service started only with the profile {}; it has no instances now", names.escape_debug()),
        format!("fermata scale {}=1 starts one; or set replicas", service.name),
    );
    service.put_with("replicas", format!("only with the profile {names}"), yaml::Value::bare(0));
}

pub(super) fn user(value: &Value<'_>, service: &mut Service<'_>) {
    let text = literal(value.text().map(str::to_owned));
    let (user, group) = text.split_once(':').map_or((text.as_str(), None), |(user, group)| (user, Some(group)));
    let ids: Option<Vec<u32>> = std::iter::once(user).chain(group).map(|id| id.parse().ok()).collect();
    let Some(ids) = ids else {
        value.left_out("users and groups are numbers here", "write security_context: {run_as_user: 1000}");
        return;
    };
    for (key, id) in ["run_as_user", "run_as_group"].into_iter().zip(ids) {
        service.secure(key, yaml::Value::bare(id));
    }
}

pub(super) fn groups(value: &Value<'_>, service: &mut Service<'_>) {
    let ids: Vec<u32> = value.texts().iter().filter_map(|id| id.parse().ok()).collect();
    if ids.len() < value.items().len() {
        value.left_out("groups are numbers here", "write their numbers under security_context.supplemental_groups");
    }
    if !ids.is_empty() {
        service.secure("supplemental_groups", yaml::Value::Flow(ids.iter().map(yaml::Value::bare).collect()));
    }
}

pub(super) fn namespace(key: &str, value: &Value<'_>, service: &mut Service<'_>) {
    match (key, value.text()) {
        ("network_mode", Some("host")) => service.secure("host_network", yaml::Value::bare(true)),
        ("pid", Some("host")) => service.secure("host_pid", yaml::Value::bare(true)),
        ("ipc", Some("host")) => service.secure("host_ipc", yaml::Value::bare(true)),
        ("network_mode", Some("bridge" | "default")) | ("ipc", Some("private" | "shareable")) => {}
        _ => value.left_out("only host is known here", "let the services reach each other by their names"),
    }
}

pub(super) fn hook(key: &'static str, value: &Value<'_>, service: &mut Service<'_>) {
    let items = value.items();
    let mut commands = items.iter().filter_map(|item| item.get("command").and_then(|command| line(&command)));
    if let Some(command) = commands.next() {
        service.put(key, yaml::Value::text(command));
    }
    if commands.next().is_some() {
        value.left_out("every command but the first", "put them into one script");
    }
}

/// Whatever ends is started again here.
pub(super) fn restart(value: &Value<'_>) {
    match value.text() {
        Some("always" | "unless-stopped") => {}
        Some("no") => value.left_out(
            "an instance that ends is started again here",
            "run a job that ends before fermata up, not as a service",
        ),
        _ => value.note("an instance that ends is always started again here", "nothing has to be done"),
    }
}
