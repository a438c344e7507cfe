//! Health checks against an address: one try, and the rhythm of tries that turns them into a verdict.
//!
//! Knows nothing of instances and restarts: it serves those that Fermata started ([`super::tend`]) and services that run
//! elsewhere alike.

mod exec;
mod http;
mod rhythm;
mod tls;

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use fermata_wire::proxy;
use rustls::ClientConfig;
use rustls_pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpStream, UnixStream, lookup_host};
use tokio::time::timeout;

use crate::net::{Own, proxy_version};

use super::docker::{Container, Inside};
use super::plan::{Act, Ask, CheckPlan, Launch, Scheme};

/// Where something listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum At {
    /// An IP address and a port.
    Tcp(SocketAddr),
    /// A host name that is resolved at each try, and a port.
    Name(String, u16),
    /// A UNIX stream socket.
    Unix(PathBuf),
}

/// What a check has found out so far, thresholds included.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// It passes.
    Passes,
    /// It does not, and what was seen last.
    Fails(String),
}

/// Who has to be there, for a check over TLS that traffic will follow.
#[derive(Debug, Clone)]
pub struct Proof {
    /// Whom to trust.
    pub config: Arc<ClientConfig>,
    /// Whom the certificate has to name; the address, where nothing is said.
    pub name: Option<ServerName<'static>>,
}

/// A check of one address.
#[derive(Debug, Clone)]
pub struct Checker {
    aim: Aim,
    /// Where there is none, whoever answers over TLS is taken.
    proof: Option<Proof>,
    /// Where nobody else is.
    own: Option<Arc<Own>>,
    /// What a connection begins with.
    first: Vec<u8>,
    timeout: Duration,
    success_threshold: u32,
    failure_threshold: u32,
    initial_delay: Duration,
    period: Duration,
}

#[derive(Debug, Clone)]
enum Aim {
    Tcp(At),
    Http { at: At, scheme: Scheme, ask: Ask, endpoint: String, headers: Vec<(String, String)> },
    Exec(Errand),
    Image { container: Container, otherwise: Option<At> },
}

/// A command of a check, ready to be run.
#[derive(Debug, Clone)]
pub struct Errand(Where);

#[derive(Debug, Clone)]
enum Where {
    Here(Box<Launch>),
    Inside(Inside),
}

impl From<Launch> for Errand {
    fn from(launch: Launch) -> Errand {
        Errand(Where::Here(Box::new(launch)))
    }
}

impl From<Inside> for Errand {
    fn from(inside: Inside) -> Errand {
        Errand(Where::Inside(inside))
    }
}

impl Checker {
    /// What `plan` says, done at `at`; a command is run as `errand` makes it from its words.
    pub fn new(plan: &CheckPlan, at: At, errand: impl FnOnce(&[super::plan::Value]) -> Errand) -> Checker {
        let aim = match &plan.act {
            Act::Tcp { .. } => Aim::Tcp(at),
            Act::Http { scheme, ask, endpoint, headers, .. } => Aim::Http {
                at,
                scheme: *scheme,
                ask: ask.clone(),
                endpoint: endpoint.clone(),
                headers: headers.clone(),
            },
            Act::Exec(words) => Aim::Exec(errand(words)),
        };
        Checker {
            aim,
            proof: None,
            own: None,
            first: plan.proxy.map(|version| proxy::write(proxy_version(version), None)).unwrap_or_default(),
            timeout: plan.timeout,
            success_threshold: plan.success_threshold,
            failure_threshold: plan.failure_threshold,
            initial_delay: plan.initial_delay,
            period: plan.period,
        }
    }

    /// The same, and over TLS only who proves this passes.
    #[must_use]
    pub fn proven(self, proof: Option<Proof>) -> Checker {
        Checker { proof, ..self }
    }

    /// The same, and a name that leads to ourselves fails.
    #[must_use]
    pub fn elsewhere(self, own: Arc<Own>) -> Checker {
        Checker { own: Some(own), ..self }
    }

    /// Passes once `address` accepts a connection.
    pub(super) fn connects(address: SocketAddr) -> Checker {
        Checker::soon(Aim::Tcp(At::Tcp(address)))
    }

