//! TLS that browsers refuse.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use fermata::probe::{Addresses, Question, Target, Trust};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, date_time_ymd};
use rustls::ServerConfig;
use rustls::server::WebPkiClientVerifier;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;

use crate::gallery::{
    NOT_FOUND, Twist, assert_told, granted, head, is_handshake, listen_only, say, send, serve, server,
};

/// Who signs the certificates of the gallery.
pub(crate) struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    pub(crate) fn new() -> Authority {
        Authority::called("The Gallery's Authority")
    }

    fn called(name: &str) -> Authority {
        let mut params = CertificateParams::new(Vec::new()).expect("parameters");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, name);
        Authority(CertifiedIssuer::self_signed(params, KeyPair::generate().expect("a key")).expect("signed"))
    }

    fn trust(&self) -> Vec<CertificateDer<'static>> {
        vec![self.0.der().clone()]
    }
}

/// A certificate to be.
pub(crate) struct Leaf {
    name: &'static str,
    from: (i32, u8, u8),
    until: (i32, u8, u8),
}

impl Leaf {
    pub(crate) fn good() -> Leaf {
        Leaf { name: "app.example", from: (2020, 1, 1), until: (2099, 12, 31) }
    }

    fn params(&self) -> CertificateParams {
        let mut params = CertificateParams::new([self.name.to_owned()]).expect("parameters");
        params.distinguished_name.push(DnType::CommonName, self.name);
        params.not_before = date_time_ymd(self.from.0, self.from.1, self.from.2);
        params.not_after = date_time_ymd(self.until.0, self.until.1, self.until.2);
        params
    }

    fn signed(&self, authority: &Authority) -> (CertificateDer<'static>, PrivateKeyDer<'static>) {
        let key = KeyPair::generate().expect("a key");
        let certificate = self.params().signed_by(&key, &authority.0).expect("signed");
        (certificate.der().clone(), PrivateKeyDer::Pkcs8(key.serialize_der().into()))
    }
}

/// Starts a healthy service behind TLS that is as `change` makes it.
pub(crate) async fn secure(authority: &Authority, leaf: Leaf, change: impl FnOnce(&mut ServerConfig)) -> SocketAddr {
    let (certificate, key) = leaf.signed(authority);
    let mut config =
        ServerConfig::builder().with_no_client_auth().with_single_cert(vec![certificate], key).expect("a pair");
    change(&mut config);
    behind(config, "").await
}

/// Starts a healthy service behind TLS; `before` is read before TLS begins.
async fn behind(config: ServerConfig, before: &'static str) -> SocketAddr {
    let tls = TlsAcceptor::from(Arc::new(config));
    server(move |stream| accept(tls.clone(), stream, before)).await
}

async fn accept(tls: TlsAcceptor, mut stream: TcpStream, before: &'static str) {
    let mut start = vec![0; before.len()];
    if stream.read_exact(&mut start).await.is_err() || start != before.as_bytes() {
        return;
    }
    while !before.is_empty() && stream.read_u8().await.is_ok_and(|byte| byte != b'\n') {}
    let Ok(mut stream) = tls.accept(stream).await else { return };
    if stream.get_ref().1.alpn_protocol() == Some(b"h2") {
        // MAX_CONCURRENT_STREAMS and ENABLE_CONNECT_PROTOCOL.
        send(&mut stream, b"\0\0\x0c\x04\0\0\0\0\0\0\x03\0\0\0\x64\0\x08\0\0\0\x01").await;
        return listen_only(&mut stream).await;
    }
    let head = head(&mut stream).await;
    if is_handshake(&head) {
        say(&mut stream, &granted(&head, "")).await;
        serve(stream, async |_, _, _| Twist::Usual).await;
    } else {
        say(&mut stream, NOT_FOUND).await;
        let _ = stream.shutdown().await;
    }
}

fn ask(address: SocketAddr, trust: Trust) -> Question {
    let target = Target::read(&format!("wss://app.example:{}/", address.port())).expect("a URL");
    let addresses = Addresses::Given(vec![IpAddr::V4(Ipv4Addr::LOCALHOST)]);
    Question { addresses, ..Question::new(target, trust) }
}

fn ask_briefly(address: SocketAddr) -> Question {
    Question { hop_timeout: Duration::from_secs(2), ..ask(address, Trust::Roots(Vec::new())) }
}

#[tokio::test]
async fn a_good_certificate() {
    let authority = Authority::new();
    let address = secure(&authority, Leaf::good(), |config| {
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    })
    .await;
    assert_told!("healthy-tls", ask(address, Trust::Roots(authority.trust())));
}

#[tokio::test]
async fn a_certificate_that_expired() {
    let authority = Authority::new();
    let leaf = || Leaf { until: (2021, 3, 4), ..Leaf::good() };
    let address = secure(&authority, leaf(), |_| {}).await;
    assert_told!("tls-expired", ask(address, Trust::Roots(authority.trust())));
    let address = secure(&authority, leaf(), |_| {}).await;
    assert_told!("tls-expired-insecure", ask(address, Trust::Anything(authority.trust())));
}

#[tokio::test]
async fn a_certificate_from_tomorrow() {
    let authority = Authority::new();
    let address = secure(&authority, Leaf { from: (2090, 1, 2), ..Leaf::good() }, |_| {}).await;
    assert_told!("tls-not-yet-valid", ask(address, Trust::Roots(authority.trust())));
}

