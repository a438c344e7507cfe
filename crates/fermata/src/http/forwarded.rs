//! Who the client is: the peer, or whom trusted proxies before us say (X-Forwarded-*, RFC 7239). Read first, written last:
//! nothing that a stranger sends, `Connection: x-forwarded-for` included, reaches the service in its place.

use std::fmt::Write;
use std::net::{IpAddr, SocketAddr};

use fermata_spec::Network;
use fermata_wire::proxy::Way;
use http::header::{FORWARDED, HOST, HeaderMap, HeaderName, HeaderValue};

use crate::net::Arrival;

const FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
const REAL_IP: HeaderName = HeaderName::from_static("x-real-ip");
/// Not standardised; the name that nginx, HAProxy, Envoy and Rails use.
pub const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Who sent a request, as far as it may be believed.
#[derive(Debug, Clone)]
pub struct Visitor {
    /// The client's address.
    pub client: IpAddr,
    /// Names the request in the logs of everybody on the way.
    pub request_id: HeaderValue,
    /// What the proxies before us, where they are trusted, said of the way here.
    said: Option<Said>,
    /// This hop.
    peer: IpAddr,
    scheme: &'static str,
    host: Option<HeaderValue>,
}

/// What trusted proxies said.
#[derive(Debug, Clone, Default)]
struct Said {
    /// X-Forwarded-For, the client first.
    chain: String,
    /// Forwarded, the client first.
    elements: String,
    proto: Option<HeaderValue>,
    host: Option<HeaderValue>,
}

impl Visitor {
    /// Reads what a request says of its way.
    pub fn of(headers: &HeaderMap, arrival: &Arrival, trusted: &[Network]) -> Visitor {
        let peer = arrival.peer.ip().to_canonical();
        let is_trusted = |ip: IpAddr| trusted.iter().any(|network| network.contains(ip));
        let said = is_trusted(peer).then(|| Said::read(headers));
        let request_id = said.as_ref().and_then(|_| headers.get(REQUEST_ID)).cloned().unwrap_or_else(fresh_id);
        let client = said.as_ref().and_then(|said| client(&said.chain, is_trusted)).unwrap_or(peer);
        Visitor { client, request_id, said, peer, scheme: arrival.scheme(), host: headers.get(HOST).cloned() }
    }

    /// How the client came here, for a service that is told by the PROXY protocol; nobody says the port of a client behind
    /// proxies that speak HTTP.
    pub fn way(&self, arrival: &Arrival) -> Way {
        let client = if self.client == self.peer { arrival.peer } else { SocketAddr::new(self.client, 0) };
        Way { client, ..arrival.way() }
    }

    /// Writes what the service is to read.
    pub fn introduce(&self, headers: &mut HeaderMap) {
        if self.said.is_none() {
            remove_hearsay(headers);
        }
        let said = self.said.clone().unwrap_or_default();
        let chain = joined(&said.chain, &self.peer.to_string());
        let elements = joined(&said.elements, &element(self.peer, self.host.as_ref(), self.scheme));
        for (name, text) in [(FOR, chain), (FORWARDED, elements)] {
            if let Ok(value) = HeaderValue::from_str(&text) {
                headers.insert(name, value);
            }
        }
        headers.insert(PROTO, said.proto.unwrap_or(HeaderValue::from_static(self.scheme)));
        if let Some(host) = said.host.as_ref().or(self.host.as_ref()) {
            headers.insert(FORWARDED_HOST, host.clone());
        }
        headers.insert(REQUEST_ID, self.request_id.clone());
    }
}

/// Everything that services commonly believe about a client.
fn remove_hearsay(headers: &mut HeaderMap) {
    let hearsay =
        |name: &&HeaderName| name.as_str().starts_with("x-forwarded-") || [FORWARDED, REAL_IP].contains(*name);
    let names: Vec<HeaderName> = headers.keys().filter(hearsay).cloned().collect();
    for name in names {
        headers.remove(name);
    }
}

