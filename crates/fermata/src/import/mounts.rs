//! Volumes: other programs mount folders beside their file, named volumes and folders of the machine; service.yml names
//! whole paths of the machine.

use super::source::Value;
use super::variables;
use crate::render::yaml::{self, Item, Map};

/// What stands left of the colon.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Source {
    /// A path of the machine, absolute.
    Path(String),
    /// A volume that Docker keeps under a name.
    Named(String),
}

/// One mount.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Mount {
    pub(super) source: Source,
    /// Absolute path in the container.
    pub(super) target: String,
    pub(super) read_only: bool,
}

/// `SOURCE:TARGET:MODE`, `TARGET` alone, each perhaps with variables. `folder` is where the file stands.
pub(super) fn short(text: &str, folder: &str, value: &Value<'_>) -> Option<Item> {
    let parts = parts(text);
    if let [drive, rest, ..] = parts.as_slice()
        && drive.len() == 1
        && rest.starts_with(['\\', '/'])
        && !drive.starts_with(['.', '/', '~'])
    {
        value.left_out(format!("\"{}\" is a path of Windows", text.escape_debug()), "write it by hand");
        return None;
    }
    let (source, target, mode) = match parts.as_slice() {
        [target] => (None, *target, ""),
        [source, target] => (Some(*source), *target, ""),
        [source, target, mode] => (Some(*source), *target, *mode),
        _ => {
            value.left_out(format!("\"{}\" has too many parts", text.escape_debug()), "write HOST:CONTAINER by hand");
            return None;
        }
    };
    let read_only = mode.split(',').any(|word| word == "ro" || word == "readonly");
    let unknown: Vec<&str> = mode.split(',').filter(|word| !matches!(*word, "" | "ro" | "rw" | "readonly")).collect();
    if !unknown.is_empty() {
        value.note(
            format!("the mode {} is left out", unknown.join(",").escape_debug()),
            "only ro and rw are known here",
        );
    }
    let target = target_path(target, value)?;
    match source {
        None => Some(empty(&target, None)),
        Some(source) => {
            mount(&Mount { source: self::source(source, folder, value)?, target, read_only }, folder, value)
        }
    }
}

/// The mount as it is written, with a way to keep what a named volume holds.
pub(super) fn mount(mount: &Mount, folder: &str, value: &Value<'_>) -> Option<Item> {
    let mode = if mount.read_only { ":ro" } else { "" };
    let (path, above) = match &mount.source {
        Source::Path(path) => (path.clone(), Vec::new()),
        Source::Named(name) => {
            let path = format!("{}/volumes/{name}", folder.trim_end_matches('/'));
            value.changed(
                format!("Docker's volume \"{name}\" becomes the folder {path}, which is empty"),
                format!("copy what the volume holds: docker run --rm -v {name}:/from -v {path}:/to busybox cp -a /from/. /to (docker volume ls tells its whole name)"),
            );
            (path, vec![format!("was Docker's volume {name}")])
        }
    };
    if path.contains(':') && !path.contains("_env(") {
        value.left_out("the path has a colon", "rename the folder and write it by hand");
        return None;
    }
    Some(Item { above, value: yaml::Value::text(format!("{path}:{}{mode}", mount.target)) })
}

/// An empty folder, in memory or not.
pub(super) fn empty(target: &str, medium: Option<&str>) -> Item {
    let (mut map, mut empty) = (Map::default(), Map::default());
    empty.put_some("medium", medium.map(yaml::Value::text));
    map.put("mount_path", yaml::Value::text(target));
    map.put("empty_dir", empty);
    yaml::Value::from(map).into()
}

/// The path in the container, which stands without references.
pub(super) fn target_path(text: &str, value: &Value<'_>) -> Option<String> {
    let made = variables::defaults(text);
    let path = made.text;
    let good = made.lost.is_none() && path.starts_with('/') && !path.contains(':');
    if !good {
        value.left_out(
            format!("\"{}\" is not an absolute path in the container", text.escape_debug()),
            "write the whole path by hand",
        );
    }
    good.then_some(path)
}

/// A path of the machine or the name of a volume.
pub(super) fn source(text: &str, folder: &str, value: &Value<'_>) -> Option<Source> {
    let made = variables::references(text);
    let path = made.text;
    if let Some(lost) = made.lost {
        value.left_out(format!("{lost} cannot be told from here"), "write the path by hand");
        return None;
    }
    if path.starts_with('/') {
        return Some(Source::Path(path));
    }
    if path.starts_with("_env(") {
        if !made.names.is_empty() && path.contains(":.") {
            let help = format!("write the whole path, from {folder}");
            value.changed("the default of the variable is a relative path, which nothing makes absolute", help);
        }
        return Some(Source::Path(path));
    }
    if let Some(rest) = path.strip_prefix('~') {
        return Some(Source::Path(format!("_env(HOME){rest}")));
    }
    if path.starts_with('.') || path.contains('/') {
        return Some(Source::Path(join(folder, &path)));
    }
    let drive = text.contains('\\') || path.is_empty();
    if drive {
        value.left_out(format!("\"{}\" is not a path of this machine", text.escape_debug()), "write it by hand");
        return None;
    }
    Some(Source::Named(path))
}

/// A relative path, from the folder of the file, dots taken out.
pub(super) fn join(folder: &str, path: &str) -> String {
    let mut steps: Vec<&str> = folder.split('/').filter(|step| !step.is_empty()).collect();
    for step in path.split('/') {
        match step {
            "" | "." => {}
            ".." => _ = steps.pop(),
            step => steps.push(step),
        }
    }
    format!("/{}", steps.join("/"))
}

/// The parts between colons, but not those inside `${...}`.
fn parts(text: &str) -> Vec<&str> {
    let (mut parts, mut start, mut depth) = (Vec::new(), 0, 0_usize);
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            b'{' => depth += 1,
            b'}' => depth = depth.saturating_sub(1),
            b':' if depth == 0 => {
                parts.push(&text[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    parts.push(&text[start..]);
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn relative_paths_start_at_the_folder_of_the_file() {
        assert_eq!(join("/srv/app", "./data"), "/srv/app/data");
        assert_eq!(join("/srv/app", "../shared/x/"), "/srv/shared/x");
        assert_eq!(join("/", "."), "/");
    }

    #[test]
    fn colons_inside_a_variable_are_no_separators() {
        assert_eq!(parts("${DATA:-/srv}/x:/data:ro"), ["${DATA:-/srv}/x", "/data", "ro"]);
    }
}
