//! What a compose service finds in its file system: volumes, secrets and configs.

use crate::import::draft::Service;
use crate::import::mounts::{self, Mount, Source};
use crate::import::source::Value;
use crate::render::yaml;

use super::Around;

pub(super) fn volume(value: &Value<'_>, around: &Around<'_>) -> Option<yaml::Item> {
    if !value.is_map() {
        return mounts::short(value.expect_text("a volume")?, around.folder, value);
    }
    let target = mounts::target_path(value.get_text("target").unwrap_or_default(), value)?;
    for (key, value) in value.entries() {
        match key {
            "type" | "source" | "target" | "read_only" | "tmpfs" | "consistency" => {}
            // Folders are made where they are missing.
            "bind" if value.entries().all(|(key, _)| key == "create_host_path") => {}
            _ => value.left_out("an option of the mount", "write the volume in its long form by hand"),
        }
    }
    let source = value.get_text("source").filter(|source| !source.is_empty());
    match (value.get_text("type").unwrap_or("volume"), source) {
        ("tmpfs", _) => Some(mounts::empty(&target, Some("Memory"))),
        ("volume", None) => Some(mounts::empty(&target, None)),
        ("bind" | "volume", Some(source)) => {
            let source = mounts::source(source, around.folder, value)?;
            let read_only = value.get("read_only").is_some_and(|value| value.is_true());
            mounts::mount(&Mount { source, target, read_only }, around.folder, value)
        }
        (kind, _) => {
            value.left_out(format!("mounts of type {}", kind.escape_debug()), "mount a folder of the machine");
            None
        }
    }
}

pub(super) fn tmpfs(value: &Value<'_>) -> Option<yaml::Item> {
    let text = value.expect_text("a path")?;
    let path = text.split(':').next().unwrap_or_default();
    mounts::target_path(path, value).map(|target| mounts::empty(&target, Some("Memory")))
}

/// `secrets` or `configs`, and where their files are seen in a container.
pub(super) struct FileSection {
    pub(super) name: &'static str,
    pub(super) folder: &'static str,
}

/// A secret or a config that is a file of the machine is mounted, as compose does.
pub(super) fn file_mounts(value: &Value<'_>, service: &mut Service<'_>, around: &Around<'_>, section: &FileSection) {
    let defined = if section.name == "secrets" { &around.secrets } else { &around.configs };
    for item in value.items() {
        let name = item.text().or_else(|| item.get_text("source")).unwrap_or_default();
        let file = defined
            .as_ref()
            .and_then(|defined| defined.get(name))
            .and_then(|one| Some(one.get("file")?.text()?.to_owned()));
        let Some(file) = file else {
            item.left_out(
                format!("{} is no file of this machine", name.escape_debug()),
                "give it to the service as a variable (NAME: _env(NAME)), or mount a file",
            );
            continue;
        };
        let target = item.get_text("target").unwrap_or(name);
        let target = if target.starts_with('/') { target.to_owned() } else { format!("{}{target}", section.folder) };
        let source = match mounts::source(&file, around.folder, &item) {
            // A file beside the compose file, not a volume.
            Some(Source::Named(file)) => Some(Source::Path(mounts::join(around.folder, &file))),
            source => source,
        };
        let mount = source.map(|source| Mount { source, target, read_only: true });
        service.volumes.extend(mount.and_then(|mount| mounts::mount(&mount, around.folder, &item)));
    }
}