impl Said {
    /// Either kind of header says it all; where both are there, X-Forwarded-* is what proxies really keep up.
    fn read(headers: &HeaderMap) -> Said {
        let elements = list(headers, &FORWARDED);
        let first = |name| parameters(&elements, name).next().and_then(|text| HeaderValue::from_str(&text).ok());
        let chain = match list(headers, &FOR) {
            chain if chain.is_empty() => parameters(&elements, "for").collect::<Vec<_>>().join(", "),
            chain => chain,
        };
        let (proto, host) = (headers.get(PROTO).cloned(), headers.get(FORWARDED_HOST).cloned());
        Said { chain, proto: proto.or_else(|| first("proto")), host: host.or_else(|| first("host")), elements }
    }
}

/// The last address that no trusted proxy has, as each proxy adds the address of who spoke to it. Somebody without an
/// address (RFC 7239 6 allows `unknown`) ends what can be believed.
fn client(chain: &str, is_trusted: impl Fn(IpAddr) -> bool) -> Option<IpAddr> {
    let mut last = None;
    for ip in chain.rsplit(',').map_while(|one| address(one.trim())) {
        last = Some(ip);
        if !is_trusted(ip) {
            break;
        }
    }
    last
}

/// An address, perhaps with a port, or as RFC 7239 6 writes it, in brackets.
fn address(text: &str) -> Option<IpAddr> {
    let bare = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
    let ip = bare.parse().ok().or_else(|| text.parse::<SocketAddr>().ok().map(|address| address.ip()))?;
    Some(IpAddr::to_canonical(&ip))
}

/// The lines of a header as one.
fn list(headers: &HeaderMap, name: &HeaderName) -> String {
    headers.get_all(name).iter().filter_map(|line| line.to_str().ok()).collect::<Vec<_>>().join(", ")
}

fn joined(before: &str, last: &str) -> String {
    if before.is_empty() { last.to_owned() } else { format!("{before}, {last}") }
}

/// The values of one parameter in the elements of `Forwarded` (RFC 7239 4), in their order.
fn parameters<'a>(elements: &'a str, name: &'a str) -> impl Iterator<Item = String> + 'a {
    let mut quoted = false;
    let pairs = elements.split(move |char| {
        quoted ^= char == '"';
        !quoted && (char == ',' || char == ';')
    });
    pairs.filter_map(move |pair| {
        let (known, value) = pair.trim().split_once('=')?;
        let unquoted = value.strip_prefix('"').and_then(|value| value.strip_suffix('"')).unwrap_or(value);
        known.eq_ignore_ascii_case(name).then(|| unquoted.to_owned())
    })
}

/// One hop of RFC 7239: `for=192.0.2.1;host="example.com";proto=https`.
fn element(peer: IpAddr, host: Option<&HeaderValue>, proto: &str) -> String {
    let mut element = match peer {
        IpAddr::V4(ip) => format!("for={ip}"),
        // RFC 7239 6: IPv6 in brackets, and brackets only in quotes.
        IpAddr::V6(ip) => format!("for=\"[{ip}]\""),
    };
    if let Some(host) = host.and_then(|host| host.to_str().ok()).filter(|host| !host.contains(['"', '\\'])) {
        // Writing to a String cannot fail.
        let _ = write!(element, ";host=\"{host}\"");
    }
    element + ";proto=" + proto
}

fn fresh_id() -> HeaderValue {
    let id = format!("{:032x}", fastrand::u128(..));
    HeaderValue::from_str(&id).unwrap_or_else(|_| HeaderValue::from_static(""))
}

#[cfg(test)]
mod tests {
    use fermata_wire::proxy::Tls;

    use super::*;

    const STRANGER: &str = "198.51.100.4";
    const PROXY: &str = "10.2.2.2";

