//! `kubernetes`, the cluster whose API server is asked, and `endpoints`, by which a service is found there.

use crate::grammar::{Key, Numbers, Others, Section, Shape, Text, Word};
use crate::model::{Cluster, ClusterService};
use crate::reader::Field;
use crate::tree::Kind;

use super::values::TEXT;

/// `kubernetes`.
pub(crate) const KUBERNETES: Section = Section {
    name: "kubernetes",
    keys: &[
        Key::new("server", SERVER, "URL of the API server.", "server: https://10.0.0.1:6443")
            .own()
            .default("in a pod: the cluster's own"),
        Key::new("ca", TEXT, "PEM file of the authority that vouches for the API server.", "ca: cluster-ca.pem")
            .own()
            .default("in a pod: the service account's; with server: the roots that the system trusts"),
        Key::new(
            "token_file",
            TEXT,
            "File with the token by which Fermata is known there; it is read again each time.",
            "token_file: token",
        )
        .own()
        .default("in a pod: the service account's; with server: none"),
        Key::new("namespace", NAMESPACE, "Where a Service is looked for that names no namespace.", "namespace: shop")
            .own()
            .default("in a pod: its own; else default"),
    ],
    old: &[],
    others: Others::Refused,
};

/// `endpoints` of a service.
pub(crate) const ENDPOINTS: Shape = Shape::Either(&[KIND, Shape::Section(&WHICH)]);

const KIND: Shape = Shape::Choice(&[Word {
    word: "kubernetes",
    about: "Those of the Kubernetes Service of the same name, as its EndpointSlices have them.",
}]);

const WHICH: Section = Section {
    name: "endpoints",
    keys: &[Key::new(
        "kubernetes",
        SERVICE,
        "The Kubernetes Service: its name, or its namespace and its name.",
        "kubernetes: shop/web",
    )
    .own()
    .required()],
    old: &[],
    others: Others::Refused,
};

/// A token is said to nobody in clear, but on this machine (`kubectl proxy`).
const SERVER: Shape = Shape::Text(&Text {
    expected: "a URL that begins with https:// (http:// only for localhost, where kubectl proxy may listen)",
    pattern: r"^https://[^\s/?#@]+(/[^\s?#]*)?$|^http://(localhost|127\.0\.0\.1|\[::1\])(:[0-9]{1,5})?/?$",
    numbers: Numbers::None,
});

/// A label (RFC 1123, 2.1), as Kubernetes wants it.
macro_rules! label {
    () => {
        "[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?"
    };
}

const NAMESPACE: Shape = Shape::Text(&Text {
    expected: "a namespace: small letters, digits and dashes, 63 at most",
    pattern: concat!("^", label!(), "$"),
    numbers: Numbers::None,
});

const SERVICE: Shape = Shape::Text(&Text {
    expected: "the name of a Service such as web, or namespace and name such as shop/web",
    pattern: concat!("^(", label!(), "/)?", label!(), "$"),
    numbers: Numbers::None,
});

/// The whole of `kubernetes`.
pub(crate) fn read(field: &Field<'_>) -> Cluster {
    let Some(fields) = field.fields() else { return Cluster::default() };
    let text = |name| fields.get(name).and_then(|field| field.text().map(str::to_owned));
    Cluster {
        server: fields.get("server").and_then(|field| field.parse(server)),
        ca: text("ca"),
        token_file: text("token_file"),
        namespace: fields.get("namespace").and_then(|field| field.parse(label)),
    }
}

/// The Service that `endpoints` of a service of this name leads to.
pub(crate) fn service(name: &str, field: &Field<'_>) -> Option<ClusterService> {
    if let Kind::Map(_) = field.node.kind {
        let field = Field { shape: &Shape::Section(&WHICH), ..field.clone() };
        return field.fields()?.get("kubernetes")?.parse(named);
    }
    let field = Field { shape: &KIND, ..field.clone() };
    field.choice().map(|_| ClusterService { name: name.to_owned(), namespace: None })
}

fn named(text: &str) -> Option<ClusterService> {
    match text.split_once('/') {
        Some((namespace, name)) => Some(ClusterService { name: label(name)?, namespace: Some(label(namespace)?) }),
        None => Some(ClusterService { name: label(text)?, namespace: None }),
    }
}

fn label(text: &str) -> Option<String> {
    let letter = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let bytes = text.as_bytes();
    let ends = bytes.first().copied().is_some_and(letter) && bytes.last().copied().is_some_and(letter);
    (ends && text.len() <= 63 && bytes.iter().all(|byte| letter(*byte) || *byte == b'-')).then(|| text.to_owned())
}

fn server(text: &str) -> Option<String> {
    let plain = |part: &str| !part.contains(|letter: char| letter.is_whitespace() || "?#".contains(letter));
    let fine = match text.split_once("://")? {
        ("https", rest) => {
            let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
            !host.is_empty() && !host.contains('@') && plain(host) && plain(path)
        }
        ("http", rest) => {
            let rest = rest.strip_suffix('/').unwrap_or(rest);
            let port = ["localhost", "127.0.0.1", "[::1]"].iter().find_map(|host| rest.strip_prefix(host));
            let digits = |port: &str| (1..=5).contains(&port.len()) && port.bytes().all(|byte| byte.is_ascii_digit());
            port.is_some_and(|port| port.is_empty() || port.strip_prefix(':').is_some_and(digits))
        }
        _ => false,
    };
    fine.then(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_said_to_nobody_in_clear_but_on_this_machine() {
        for good in [
            "https://10.0.0.1:6443",
            "https://rancher.example.com/k8s/clusters/c-1",
            "http://127.0.0.1:8001/",
            "http://[::1]",
        ] {
            assert_eq!(server(good).as_deref(), Some(good));
        }
        for bad in [
            "http://10.0.0.1:8001",
            "http://localhost.example.com",
            "https://",
            "https://me@host",
            "10.0.0.1",
            "ftp://a",
            "http://localhost:",
        ] {
            assert_eq!(server(bad), None, "{bad}");
        }
    }
}