#[tokio::test]
async fn a_certificate_for_another_name() {
    let authority = Authority::new();
    let address = secure(&authority, Leaf { name: "www.example", ..Leaf::good() }, |_| {}).await;
    assert_told!("tls-other-name", ask(address, Trust::Roots(authority.trust())));
}

#[tokio::test]
async fn a_certificate_that_signed_itself_and_expired() {
    let key = KeyPair::generate().expect("a key");
    let leaf = Leaf { until: (2021, 3, 4), ..Leaf::good() };
    let certificate = leaf.params().self_signed(&key).expect("signed").der().clone();
    let key = PrivateKeyDer::Pkcs8(key.serialize_der().into());
    let config =
        ServerConfig::builder().with_no_client_auth().with_single_cert(vec![certificate], key).expect("a pair");
    let address = behind(config, "").await;
    assert_told!("tls-self-signed", ask(address, Trust::Roots(Authority::new().trust())));
}

#[tokio::test]
async fn a_chain_without_its_middle() {
    let address = secure(&Authority::called("Intermediate E1"), Leaf::good(), |_| {}).await;
    assert_told!("tls-no-intermediate", ask(address, Trust::Roots(Authority::new().trust())));
}

#[tokio::test]
async fn a_machine_without_roots() {
    let address = secure(&Authority::new(), Leaf::good(), |_| {}).await;
    assert_told!("tls-no-roots", ask(address, Trust::Roots(Vec::new())));
}

#[tokio::test]
async fn a_server_that_takes_http2_only() {
    let authority = Authority::new();
    let address = secure(&authority, Leaf::good(), |config| config.alpn_protocols = vec![b"h2".to_vec()]).await;
    assert_told!("tls-http2-only", ask(address, Trust::Roots(authority.trust())));
}

#[tokio::test]
async fn a_server_without_a_certificate_for_the_name() {
    let config = ServerConfig::builder()
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(rustls::server::ResolvesServerCertUsingSni::new()));
    let address = behind(config, "").await;
    assert_told!("tls-unknown-name", ask(address, Trust::Roots(Vec::new())));
}

#[tokio::test]
async fn a_server_that_wants_a_certificate_of_the_client() {
    let authority = Authority::new();
    let (certificate, key) = Leaf::good().signed(&authority);
    let mut roots = rustls::RootCertStore::empty();
    roots.add_parsable_certificates(authority.trust());
    let clients = WebPkiClientVerifier::builder(Arc::new(roots)).build().expect("a verifier");
    let config = ServerConfig::builder()
        .with_client_cert_verifier(clients)
        .with_single_cert(vec![certificate], key)
        .expect("a pair");
    let address = behind(config, "").await;
    assert_told!("tls-client-certificate", ask(address, Trust::Roots(authority.trust())));
}

#[tokio::test]
async fn a_server_that_waits_for_a_proxy_protocol_line() {
    let authority = Authority::new();
    let (certificate, key) = Leaf::good().signed(&authority);
    let config =
        ServerConfig::builder().with_no_client_auth().with_single_cert(vec![certificate], key).expect("a pair");
    let address = behind(config, "PROXY ").await;
    assert_told!("tls-wants-proxy-protocol", ask(address, Trust::Roots(authority.trust())));
}

#[tokio::test]
async fn plain_http_on_a_tls_port() {
    let address = server(async |mut stream| {
        // What a server makes of a ClientHello.
        let mut start = [0; 5];
        let _ = stream.read_exact(&mut start).await;
        say(&mut stream, "HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n").await;
        listen_only(&mut stream).await;
    })
    .await;
    assert_told!("tls-plain-http", ask(address, Trust::Roots(Vec::new())));
}

#[tokio::test]
async fn a_server_that_speaks_first() {
    let address = server(async |mut stream| {
        say(&mut stream, "220 mail.example ESMTP Postfix\r\n").await;
        listen_only(&mut stream).await;
    })
    .await;
    assert_told!("tls-speaks-first", ask(address, Trust::Roots(Vec::new())));
}

#[tokio::test]
async fn a_server_that_hangs_up_when_tls_begins() {
    let address = server(async |mut stream| drop(stream.read_u8().await)).await;
    assert_told!("tls-hung-up", ask(address, Trust::Roots(Vec::new())));
}

#[tokio::test]
async fn a_server_that_says_nothing() {
    let address = server(async |mut stream| listen_only(&mut stream).await).await;
    assert_told!("tls-silent", ask_briefly(address));
}

#[tokio::test]
async fn a_server_that_says_a_byte_now_and_then() {
    let address = server(async |mut stream| {
        // The start of a ServerHello's record.
        for byte in [22, 3, 3, 0, 122, 2, 0, 0, 118] {
            send(&mut stream, &[byte]).await;
            tokio::time::sleep(Duration::from_millis(300)).await;
        }
    })
    .await;
    assert_told!("tls-slow", ask_briefly(address));
}

#[tokio::test]
async fn a_server_that_knows_only_old_versions() {
    let address = server(async |mut stream| {
        let mut start = [0; 5];
        let _ = stream.read_exact(&mut start).await;
        // Alert: fatal, protocol_version (RFC 8446 6).
        send(&mut stream, &[21, 3, 1, 0, 2, 2, 70]).await;
        listen_only(&mut stream).await;
    })
    .await;
    assert_told!("tls-too-old", ask(address, Trust::Roots(Vec::new())));
}
