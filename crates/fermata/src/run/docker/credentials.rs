//! What `docker login` has written down: who the user is at a registry (~/.docker/config.json).

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;
use std::process::Stdio;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bollard::auth::DockerCredentials;
use serde::Deserialize;
use tokio::io::AsyncWriteExt;
use tokio::process::Command;

/// The name under which Docker keeps the credentials of its own registry.
const DOCKER_HUB: &str = "https://index.docker.io/v1/";

#[derive(Debug, Default, Deserialize)]
struct Config {
    #[serde(default)]
    auths: BTreeMap<String, Entry>,
    #[serde(default, rename = "credHelpers")]
    helpers: BTreeMap<String, String>,
    #[serde(rename = "credsStore")]
    store: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
struct Entry {
    auth: Option<String>,
    identitytoken: Option<String>,
}

/// What a credential helper answers (docker-credential-helpers).
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Kept {
    username: String,
    secret: String,
}

/// The user's credentials at the registry of `image`, if there are any. What cannot be read is as if it were not there: the
/// registry then says what it wants.
pub(super) async fn of(image: &str) -> Option<DockerCredentials> {
    let config = read().await?;
    let registry = registry(image);
    if let Some(helper) = config.helpers.get(registry).or(config.store.as_ref()) {
        return ask(helper, registry).await;
    }
    let entry = config.auths.get(registry).or_else(|| config.auths.get(&format!("https://{registry}")))?;
    from_entry(entry, registry)
}

/// The user's credentials at every registry that is written down, by registry: a build may start from any image.
pub(super) async fn all() -> HashMap<String, DockerCredentials> {
    let Some(config) = read().await else { return HashMap::new() };
    let known =
        config.auths.iter().filter_map(|(registry, entry)| Some((registry.clone(), from_entry(entry, registry)?)));
    let mut all: HashMap<String, DockerCredentials> = known.collect();
    for (registry, helper) in &config.helpers {
        if let Some(credentials) = ask(helper, registry).await {
            all.insert(registry.clone(), credentials);
        }
    }
    all
}

async fn read() -> Option<Config> {
    let text = tokio::fs::read_to_string(file()?).await.ok()?;
    serde_json::from_str(&text).ok()
}

fn file() -> Option<PathBuf> {
    let folder = std::env::var_os("DOCKER_CONFIG").map(PathBuf::from);
    let folder = folder.or_else(|| std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".docker")))?;
    Some(folder.join("config.json"))
}

/// The registry that an image comes from: its first part, if that looks like a host (distribution/reference).
fn registry(image: &str) -> &str {
    match image.split_once('/') {
        Some((host, _)) if host.contains(['.', ':']) || host == "localhost" => host,
        _ => DOCKER_HUB,
    }
}

fn from_entry(entry: &Entry, registry: &str) -> Option<DockerCredentials> {
    let credentials = DockerCredentials { serveraddress: Some(registry.to_owned()), ..DockerCredentials::default() };
    if let Some(token) = &entry.identitytoken {
        return Some(DockerCredentials { identitytoken: Some(token.clone()), ..credentials });
    }
    let pair = String::from_utf8(STANDARD.decode(entry.auth.as_ref()?).ok()?).ok()?;
    let (name, password) = pair.split_once(':')?;
    Some(DockerCredentials { username: Some(name.to_owned()), password: Some(password.to_owned()), ..credentials })
}

async fn ask(helper: &str, registry: &str) -> Option<DockerCredentials> {
    let mut child = Command::new(format!("docker-credential-{helper}"))
        .arg("get")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .ok()?;
    child.stdin.take()?.write_all(registry.as_bytes()).await.ok()?;
    let answer = child.wait_with_output().await.ok()?;
    let kept: Kept = serde_json::from_slice(&answer.stdout).ok()?;
    let credentials = DockerCredentials { serveraddress: Some(registry.to_owned()), ..DockerCredentials::default() };
    // A user of this name means that the secret is a token (docker-credential-helpers, README).
    Some(match kept.username.as_str() {
        "<token>" => DockerCredentials { identitytoken: Some(kept.secret), ..credentials },
        _ => DockerCredentials { username: Some(kept.username), password: Some(kept.secret), ..credentials },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_names_its_registry_where_its_first_part_is_a_host() {
        assert_eq!(registry("redis:7"), DOCKER_HUB);
        assert_eq!(registry("team/app:1"), DOCKER_HUB);
        assert_eq!(registry("ghcr.io/team/app"), "ghcr.io");
        assert_eq!(registry("localhost:5000/app"), "localhost:5000");
    }

    #[test]
    fn what_docker_login_wrote_down_is_a_name_and_a_password() {
        let entry = Entry { auth: Some(STANDARD.encode("anna:se:cret")), identitytoken: None };
        let credentials = from_entry(&entry, "ghcr.io").unwrap();
        assert_eq!(credentials.username.as_deref(), Some("anna"));
        assert_eq!(credentials.password.as_deref(), Some("se:cret"));
        assert_eq!(credentials.serveraddress.as_deref(), Some("ghcr.io"));
    }
}
