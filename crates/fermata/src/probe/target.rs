//! What is to be probed: a URL that was understood, and how to ask there.

use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderName, HeaderValue};
use rustls_pki_types::CertificateDer;
use url::{Host, Url};

/// A WebSocket's address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    url: Url,
    host: Host<String>,
    port: u16,
    credentials: Option<String>,
}

/// Why a text is no address of a WebSocket.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadTarget {
    /// Not a URL at all.
    #[error("\"{0}\" is no URL: {1}\n  one looks like ws://localhost:8080/ or wss://app.example.com/socket")]
    NoUrl(String, url::ParseError),
    /// `localhost:8080`, or another scheme.
    #[error("\"{0}\" does not begin with ws://, wss://, http:// or https://\n  try: fermata probe {1}")]
    Scheme(String, String),
}

impl Target {
    /// Reads a URL as somebody types it; `http` and `https` stand for `ws` and `wss`.
    pub fn read(text: &str) -> Result<Target, BadTarget> {
        let text = text.trim();
        let scheme = text.split_once("://").map_or("", |(scheme, _)| scheme).to_ascii_lowercase();
        let mut url = match scheme.as_str() {
            "ws" | "wss" => Url::parse(text),
            "http" | "https" => Url::parse(&format!("ws{}", &text["http".len()..])),
            "" => return Err(BadTarget::Scheme(text.to_owned(), format!("ws://{text}"))),
            _ => {
                let rest = &text[scheme.len() + 3..];
                return Err(BadTarget::Scheme(text.to_owned(), format!("wss://{rest}")));
            }
        }
        .map_err(|error| BadTarget::NoUrl(text.to_owned(), error))?;
        // A fragment never leaves a browser, and credentials become a header: neither is part of the address.
        url.set_fragment(None);
        let credentials = credentials_of(&url);
        let _ = url.set_username("");
        let _ = url.set_password(None);
        let (Some(host), Some(port)) = (url.host().map(|host| host.to_owned()), url.port_or_known_default()) else {
            return Err(BadTarget::NoUrl(text.to_owned(), url::ParseError::EmptyHost));
        };
        Ok(Target { url, host, port, credentials })
    }

    /// Whether it is `wss`.
    pub fn is_secure(&self) -> bool {
        self.url.scheme() == "wss"
    }

    /// The host.
    pub fn host(&self) -> &Host<String> {
        &self.host
    }

    /// The port, which may be the scheme's own.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Path and query, as they stand in a request.
    pub fn path(&self) -> &str {
        &self.url[url::Position::BeforePath..]
    }

    /// The `Host` header: with the port only where it isn't the scheme's own (RFC 9110 4.2.3).
    pub(super) fn authority(&self) -> String {
        self.url[url::Position::BeforeHost..url::Position::AfterPort].to_owned()
    }

    /// The `Origin` of a page of this very host, which most services accept.
    pub(super) fn origin(&self) -> String {
        format!("{}://{}", if self.is_secure() { "https" } else { "http" }, self.authority())
    }

    /// The `Authorization` that the URL asks for.
    pub(super) fn credentials(&self) -> Option<&str> {
        self.credentials.as_deref()
    }

    /// The same address with the other scheme.
    pub(super) fn with_scheme(&self, scheme: &str) -> String {
        format!("{scheme}{}", &self.url[url::Position::AfterScheme..])
    }

    /// Whether the name means this very machine.
    pub(super) fn is_local(&self) -> bool {
        match &self.host {
            Host::Domain(name) => name == "localhost" || name.ends_with(".localhost"),
            Host::Ipv4(address) => address.is_loopback(),
            Host::Ipv6(address) => address.is_loopback(),
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.url.as_str())
    }
}

fn credentials_of(url: &Url) -> Option<String> {
    if url.username().is_empty() && url.password().is_none() {
        return None;
    }
    let decode = |text: &str| percent_decoded(text);
    let pair = format!("{}:{}", decode(url.username()), decode(url.password().unwrap_or_default()));
    Some(format!("Basic {}", STANDARD.encode(pair)))
}

