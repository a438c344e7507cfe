//! The API server of a cluster: where it is, who vouches for it, who we are there, and one question to it.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{ACCEPT, AUTHORIZATION, HOST, HeaderValue, RETRY_AFTER, USER_AGENT};
use http::{Request, StatusCode, Uri};
use http_body_util::{BodyExt, Empty, Limited};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use rustls::crypto::aws_lc_rs::default_provider;
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, ServerName};
use serde::Deserialize;
use socket2::{SockRef, TcpKeepalive};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

/// Where a pod finds who it is (kubernetes.io, "Accessing the Kubernetes API from a Pod").
pub const SERVICE_ACCOUNT: &str = "/var/run/secrets/kubernetes.io/serviceaccount";

/// Connecting, and the TLS handshake.
const CONNECT: Duration = Duration::from_secs(5);
/// The head of an answer. A busy API server queues requests for up to a minute; who has waited this long asks again.
const HEAD: Duration = Duration::from_secs(15);
/// A machine that has gone without a word is noticed by three probes (tcp(7), `TCP_KEEPIDLE`).
const PROBE_AFTER: Duration = Duration::from_secs(10);
const PROBE_EVERY: Duration = Duration::from_secs(5);
/// What is read of an answer that is a refusal.
const REASON: usize = 64 * 1024;

/// Where the file was read, and what Fermata was called in.
pub struct Caller<'a> {
    /// The folder of the service.yml.
    pub folder: &'a Path,
    /// Environment variables.
    pub env: &'a BTreeMap<OsString, OsString>,
    /// The folder of the service account: [`SERVICE_ACCOUNT`].
    pub account: &'a Path,
}

