//! The third hop, for `wss`: TLS as a browser does it, and the certificate.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, aws_lc_rs, verify_tls12_signature, verify_tls13_signature};
use rustls::{
    AlertDescription, ClientConfig, DigitallySignedStruct, Error, ProtocolVersion, RootCertStore, SignatureScheme,
};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};
use tokio::time::{Instant, timeout_at};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use url::Host;

use super::certificate::{self, Certificate};
use super::dialect::{self, Dialect};
use super::name::{Hop, Name};
use super::stream::{Heard, Overheard, Stream, Way};
use super::target::{Question, Target, Trust};
use super::{advise, h2};
use crate::report::{Advice, Verdict};

/// What a browser offers for a WebSocket (RFC 7301, RFC 6455 4.1).
const HTTP_1: Offer = &[b"http/1.1"];
const HTTP_2: Offer = &[b"h2", b"http/1.1"];

/// Names of protocols, for ALPN.
type Offer = &'static [&'static [u8]];

/// What a further look may take: it only adds to what is known.
const ASIDE: Duration = Duration::from_secs(2);

/// A certificate that ends sooner than this should have been renewed: Let's Encrypt renews with 30 days left.
const SOON: Duration = Duration::from_hours(14 * 24);

/// Why there is no TLS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Trouble {
    /// The port speaks something else.
    Speaks(Dialect, String),
    /// The server ended the connection without a word.
    HungUp,
    /// The server says nothing.
    Silent(Duration),
    /// The server is at it, and too slow.
    Slow(Duration),
    /// It waits for a PROXY protocol line.
    WantsProxyProtocol,
    /// It refuses, and gives a reason.
    Alert(AlertDescription),
    /// Only HTTP/2 is taken; whether WebSockets are.
    Http2Only(h2::Settings),
    /// It has nothing newer than TLS 1.1, or nothing else in common with us.
    Incompatible(String),
    /// The host is none that a certificate could name.
    NameInNoCertificate,
    /// Anything else.
    Other(String),
}

/// What a handshake showed.
struct Seen {
    version: Option<ProtocolVersion>,
    certificate: Option<Certificate>,
}

/// Does the handshake, judges the certificate, and asks for HTTP/2 aside.
pub(super) async fn look(question: &Question, address: SocketAddr) -> (Hop, Option<Way>) {
    let Some(name) = server_name(&question.target) else {
        let (says, advice) = advise::tls(&Trouble::NameInNoCertificate, &question.target);
        return (Hop::broken(Name::Tls, None, says, advice), None);
    };
    let witness = Arc::new(Witness::new(question.trust.roots()));
    let way = |offer: Offer| Way {
        address,
        tls: Some((witness.connector(offer), name.clone())),
        proxied: false,
        http2: None,
    };
    let start = Instant::now();
    let shaken = shake(&way(HTTP_1), question.hop_timeout).await;
    let took = Some(start.elapsed());
    let trouble = match shaken {
        Ok(stream) => {
            let version = stream.get_ref().1.protocol_version();
            let http1 = stream.get_ref().1.alpn_protocol() == Some(b"http/1.1");
            let certificate = witness.judge(&name);
            drop(stream);
            let h2 = greet(&way(HTTP_2), ASIDE).await;
            let (hop, good) = told(Seen { version, certificate }, h2, took, question);
            return (hop, good.then(|| Way { http2: h2.filter(|_| !http1), ..way(HTTP_1) }));
        }
        Err(trouble) => explained(trouble, &way, question.hop_timeout).await,
    };
    let (says, advice) = advise::tls(&trouble, &question.target);
    (Hop::broken(Name::Tls, took, says, advice), None)
}

/// One handshake.
async fn shake(way: &Way, limit: Duration) -> Result<TlsStream<Overheard>, Trouble> {
    let deadline = Instant::now() + limit;
    let heard = Heard::default();
    let Some((connector, name)) = &way.tls else { return Err(Trouble::Other("no TLS was asked for".to_owned())) };
    let handshake = async { connector.connect(name.clone(), way.tcp(heard.clone()).await?).await };
    match timeout_at(deadline, handshake).await {
        Ok(Ok(stream)) => Ok(stream),
        Ok(Err(error)) => Err(trouble_of(&error, &heard.bytes())),
        Err(_) if heard.bytes().is_empty() => Err(Trouble::Silent(limit)),
        Err(_) => match dialect::of(&heard.bytes()) {
            Dialect::Tls => Err(Trouble::Slow(limit)),
            other => Err(Trouble::Speaks(other, dialect::shown(&heard.bytes()))),
        },
    }
}

fn trouble_of(error: &io::Error, heard: &[u8]) -> Trouble {
    let tls = error.get_ref().and_then(|error| error.downcast_ref::<Error>());
    match (tls, dialect::of(heard)) {
        (Some(Error::AlertReceived(alert)), _) => Trouble::Alert(*alert),
        (Some(Error::PeerIncompatible(why)), _) => Trouble::Incompatible(format!("{why:?}")),
        (_, other) if !heard.is_empty() && other != Dialect::Tls => Trouble::Speaks(other, dialect::shown(heard)),
        (Some(other), _) => Trouble::Other(other.to_string()),
        (None, _) => match error.kind() {
            io::ErrorKind::UnexpectedEof
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::BrokenPipe
            | io::ErrorKind::ConnectionAborted => Trouble::HungUp,
            _ => Trouble::Other(error.to_string()),
        },
    }
}

