//! Which pages may open a tunnel (RFC 6455 10.2): a browser says where a page came from, and nothing else stops a foreign
//! page from using its visitor's cookies.

use fermata_spec::{HostPattern, Origin};
use http::header::{HeaderMap, ORIGIN};

/// `Err` with the origin where it is not among `allowed`. No list allows everything; a client that names no origin is no
/// browser and has no foreign cookies.
pub fn allowed(allowed: &[Origin], headers: &HeaderMap) -> Result<(), String> {
    let Some(value) = headers.get(ORIGIN) else { return Ok(()) };
    let value = String::from_utf8_lossy(value.as_bytes()).to_ascii_lowercase();
    let fits = allowed.is_empty() || split(&value).is_some_and(|asked| allowed.iter().any(|one| matches(one, asked)));
    if fits { Ok(()) } else { Err(value) }
}

/// Scheme, host and port of a serialised origin (RFC 6454 6.2).
fn split(origin: &str) -> Option<(&str, &str, Option<u16>)> {
    let (scheme, rest) = origin.split_once("://")?;
    match rest.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => Some((scheme, host, Some(port.parse().ok()?))),
        _ => Some((scheme, rest, None)),
    }
}

fn matches(allowed: &Origin, (scheme, host, port): (&str, &str, Option<u16>)) -> bool {
    let host_fits = match &allowed.host {
        HostPattern::Any => true,
        HostPattern::Exact(name) => host == name,
        HostPattern::Under(domain) => {
            host.strip_suffix(domain.as_str()).is_some_and(|rest| rest.len() > 1 && rest.ends_with('.'))
        }
    };
    allowed.scheme == scheme && host_fits && allowed.port == port
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    #[test]
    fn an_origin_must_be_listed_with_its_scheme_and_port() {
        let list = [
            Origin { scheme: "https".into(), host: HostPattern::Exact("app.example.com".into()), port: None },
            Origin { scheme: "https".into(), host: HostPattern::Under("example.com".into()), port: Some(8443) },
        ];
        let judge =
            |origin: &'static str| allowed(&list, &HeaderMap::from_iter([(ORIGIN, HeaderValue::from_static(origin))]));
        assert_eq!(judge("https://app.example.com"), Ok(()));
        assert_eq!(judge("https://APP.example.com"), Ok(()));
        assert_eq!(judge("https://x.example.com:8443"), Ok(()));
        for other in ["http://app.example.com", "https://x.example.com", "https://evilexample.com:8443", "null"] {
            assert_eq!(judge(other), Err(other.to_owned()));
        }
        assert_eq!(allowed(&list, &HeaderMap::new()), Ok(()));
    }
}
