//! Volumes: folders of the node, and what else Kubernetes mounts.

use fermata_spec::{Service, Volume, VolumeSource};

use super::environment::Environment;
use crate::render::Gaps;
use crate::render::yaml::{Map, Value};

/// Mounts of the container, and volumes of the pod.
pub(super) fn volumes(
    service: &Service,
    at: &str,
    environment: &mut Environment,
    gaps: &mut Gaps<'_>,
) -> (Vec<Map>, Vec<Map>) {
    let (mut mounts, mut volumes) = (Vec::new(), Vec::new());
    for (number, volume) in service.volumes.iter().enumerate() {
        let (path, name) = (format!("{at}.volumes[{number}]"), format!("volume-{number}"));
        let Some((kind, source)) = source(volume, &path, environment, gaps) else { continue };
        mounts.push(mount(volume, &name));
        volumes.push(Map::of([("name", Value::text(&name)), (&kind, source)]));
    }
    (mounts, volumes)
}

fn mount(volume: &Volume, name: &str) -> Map {
    let mut mount = Map::of([("name", Value::text(name)), ("mountPath", Value::text(&volume.mount_path))]);
    if volume.read_only {
        mount.put("readOnly", Value::bare(true));
    }
    for (key, text) in [
        ("subPath", &volume.sub_path),
        ("subPathExpr", &volume.sub_path_expr),
        ("mountPropagation", &volume.mount_propagation),
    ] {
        mount.put_some(key, text.as_deref().map(Value::text));
    }
    mount
}

fn source(volume: &Volume, path: &str, environment: &mut Environment, gaps: &mut Gaps<'_>) -> Option<(String, Value)> {
    match &volume.source {
        VolumeSource::HostPath(host) => {
            let host = environment.text(host, path, gaps);
            if host.contains("$(") {
                gaps.left_out(path, "Kubernetes has no variables in host paths", "write the path itself");
                return None;
            }
            Some(("hostPath".to_owned(), Map::of([("path", Value::text(host))]).into()))
        }
        VolumeSource::Kubernetes(kind, options) if options.get("from").is_some() => {
            let instead =
                format!("name an object: {kind}: {{{}: …}}", if kind == "secret" { "secret_name" } else { "name" });
            gaps.left_out(path, "there is no store of the original platform", instead);
            None
        }
        VolumeSource::Kubernetes(kind, options) => Some((camel(kind), Value::json(&camels(options)))),
    }
}

/// `empty_dir` as `emptyDir`.
fn camel(name: &str) -> String {
    let mut parts = name.split('_');
    let mut made = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let mut letters = part.chars();
        made.extend(letters.next().map(|first| first.to_ascii_uppercase()));
        made.push_str(letters.as_str());
    }
    made
}

fn camels(value: &serde_json::Value) -> serde_json::Value {
    match value {
        serde_json::Value::Object(map) => map.iter().map(|(key, value)| (camel(key), camels(value))).collect(),
        serde_json::Value::Array(list) => list.iter().map(camels).collect(),
        serde_json::Value::Null => serde_json::json!({}),
        value => value.clone(),
    }
}
