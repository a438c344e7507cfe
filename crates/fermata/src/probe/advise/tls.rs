//! TLS and certificates.

use rustls::AlertDescription;

use super::super::certificate::{Certificate, Problem};
use super::super::dialect::Dialect;
use super::super::target::Target;
use super::super::tls::Trouble;
use super::{lasting, proxy_protocol, speaks};
use crate::report::Advice;

/// No TLS.
pub(in super::super) fn tls(trouble: &Trouble, target: &Target) -> (String, Advice) {
    let port = target.port();
    match trouble {
        Trouble::Speaks(dialect, shown) => {
            let says = format!("port {port} speaks {}", speaks(*dialect, shown));
            (says, other_protocol(*dialect, target))
        }
        Trouble::HungUp => (
            "the server hangs up when TLS begins".to_owned(),
            Advice::new("tls-hung-up", "The connection ends as soon as TLS begins, without a word.")
                .then(format!("If port {port} is not for TLS, use {}.", target.with_scheme("ws")))
                .then(
                    "If a balancer passes TLS through, its targets may be down or not know this name: probe a server \
                     behind it with --through ADDRESS.",
                ),
        ),
        Trouble::Silent(limit) => (
            format!("no answer to the TLS greeting within {}", lasting(*limit)),
            Advice::new("tls-silent", "The port takes connections, and does not answer when TLS begins.")
                .then(format!("If port {port} is not for TLS, use {}.", target.with_scheme("ws")))
                .then("The program behind it may hang: look at its log, and whether it can still open files."),
        ),
        Trouble::Slow(limit) => (
            format!("the TLS handshake is not over after {}", lasting(*limit)),
            Advice::new("tls-slow", "TLS begins, and does not come to its end in time.")
                .then("The server is overloaded, or packets of a certain size get lost: try from another network.")
                .then("Give it more time: --timeout 60"),
        ),
        Trouble::WantsProxyProtocol => {
            ("the server answers only after a PROXY protocol line".to_owned(), proxy_protocol())
        }
        Trouble::Alert(alert) => (format!("the server refuses: {}", alert_words(*alert)), alerted(*alert, target)),
        Trouble::Http2Only(settings) => {
            let over =
                if settings.websockets { "takes WebSockets over it (RFC 8441)" } else { "no WebSockets over it" };
            (format!("the server speaks HTTP/2 only, {over}"), http2_only(settings.websockets))
        }
        Trouble::Incompatible(why) => (
            format!("no common version of TLS ({why})"),
            Advice::new("tls-too-old", "The server has nothing in common with a browser of today: TLS 1.2 or 1.3.")
                .then("Switch TLS 1.2 and 1.3 on in the server: ssl_protocols TLSv1.2 TLSv1.3; in nginx."),
        ),
        Trouble::NameInNoCertificate => (
            "no certificate can be for this name".to_owned(),
            Advice::new("name-in-no-certificate", "The name has characters that no certificate may have.")
                .then("Use a name of letters, digits, dots and hyphens."),
        ),
        Trouble::Other(words) => (
            format!("the TLS handshake fails: {words}"),
            Advice::new("tls-failed", "TLS begins and breaks.")
                .then("Look into the server's log; its error log names the handshake's problem from the other side."),
        ),
    }
}

fn other_protocol(dialect: Dialect, target: &Target) -> Advice {
    let port = target.port();
    match dialect {
        Dialect::Http | Dialect::Http2 => {
            let advice = Advice::new("no-tls-here", format!("Port {port} is for unencrypted connections."));
            let advice = advice.then(format!("Use {}", target.with_scheme("ws")));
            advice.then("Or use the port for TLS, 443 or 8443 mostly: https: in Fermata's service.yml.")
        }
        _ => Advice::new("other-protocol", format!("Port {port} is not a web server's."))
            .then("Correct the port: 443 and 8443 are the usual ones for wss://."),
    }
}

fn alert_words(alert: AlertDescription) -> String {
    match alert {
        AlertDescription::UnrecognisedName => "it does not know this name".to_owned(),
        AlertDescription::AccessDenied => "access denied".to_owned(),
        AlertDescription::HandshakeFailure => "handshake failure".to_owned(),
        AlertDescription::ProtocolVersion => "not with this version of TLS".to_owned(),
        AlertDescription::InternalError => "internal error".to_owned(),
        AlertDescription::NoApplicationProtocol => "not with HTTP/1.1".to_owned(),
        AlertDescription::CertificateRequired => "it wants a certificate from the client".to_owned(),
        other => format!("{other:?}"),
    }
}

fn alerted(alert: AlertDescription, target: &Target) -> Advice {
    let host = target.host();
    match alert {
        AlertDescription::UnrecognisedName | AlertDescription::InternalError | AlertDescription::AccessDenied => {
            Advice::new(
                "tls-unknown-name",
                format!("The server has no certificate for {host}; that is how several servers say so."),
            )
            .then(format!(
                "Give it a certificate for {host}: tls.certificates in service.yml, ssl_certificate in nginx."
            ))
            .then("Or the name points to the wrong server.")
        }
        AlertDescription::NoApplicationProtocol => Advice::new(
            "tls-no-http1",
            "The server does not want HTTP/1.1 (ALPN), and that is what WebSockets are opened with.",
        )
        .then("Let it offer http/1.1 in ALPN: HTTP2Optional instead of HTTP2Only at an AWS NLB's listener."),
        AlertDescription::ProtocolVersion => {
            Advice::new("tls-too-old", "The server has nothing in common with a browser of today: TLS 1.2 or 1.3.")
                .then("Switch TLS 1.2 and 1.3 on in the server: ssl_protocols TLSv1.2 TLSv1.3; in nginx.")
        }
        AlertDescription::CertificateRequired => client_certificate(),
        _ => Advice::new("tls-refused", "The server found nothing that it could agree with.")
            .then("Look into the server's log; check its versions, ciphers and certificate."),
    }
}

