//! TLS as the load speaks it, and the certificate that the proxies have.

use std::fs;
use std::io;
use std::path::Path;
use std::sync::Arc;

use rustls::client::Resumption;
use rustls::crypto::aws_lc_rs::{self, kx_group};
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;

/// The name on the certificate.
pub(crate) const NAME: &str = "localhost";

/// What a client does with tickets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tickets {
    /// Every handshake is a full one.
    Thrown,
    /// They are used.
    Used,
}

/// Writes `cert.pem`, `key.pem` and `both.pem`, as HAProxy wants it: ECDSA on P-256, self-signed.
pub(crate) fn write_certificate(folder: &Path) -> io::Result<()> {
    let made = rcgen::generate_simple_self_signed([NAME.to_owned()]).map_err(io::Error::other)?;
    let (certificate, key) = (made.cert.pem(), made.signing_key.serialize_pem());
    fs::write(folder.join("both.pem"), format!("{certificate}{key}"))?;
    fs::write(folder.join("cert.pem"), certificate)?;
    fs::write(folder.join("key.pem"), key)
}

/// A client that trusts that certificate. It offers X25519 alone: what all of the proxies know, so that all do the same
/// work (Fermata would choose X25519MLKEM768 with a client that offers it, and pay for it).
pub(crate) fn client(folder: &Path, tickets: Tickets) -> io::Result<Arc<ClientConfig>> {
    let mut provider = aws_lc_rs::default_provider();
    provider.kx_groups = vec![kx_group::X25519];
    let mut roots = RootCertStore::empty();
    let certificate = CertificateDer::from_pem_file(folder.join("cert.pem")).map_err(io::Error::other)?;
    roots.add(certificate).map_err(io::Error::other)?;
    let mut config = ClientConfig::builder_with_provider(Arc::new(provider))
        .with_protocol_versions(&[&rustls::version::TLS13])
        .map_err(io::Error::other)?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.resumption = match tickets {
        Tickets::Thrown => Resumption::disabled(),
        Tickets::Used => Resumption::in_memory_sessions(64),
    };
    Ok(Arc::new(config))
}
