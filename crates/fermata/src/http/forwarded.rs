//! Who the client is: the peer, or whom trusted proxies before us say (X-Forwarded-*, RFC 7239).

use std::fmt::Write;
use std::net::IpAddr;

use fermata_spec::Network;
use http::header::{FORWARDED, HOST, HeaderMap, HeaderName, HeaderValue};

use crate::net::Arrival;

const FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
/// Not standardised; the name that nginx, HAProxy, Envoy and Rails use.
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Who sent a request, as far as it may be believed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Visitor {
    /// The client's address.
    pub client: IpAddr,
    /// Names the request in the logs of everybody on the way.
    pub request_id: HeaderValue,
}

/// Reads what proxies before us said, where they are trusted, and writes what the service is to read: nothing that a
/// stranger sent survives.
pub fn believe(headers: &mut HeaderMap, arrival: &Arrival, trusted: &[Network]) -> Visitor {
    let peer = arrival.peer.ip().to_canonical();
    let is_trusted = |ip: IpAddr| trusted.iter().any(|network| network.contains(ip));
    if !is_trusted(peer) {
        for name in [FOR, PROTO, FORWARDED_HOST, FORWARDED, REQUEST_ID] {
            headers.remove(name);
        }
    }
    let client = addresses(headers).rev().find(|ip| !is_trusted(*ip)).or_else(|| addresses(headers).next());
    let host = headers.get(HOST).cloned();
    append(headers, FOR, peer.to_string());
    if !headers.contains_key(PROTO) {
        headers.insert(PROTO, HeaderValue::from_static(arrival.scheme()));
    }
    if let (Some(host), false) = (&host, headers.contains_key(FORWARDED_HOST)) {
        headers.insert(FORWARDED_HOST, host.clone());
    }
    append(headers, FORWARDED, element(peer, host.as_ref(), arrival.scheme()));
    let request_id = headers.entry(REQUEST_ID).or_insert_with(fresh_id).clone();
    Visitor { client: client.unwrap_or(peer), request_id }
}

/// The addresses of X-Forwarded-For, the client's first; what is no address is passed over.
fn addresses(headers: &HeaderMap) -> impl DoubleEndedIterator<Item = IpAddr> {
    let lines: Vec<&str> = headers.get_all(FOR).iter().filter_map(|line| line.to_str().ok()).collect();
    lines.into_iter().flat_map(|line| line.split(',')).filter_map(|one| {
        let one = one.trim();
        one.parse::<IpAddr>().ok().or_else(|| one.parse::<std::net::SocketAddr>().ok().map(|address| address.ip()))
    })
}

/// One hop of RFC 7239: `for=192.0.2.1;host=example.com;proto=https`.
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

fn append(headers: &mut HeaderMap, name: HeaderName, value: String) {
    let mut lines: Vec<String> =
        headers.get_all(&name).iter().filter_map(|line| line.to_str().ok().map(str::to_owned)).collect();
    lines.push(value);
    if let Ok(value) = HeaderValue::from_str(&lines.join(", ")) {
        headers.insert(name, value);
    }
}

fn fresh_id() -> HeaderValue {
    let id = format!("{:032x}", fastrand::u128(..));
    HeaderValue::from_str(&id).unwrap_or_else(|_| HeaderValue::from_static(""))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arrival(peer: &str) -> Arrival {
        let peer = format!("{peer}:5000").parse().expect("an address");
        Arrival { peer, local: "192.0.2.9:8443".parse().expect("an address"), tls: true }
    }

    fn trusted() -> Vec<Network> {
        vec![Network { address: "10.0.0.0".parse().expect("an address"), prefix: 8 }]
    }

    fn request() -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in [
            ("host", "app.example.com"),
            ("x-forwarded-for", "203.0.113.7, 10.1.1.1"),
            ("x-forwarded-proto", "http"),
            ("x-request-id", "theirs"),
        ] {
            headers.insert(name, HeaderValue::from_static(value));
        }
        headers
    }

    fn sent(headers: &HeaderMap) -> String {
        let mut lines: Vec<String> = headers
            .iter()
            .filter(|(name, _)| *name != REQUEST_ID)
            .map(|(name, value)| format!("{name}: {}", value.to_str().expect("text")))
            .collect();
        lines.sort();
        lines.join("\n")
    }

    #[test]
    fn what_a_stranger_says_of_himself_is_not_passed_on() {
        let mut headers = request();
        let visitor = believe(&mut headers, &arrival("198.51.100.4"), &trusted());
        assert_eq!(visitor.client, "198.51.100.4".parse::<IpAddr>().expect("an address"));
        assert_ne!(visitor.request_id, "theirs");
        assert_eq!(
            sent(&headers),
            "forwarded: for=198.51.100.4;host=\"app.example.com\";proto=https\n\
             host: app.example.com\n\
             x-forwarded-for: 198.51.100.4\n\
             x-forwarded-host: app.example.com\n\
             x-forwarded-proto: https"
        );
    }

    #[test]
    fn a_trusted_proxy_is_believed_and_its_word_is_added_to() {
        let mut headers = request();
        let visitor = believe(&mut headers, &arrival("10.2.2.2"), &trusted());
        assert_eq!(visitor.client, "203.0.113.7".parse::<IpAddr>().expect("an address"));
        assert_eq!(visitor.request_id, "theirs");
        assert_eq!(
            sent(&headers),
            "forwarded: for=10.2.2.2;host=\"app.example.com\";proto=https\n\
             host: app.example.com\n\
             x-forwarded-for: 203.0.113.7, 10.1.1.1, 10.2.2.2\n\
             x-forwarded-host: app.example.com\n\
             x-forwarded-proto: http"
        );
    }

    #[test]
    fn an_ipv6_peer_stands_in_brackets_and_quotes() {
        assert_eq!(
            element("2001:db8::1".parse().expect("an address"), None, "http"),
            "for=\"[2001:db8::1]\";proto=http"
        );
    }
}