/// Undoes `%40` and its like.
fn percent_decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        let digits = tail.get(..2).and_then(|digits| std::str::from_utf8(digits).ok());
        match digits.and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
            Some(byte) if *first == b'%' => {
                bytes.push(byte);
                rest = &tail[2..];
            }
            _ => {
                bytes.push(*first);
                rest = tail;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Which certificates are good.
#[derive(Debug, Clone)]
pub enum Trust {
    /// Those that one of these has signed.
    Roots(Vec<CertificateDer<'static>>),
    /// Any: what is wrong with it is told and breaks nothing.
    Anything(Vec<CertificateDer<'static>>),
}

impl Trust {
    /// What a certificate is judged by, in either case.
    pub(super) fn roots(&self) -> &[CertificateDer<'static>] {
        let (Trust::Roots(roots) | Trust::Anything(roots)) = self;
        roots
    }
}

/// Where the addresses of the target come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Addresses {
    /// The system's resolver.
    Resolver,
    /// Whoever asks: to try one hop behind a name, or a server before its name exists.
    Given(Vec<IpAddr>),
}

/// All that a probe is told.
#[derive(Debug, Clone)]
pub struct Question {
    /// Where.
    pub target: Target,
    /// Which addresses.
    pub addresses: Addresses,
    /// Subprotocols to offer.
    pub protocols: Vec<String>,
    /// Headers to send.
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// Which certificates are good.
    pub trust: Trust,
    /// What each hop may take.
    pub hop_timeout: Duration,
    /// How long to be silent, to find out how long one may be.
    pub idle: Option<Duration>,
}

impl Question {
    /// Asks for nothing special.
    pub fn new(target: Target, trust: Trust) -> Question {
        Question {
            target,
            addresses: Addresses::Resolver,
            protocols: Vec::new(),
            headers: Vec::new(),
            trust,
            hop_timeout: Duration::from_secs(10),
            idle: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_read_as_people_type_it() {
        let cases = [
            ("ws://localhost:8080/chat?room=1#top", "ws://localhost:8080/chat?room=1", "localhost:8080", 8080),
            ("HTTPS://App.Example.com/Path", "wss://app.example.com/Path", "app.example.com", 443),
            ("http://example.com", "ws://example.com/", "example.com", 80),
            ("wss://[::1]:8443/", "wss://[::1]:8443/", "[::1]:8443", 8443),
            ("ws://192.0.2.1:80/", "ws://192.0.2.1/", "192.0.2.1", 80),
        ];
        for (text, url, authority, port) in cases {
            let target = Target::read(text).expect(text);
            assert_eq!(
                (target.to_string().as_str(), target.authority().as_str(), target.port()),
                (url, authority, port)
            );
        }
    }

    #[test]
    fn credentials_become_a_header_and_leave_the_address() {
        let target = Target::read("ws://ann:p%40ss@example.com/").expect("read");
        assert_eq!(target.to_string(), "ws://example.com/");
        assert_eq!(target.credentials(), Some("Basic YW5uOnBAc3M="));
    }

    #[test]
    fn what_is_no_address_is_said_with_one_that_is() {
        let cases = [
            (
                "localhost:8080",
                "\"localhost:8080\" does not begin with ws://, wss://, http:// or https://\n  \
                 try: fermata probe ws://localhost:8080",
            ),
            (
                "ftp://example.com/",
                "\"ftp://example.com/\" does not begin with ws://, wss://, http:// or https://\n  \
                 try: fermata probe wss://example.com/",
            ),
            (
                "ws://",
                "\"ws://\" is no URL: empty host\n  one looks like ws://localhost:8080/ or \
                 wss://app.example.com/socket",
            ),
            (
                "ws://example.com:99999/",
                "\"ws://example.com:99999/\" is no URL: invalid port number\n  \
                 one looks like ws://localhost:8080/ or wss://app.example.com/socket",
            ),
        ];
        for (text, expected) in cases {
            assert_eq!(Target::read(text).expect_err(text).to_string(), expected);
        }
    }
}