    /// Passes while the image's own HEALTHCHECK does, or, where it has none, while `otherwise` accepts connections.
    pub(super) fn of_image(container: Container, otherwise: Option<SocketAddr>) -> Checker {
        Checker::soon(Aim::Image { container, otherwise: otherwise.map(At::Tcp) })
    }

    fn soon(aim: Aim) -> Checker {
        Checker {
            aim,
            proof: None,
            own: None,
            first: Vec::new(),
            timeout: Duration::from_secs(5),
            success_threshold: 1,
            failure_threshold: 1,
            initial_delay: Duration::ZERO,
            period: Duration::from_millis(500),
        }
    }

    /// Tries once. An error says what was seen.
    pub async fn once(&self) -> Result<(), String> {
        let tried = async {
            match &self.aim {
                Aim::Tcp(at) => at.connect(&self.first, self.own.as_deref()).await.map(drop),
                Aim::Http { at, scheme, ask, endpoint, headers } => {
                    let mut stream = at.connect(&self.first, self.own.as_deref()).await?;
                    if *scheme == Scheme::Https {
                        stream = tls::connect(stream, at, &http::host(at, headers), self.proof.as_ref()).await?;
                    }
                    http::ask(stream, at, ask, endpoint, headers).await
                }
                Aim::Exec(Errand(Where::Here(launch))) => exec::run(launch).await,
                Aim::Exec(Errand(Where::Inside(inside))) => inside.run().await,
                Aim::Image { container, otherwise } => match (container.health().await, otherwise) {
                    (Some(says), _) => says,
                    (None, Some(at)) => at.connect(&self.first, self.own.as_deref()).await.map(drop),
                    (None, None) => Ok(()),
                },
            }
        };
        match timeout(self.timeout, tried).await {
            Ok(outcome) => outcome,
            Err(_) => Err(format!("{self} took longer than {} s", self.timeout.as_secs_f64())),
        }
    }
}

/// What is tried, as the beginning of a sentence.
impl fmt::Display for Checker {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.aim {
            Aim::Tcp(at) => write!(out, "a connection to {at}"),
            Aim::Http { at, ask: Ask::Page(method), endpoint, .. } => write!(out, "{method} {endpoint} at {at}"),
            Aim::Http { at, ask: Ask::WebSocket, endpoint, .. } => {
                write!(out, "the WebSocket handshake with {endpoint} at {at}")
            }
            Aim::Exec(Errand(Where::Here(launch))) => write!(out, "{}", launch.program),
            Aim::Exec(Errand(Where::Inside(inside))) => inside.fmt(out),
            Aim::Image { .. } => out.write_str("its HEALTHCHECK"),
        }
    }
}

/// A byte stream of either kind.
trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

impl At {
    /// A connection that begins with these bytes; never to ourselves, where it is told who we are.
    async fn connect(&self, first: &[u8], own: Option<&Own>) -> Result<Box<dyn Stream>, String> {
        let (addresses, ourselves) = match self {
            At::Name(name, port) => {
                let found = lookup_host((name.as_str(), *port))
                    .await
                    .map_err(|error| format!("the name {name} cannot be resolved: {error}; check it, and the DNS"))?;
                match own {
                    Some(own) => own.others(name, found),
                    None => (found.collect(), None),
                }
            }
            At::Tcp(address) => (vec![*address], None),
            At::Unix(_) => (Vec::new(), None),
        };
        let connected = async {
            let mut stream: Box<dyn Stream> = match self {
                At::Tcp(_) | At::Name(..) => Box::new(TcpStream::connect(&*addresses).await?),
                At::Unix(path) => Box::new(UnixStream::connect(path).await?),
            };
            stream.write_all(first).await?;
            Ok(stream)
        };
        connected.await.map_err(|err: io::Error| match (ourselves, err.kind()) {
            (Some(ourselves), _) => ourselves,
            (None, io::ErrorKind::ConnectionRefused) => format!("nothing listens at {self}"),
            (None, _) => format!("{self} cannot be connected to: {err}"),
        })
    }
}

impl fmt::Display for At {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            At::Tcp(address) => write!(out, "{address}"),
            At::Name(name, port) => write!(out, "{name}:{port}"),
            At::Unix(path) => write!(out, "{}", path.display()),
        }
    }
}
