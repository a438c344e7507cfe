//! `tls`: certificates from files, and from a certificate authority.

use crate::grammar::{Key, Numbers, Others, Section, Shape, Text};
use crate::model::{Acme, Certificate, Tls};
use crate::reader::Field;

use super::values::{self, DOMAIN, PORT, TEXT};

/// `tls`.
pub(crate) const TLS: Section = Section {
    name: "tls",
    keys: &[
        Key::new(
            "certificates",
            Shape::ListOrOne(&Shape::Section(&CERTIFICATE)),
            "Certificates, chosen by the name that the client asks for, watched, swapped without a restart.",
            "certificates: [{cert: app.pem, key: app.key}]",
        )
        .own()
        .default("a self-signed one, made on the spot"),
        Key::new(
            "acme",
            Shape::Section(&ACME),
            "Certificates from a certificate authority such as Let's Encrypt.",
            "acme: {email: ops@example.com, domains: [app.example.com]}",
        )
        .own(),
    ],
    old: &[],
    others: Others::Refused,
};

const CERTIFICATE: Section = Section {
    name: "a certificate",
    keys: &[
        Key::new(
            "cert",
            TEXT,
            "PEM file with the certificate and its chain, relative to the folder of service.yml.",
            "cert: app.pem",
        )
        .own()
        .required(),
        Key::new("key", TEXT, "PEM file with its private key.", "key: app.key").own().required(),
    ],
    old: &[],
    others: Others::Refused,
};

const ACME: Section = Section {
    name: "acme",
    keys: &[
        Key::new("email", TEXT, "Whom the authority writes to.", "email: ops@example.com").own(),
        Key::new("domains", Shape::ListOrOne(&DOMAIN), "Names to get certificates for.", "domains: [app.example.com]")
            .own()
            .required(),
        Key::new(
            "directory",
            DIRECTORY,
            "The authority's directory URL.",
            "directory: https://acme-v02.api.letsencrypt.org/directory",
        )
        .own()
        .default("Let's Encrypt"),
        Key::new(
            "root",
            TEXT,
            "PEM file of the root that vouches for the directory, for an authority of your own.",
            "root: our-root.pem",
        )
        .own()
        .default("the roots that the system trusts"),
        Key::new(
            "challenge_port",
            PORT,
            "Public http port where the authority's questions arrive; it asks on 80, so another one needs a redirection.",
            "challenge_port: 80",
        )
        .own()
        .default("80"),
    ],
    old: &[],
    others: Others::Refused,
};

const DIRECTORY: Shape = Shape::Text(&Text {
    expected: "a URL that begins with https://",
    pattern: r"^https?://\S+$",
    numbers: Numbers::None,
});

/// The whole of `tls`.
pub(crate) fn read(field: &Field<'_>) -> Tls {
    let Some(fields) = field.fields() else { return Tls::default() };
    let certificates = fields.get("certificates").map(|field| field.items()).unwrap_or_default();
    let certificate = |field: &Field<'_>| {
        let fields = field.fields()?;
        let (cert, key) = (fields.get("cert"), fields.get("key"));
        Some(Certificate { cert: cert?.text()?.to_owned(), key: key?.text()?.to_owned() })
    };
    Tls {
        certificates: certificates.iter().filter_map(certificate).collect(),
        acme: fields.get("acme").and_then(|field| acme(&field)),
    }
}

fn acme(field: &Field<'_>) -> Option<Acme> {
    let fields = field.fields()?;
    let domains = fields.get("domains").map(|field| field.items()).unwrap_or_default();
    let url = |text: &str| {
        let rest = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"))?;
        (!rest.is_empty() && !text.contains(char::is_whitespace)).then(|| text.to_owned())
    };
    Some(Acme {
        email: fields.get("email").and_then(|field| field.text().map(str::to_owned)),
        domains: domains.iter().filter_map(|field| field.parse(values::domain)).collect(),
        directory: fields.get("directory").and_then(|field| field.parse(url)),
        root: fields.get("root").and_then(|field| field.text().map(str::to_owned)),
        challenge_port: fields.get("challenge_port").and_then(|field| super::ports::port(&field)).unwrap_or(80),
    })
}
