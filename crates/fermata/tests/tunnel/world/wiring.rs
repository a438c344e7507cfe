//! What a tunnel's legs are made of.

use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::sync::{Arc, LazyLock};

use bytes::BytesMut;
use fermata::net::{Parts, Reach};
use fermata::tls::Session;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::version::{TLS12, TLS13};
use rustls::{ClientConfig, ClientConnection, RootCertStore, ServerConfig, SupportedProtocolVersion};

use super::peer::Peer;

/// What a client speaks below WebSocket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Client {
    Clear,
    Tls12,
    Tls13,
}

/// How a service is connected to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Service {
    Tcp,
    Unix,
}

/// One of the combinations.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wiring {
    pub client: Client,
    pub service: Service,
}

/// All of them.
pub const WIRINGS: [Wiring; 6] = [
    Wiring { client: Client::Clear, service: Service::Tcp },
    Wiring { client: Client::Clear, service: Service::Unix },
    Wiring { client: Client::Tls13, service: Service::Tcp },
    Wiring { client: Client::Tls13, service: Service::Unix },
    Wiring { client: Client::Tls12, service: Service::Tcp },
    Wiring { client: Client::Tls12, service: Service::Unix },
];

impl Wiring {
    pub const CLEAR: Wiring = WIRINGS[0];
    pub const TLS: Wiring = WIRINGS[2];

    /// A client, and the leg that leads to it.
    pub fn client(self) -> (Peer, Parts) {
        let (far, near) = tcp_pair();
        let (connection, session) = handshake_of(self.client).unzip();
        (Peer::new(far, connection), parts(near, session))
    }

    /// A service, and the leg that leads to it.
    pub fn service(self) -> (Peer, Parts) {
        let (far, near) = match self.service {
            Service::Tcp => tcp_pair(),
            Service::Unix => {
                let (far, near) = UnixStream::pair().expect("sockets can be made");
                (far.into(), near.into())
            }
        };
        let reach = if self.service == Service::Unix { Reach::Host } else { Reach::Network };
        (Peer::new(far, None), Parts { reach, ..parts(near, None) })
    }
}

/// A leg whose peer may be anywhere.
pub fn parts(socket: OwnedFd, tls: Option<Session>) -> Parts {
    Parts { socket, reach: Reach::Network, tls: tls.map(Box::new), unread: BytesMut::new(), unsent: BytesMut::new() }
}

/// A connection over loopback: the end that connected, and the one that accepted.
pub fn tcp_pair() -> (OwnedFd, OwnedFd) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port is free");
    let far = TcpStream::connect(listener.local_addr().expect("bound")).expect("somebody listens");
    let (near, _) = listener.accept().expect("somebody connects");
    far.set_nodelay(true).expect("a TCP socket");
    near.set_nodelay(true).expect("a TCP socket");
    (far.into(), near.into())
}

struct Configs {
    server: Arc<ServerConfig>,
    roots: RootCertStore,
}

static CONFIGS: LazyLock<Configs> = LazyLock::new(|| {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("a name");
    let certificate: CertificateDer<'static> = made.cert.der().clone();
    let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).expect("a key");
    let server = ServerConfig::builder_with_protocol_versions(&[&TLS13, &TLS12])
        .with_no_client_auth()
        .with_single_cert(vec![certificate.clone()], key)
        .expect("a certificate and its key");
    let mut roots = RootCertStore::empty();
    roots.add(certificate).expect("a certificate");
    Configs { server: Arc::new(server), roots }
});

/// Both ends of what a client speaks below WebSocket.
pub fn handshake_of(client: Client) -> Option<(ClientConnection, Session)> {
    match client {
        Client::Clear => None,
        Client::Tls12 => Some(handshake(&[&TLS12])),
        Client::Tls13 => Some(handshake(&[&TLS13])),
    }
}

/// A TLS connection that is about to begin.
pub fn greeting() -> (ClientConnection, Session) {
    begin(&[&TLS13, &TLS12])
}

fn begin(versions: &[&'static SupportedProtocolVersion]) -> (ClientConnection, Session) {
    let mut config = ClientConfig::builder_with_protocol_versions(versions)
        .with_root_certificates(CONFIGS.roots.clone())
        .with_no_client_auth();
    config.enable_secret_extraction = true;
    let name = ServerName::try_from("localhost").expect("a name");
    let mut client = ClientConnection::new(Arc::new(config), name).expect("a configuration");
    client.set_buffer_limit(None);
    (client, Session::server(CONFIGS.server.clone()).expect("a configuration"))
}

/// A TLS connection whose handshake is done, the session tickets included.
pub fn handshake(versions: &[&'static SupportedProtocolVersion]) -> (ClientConnection, Session) {
    let (mut client, mut server) = begin(versions);
    let (mut plain, mut answer) = (Vec::new(), Vec::new());
    while client.is_handshaking() || server.is_handshaking() || client.wants_write() {
        let mut wire = server.take_partial();
        client.write_tls(&mut wire).expect("a vector takes everything");
        server.receive(&mut wire, &mut plain, &mut answer).expect("a good handshake");
        let mut answered = &std::mem::take(&mut answer)[..];
        while !answered.is_empty() {
            client.read_tls(&mut answered).expect("a slice can be read");
            client.process_new_packets().expect("a good handshake");
        }
    }
    assert_eq!(plain, b"");
    (client, server)
}
