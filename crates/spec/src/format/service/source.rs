//! What makes the instances of a service.

use crate::diagnostic::codes;
use crate::format::environment;
use crate::format::values;
use crate::model::Source;
use crate::reader::{Field, Fields};

/// What makes the instances: an address before all, then an image, a source to build, a command, or nothing.
pub(super) fn source(field: &Field<'_>, fields: &Fields<'_>) -> Source {
    let text = |name| fields.get(name).and_then(|field| field.text().map(str::to_owned));
    let (image, written) = (fields.get("image"), fields.get("address"));
    let command = command(fields, "command");
    let (root, dockerfile) = (text("build_root"), text("dockerfile_path"));
    let (git_url, git_branch) = (text("git_url"), text("git_branch"));
    let image_name = image.as_ref().and_then(|field| field.parse(values::image));
    if let Some(written) = written {
        let addresses = written.items().iter().filter_map(|field| field.parse(values::address)).collect();
        let started = ["image", "command"].into_iter().find_map(|name| Some((name, fields.get(name)?)));
        if let Some((name, other)) = started {
            let message = format!("the service runs already at its address, so {name} starts nothing");
            let diagnostic =
                written.diagnostic(&codes::SOURCE_TWICE, message).also(other.key_place.clone(), "without effect");
            field.reading.said.add(diagnostic.help("remove one of the two"));
        }
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

pub(super) fn command(fields: &Fields<'_>, name: &str) -> Option<String> {
    fields.get(name).and_then(|field| environment::command(&field))
}
