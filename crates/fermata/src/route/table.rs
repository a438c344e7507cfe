//! The table: public port and host name to service. Immutable; a reload makes another.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Instant;

use fermata_spec::{Gateway, HostPattern, Sticky, WebSocket};
use fermata_wire::proxy;
use http::header::{HeaderMap, SET_COOKIE};
use rustls::ClientConfig;
use rustls_pki_types::ServerName;

use super::admission::Guests;
use super::endpoint::Lease;
use super::pool::{Manner, Pool};
use super::wish::Wish;

/// One service behind one public port.
#[derive(Debug)]
pub struct Route {
    /// The names that it answers to; empty for every name.
    pub hosts: Vec<HostPattern>,
    /// Where its requests go.
    pub pool: Arc<Pool>,
    /// How one of the pool's endpoints is picked.
    pub manner: Manner,
    /// Whether a visitor stays on one of them.
    pub sticky: Sticky,
    /// How they are told who the client is, before anything else.
    pub proxy: Option<proxy::Version>,
    /// What its tunnels may do.
    pub websocket: Arc<WebSocket>,
    /// Its tunnels, for its limits; shared by all its routes.
    pub guests: Arc<Guests>,
    /// Where WebSockets go, if that is another pool.
    pub websockets: Option<Arc<Pool>>,
    /// Who is at the other end.
    pub hop: Hop,
    /// TLS on the way there.
    pub secure: Option<Secure>,
    /// Where it is read which of the names a client wants.
    pub named: Named,
}

/// Where a client says which name it wants.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Named {
    /// In its requests; one that makes none gets the route for every name.
    #[default]
    Request,
    /// In the hello of its TLS, which goes on as it is.
    Hello,
}

/// TLS on the way to endpoints.
#[derive(Debug, Clone)]
pub struct Secure {
    /// Whom to trust.
    pub config: Arc<ClientConfig>,
    /// Whom their certificates have to name; each its own address, where nothing is said.
    pub name: Option<ServerName<'static>>,
}

/// Who is at the other end of a route.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Hop {
    /// The service itself.
    #[default]
    Last,
    /// Another gateway, which may send a request on, and in the end back to here.
    Gateway,
}

impl Route {
    /// The service's name.
    pub fn service(&self) -> &Arc<str> {
        self.pool.service()
    }

    /// What a connection to one of the endpoints begins with, for a client that came this way.
    pub fn introduction(&self, way: &proxy::Way) -> Vec<u8> {
        self.proxy.map(|version| proxy::write(version, Some(way))).unwrap_or_default()
    }

    /// What a request wishes for.
    pub fn wish(&self, client: IpAddr, headers: &HeaderMap) -> Wish {
        match self.sticky {
            Sticky::Off => Wish::of(client),
            Sticky::Cookie => Wish::of(client).remembering(self.service(), headers),
        }
    }

    /// Tells a visitor how to come back to `instance`, where the service is sticky and it doesn't know.
    pub fn remember(&self, wish: &Wish, instance: &str, tls: bool, headers: &mut HeaderMap) {
        if self.sticky == Sticky::Cookie
            && let Some(cookie) = wish.cookie(self.service(), instance, tls)
        {
            headers.append(SET_COOKIE, cookie);
        }
    }

    /// The endpoints for what a request asks for.
    pub fn pool_for(&self, what: Asked) -> &Arc<Pool> {
        match (what, &self.websockets) {
            (Asked::WebSocket, Some(websockets)) => websockets,
            _ => &self.pool,
        }
    }

    /// Picks an endpoint that is not among `tried`: the wished-for one, if it is there.
    pub fn pick(&self, what: Asked, wish: &Wish, tried: &[Lease]) -> Option<Lease> {
        let pool = self.pool_for(what);
        let wished = wish.instance.as_deref().and_then(|instance| pool.take(instance, tried));
        wished.or_else(|| pool.pick(self.manner, wish.client, tried, Instant::now()))
    }
}

/// What a client asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Asked {
    /// A tunnel of messages.
    WebSocket,
    /// Anything else: an answer, or a raw connection.
    Other,
}

/// All routes, by public port, and what holds for all of them.
#[derive(Debug, Default)]
pub struct Table {
    /// The file's `gateway:`.
    pub gateway: Arc<Gateway>,
    ports: HashMap<u16, Names>,
    /// The ports where the hello of TLS is asked first.
    hellos: HashMap<u16, Names>,
}

/// The names of one public port.
#[derive(Debug, Default)]
struct Names {
    exact: HashMap<String, Arc<Route>>,
    /// Longest first, so that the closest one wins.
    under: Vec<(String, Arc<Route>)>,
    any: Option<Arc<Route>>,
}

impl Table {
    /// A table of routes in the order of the file. A name beats a pattern and a longer pattern a shorter one, as for
    /// nginx's `server_name`, which the format comes from; between equals the first in the file gets the request.
    pub fn new(gateway: Gateway, routes: impl IntoIterator<Item = (u16, Route)>) -> Table {
        let mut table = Table { gateway: Arc::new(gateway), ports: HashMap::new(), hellos: HashMap::new() };
        for (port, route) in routes {
            let ports = match route.named {
                Named::Request => &mut table.ports,
                Named::Hello => &mut table.hellos,
            };
            ports.entry(port).or_default().add(&Arc::new(route));
        }
        for names in table.ports.values_mut().chain(table.hellos.values_mut()) {
            // Stable: equals keep the order of the file.
            names.under.sort_by_key(|(domain, _)| std::cmp::Reverse(domain.len()));
        }
        table
    }

