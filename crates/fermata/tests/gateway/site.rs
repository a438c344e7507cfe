//! A gateway in front of a service that the test plays.

use std::net::{Ipv4Addr, TcpListener};

use crate::support::{Fermata, free_port};
use crate::talk::Talk;

/// A service: its connections are accepted by hand.
pub struct Service {
    listener: TcpListener,
    /// Its port.
    pub port: u16,
}

impl Service {
    /// Listens on a port of its own.
    pub fn new() -> Service {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port is free");
        let port = listener.local_addr().expect("a bound socket has an address").port();
        Service { listener, port }
    }

    /// The next connection.
    pub fn accept(&self) -> Talk {
        self.listener.accept().expect("a connection comes").0.into()
    }
}

/// A gateway, and the service behind it.
pub struct Site {
    pub fermata: Fermata,
    pub service: Service,
    /// The gateway's port for HTTP.
    pub http: u16,
}

impl Site {
    /// A gateway with one service and nothing else.
    pub fn new() -> Site {
        Site::with("", "")
    }

    /// The same with more keys for the service (lines, unindented) and for `gateway` (in one line).
    pub fn with(service_keys: &str, gateway_keys: &str) -> Site {
        let (service, http) = (Service::new(), free_port());
        let fermata = Fermata::up(&service_yml(service.port, &format!("http: {http}"), service_keys, gateway_keys));
        Site { fermata, service, http }
    }

    /// A client.
    pub fn connect(&self) -> Talk {
        Talk::to(self.http)
    }
}

/// A file with one service that already runs.
pub fn service_yml(service: u16, ports: &str, service_keys: &str, gateway_keys: &str) -> String {
    let keys: String = service_keys.lines().map(|line| format!("    {line}\n")).collect();
    format!(
        r#"version: 2
services:
  app:
    address: 127.0.0.1:{service}
    ports: [{{container: 3000, {ports}}}]
{keys}gateway: {{bind: ["127.0.0.1"]{comma}{gateway_keys}}}
"#,
        comma = if gateway_keys.is_empty() { "" } else { ", " },
    )
}