/// A cluster, and how its API server is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cluster {
    server: Uri,
    ca: Option<PathBuf>,
    token: Option<PathBuf>,
    /// Where a Service is looked for that names no namespace.
    pub namespace: String,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum Trouble {
    /// No connection, or it broke.
    #[error("{0}")]
    Connection(#[from] io::Error),
    /// It takes too long.
    #[error("no answer within {} s", .0.as_secs())]
    Timeout(Duration),
    /// HTTP that makes no sense.
    #[error("{0}")]
    Http(#[from] hyper::Error),
    /// A refusal.
    #[error("{}", refusal(*.status, .message))]
    Refused {
        /// The status.
        status: StatusCode,
        /// What it says.
        message: String,
        /// When it wants to be asked again.
        again: Option<Duration>,
    },
    /// What is known is too old to go on from (410 Gone).
    #[error("what is known is too old")]
    Expired,
    /// More than anybody needs.
    #[error("an answer of more than {0} bytes")]
    TooLarge(usize),
    /// Something else than was asked for.
    #[error("an answer that is none of the Kubernetes API: {0}")]
    Garbled(#[from] serde_json::Error),
    /// It ends at once, each time.
    #[error("the watch ends as soon as it has begun")]
    Short,
}

fn refusal(status: StatusCode, message: &str) -> String {
    let advice = match status {
        StatusCode::UNAUTHORIZED => "; look at kubernetes.token_file",
        StatusCode::FORBIDDEN => {
            "; its account needs a Role with list and watch for endpointslices of discovery.k8s.io"
        }
        _ => "",
    };
    format!("{}: {message}{advice}", status.as_u16())
}

/// An answer whose body is still to be read. The connection ends with it.
pub(super) struct Answer {
    pub(super) body: Incoming,
    _connection: JoinSet<()>,
}

/// What the API says where it does not do what it is asked (`Status` of meta/v1).
#[derive(Debug, Default, Deserialize)]
pub(super) struct Status {
    #[serde(default)]
    pub(super) code: u16,
    #[serde(default)]
    pub(super) message: String,
}

impl Cluster {
    /// The cluster of a file. What the file does not say is what a pod knows of its own; a server that the file names is
    /// never given the token of another.
    pub fn of(said: &fermata_spec::Cluster, caller: &Caller<'_>) -> Result<Cluster, String> {
        let own = |name: &str| Some(caller.account.join(name)).filter(|path| path.exists());
        let (server, defaults) = match &said.server {
            Some(server) => (server.clone(), [None, None]),
            None => (own_server(caller.env)?, [own("ca.crt"), own("token")]),
        };
        let server: Uri = server.parse().map_err(|error| format!("kubernetes.server: {error}"))?;
        let [ca, token] = defaults;
        let file = |said: &Option<String>| said.as_ref().map(|file| caller.folder.join(file));
        let namespace = match &said.namespace {
            Some(namespace) => namespace.clone(),
            None => own("namespace").and_then(|path| std::fs::read_to_string(path).ok()).unwrap_or_default(),
        };
        let namespace = Some(namespace.trim().to_owned()).filter(|name| !name.is_empty());
        let cluster = Cluster {
            server,
            ca: file(&said.ca).or(ca),
            token: file(&said.token_file).or(token),
            namespace: namespace.unwrap_or_else(|| "default".to_owned()),
        };
        // Said now, rather than when it is asked.
        cluster.authority().map_err(|error| format!("kubernetes.ca: {error}"))?;
        cluster.token().map_err(|error| format!("kubernetes.token_file: {error}"))?;
        Ok(cluster)
    }

    /// Asks. Only an answer of 200 is one.
    pub(super) async fn get(&self, path: &str) -> Result<Answer, Trouble> {
        let (mut sender, connection) = self.connect().await?;
        let asked = timeout(HEAD, sender.send_request(self.request(path)?)).await;
        let answer = asked.map_err(|_| Trouble::Timeout(HEAD))??;
        let (head, body) = answer.into_parts();
        match head.status {
            StatusCode::OK => Ok(Answer { body, _connection: connection }),
            StatusCode::GONE => Err(Trouble::Expired),
            status => {
                let seconds = head.headers.get(RETRY_AFTER).and_then(|value| value.to_str().ok()?.parse().ok());
                let text = timeout(HEAD, Limited::new(body, REASON).collect()).await;
                let text = text.ok().and_then(Result::ok).map(http_body_util::Collected::to_bytes).unwrap_or_default();
                let said: Status = serde_json::from_slice(&text).unwrap_or_default();
                Err(Trouble::Refused { status, message: said.message, again: seconds.map(Duration::from_secs) })
            }
        }
    }

    async fn connect(&self) -> Result<(http1::SendRequest<Empty<Bytes>>, JoinSet<()>), Trouble> {
        let connecting = async {
            let tcp = TcpStream::connect((self.host(), self.port())).await?;
            tcp.set_nodelay(true)?;
            let probes = TcpKeepalive::new().with_time(PROBE_AFTER).with_interval(PROBE_EVERY).with_retries(3);
            SockRef::from(&tcp).set_tcp_keepalive(&probes)?;
            if !self.is_tls() {
                return speak(tcp).await;
            }
            let name = ServerName::try_from(self.host().to_owned()).map_err(io::Error::other)?;
            let connector = TlsConnector::from(self.tls()?);
            speak(connector.connect(name, tcp).await?).await
        };
        timeout(CONNECT, connecting).await.map_err(|_| Trouble::Timeout(CONNECT))?
    }

    fn request(&self, path: &str) -> Result<Request<Empty<Bytes>>, Trouble> {
        let prefix = self.server.path().trim_end_matches('/');
        let authority = self.server.authority().map(ToString::to_string).unwrap_or_default();
        let mut request = Request::get(format!("{prefix}{path}"))
            .header(HOST, authority)
            .header(ACCEPT, "application/json")
            .header(USER_AGENT, concat!("fermata/", env!("CARGO_PKG_VERSION")));
        if let Some(token) = self.token()? {
            let mut value = HeaderValue::from_str(&format!("Bearer {token}")).map_err(io::Error::other)?;
            value.set_sensitive(true);
            request = request.header(AUTHORIZATION, value);
        }
        request.body(Empty::new()).map_err(|error| io::Error::other(error).into())
    }

    /// Read anew each time: a pod's token is replaced within the hour (kubernetes.io, "Bound service account tokens").
    fn token(&self) -> io::Result<Option<String>> {
        let Some(path) = &self.token else { return Ok(None) };
        let text = std::fs::read_to_string(path).map_err(|error| about(path, &error))?;
        let token = text.trim();
        if token.is_empty() || !token.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(about(path, &"there is no token in it"));
        }
        Ok(Some(token.to_owned()))
    }

    /// Read anew each time, as an authority may be replaced as well.
    fn authority(&self) -> io::Result<RootCertStore> {
        let mut roots = RootCertStore::empty();
        let Some(path) = &self.ca else {
            roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
            return Ok(roots);
        };
        let certificates = CertificateDer::pem_file_iter(path).map_err(|error| about(path, &error))?;
        for certificate in certificates {
            roots.add(certificate.map_err(|error| about(path, &error))?).map_err(|error| about(path, &error))?;
        }
        if roots.is_empty() {
            return Err(about(path, &"there is no certificate in it"));
        }
        Ok(roots)
    }

    fn tls(&self) -> io::Result<Arc<ClientConfig>> {
        let config =
            ClientConfig::builder_with_provider(default_provider().into()).with_safe_default_protocol_versions();
        let config = config.map_err(io::Error::other)?.with_root_certificates(self.authority()?).with_no_client_auth();
        Ok(Arc::new(config))
    }

    fn is_tls(&self) -> bool {
        self.server.scheme_str() != Some("http")
    }

    /// Without the brackets of an IPv6 address.
    fn host(&self) -> &str {
        self.server.host().unwrap_or_default().trim_matches(['[', ']'])
    }

    fn port(&self) -> u16 {
        self.server.port_u16().unwrap_or(if self.is_tls() { 443 } else { 80 })
    }
}

impl fmt::Display for Cluster {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}:{}", self.server.host().unwrap_or_default(), self.port())
    }
}