pub(super) fn client_certificate() -> Advice {
    Advice::new(
        "client-certificate",
        "The server lets only clients in that have a certificate from it (mutual TLS). A browser asks its user.",
    )
    .then("Switch that off for this host, if it isn't meant: ssl_verify_client off; in nginx.")
}

pub(super) fn http2_only(websockets: bool) -> Advice {
    let advice = Advice::new(
        "http2-only",
        "The server takes only HTTP/2 on this port (ALPN). Browsers and all other clients open WebSockets over \
         HTTP/1.1.",
    );
    let advice = if websockets {
        advice.then("Browsers can use HTTP/2 for pages of the same origin only; other clients mostly can't.")
    } else {
        advice
    };
    advice.then("Let it offer http/1.1 in ALPN as well: HTTP2Optional instead of HTTP2Only at an AWS NLB's listener.")
}

/// What is wrong with a certificate, in few words.
pub(in super::super) fn certificate_words(certificate: &Certificate) -> String {
    let words = certificate.problems.iter().map(|problem| match problem {
        Problem::Expired => "expired".to_owned(),
        Problem::NotYetValid => "is not valid yet".to_owned(),
        Problem::OtherName => "is for another name".to_owned(),
        Problem::SelfSigned => "has signed itself".to_owned(),
        Problem::NoIntermediate | Problem::UnknownIssuer => {
            format!("was signed by {}, unknown here", certificate.issuer)
        }
        Problem::NoRoots => "can't be judged here".to_owned(),
        Problem::Other(words) => format!("is refused: {words}"),
    });
    format!("a certificate that {}", words.collect::<Vec<_>>().join(" and "))
}

/// What is wrong with a certificate, and what to do.
pub(in super::super) fn certificate(problem: &Problem, certificate: &Certificate, target: &Target) -> Advice {
    let host = target.host();
    let Certificate { subject, issuer, .. } = certificate;
    match problem {
        Problem::Expired => Advice::new(
            "certificate-expired",
            format!("The certificate of {subject} expired on {}; browsers refuse it.", certificate.until),
        )
        .then("Renew it. If it was renewed, the server still has the old one: reload it."),
        Problem::NotYetValid => Advice::new(
            "certificate-not-yet-valid",
            format!(
                "The certificate of {subject} is valid from {} on; until then browsers refuse it.",
                certificate.from
            ),
        )
        .then("Check the clock of this machine (timedatectl), then that of the machine that made the certificate."),
        Problem::OtherName => {
            let names = if certificate.names.is_empty() { "no host at all".to_owned() } else { names(certificate) };
            Advice::new("certificate-other-name", format!("The certificate is for {names}, and not for {host}."))
                .then(format!(
                    "Get a certificate that has {host} among its names, and give it to the server for this name."
                ))
                .then(
                    "If several certificates are there, the server picked another one: check its choice by name \
                     (SNI).",
                )
        }
        Problem::SelfSigned => Advice::new(
            "certificate-self-signed",
            "The certificate has signed itself: nobody vouches for it, and browsers refuse it.",
        )
        .then("Use a certificate of a public authority, such as Let's Encrypt: tls.acme in Fermata's service.yml.")
        .then("For trying things out: --insecure here; in a browser open the address by https:// and accept it there."),
        Problem::NoIntermediate => Advice::new(
            "certificate-no-intermediate",
            format!(
                "The server sent its own certificate only, and {issuer}, who signed it, is unknown to this machine."
            ),
        )
        .then(
            "Have the server send the whole chain: fullchain.pem instead of cert.pem; its own certificate comes \
             first.",
        )
        .then(
            "If the issuer is your own authority, clients have to know it: set SSL_CERT_FILE to its certificate \
             here.",
        ),
        Problem::UnknownIssuer => Advice::new(
            "certificate-unknown-issuer",
            format!("The chain ends at {issuer} or above, where nobody is whom this machine trusts."),
        )
        .then("Have the server send the whole chain, in order, up to a public authority.")
        .then(
            "If the issuer is your own authority, clients have to know it: set SSL_CERT_FILE to its certificate \
             here.",
        ),
        Problem::NoRoots => Advice::new(
            "no-roots",
            "This machine has no certificates of authorities, so that no certificate can be judged here.",
        )
        .then("Install them (apt-get install ca-certificates), or set SSL_CERT_FILE to a file that has them."),
        Problem::Other(words) => {
            Advice::new("certificate-refused", format!("The certificate of {subject} is refused: {words}."))
                .then("Get a new one; a public authority makes none with this problem.")
        }
    }
}

/// A certificate that should have been renewed.
pub(in super::super) fn certificate_ends(certificate: &Certificate) -> Advice {
    let days = certificate.left.as_secs() / 86_400;
    Advice::new(
        "certificate-ends-soon",
        format!(
            "The certificate expires on {}, in {days} days. Automatic renewal would have come by now.",
            certificate.until
        ),
    )
    .then("Look why it was not renewed: the log of certbot or of whatever renews it.")
}

fn names(certificate: &Certificate) -> String {
    const MOST: usize = 5;
    let list = certificate.names.iter().take(MOST).map(String::as_str).collect::<Vec<_>>().join(", ");
    match certificate.names.len().saturating_sub(MOST) {
        0 => list,
        more => format!("{list} and {more} more"),
    }
}
