//! A server's certificate, read and judged: every problem that it has, not only the first.

use rustls::RootCertStore;
use rustls::client::{verify_server_cert_signed_by_trust_anchor, verify_server_name};
use rustls::crypto::CryptoProvider;
use rustls::server::ParsedCertificate;
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};
use std::time::Duration;
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::FromDer;
use x509_parser::time::ASN1Time;
use x509_parser::x509::X509Name;

/// What stands in a certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Certificate {
    /// The name that people know it by.
    pub(crate) subject: String,
    /// Who signed it.
    pub(crate) issuer: String,
    /// The hosts that it is for.
    pub(crate) names: Vec<String>,
    /// Its first day.
    pub(crate) from: String,
    /// Its last day.
    pub(crate) until: String,
    /// How much of its time is left.
    pub(crate) left: Duration,
    /// What is wrong with it.
    pub(crate) problems: Vec<Problem>,
}

/// What is wrong with a certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Problem {
    /// Its time is over.
    Expired,
    /// Its time has not come.
    NotYetValid,
    /// It is for other hosts.
    OtherName,
    /// It signed itself.
    SelfSigned,
    /// Nobody whom this machine trusts signed it, and the server sent nothing in between.
    NoIntermediate,
    /// Nobody whom this machine trusts signed it or those above it.
    UnknownIssuer,
    /// This machine trusts nobody at all.
    NoRoots,
    /// Anything else.
    Other(String),
}

/// Reads the chain that a server sent, and judges it.
pub(crate) fn judge(
    chain: &[CertificateDer<'_>],
    host: &ServerName<'_>,
    roots: &RootCertStore,
    provider: &CryptoProvider,
    now: UnixTime,
) -> Option<Certificate> {
    let (leaf, above) = chain.split_first()?;
    let (_, read) = X509Certificate::from_der(leaf).ok()?;
    let (from, until) = (read.validity().not_before, read.validity().not_after);
    let now = i64::try_from(now.as_secs()).unwrap_or(i64::MAX);
    let mut problems = Vec::new();
    if now > until.timestamp() {
        problems.push(Problem::Expired);
    }
    if now < from.timestamp() {
        problems.push(Problem::NotYetValid);
    }
    let parsed = ParsedCertificate::try_from(leaf).ok()?;
    if verify_server_name(&parsed, host).is_err() {
        problems.push(Problem::OtherName);
    }
    // Its dates were judged above: here a moment counts at which they are good.
    let moment = now.clamp(from.timestamp(), until.timestamp().max(from.timestamp()));
    let moment = UnixTime::since_unix_epoch(Duration::from_secs(u64::try_from(moment).unwrap_or(0)));
    let algorithms = provider.signature_verification_algorithms.all;
    if let Err(error) = verify_server_cert_signed_by_trust_anchor(&parsed, roots, above, moment, algorithms) {
        problems.push(distrust(&read, above, roots, &error));
    }
    Some(Certificate {
        subject: common_name(read.subject()).unwrap_or_else(|| host.to_str().into_owned()),
        issuer: common_name(read.issuer()).unwrap_or_else(|| "an unnamed issuer".to_owned()),
        names: names(&read),
        from: day(from),
        until: day(until),
        left: Duration::from_secs(u64::try_from(until.timestamp() - now).unwrap_or(0)),
        problems,
    })
}

fn distrust(
    leaf: &X509Certificate<'_>,
    above: &[CertificateDer<'_>],
    roots: &RootCertStore,
    error: &rustls::Error,
) -> Problem {
    if leaf.issuer() == leaf.subject() && above.is_empty() {
        return Problem::SelfSigned;
    }
    match error {
        _ if roots.is_empty() => Problem::NoRoots,
        rustls::Error::InvalidCertificate(rustls::CertificateError::UnknownIssuer) if above.is_empty() => {
            Problem::NoIntermediate
        }
        // A bad signature is that of somebody else with the same name.
        rustls::Error::InvalidCertificate(
            rustls::CertificateError::UnknownIssuer | rustls::CertificateError::BadSignature,
        ) => Problem::UnknownIssuer,
        other => Problem::Other(other.to_string()),
    }
}

fn names(certificate: &X509Certificate<'_>) -> Vec<String> {
    let Ok(Some(extension)) = certificate.subject_alternative_name() else { return Vec::new() };
    extension
        .value
        .general_names
        .iter()
        .filter_map(|name| match name {
            GeneralName::DNSName(name) => Some((*name).to_owned()),
            GeneralName::IPAddress(bytes) => match <[u8; 4]>::try_from(*bytes) {
                Ok(four) => Some(std::net::IpAddr::from(four).to_string()),
                Err(_) => <[u8; 16]>::try_from(*bytes).ok().map(|all| std::net::IpAddr::from(all).to_string()),
            },
            _ => None,
        })
        .collect()
}

fn common_name(name: &X509Name<'_>) -> Option<String> {
    let common = name.iter_common_name().chain(name.iter_organization()).next()?;
    common.as_str().ok().map(|text| text.chars().filter(|char| !char.is_control()).collect())
}

fn day(time: ASN1Time) -> String {
    time.to_datetime().date().to_string()
}
