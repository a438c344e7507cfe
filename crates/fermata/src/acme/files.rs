//! Where certificates and the account are kept: in the state folder, readable by its owner alone.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use instant_acme::AccountCredentials;
use serde::{Deserialize, Serialize};
use x509_parser::pem::parse_x509_pem;

use crate::tls;

/// A folder for what the authority issues.
#[derive(Debug, Clone)]
pub struct Shelf(PathBuf);

/// An account, and whose it is.
#[derive(Serialize, Deserialize)]
struct Account {
    directory: String,
    credentials: AccountCredentials,
}

/// What there is to offer.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Standing {
    /// The certificate's and the key's file of every name.
    pub files: Vec<(PathBuf, PathBuf)>,
    /// The names for which the authority has not issued one yet.
    pub provisional: Vec<String>,
}

/// The certificates of these names. Where one has none yet, one is made on the spot, so that there is always something to
/// offer.
pub fn standing(state: &Path, domains: &[String]) -> io::Result<Standing> {
    let shelf = Shelf::of(state);
    let mut standing = Standing::default();
    for domain in domains {
        let pair = shelf.pair(domain);
        if !pair.0.exists() || !pair.1.exists() {
            let (cert, key) = tls::make_self_signed(std::slice::from_ref(domain))?;
            shelf.put(domain, &cert, &key)?;
        }
        if shelf.is_provisional(domain) {
            standing.provisional.push(domain.clone());
        }
        standing.files.push(pair);
    }
    Ok(standing)
}

impl Shelf {
    /// In this state folder.
    pub fn of(state: &Path) -> Shelf {
        Shelf(state.join("acme"))
    }

    /// The certificate's and the key's file of a name.
    pub fn pair(&self, domain: &str) -> (PathBuf, PathBuf) {
        (self.0.join(format!("{domain}.pem")), self.0.join(format!("{domain}.key")))
    }

    /// Puts a name's certificate and key in the place of those before. Each file is whole at any time.
    pub(super) fn put(&self, domain: &str, cert: &str, key: &str) -> io::Result<()> {
        let files = self.pair(domain);
        fs::create_dir_all(&self.0)?;
        replace(&files.1, key)?;
        replace(&files.0, cert)
    }

    /// When a name wants a new certificate: two thirds into the life of its present one, as authorities advise; at once
    /// where that was made on the spot, or cannot be read.
    pub(super) fn due(&self, domain: &str) -> SystemTime {
        self.life(domain)
            .map_or(SystemTime::UNIX_EPOCH, |(from, to)| from + to.duration_since(from).unwrap_or_default() * 2 / 3)
    }

    fn is_provisional(&self, domain: &str) -> bool {
        self.life(domain).is_none()
    }

    /// From when to when a name's issued certificate is valid.
    fn life(&self, domain: &str) -> Option<(SystemTime, SystemTime)> {
        let text = fs::read(self.pair(domain).0).ok()?;
        let (_, pem) = parse_x509_pem(&text).ok()?;
        let certificate = pem.parse_x509().ok()?;
        if certificate.issuer() == certificate.subject() {
            return None;
        }
        let at = |seconds: i64| SystemTime::UNIX_EPOCH + Duration::from_secs(seconds.try_into().unwrap_or_default());
        let validity = certificate.validity();
        Some((at(validity.not_before.timestamp()), at(validity.not_after.timestamp())))
    }

    /// The account with this authority, if there is one.
    pub(super) fn account(&self, directory: &str) -> Option<AccountCredentials> {
        let text = fs::read(self.0.join("account.json")).ok()?;
        let account: Account = serde_json::from_slice(&text).ok()?;
        (account.directory == directory).then_some(account.credentials)
    }

    /// Remembers the account.
    pub(super) fn keep_account(&self, directory: &str, credentials: AccountCredentials) -> io::Result<()> {
        let account = Account { directory: directory.to_owned(), credentials };
        fs::create_dir_all(&self.0)?;
        replace(&self.0.join("account.json"), &serde_json::to_string(&account)?)
    }
}

/// Renames a whole file over another: whoever reads meanwhile gets the one or the other.
fn replace(path: &Path, text: &str) -> io::Result<()> {
    let mut new = path.as_os_str().to_owned();
    new.push(".new");
    let new = PathBuf::from(new);
    tls::write_secret(&new, text)?;
    fs::rename(&new, path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_without_a_certificate_gets_one_on_the_spot_and_wants_a_real_one_at_once() {
        let folder = tempfile::tempdir().expect("a folder");
        let domains = ["app.example.com".to_owned()];
        let first = standing(folder.path(), &domains).expect("files");
        assert_eq!(first.provisional, domains);
        assert_eq!(Shelf::of(folder.path()).due("app.example.com"), SystemTime::UNIX_EPOCH);
        let made = fs::read(&first.files[0].0).expect("a certificate");
        assert_eq!(standing(folder.path(), &domains).expect("files"), first);
        assert_eq!(fs::read(&first.files[0].0).expect("a certificate"), made, "it is kept");
    }

    #[test]
    fn a_certificate_is_due_after_two_thirds_of_its_life() {
        let folder = tempfile::tempdir().expect("a folder");
        let shelf = Shelf::of(folder.path());
        let mut root = rcgen::CertificateParams::new([]).expect("parameters");
        root.distinguished_name.push(rcgen::DnType::CommonName, "an authority");
        let key = rcgen::KeyPair::generate().expect("a key");
        let issuer = rcgen::Issuer::from_params(&root, &key);
        let mut leaf = rcgen::CertificateParams::new(["app.example.com".to_owned()]).expect("parameters");
        leaf.not_before = rcgen::date_time_ymd(2026, 1, 1);
        leaf.not_after = rcgen::date_time_ymd(2026, 4, 1);
        let signed = leaf.signed_by(&key, &issuer).expect("a certificate");
        shelf.put("app.example.com", &signed.pem(), &key.serialize_pem()).expect("written");
        let begin = SystemTime::UNIX_EPOCH + Duration::from_hours(490_896);
        assert_eq!(shelf.due("app.example.com"), begin + Duration::from_hours(60 * 24));
    }
}
