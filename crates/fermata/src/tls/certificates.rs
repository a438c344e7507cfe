//! Certificates: read from files, chosen by the name that a client asks for (SNI), and swapped while connections go on.

use std::collections::HashMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arc_swap::ArcSwap;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer, X509Certificate};

/// The certificates that listeners offer; a copy shares them.
#[derive(Debug, Clone, Default)]
pub struct Certificates(Arc<ArcSwap<Names>>);

/// Certificates by name.
#[derive(Debug, Default)]
struct Names {
    exact: HashMap<String, Arc<CertifiedKey>>,
    /// `*.domain`, kept as `domain`: one label in front of it (RFC 6125 6.4.3).
    under: HashMap<String, Arc<CertifiedKey>>,
    /// For clients that name nothing, or nothing known: the first.
    first: Option<Arc<CertifiedKey>>,
}

/// Why a certificate cannot be used.
#[derive(Debug)]
pub struct LoadError {
    path: PathBuf,
    problem: String,
}

impl fmt::Display for LoadError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}: {}", self.path.display(), self.problem)
    }
}

impl std::error::Error for LoadError {}

/// Certificates and their keys, read and found to belong together.
#[derive(Debug)]
pub struct Loaded(Names);

impl Loaded {
    /// Reads certificate chains and their keys.
    pub fn read(files: &[(PathBuf, PathBuf)]) -> Result<Loaded, LoadError> {
        let mut names = Names::default();
        for (cert, key) in files {
            names.add(&Arc::new(read(cert, key)?));
        }
        Ok(Loaded(names))
    }
}

impl Certificates {
    /// Offers these from now on; connections that stand keep theirs.
    pub fn offer(&self, loaded: Loaded) {
        self.0.store(Arc::new(loaded.0));
    }
}

impl Names {
    fn add(&mut self, key: &Arc<CertifiedKey>) {
        self.first.get_or_insert_with(|| key.clone());
        for name in key.cert.first().map(subject_names).unwrap_or_default() {
            match name.strip_prefix("*.") {
                Some(domain) => drop(self.under.entry(domain.to_owned()).or_insert_with(|| key.clone())),
                None => drop(self.exact.entry(name).or_insert_with(|| key.clone())),
            }
        }
    }

    fn find(&self, name: Option<&str>) -> Option<Arc<CertifiedKey>> {
        let known = name.and_then(|name| {
            let name = name.to_ascii_lowercase();
            let parent = name.split_once('.').map(|(_, parent)| parent);
            self.exact.get(&name).or_else(|| self.under.get(parent?))
        });
        known.or(self.first.as_ref()).cloned()
    }
}

impl ResolvesServerCert for Certificates {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        self.0.load().find(hello.server_name())
    }
}

fn read(cert: &Path, key: &Path) -> Result<CertifiedKey, LoadError> {
    let at = |path: &Path, problem: String| LoadError { path: path.to_owned(), problem };
    let chain: Vec<CertificateDer<'static>> = CertificateDer::pem_file_iter(cert)
        .and_then(Iterator::collect)
        .map_err(|error| at(cert, format!("cannot be read as a PEM certificate: {error}")))?;
    if chain.is_empty() {
        return Err(at(cert, "holds no certificate (-----BEGIN CERTIFICATE-----)".into()));
    }
    let secret = PrivateKeyDer::from_pem_file(key)
        .map_err(|error| at(key, format!("cannot be read as a PEM private key: {error}")))?;
    let signing = aws_lc_rs::sign::any_supported_type(&secret)
        .map_err(|_| at(key, "is a kind of private key that TLS cannot use; use RSA, ECDSA or Ed25519".into()))?;
    let certified = CertifiedKey::new(chain, signing);
    match certified.keys_match() {
        Ok(()) | Err(rustls::Error::InconsistentKeys(rustls::InconsistentKeys::Unknown)) => Ok(certified),
        Err(_) => Err(at(key, format!("does not belong to the certificate {}", cert.display()))),
    }
}

/// The DNS names and addresses that a certificate is for (RFC 5280 4.2.1.6), lower case.
fn subject_names(certificate: &CertificateDer<'_>) -> Vec<String> {
    let Ok((_, certificate)) = X509Certificate::from_der(certificate) else { return Vec::new() };
    let Ok(Some(names)) = certificate.subject_alternative_name() else { return Vec::new() };
    names
        .value
        .general_names
        .iter()
        .filter_map(|name| match name {
            GeneralName::DNSName(name) => Some(name.to_ascii_lowercase()),
            _ => None,
        })
        .collect()
}
