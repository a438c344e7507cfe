//! Which headers pass a proxy (RFC 9110 7.6.1), and the request that a service gets.

use http::header::{CONNECTION, EXPECT, HOST, HeaderMap, HeaderName, HeaderValue, TE, TRANSFER_ENCODING, UPGRADE};
use http::{Request, Response, Uri, Version};

use super::forwarded::Visitor;
use crate::net::Arrival;

/// Headers that belong to one hop whatever `Connection` says. Trailer is not among them: the services' trailers pass.
const HOP_BY_HOP: [HeaderName; 7] = [
    CONNECTION,
    HeaderName::from_static("http2-settings"),
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
    TE,
    TRANSFER_ENCODING,
    UPGRADE,
];

/// Takes out what belongs to one hop only.
pub fn keep_end_to_end(headers: &mut HeaderMap) {
    let named: Vec<HeaderName> = headers
        .get_all(CONNECTION)
        .iter()
        .filter_map(|line| line.to_str().ok())
        .flat_map(|line| line.split(','))
        .filter_map(|name| name.trim().parse().ok())
        .collect();
    for name in named.iter().chain(&HOP_BY_HOP) {
        headers.remove(name);
    }
}

/// Makes the Host header say what the request is for: what its target says, where that is a URL (RFC 9112 3.2.2), and the
/// address that was connected to, where an HTTP/1.0 client names nothing.
pub fn settle_host<B>(request: &mut Request<B>, arrival: &Arrival) {
    let from_target = request.uri().authority().map(ToString::to_string);
    let named = from_target.or_else(|| (!request.headers().contains_key(HOST)).then(|| arrival.local.to_string()));
    if let Some(host) = named.and_then(|host| HeaderValue::from_str(&host).ok()) {
        request.headers_mut().insert(HOST, host);
    }
}

/// The request as the service gets it: HTTP/1.1, origin form (RFC 9112 3.2.1), its own hop's headers, and who it is from.
pub fn request_for_service<B>(mut request: Request<B>, visitor: &Visitor) -> Request<B> {
    let headers = request.headers_mut();
    let (host, takes_trailers) = (headers.get(HOST).cloned(), takes_trailers(headers));
    keep_end_to_end(headers);
    if takes_trailers {
        headers.insert(TE, HeaderValue::from_static("trailers"));
        headers.insert(CONNECTION, HeaderValue::from_static("te"));
    }
    // Our server asks the client to go on as soon as the body is wanted; the service need not.
    headers.remove(EXPECT);
    // Even where the client calls it a header of its hop.
    if let Some(host) = host {
        headers.insert(HOST, host);
    }
    visitor.introduce(headers);
    *request.version_mut() = Version::HTTP_11;
    if let Some(path) = request.uri().path_and_query().cloned() {
        *request.uri_mut() = Uri::from(path);
    }
    request
}

/// The response as the client gets it: of our version (RFC 9110 2.5), without the other hop's headers.
pub fn response_for_client<B>(response: &mut Response<B>) {
    *response.version_mut() = Version::HTTP_11;
    keep_end_to_end(response.headers_mut());
}

fn takes_trailers(headers: &HeaderMap) -> bool {
    let lines = headers.get_all(TE).iter().filter_map(|line| line.to_str().ok());
    lines.flat_map(|line| line.split(',')).any(|one| one.trim().eq_ignore_ascii_case("trailers"))
}
