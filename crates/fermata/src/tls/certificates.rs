//! Certificates: read from files, chosen by the name that a client asks for (SNI), and swapped while connections go on.

use std::collections::{BTreeSet, HashMap};
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arc_swap::ArcSwap;
use rustls::Error;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::{self, PemObject};
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
        write!(out, "{}: {}; see tls.certificates in the file", self.path.display(), self.problem)
    }
}

impl std::error::Error for LoadError {}

/// Certificates and their keys, read and found to belong together.
#[derive(Debug)]
pub struct Loaded(Vec<Entry>);

#[derive(Debug)]
struct Entry {
    files: Files,
    contents: Contents,
    certified: Arc<CertifiedKey>,
}

#[derive(Debug)]
struct Files {
    cert: PathBuf,
    key: PathBuf,
}

#[derive(Debug, PartialEq, Eq)]
struct Contents {
    cert: Vec<u8>,
    key: Vec<u8>,
}

/// What has become of certificates whose files were looked at again.
#[derive(Debug, Default)]
pub struct Renewal {
    /// The certificates' files that hold something new and good.
    pub renewed: Vec<PathBuf>,
    /// Why others, which hold something new too, stay as they were.
    pub troubles: Vec<LoadError>,
}

impl Loaded {
    /// Each certificate's file, and the names that it is for.
    pub fn names(&self) -> impl Iterator<Item = (&Path, Vec<String>)> {
        let names = |entry: &Entry| entry.certified.cert.first().map(names_of).unwrap_or_default();
        self.0.iter().map(move |entry| (entry.files.cert.as_path(), names(entry)))
    }

    /// Reads certificate chains and their keys.
    pub fn read(files: &[(PathBuf, PathBuf)]) -> Result<Loaded, LoadError> {
        let entry = |(cert, key): &(PathBuf, PathBuf)| {
            let files = Files { cert: cert.clone(), key: key.clone() };
            let contents = files.read()?;
            let certified = Arc::new(files.certify(&contents)?);
            Ok(Entry { files, contents, certified })
        };
        files.iter().map(entry).collect::<Result<_, _>>().map(Loaded)
    }

    /// The files' folders, and those of the files that they are links to.
    pub fn folders(&self) -> BTreeSet<PathBuf> {
        let folder = |file: &Path| match file.parent() {
            Some(folder) if !folder.as_os_str().is_empty() => folder.to_owned(),
            _ => PathBuf::from("."),
        };
        let files = self.0.iter().flat_map(|entry| [&entry.files.cert, &entry.files.key]);
        files
            .flat_map(|file| [Some(file.clone()), file.canonicalize().ok()])
            .flatten()
            .map(|file| folder(&file))
            .collect()
    }

    /// Reads again what has changed. Each certificate that cannot be used stays as it was, and hinders no other.
    pub fn renew(&mut self) -> Renewal {
        let mut renewal = Renewal::default();
        for entry in &mut self.0 {
            match entry.renew() {
                Ok(true) => renewal.renewed.push(entry.files.cert.clone()),
                Ok(false) => {}
                Err(trouble) => renewal.troubles.push(trouble),
            }
        }
        renewal
    }
}

impl Entry {
    /// Whether there was something new.
    fn renew(&mut self) -> Result<bool, LoadError> {
        let contents = self.files.read()?;
        if contents == self.contents {
            return Ok(false);
        }
        self.certified = Arc::new(self.files.certify(&contents)?);
        self.contents = contents;
        Ok(true)
    }
}

impl Files {
    fn read(&self) -> Result<Contents, LoadError> {
        let read = |path: &Path| {
            std::fs::read(path).map_err(|error| match error.kind() {
                io::ErrorKind::NotFound => at(path, "there is no such file".into()),
                _ => at(path, format!("cannot be read: {error}")),
            })
        };
        Ok(Contents { cert: read(&self.cert)?, key: read(&self.key)? })
    }

    fn certify(&self, contents: &Contents) -> Result<CertifiedKey, LoadError> {
        let Files { cert, key } = self;
        let chain: Vec<CertificateDer<'static>> = CertificateDer::pem_slice_iter(&contents.cert)
            .collect::<Result<_, _>>()
            .map_err(|error| at(cert, format!("is no PEM file: {error}")))?;
        if chain.is_empty() {
            return Err(at(cert, "holds no certificate (-----BEGIN CERTIFICATE-----)".into()));
        }
        let secret = PrivateKeyDer::from_pem_slice(&contents.key).map_err(|error| match error {
            pem::Error::NoItemsFound => at(key, "holds no private key (-----BEGIN PRIVATE KEY-----)".into()),
            error => at(key, format!("is no PEM file: {error}")),
        })?;
        let signing = aws_lc_rs::sign::any_supported_type(&secret)
            .map_err(|_| at(key, "is a kind of private key that TLS cannot use; use RSA, ECDSA or Ed25519".into()))?;
        let certified = CertifiedKey::new(chain, signing);
        match certified.keys_match() {
            Ok(()) => Ok(certified),
            Err(Error::InconsistentKeys(_)) => {
                Err(at(key, format!("does not belong to the certificate {}", cert.display())))
            }
            Err(_) => Err(at(cert, "holds something that is no certificate".into())),
        }
    }
}

fn at(path: &Path, problem: String) -> LoadError {
    LoadError { path: path.to_owned(), problem }
}

impl Certificates {
    /// Offers these from now on; connections that stand keep theirs.
    pub fn offer(&self, loaded: &Loaded) {
        let mut names = Names::default();
        loaded.0.iter().for_each(|entry| names.add(&entry.certified));
        self.0.store(Arc::new(names));
    }
}

impl Names {
    fn add(&mut self, key: &Arc<CertifiedKey>) {
        self.first.get_or_insert_with(|| key.clone());
        for name in key.cert.first().map(names_of).unwrap_or_default() {
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

/// The DNS names that a certificate is for (RFC 5280 4.2.1.6), lower case.
pub fn names_of(certificate: &CertificateDer<'_>) -> Vec<String> {
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
