//! What a request brings to the choice of an instance: where it comes from, and the instance that it was on before.

use std::net::IpAddr;

use http::header::{COOKIE, HeaderMap, HeaderValue};

/// A client's wish.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wish {
    /// The client's address.
    pub client: IpAddr,
    /// The instance that its cookie names, where the service is sticky.
    pub instance: Option<String>,
}

impl Wish {
    /// A wish for any instance.
    pub fn of(client: IpAddr) -> Wish {
        Wish { client, instance: None }
    }

    /// With the instance that the request's cookie for `service` names, if it has one.
    #[must_use]
    pub fn remembering(self, service: &str, headers: &HeaderMap) -> Wish {
        let name = cookie_name(service);
        let instance = headers
            .get_all(COOKIE)
            .iter()
            .filter_map(|line| line.to_str().ok())
            .flat_map(|line| line.split(';'))
            .filter_map(|pair| pair.trim().split_once('='))
            .find_map(|(key, value)| (key == name).then(|| value.to_owned()));
        Wish { instance, ..self }
    }

    /// The cookie that a visitor needs to come back to `instance`; `None` where it has that already.
    pub fn cookie(&self, service: &str, instance: &str, tls: bool) -> Option<HeaderValue> {
        if self.instance.as_deref() == Some(instance) {
            return None;
        }
        // For this session of the browser, for scripts of no page, and never along with foreign requests (RFC 6265bis).
        let secure = if tls { "; Secure" } else { "" };
        let text = format!("{}={instance}; Path=/; HttpOnly; SameSite=Lax{secure}", cookie_name(service));
        HeaderValue::from_str(&text).ok()
    }
}

/// One cookie for each service, since several may answer under one name. What is no token character (RFC 6265 4.1.1)
/// becomes `_`.
fn cookie_name(service: &str) -> String {
    let safe = |char: char| if char.is_ascii_alphanumeric() || "-_.".contains(char) { char } else { '_' };
    format!("fermata-{}", service.chars().map(safe).collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_visitor_is_given_a_cookie_once_and_known_by_it() {
        let wish = Wish::of([127, 0, 0, 1].into());
        let cookie = wish.cookie("web", "web.2", true).expect("a first visit");
        assert_eq!(cookie, "fermata-web=web.2; Path=/; HttpOnly; SameSite=Lax; Secure");
        let headers = HeaderMap::from_iter([(COOKIE, HeaderValue::from_static("a=b; fermata-web=web.2; c=d"))]);
        let back = wish.remembering("web", &headers);
        assert_eq!(back.instance.as_deref(), Some("web.2"));
        assert_eq!(back.cookie("web", "web.2", true), None);
        assert!(back.cookie("web", "web.3", true).is_some());
    }
}
