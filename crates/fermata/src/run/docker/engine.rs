//! The Docker Engine that runs the containers: found, connected to, and asked what it can do.

use std::io;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bollard::models::NetworkCreateRequest;
use bollard::{API_DEFAULT_VERSION, Docker, errors::Error};
use tokio::sync::Mutex;

use super::recipe::PROJECT;
use super::settled::Settled;

/// Where the engine is when nobody says (dockerd(8)).
const DEFAULT_HOST: &str = "unix:///var/run/docker.sock";
/// How many seconds the engine may take to begin an answer.
const ANSWERS_WITHIN: u64 = 120;
/// How long it may take over what was given to a container as its grace.
const ENDS_WITHIN: Duration = Duration::from_secs(30);

/// A Docker Engine that answered.
#[derive(Debug, Clone)]
pub(in crate::run) struct Engine {
    pub(super) docker: Docker,
    /// Where it is, as `DOCKER_HOST` says it.
    pub(super) host: Arc<str>,
    pub(super) reach: Reach,
    /// One image and one network is made at a time, so that none is made twice.
    pub(super) making: Arc<Mutex<()>>,
    pub(super) settled: Arc<Settled>,
}

/// How its containers are reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Reach {
    /// At their own addresses: the engine shares this machine's kernel.
    Address,
    /// At ports of 127.0.0.1 that they publish.
    Published,
}

impl Engine {
    /// Connects to the engine at `DOCKER_HOST`, or where it usually is. An error says what to do.
    pub(in crate::run) async fn connect() -> Result<Engine, String> {
        let host = std::env::var("DOCKER_HOST").ok().filter(|host| !host.is_empty());
        let host = host.as_deref().unwrap_or(DEFAULT_HOST);
        let docker = open(host)?;
        let docker = docker.negotiate_version().await.map_err(|err| silent(host, &err))?;
        let info = docker.info().await.map_err(|err| silent(host, &err))?;
        // Docker Desktop runs its containers in a virtual machine (docs.docker.com/desktop/features/networking).
        let desktop = info.operating_system.is_some_and(|system| system.contains("Docker Desktop"));
        let reach = if host.starts_with("unix://") && !desktop { Reach::Address } else { Reach::Published };
        Ok(Engine { docker, host: host.into(), reach, making: Arc::default(), settled: Arc::default() })
    }

    /// Whether paths mean to it what they mean here.
    pub(super) fn is_of_this_machine(&self) -> bool {
        self.host.starts_with("unix://")
    }

    /// The same engine, for a request that takes as long as a container may take to end.
    pub(super) fn patient(&self, grace: Duration) -> Docker {
        self.docker.clone().with_timeout(grace + ENDS_WITHIN)
    }

    /// Makes the project's network, where there is none.
    pub(super) async fn network(&self, project: &str) -> Result<(), String> {
        let _alone = self.making.lock().await;
        match self.docker.inspect_network(project, None).await {
            Ok(_) => return Ok(()),
            Err(err) if is_missing(&err) => {}
            Err(err) => return Err(said(&err)),
        }
        let request = NetworkCreateRequest {
            name: project.to_owned(),
            labels: Some([(PROJECT.to_owned(), project.to_owned())].into()),
            ..NetworkCreateRequest::default()
        };
        let made = self.docker.create_network(request).await;
        made.map(drop).map_err(|err| format!("the network {project} cannot be made: {}", said(&err)))
    }

    /// Removes the project's network. One that others use stays.
    pub(in crate::run) async fn remove_network(&self, project: &str) {
        let _ = self.docker.remove_network(project).await;
    }
}

fn open(host: &str) -> Result<Docker, String> {
    if let Some(path) = host.strip_prefix("unix://") {
        // The library's errors do not tell these apart.
        UnixStream::connect(path).map_err(|err| unreachable_socket(path, &err))?;
        return Docker::connect_with_unix(path, ANSWERS_WITHIN, API_DEFAULT_VERSION).map_err(|err| silent(host, &err));
    }
    if host.starts_with("tcp://") || host.starts_with("http://") {
        return Docker::connect_with_http(host, ANSWERS_WITHIN, API_DEFAULT_VERSION).map_err(|err| silent(host, &err));
    }
    Err(format!("DOCKER_HOST is \"{host}\", which cannot be used; give it as unix:///path or tcp://host:port"))
}

fn unreachable_socket(path: &str, err: &io::Error) -> String {
    match err.kind() {
        io::ErrorKind::PermissionDenied => format!(
            "this user may not use the Docker Engine at {path} (permission denied); add it to the group of that \
             socket (sudo usermod -aG docker {}) and log in again, or run fermata as root",
            std::env::var("USER").unwrap_or_else(|_| "USER".to_owned())
        ),
        io::ErrorKind::ConnectionRefused => format!(
            "the Docker Engine is not running: {path} is there, and nobody listens; start it (sudo systemctl start \
             docker)"
        ),
        io::ErrorKind::NotFound if !Path::new(path).exists() => format!(
            "there is no Docker Engine: {path} does not exist; install and start it (on Debian: sudo apt install \
             docker.io), or say in DOCKER_HOST where it is"
        ),
        _ => format!("the Docker Engine at {path} cannot be reached: {err}"),
    }
}

fn silent(host: &str, err: &Error) -> String {
    format!("no Docker Engine answers at {host}: {}; start it, or say in DOCKER_HOST where it is", said(err))
}

/// Whether the engine does not know what was asked for.
pub(super) fn is_missing(err: &Error) -> bool {
    matches!(err, Error::DockerResponseServerError { status_code: 404, .. })
}

/// What the engine says, without what the library puts around it.
pub(super) fn said(err: &Error) -> String {
    match err {
        Error::DockerResponseServerError { message, .. } => message.clone(),
        Error::DockerStreamError { error } => error.clone(),
        other => other.to_string(),
    }
}