    /// Whether some service of a public port has an instance to send requests to.
    pub fn is_ready(&self, port: u16) -> bool {
        self.ports.get(&port).is_some_and(|names| names.routes().any(|route| route.pool.count() > 0))
    }

    /// The route of a request for `host` (without a port; any case) on a public port.
    pub fn find(&self, port: u16, host: &str) -> Option<&Arc<Route>> {
        self.ports.get(&port)?.find(host)
    }

    /// The public ports that lead anywhere.
    pub fn listening(&self) -> impl Iterator<Item = u16> {
        self.ports.keys().chain(self.hellos.keys()).copied()
    }

    /// Whether the TLS of some names is passed on at a public port.
    pub fn passes(&self, port: u16) -> bool {
        self.hellos.contains_key(&port)
    }

    /// The route of TLS that asks for `name` on a public port, where it is passed on.
    pub fn passed(&self, port: u16, name: &str) -> Option<&Arc<Route>> {
        self.hellos.get(&port)?.find(name)
    }
}

impl Names {
    fn add(&mut self, route: &Arc<Route>) {
        if route.hosts.is_empty() {
            self.any.get_or_insert_with(|| route.clone());
        }
        for host in &route.hosts {
            match host {
                HostPattern::Any => drop(self.any.get_or_insert_with(|| route.clone())),
                HostPattern::Exact(name) => drop(self.exact.entry(name.clone()).or_insert_with(|| route.clone())),
                HostPattern::Under(domain) => self.under.push((domain.clone(), route.clone())),
            }
        }
    }

    fn find(&self, host: &str) -> Option<&Arc<Route>> {
        let host = host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase();
        self.exact.get(&host).or_else(|| self.under(&host)).or(self.any.as_ref())
    }

    fn routes(&self) -> impl Iterator<Item = &Arc<Route>> {
        self.exact.values().chain(self.under.iter().map(|(_, route)| route)).chain(&self.any)
    }

    fn under(&self, host: &str) -> Option<&Arc<Route>> {
        self.under
            .iter()
            .find(|(domain, _)| {
                host.strip_suffix(domain.as_str()).is_some_and(|rest| rest.len() > 1 && rest.ends_with('.'))
            })
            .map(|(_, route)| route)
    }
}

#[cfg(test)]
mod tests {
    use super::super::endpoint::Target;
    use super::*;

    fn route(service: &str, hosts: Vec<HostPattern>) -> Route {
        let pool = Arc::new(Pool::new(service.into()));
        Route {
            hosts,
            pool,
            manner: Manner::default(),
            sticky: Sticky::Off,
            proxy: None,
            websocket: Arc::default(),
            guests: Arc::default(),
            websockets: None,
            hop: Hop::default(),
            secure: None,
            named: Named::Request,
        }
    }

    fn table() -> Table {
        let exact = |name: &str| HostPattern::Exact(name.into());
        let under = |domain: &str| HostPattern::Under(domain.into());
        Table::new(
            Gateway::default(),
            [
                (8080, route("wild", vec![under("example.com")])),
                (8080, route("api", vec![exact("api.example.com")])),
                (8080, route("late", vec![exact("api.example.com"), under("eu.example.com")])),
                (8080, route("rest", vec![HostPattern::Any])),
                (8080, route("never", vec![])),
                (9000, route("only", vec![exact("one.example.com")])),
            ],
        )
    }

    #[test]
    fn the_closest_name_wins_and_between_equals_the_first_of_the_file() {
        let table = table();
        let name = |port, host| table.find(port, host).map(|route| route.service().to_string());
        assert_eq!(name(8080, "api.example.com"), Some("api".to_string()));
        assert_eq!(name(8080, "API.Example.COM."), Some("api".to_string()));
        assert_eq!(name(8080, "x.example.com"), Some("wild".to_string()));
        assert_eq!(name(8080, "a.b.example.com"), Some("wild".to_string()));
        assert_eq!(name(8080, "x.eu.example.com"), Some("late".to_string()));
        assert_eq!(name(8080, "example.com"), Some("rest".to_string()));
        assert_eq!(name(8080, ".example.com"), Some("rest".to_string()));
        assert_eq!(name(8080, "badexample.com"), Some("rest".to_string()));
        assert_eq!(name(9000, "two.example.com"), None);
        assert_eq!(name(9001, "one.example.com"), None);
    }

    #[test]
    fn names_in_the_hello_of_tls_are_apart_from_those_of_requests() {
        let kept = Route { named: Named::Hello, ..route("kept", vec![HostPattern::Under("example.org".into())]) };
        let table = Table::new(Gateway::default(), [(443, route("ended", vec![])), (443, kept)]);
        let name = |route: Option<&Arc<Route>>| route.map(|route| route.service().to_string());
        assert_eq!(name(table.find(443, "app.example.org")), Some("ended".to_string()));
        assert_eq!(name(table.passed(443, "APP.example.org.")), Some("kept".to_string()));
        assert_eq!(name(table.passed(443, "example.org")), None);
        assert!(table.passes(443) && !table.passes(8443));
    }

    #[test]
    fn a_port_is_ready_as_soon_as_one_of_its_services_has_an_instance() {
        let (empty, other) = (route("a", vec![HostPattern::Exact("a".into())]), route("b", vec![]));
        let pool = other.pool.clone();
        let table = Table::new(Gateway::default(), [(80, empty), (80, other)]);
        assert!(!table.is_ready(80));
        pool.add(&"b.1".into(), Target::Name("localhost".into(), 1));
        assert!(table.is_ready(80) && !table.is_ready(81));
    }
}