/// The API server that Kubernetes names to each pod (kubernetes.io, the page of [`SERVICE_ACCOUNT`]).
fn own_server(env: &BTreeMap<OsString, OsString>) -> Result<String, String> {
    let variable =
        |name: &str| env.get(OsStr::new(name)).and_then(|value| value.to_str()).filter(|text| !text.is_empty());
    let Some(host) = variable("KUBERNETES_SERVICE_HOST") else {
        return Err("this is no pod of a cluster (KUBERNETES_SERVICE_HOST is not set); name the API server: \
                    kubernetes: {server: https://…, ca: …, token_file: …}"
            .to_owned());
    };
    let host = if host.contains(':') { format!("[{host}]") } else { host.to_owned() };
    Ok(format!("https://{host}:{}", variable("KUBERNETES_SERVICE_PORT").unwrap_or("443")))
}

async fn speak(
    stream: impl AsyncRead + AsyncWrite + Unpin + 'static,
) -> Result<(http1::SendRequest<Empty<Bytes>>, JoinSet<()>), Trouble> {
    let (sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    let mut tasks = JoinSet::new();
    tasks.spawn_local(async move {
        // What goes wrong with it shows where the answer is read.
        let _ = connection.await;
    });
    Ok((sender, tasks))
}

fn about(path: &Path, error: &dyn fmt::Display) -> io::Error {
    io::Error::other(format!("{}: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn caller<'a>(folder: &'a Path, env: &'a BTreeMap<OsString, OsString>) -> Caller<'a> {
        Caller { folder, env, account: folder }
    }

    #[test]
    fn a_pod_knows_its_cluster_and_gives_its_token_to_no_other() {
        let folder = tempfile::tempdir().expect("a folder");
        let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).expect("written");
        let made = rcgen::generate_simple_self_signed(["kubernetes".to_owned()]).expect("a certificate");
        write("ca.crt", &made.cert.pem());
        write("token", "abc\n");
        write("namespace", "shop");
        let env = BTreeMap::from([
            ("KUBERNETES_SERVICE_HOST".into(), "fd00::1".into()),
            ("KUBERNETES_SERVICE_PORT".into(), "6443".into()),
        ]);
        let own = Cluster::of(&fermata_spec::Cluster::default(), &caller(folder.path(), &env)).expect("a cluster");
        assert_eq!((own.to_string(), own.namespace.as_str()), ("[fd00::1]:6443".to_owned(), "shop"));
        assert_eq!((own.host(), own.token().expect("a token").as_deref()), ("fd00::1", Some("abc")));
        let said = fermata_spec::Cluster { server: Some("https://other.example.com".into()), ..Default::default() };
        let other = Cluster::of(&said, &caller(folder.path(), &env)).expect("a cluster");
        assert_eq!((other.to_string(), other.token, other.ca), ("other.example.com:443".to_owned(), None, None));
    }

    #[test]
    fn what_is_missing_is_said_before_anybody_is_asked() {
        let folder = tempfile::tempdir().expect("a folder");
        let none = BTreeMap::new();
        let wrong = |said: fermata_spec::Cluster| {
            let text = Cluster::of(&said, &caller(folder.path(), &none)).expect_err("no cluster");
            text.replace(&folder.path().display().to_string(), "FOLDER")
        };
        let server = Some("https://10.0.0.1".to_owned());
        assert_eq!(
            wrong(fermata_spec::Cluster::default()),
            "this is no pod of a cluster (KUBERNETES_SERVICE_HOST is not set); name the API server: kubernetes: {server: \
             https://…, ca: …, token_file: …}"
        );
        let said = fermata_spec::Cluster { server, token_file: Some("token".into()), ..Default::default() };
        assert_eq!(wrong(said.clone()), "kubernetes.token_file: FOLDER/token: No such file or directory (os error 2)");
        std::fs::write(folder.path().join("token"), "\n").expect("written");
        assert_eq!(wrong(said.clone()), "kubernetes.token_file: FOLDER/token: there is no token in it");
        let said = fermata_spec::Cluster { ca: Some("token".into()), ..said };
        assert_eq!(wrong(said), "kubernetes.ca: FOLDER/token: there is no certificate in it");
    }
}