    fn ip(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    /// Who a request is from, and what the service reads, for a peer and what it says.
    fn seen(peer: &str, lines: &[(&'static str, &'static str)]) -> (IpAddr, String) {
        let peer = SocketAddr::new(ip(peer), 5000);
        let mut arrival = Arrival::new(peer, "192.0.2.9:8443".parse().expect("an address"));
        arrival.tls = Some(Tls::V1_3);
        let trusted = [Network { address: ip("10.0.0.0"), prefix: 8 }];
        let mut headers: HeaderMap = lines
            .iter()
            .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)))
            .collect();
        headers.insert(HOST, HeaderValue::from_static("app.example.com"));
        let visitor = Visitor::of(&headers, &arrival, &trusted);
        visitor.introduce(&mut headers);
        assert_eq!(headers.remove(REQUEST_ID), Some(visitor.request_id));
        let mut lines: Vec<String> =
            headers.iter().map(|(name, value)| format!("{name}: {}", value.to_str().expect("text"))).collect();
        lines.sort();
        (visitor.client, lines.join("\n"))
    }

    #[test]
    fn what_a_stranger_says_of_himself_is_not_passed_on() {
        let hearsay = [
            ("x-forwarded-for", "203.0.113.7, 10.1.1.1"),
            ("x-forwarded-proto", "http"),
            ("x-forwarded-port", "1"),
            ("x-real-ip", "203.0.113.7"),
            ("forwarded", "for=203.0.113.7"),
            ("x-request-id", "theirs"),
        ];
        let (client, lines) = seen(STRANGER, &hearsay);
        assert_eq!(client, ip(STRANGER));
        assert_eq!(
            lines,
            "forwarded: for=198.51.100.4;host=\"app.example.com\";proto=https\n\
             host: app.example.com\n\
             x-forwarded-for: 198.51.100.4\n\
             x-forwarded-host: app.example.com\n\
             x-forwarded-proto: https"
        );
    }

    #[test]
    fn a_trusted_proxy_is_believed_and_its_word_is_added_to() {
        let word = [
            ("x-forwarded-for", "203.0.113.7, 10.1.1.1"),
            ("x-forwarded-proto", "http"),
            ("x-forwarded-port", "80"),
            ("x-request-id", "theirs"),
        ];
        let (client, lines) = seen(PROXY, &word);
        assert_eq!(client, ip("203.0.113.7"));
        assert_eq!(
            lines,
            "forwarded: for=10.2.2.2;host=\"app.example.com\";proto=https\n\
             host: app.example.com\n\
             x-forwarded-for: 203.0.113.7, 10.1.1.1, 10.2.2.2\n\
             x-forwarded-host: app.example.com\n\
             x-forwarded-port: 80\n\
             x-forwarded-proto: http"
        );
    }

    #[test]
    fn a_trusted_proxy_may_say_it_as_rfc_7239_does() {
        let word = [("forwarded", "for=\"[2001:db8::7]:4711\";proto=http;host=\"www.example.com, a\", For=10.1.1.1")];
        let (client, lines) = seen(PROXY, &word);
        assert_eq!(client, ip("2001:db8::7"));
        assert_eq!(
            lines,
            "forwarded: for=\"[2001:db8::7]:4711\";proto=http;host=\"www.example.com, a\", For=10.1.1.1, \
             for=10.2.2.2;host=\"app.example.com\";proto=https\n\
             host: app.example.com\n\
             x-forwarded-for: [2001:db8::7]:4711, 10.1.1.1, 10.2.2.2\n\
             x-forwarded-host: www.example.com, a\n\
             x-forwarded-proto: http"
        );
    }

    #[test]
    fn the_client_is_the_last_one_whom_nobody_vouches_for() {
        for (chain, client) in [
            ("203.0.113.7", "203.0.113.7"),
            ("1.1.1.1, 203.0.113.7", "203.0.113.7"),
            ("203.0.113.7:4711, 10.9.9.9", "203.0.113.7"),
            ("::ffff:203.0.113.7", "203.0.113.7"),
            // Everybody is trusted: the first.
            ("10.1.1.1, 10.1.1.2", "10.1.1.1"),
            // Nothing before somebody unknown can be believed.
            ("203.0.113.7, unknown, 10.1.1.1", "10.1.1.1"),
            ("203.0.113.7, unknown", PROXY),
            ("", PROXY),
        ] {
            assert_eq!(seen(PROXY, &[("x-forwarded-for", chain)]).0, ip(client), "{chain}");
        }
    }

    #[test]
    fn an_ipv6_peer_stands_in_brackets_and_quotes() {
        assert_eq!(element(ip("2001:db8::1"), None, "http"), "for=\"[2001:db8::1]\";proto=http");
    }
}