/// Looks once more where a trouble has a cause that can be tried.
async fn explained(trouble: Trouble, way: &impl Fn(Offer) -> Way, limit: Duration) -> Trouble {
    let limit = ASIDE.min(limit);
    match trouble {
        Trouble::HungUp | Trouble::Silent(_) => {
            let proxied = Way { proxied: true, ..way(HTTP_1) };
            if shake(&proxied, limit).await.is_ok() { Trouble::WantsProxyProtocol } else { trouble }
        }
        Trouble::Alert(AlertDescription::NoApplicationProtocol) => {
            greet(&way(HTTP_2), limit).await.map_or(trouble, Trouble::Http2Only)
        }
        other => other,
    }
}

/// What the server says of HTTP/2, if it offers that.
async fn greet(way: &Way, limit: Duration) -> Option<h2::Settings> {
    let stream = shake(way, limit).await.ok()?;
    if stream.get_ref().1.alpn_protocol() != Some(b"h2") {
        return None;
    }
    let mut stream: Stream = Box::new(stream);
    h2::greet(&mut stream, Instant::now() + limit).await
}

/// The hop of a handshake that came to its end, and whether one may go on.
fn told(seen: Seen, h2: Option<h2::Settings>, took: Option<Duration>, question: &Question) -> (Hop, bool) {
    let version = match seen.version {
        Some(ProtocolVersion::TLSv1_3) => "TLS 1.3",
        Some(ProtocolVersion::TLSv1_2) => "TLS 1.2",
        _ => "TLS",
    };
    let Some(certificate) = seen.certificate else {
        let (says, advice) = advise::tls(&Trouble::Other("its certificate can't be read".into()), &question.target);
        return (Hop::broken(Name::Tls, took, says, advice), false);
    };
    let mut details = vec![];
    if let Some(settings) = h2 {
        let sockets = if settings.websockets { "with WebSockets (RFC 8441)" } else { "without WebSockets" };
        details.push(format!("HTTP/2 is offered as well, {sockets}"));
    }
    let with_details = |hop: Hop| details.iter().fold(hop, Hop::detail);
    let what = format!("{} by {}, until {}", certificate.subject, certificate.issuer, certificate.until);
    let advice =
        certificate.problems.iter().map(|problem| advise::certificate(problem, &certificate, &question.target));
    let mut advice: Vec<Advice> = advice.collect();
    if advice.is_empty() {
        let hop = with_details(Hop::works(Name::Tls, took, format!("{version}; {what}")));
        return (if certificate.left < SOON { hop.remark(advise::certificate_ends(&certificate)) } else { hop }, true);
    }
    let says = format!("{version}, and {}", advise::certificate_words(&certificate));
    let good = matches!(question.trust, Trust::Anything(_));
    let mut hop = with_details(Hop::works(Name::Tls, took, says).detail(what));
    hop.verdict = if good { Verdict::Remark } else { Verdict::Broken };
    hop.advice.append(&mut advice);
    (hop, good)
}

/// The host as a certificate would name it; there are URLs whose host no certificate can name.
fn server_name(target: &Target) -> Option<ServerName<'static>> {
    match target.host() {
        Host::Domain(name) => ServerName::try_from(name.trim_end_matches('.').to_owned()).ok(),
        Host::Ipv4(address) => Some(ServerName::from(IpAddr::V4(*address))),
        Host::Ipv6(address) => Some(ServerName::from(IpAddr::V6(*address))),
    }
}

/// Lets every certificate pass and remembers it, so that all that is wrong can be told instead of the first thing only.
#[derive(Debug)]
struct Witness {
    provider: Arc<CryptoProvider>,
    roots: RootCertStore,
    chain: Mutex<Vec<CertificateDer<'static>>>,
}

impl Witness {
    fn new(trusted: &[CertificateDer<'static>]) -> Witness {
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(trusted.iter().cloned());
        Witness { provider: Arc::new(aws_lc_rs::default_provider()), roots, chain: Mutex::default() }
    }

    fn connector(self: &Arc<Witness>, offer: Offer) -> TlsConnector {
        let config = ClientConfig::builder_with_provider(self.provider.clone()).with_safe_default_protocol_versions();
        let mut config = config
            .expect("aws-lc-rs has suites for both versions")
            .dangerous()
            .with_custom_certificate_verifier(self.clone())
            .with_no_client_auth();
        config.alpn_protocols = offer.iter().map(|protocol| protocol.to_vec()).collect();
        TlsConnector::from(Arc::new(config))
    }

    fn judge(&self, host: &ServerName<'_>) -> Option<Certificate> {
        let chain = self.chain.lock().ok()?;
        certificate::judge(&chain, host, &self.roots, &self.provider, UnixTime::now())
    }
}

impl ServerCertVerifier for Witness {
    fn verify_server_cert(
        &self,
        leaf: &CertificateDer<'_>,
        above: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        if let Ok(mut chain) = self.chain.lock() {
            *chain = std::iter::once(leaf).chain(above).map(|certificate| certificate.clone().into_owned()).collect();
        }
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        leaf: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, leaf, signature, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        leaf: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, leaf, signature, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
