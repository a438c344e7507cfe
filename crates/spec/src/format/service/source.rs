//! What makes the instances of a service.

use crate::diagnostic::codes;
use crate::format::{environment, kubernetes, values};
use crate::model::Source;
use crate::reader::{Field, Fields};

/// What makes the instances: endpoints or an address before all, then an image, a source to build, a command, or nothing.
pub(super) fn source(name: &str, field: &Field<'_>, fields: &Fields<'_>) -> Source {
    let text = |name| fields.get(name).and_then(|field| field.text().map(str::to_owned));
    let (image, written) = (fields.get("image"), fields.get("address"));
    let command = command(fields, "command");
    let (root, dockerfile) = (text("build_root"), text("dockerfile_path"));
    let (git_url, git_branch) = (text("git_url"), text("git_branch"));
    let image_name = image.as_ref().and_then(|field| field.parse(values::image));
    let addresses = written
        .as_ref()
        .map(|written| written.items().iter().filter_map(|field| field.parse(values::address)).collect::<Vec<_>>());
    if let Some(endpoints) = fields.get("endpoints") {
        twice(field, fields, &endpoints, "the service is found by its endpoints", &["address", "image", "command"]);
        let found = kubernetes::service(name, &endpoints);
        return found.map_or(Source::Running(Vec::new()), Source::Kubernetes);
    }
    if let (Some(written), Some(addresses)) = (written, addresses) {
        twice(field, fields, &written, "the service runs already at its address", &["image", "command"]);
        return Source::Running(addresses);
    }
    if let Some(image) = image_name {
        return Source::Image { image, command };
    }
    if image.is_some() {
        return Source::Running(Vec::new());
    }
    if root.is_some() || dockerfile.is_some() || git_url.is_some() {
        return Source::Build { root, dockerfile, git_url, git_branch, command };
    }
    match command {
        Some(command) => Source::Command(command),
        None => Source::Running(Vec::new()),
    }
}

/// Says which of `others` has no effect beside what is written.
fn twice(field: &Field<'_>, fields: &Fields<'_>, written: &Field<'_>, why: &str, others: &[&str]) {
    let other = others.iter().find_map(|name| Some((name, fields.get(name)?)));
    let Some((name, other)) = other else { return };
    let message = format!("{why}, so {name} {}", if *name == "address" { "leads nowhere" } else { "starts nothing" });
    let diagnostic = written.diagnostic(&codes::SOURCE_TWICE, message).also(other.key_place.clone(), "without effect");
    field.reading.said.add(diagnostic.help("remove one of the two"));
}

pub(super) fn command(fields: &Fields<'_>, name: &str) -> Option<String> {
    fields.get(name).and_then(|field| environment::command(&field))
}
