//! A gateway in front of a service that the test plays.

use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};

use rustix::event::{PollFd, PollFlags, poll};
use socket2::{Domain, SockRef, Socket, Type};

use crate::support::{Fermata, PATIENCE, free_port};
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
        // It holds for accept as well (socket(7)).
        SockRef::from(&listener).set_read_timeout(Some(PATIENCE)).expect("a timeout can be set");
        Service { listener, port }
    }

    /// The next connection.
    pub fn accept(&self) -> Talk {
        self.listener.accept().expect("a connection comes").0.into()
    }

    /// The next connection, if there is one now.
    pub fn try_accept(&self) -> Option<Talk> {
        self.listener.set_nonblocking(true).expect("the option can be set");
        let accepted = self.listener.accept().ok();
        self.listener.set_nonblocking(false).expect("the option can be set");
        // An accepted socket inherits nothing of that (accept(2)).
        accepted.map(|(stream, _)| stream.into())
    }

    /// The next connection, or none if `client` is told something first.
    pub fn accept_before(&self, client: &Talk) -> Option<Talk> {
        let mut both = [PollFd::new(&self.listener, PollFlags::IN), PollFd::new(client.socket(), PollFlags::IN)];
        let ready = poll(&mut both, Some(&PATIENCE.try_into().expect("a minute")));
        assert!(ready.is_ok_and(|ready| ready > 0), "nothing happens");
        self.try_accept()
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

    /// A client with another address of this machine (all of 127.0.0.0/8 is loopback, RFC 1122 3.2.1.3).
    pub fn connect_from(&self, address: [u8; 4]) -> Talk {
        from(address, self.http)
    }
}

/// A client with another address of this machine, of any gateway on it.
pub fn from(address: [u8; 4], port: u16) -> Talk {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
    socket.bind(&SocketAddr::from((address, 0)).into()).expect("the address is this machine's");
    let gateway = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    socket.connect(&gateway.into()).expect("the port accepts connections");
    TcpStream::from(socket).into()
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
