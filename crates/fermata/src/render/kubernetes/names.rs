//! Names of objects (RFC 1123 labels) and of labels: service.yml allows more than Kubernetes does.

use fermata_spec::{Service, service_path};

use crate::render::Gaps;
use crate::render::yaml::{Map, Value};

/// The label that tells a service's objects from others'.
pub(super) const LABEL: &str = "app.kubernetes.io/name";

/// A service's name as an object may have it.
pub(super) fn object(name: &str) -> String {
    let plain: String = name
        .to_ascii_lowercase()
        .chars()
        .map(|letter| if letter.is_ascii_alphanumeric() { letter } else { '-' })
        .collect();
    let plain = plain.trim_matches('-').chars().take(52).collect::<String>();
    let plain = plain.trim_end_matches('-');
    if plain.starts_with(|first: char| first.is_ascii_lowercase()) { plain.to_owned() } else { format!("s-{plain}") }
}

/// Says it where the name had to change: it is the name in DNS as well.
pub(super) fn say_changed(service: &Service, gaps: &mut Gaps<'_>) {
    let made = object(&service.name);
    if made != *service.name {
        let how = format!("Kubernetes does not have such names: it is called {made} there, in DNS as well");
        gaps.changed(&service_path(&service.name), how, format!("write {made}"));
    }
}

/// The labels that select a service's pods.
pub(super) fn selector(name: &str) -> Map {
    Map::of([(LABEL, Value::text(name))])
}

/// Its tags, where they are labels (63 letters, digits, `-`, `_` and `.` around letters and digits).
pub(super) fn labels(service: &Service, gaps: &mut Gaps<'_>) -> Map {
    let mut labels = selector(&object(&service.name));
    for (key, value) in &service.tags {
        let plain = |text: &str| {
            let end = |letter: Option<char>| letter.is_none_or(|letter| letter.is_ascii_alphanumeric());
            let inside = |letter: char| letter.is_ascii_alphanumeric() || "-_.".contains(letter);
            text.len() <= 63 && text.chars().all(inside) && end(text.chars().next()) && end(text.chars().last())
        };
        let name = key.rsplit('/').next().unwrap_or(key);
        if plain(name) && !name.is_empty() && plain(value) && key != LABEL {
            labels.put(key, Value::text(value));
        } else {
            let path = format!("{}.tags", service_path(&service.name));
            gaps.left_out(&path, format!("{key}={value} is no label of Kubernetes"), "write it as an annotation");
        }
    }
    labels
}

/// What every object begins with.
pub(super) fn head(version: &str, kind: &str, name: &str) -> Map {
    annotated(version, kind, name, &[])
}

/// The same, with annotations.
pub(super) fn annotated(version: &str, kind: &str, name: &str, annotations: &[(String, String)]) -> Map {
    let mut metadata = Map::of([("name", Value::text(name))]);
    if !annotations.is_empty() {
        metadata.put("annotations", Value::table(annotations));
    }
    Map::of([("apiVersion", Value::text(version)), ("kind", Value::text(kind)), ("metadata", metadata.into())])
}
