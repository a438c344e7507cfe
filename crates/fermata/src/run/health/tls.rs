//! TLS of a health check. Where nobody has to prove anything certificates are not verified, as Kubernetes does not in its
//! probes: the question is whether the service answers, not who it is.

use std::io;
use std::sync::{Arc, LazyLock};

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, Error, SignatureScheme};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};
use tokio_rustls::TlsConnector;

use super::{At, Proof, Stream};

static CONFIG: LazyLock<Result<Arc<ClientConfig>, Error>> = LazyLock::new(|| {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Anybody(provider)))
        .with_no_client_auth();
    Ok(Arc::new(config))
});

/// A TLS connection over `stream` to `host`, which may have a port; to whoever has the proof, where one is wanted.
pub(super) async fn connect(
    stream: Box<dyn Stream>,
    at: &At,
    host: &str,
    proof: Option<&Proof>,
) -> Result<Box<dyn Stream>, String> {
    let (config, name) = if let Some(Proof { config, name }) = proof {
        (config, name.clone().map_or_else(|| name_of(at), Ok)?)
    } else {
        let name = host.rsplit_once(':').map_or(host, |(name, _)| name).trim_matches(['[', ']']);
        let name = ServerName::try_from(name.to_owned()).map_err(|_| format!("\"{host}\" is not a host name"))?;
        (CONFIG.as_ref().map_err(|err| format!("TLS cannot be used: {err}"))?, name)
    };
    match TlsConnector::from(config.clone()).connect(name, stream).await {
        Ok(stream) => Ok(Box::new(stream)),
        Err(err) => Err(format!("{at} made no TLS connection: {}", why(&err))),
    }
}

/// Where nothing else is said, a certificate has to name the address.
fn name_of(at: &At) -> Result<ServerName<'static>, String> {
    match at {
        At::Tcp(address) => Ok(address.ip().to_canonical().into()),
        At::Name(name, _) => ServerName::try_from(name.clone()).map_err(|_| format!("\"{name}\" is not a host name")),
        At::Unix(_) => Err("a UNIX socket has no name that a certificate could have".to_owned()),
    }
}

/// What is wrong with a certificate, and what to do about it.
fn why(error: &io::Error) -> String {
    let found = error.get_ref().and_then(|inner| inner.downcast_ref::<Error>());
    let Some(Error::InvalidCertificate(problem)) = found else { return error.to_string() };
    match problem {
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
            "its certificate has expired; renew it there".to_owned()
        }
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            "its certificate is not valid yet; compare the clocks".to_owned()
        }
        // The latter: a root of the same name has another key.
        CertificateError::UnknownIssuer | CertificateError::BadSignature => {
            "its certificate comes from nobody who is trusted; name the root in load_balancer.server_tls.ca".to_owned()
        }
        CertificateError::NotValidForNameContext { expected, presented } => {
            // rustls writes `DnsName("web.internal")`.
            let plain = |name: &String| name.split('"').nth(1).unwrap_or(name).to_owned();
            let presented: Vec<String> = presented.iter().map(plain).collect();
            let presented = if presented.is_empty() { "nobody".to_owned() } else { presented.join(", ") };
            format!(
                "its certificate is for {presented}, and not for {}; load_balancer.server_tls.name is the name that is looked for",
                expected.to_str()
            )
        }
        other => Error::InvalidCertificate(other.clone()).to_string(),
    }
}

/// Accepts every certificate.
#[derive(Debug)]
struct Anybody(Arc<CryptoProvider>);

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
