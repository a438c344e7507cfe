//! Certificates: whether there is a good one for each name, and for how long.

use std::path::{Path, PathBuf};
use std::time::Duration;

use fermata_spec::{HostPattern, Spec};
use rustls::RootCertStore;
use rustls::crypto::aws_lc_rs;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};

use super::{Finding, Topic, several};
use crate::acme::Shelf;
use crate::app::Place;
use crate::probe::{Certificate, Problem, judge};
use crate::public::{Scheme, public_ports};
use crate::report::{Advice, Verdict};
use crate::tls;

/// A certificate that ends sooner than this should have been renewed: Let's Encrypt renews with 30 days left.
const SOON: Duration = Duration::from_hours(14 * 24);

/// A certificate of the file, read.
struct Read {
    /// As the file names it.
    file: String,
    certificate: Certificate,
}

/// What it takes to judge certificates.
struct Bench {
    roots: RootCertStore,
    now: UnixTime,
}

pub(super) fn look(spec: &Spec, place: &Place, roots: &[CertificateDer<'static>]) -> Finding {
    if !public_ports(spec).iter().any(|port| port.scheme == Scheme::Https) {
        return Finding::works(Topic::Certificates, None, "the file has no https port, so none is needed");
    }
    let mut store = RootCertStore::empty();
    store.add_parsable_certificates(roots.iter().cloned());
    let bench = Bench { roots: store, now: UnixTime::now() };
    let mut finding = Finding::works(Topic::Certificates, None, "");
    let mut all: Vec<Read> = Vec::new();
    for (file, pair) in files(spec, place) {
        match bench.read(&file, &pair) {
            Ok(read) => all.push(read),
            Err(Some(advice)) => finding = finding.advised(Verdict::Broken, advice),
            Err(None) => finding = finding.remark(provisional(&file)),
        }
    }
    finding.says = match all.iter().map(|read| read.certificate.left).min() {
        Some(left) => format!("{}; {} days left", several(all.len(), "certificate"), left.as_secs() / 86_400),
        None => "no certificate that could be used".to_owned(),
    };
    if spec.tls.certificates.is_empty() && spec.tls.acme.is_none() {
        "the file names none".clone_into(&mut finding.says);
        finding = finding.remark(none_given());
    }
    for read in &all {
        let Certificate { names, until, .. } = &read.certificate;
        finding = finding.detail(format!("{}: {}, until {until}", read.file, names.join(", ")));
        finding = faults(read).into_iter().fold(finding, |finding, (verdict, advice)| finding.advised(verdict, advice));
    }
    let uncovered = uncovered(spec, &all);
    if !uncovered.is_empty() && !all.is_empty() {
        finding = finding.remark(not_covered(&uncovered, &all));
    }
    finding
}

/// The files of the file's certificates, and of those that an authority issued.
fn files(spec: &Spec, place: &Place) -> Vec<(String, (PathBuf, PathBuf))> {
    let given = spec.tls.certificates.iter();
    let given = given.map(|one| (one.cert.clone(), (place.folder.join(&one.cert), place.folder.join(&one.key))));
    let shelf = Shelf::of(&place.state);
    let issued = spec.tls.acme.iter().flat_map(|acme| &acme.domains);
    let issued = issued.map(|domain| (domain.clone(), shelf.pair(domain)));
    given.chain(issued).collect()
}

impl Bench {
    /// `Err(None)`: the authority has not issued it yet.
    fn read(&self, file: &str, pair: &(PathBuf, PathBuf)) -> Result<Read, Option<Advice>> {
        if is_issued(file, pair) && !pair.0.exists() {
            return Err(None);
        }
        let unusable = |why: String| Advice::new("certificate-unusable", format!("{why}."));
        tls::Loaded::read(std::slice::from_ref(pair)).map_err(|error| unusable(error.to_string()))?;
        let chain = CertificateDer::pem_file_iter(&pair.0).map_err(|error| unusable(error.to_string()))?;
        let chain: Vec<CertificateDer<'static>> = chain.flatten().collect();
        // Any name of its own: whether it has the right ones is judged for all certificates together.
        let host = names_of(&chain).unwrap_or_else(|| ServerName::from(std::net::Ipv4Addr::LOCALHOST));
        let provider = aws_lc_rs::default_provider();
        let certificate = judge(&chain, &host, &self.roots, &provider, self.now)
            .ok_or_else(|| unusable(format!("{}: cannot be read as a certificate", pair.0.display())))?;
        if is_issued(file, pair) && certificate.problems.contains(&Problem::SelfSigned) {
            return Err(None);
        }
        Ok(Read { file: file.to_owned(), certificate })
    }
}

/// A certificate of an authority is known by its domain, and kept in a file that is named after it.
fn is_issued(file: &str, pair: &(PathBuf, PathBuf)) -> bool {
    pair.0.file_name().and_then(|name| name.to_str()) == Some(&format!("{file}.pem")) && Path::new(file) != pair.0
}

fn names_of(chain: &[CertificateDer<'_>]) -> Option<ServerName<'static>> {
    let names = tls::names_of(chain.first()?);
    // A wildcard is no name of a host; what it stands for is.
    names.first().and_then(|name| ServerName::try_from(name.replacen('*', "any", 1)).ok())
}

/// What is wrong with one.
fn faults(read: &Read) -> Vec<(Verdict, Advice)> {
    let Read { file, certificate } = read;
    let Certificate { issuer, until, from, left, .. } = certificate;
    let renew = |advice: Advice| advice.then("Renew it; a running fermata takes the new files by itself.");
    let fault = |problem: &Problem| match problem {
        Problem::Expired => {
            let says = format!("{file} expired on {until}: browsers refuse it.");
            Some((Verdict::Broken, renew(Advice::new("certificate-expired", says))))
        }
        Problem::NotYetValid => {
            let says = format!("{file} is valid from {from} on: until then browsers refuse it.");
            let advice = Advice::new("certificate-not-yet-valid", says).then("Check the clock of this machine:");
            Some((Verdict::Broken, advice.write("timedatectl")))
        }
        Problem::SelfSigned => {
            let says = format!("{file} has signed itself: browsers refuse it.");
            let advice = Advice::new("certificate-self-signed", says);
            Some((Verdict::Remark, advice.then("Use one of a public authority, such as Let's Encrypt: tls.acme.")))
        }
        Problem::NoIntermediate => {
            let says = format!("{file} holds its own certificate only, and {issuer}, who signed it, is unknown here.");
            let advice = Advice::new("certificate-no-intermediate", says);
            Some((
                Verdict::Remark,
                advice.then("Name the file with the whole chain: fullchain.pem instead of cert.pem."),
            ))
        }
        Problem::UnknownIssuer => {
            let says = format!("{file} was signed by {issuer}, or others above, whom this machine does not know.");
            let advice = Advice::new("certificate-unknown-issuer", says);
            Some((Verdict::Remark, advice.then("If that is your own authority, clients have to know it.")))
        }
        Problem::Other(words) => {
            Some((Verdict::Broken, Advice::new("certificate-refused", format!("{file} is refused: {words}."))))
        }
        Problem::NoRoots | Problem::OtherName => None,
    };
    let mut faults: Vec<(Verdict, Advice)> = certificate.problems.iter().filter_map(fault).collect();
    if *left < SOON && !certificate.problems.contains(&Problem::Expired) {
        let days = left.as_secs() / 86_400;
        let says = format!("{file} expires on {until}, in {days} days. Automatic renewal would have come by now.");
        faults.push((Verdict::Remark, renew(Advice::new("certificate-ends-soon", says))));
    }
    faults
}

/// Names that the file answers to over https, and that no certificate has.
fn uncovered(spec: &Spec, all: &[Read]) -> Vec<String> {
    let services = spec.services.iter().filter(|service| service.ports.iter().any(|port| port.https.is_some()));
    let names = services.flat_map(|service| &service.traffic_matches).filter_map(|pattern| match pattern {
        HostPattern::Exact(name) => Some(name),
        HostPattern::Any | HostPattern::Under(_) => None,
    });
    let covers = |known: &String, name: &str| {
        let under =
            known.strip_prefix("*.").is_some_and(|domain| name.split_once('.').is_some_and(|(_, rest)| rest == domain));
        known.eq_ignore_ascii_case(name) || under
    };
    let has = |name: &str| all.iter().flat_map(|read| &read.certificate.names).any(|known| covers(known, name));
    names.filter(|name| !has(name)).cloned().collect()
}

fn not_covered(names: &[String], all: &[Read]) -> Advice {
    let first = all.first().map(|read| read.file.as_str()).unwrap_or_default();
    let says = format!("No certificate is for {}: clients get {first}, and refuse it.", names.join(", "));
    Advice::new("certificate-missing", says)
        .then("Add one under tls.certificates, or the names to tls.acme.domains, in the file.")
}

fn provisional(domain: &str) -> Advice {
    let says =
        format!("The authority has not issued a certificate for {domain} yet; until then it is a self-signed one.");
    Advice::new("certificate-not-issued", says).then(
        "fermata up orders it. If it runs, its output says why it could not; port 80 has to be reached from outside.",
    )
}

fn none_given() -> Advice {
    let says = "The file has an https port and no certificate: fermata makes one on the spot, which browsers refuse.";
    Advice::new("certificate-none", says)
        .then("Name yours, or have one issued, in the file:")
        .write("tls:\n  acme: {domains: [app.example.com]}")
}
