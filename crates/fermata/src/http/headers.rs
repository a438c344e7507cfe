//! Which headers pass a proxy (RFC 9110 7.6.1), and the request that a service gets.

use http::header::{CONNECTION, HeaderMap, HeaderName, HeaderValue, TE, TRANSFER_ENCODING, UPGRADE};
use http::{Request, Uri, Version};

/// Headers that belong to one hop whatever `Connection` says. Trailer is not among them: the services' trailers pass.
const HOP_BY_HOP: [HeaderName; 6] = [
    CONNECTION,
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
    for name in named {
        headers.remove(name);
    }
    for name in HOP_BY_HOP {
        headers.remove(name);
    }
}

/// The request as the service gets it: HTTP/1.1, origin form (RFC 9112 3.2.1), its own hop's headers.
pub fn request_for_service<B>(mut request: Request<B>) -> Request<B> {
    let takes_trailers = request
        .headers()
        .get_all(TE)
        .iter()
        .any(|line| line.to_str().is_ok_and(|line| line.split(',').any(|one| one.trim() == "trailers")));
    keep_end_to_end(request.headers_mut());
    if takes_trailers {
        request.headers_mut().insert(TE, HeaderValue::from_static("trailers"));
        request.headers_mut().insert(CONNECTION, HeaderValue::from_static("te"));
    }
    // Our server has asked the client to go on as soon as the body is read; the service need not.
    request.headers_mut().remove(http::header::EXPECT);
    *request.version_mut() = Version::HTTP_11;
    if let Some(path) = request.uri().path_and_query().cloned() {
        *request.uri_mut() = Uri::from(path);
    }
    request
}
