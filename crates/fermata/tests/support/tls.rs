//! Certificates for a test, and TLS for a client that speaks none.

use std::net::Ipv4Addr;
use std::path::Path;
use std::sync::Arc;
use std::thread::{self, JoinHandle};

use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, ServerName};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio_rustls::TlsConnector;

use super::Folder;

impl Folder {
    /// Writes a self-signed certificate for these hosts as `NAME.pem` and its key as `NAME.key`.
    pub fn write_certificate(&self, name: &str, hosts: &[&str]) -> std::path::PathBuf {
        let hosts: Vec<String> = hosts.iter().map(|host| (*host).to_owned()).collect();
        let made = rcgen::generate_simple_self_signed(hosts).expect("the hosts are names or addresses");
        self.write(&format!("{name}.key"), &made.signing_key.serialize_pem());
        self.write(&format!("{name}.pem"), &made.cert.pem())
    }
}

/// What a TLS client needs to trust this certificate, and no other.
pub fn trusting(certificate: &Path) -> Arc<ClientConfig> {
    let mut roots = RootCertStore::empty();
    let certificate = CertificateDer::from_pem_file(certificate).expect("a certificate in PEM");
    roots.add(certificate).expect("a certificate that can be trusted");
    Arc::new(ClientConfig::builder().with_root_certificates(roots).with_no_client_auth())
}

/// A port that takes clear connections and carries each over TLS to another, byte for byte, ends included.
pub struct TlsFront {
    /// Its port on 127.0.0.1.
    pub port: u16,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl TlsFront {
    /// In front of `port` of 127.0.0.1, whose `certificate` is good for localhost.
    pub fn of(port: u16, certificate: &Path) -> TlsFront {
        let connector = TlsConnector::from(trusting(certificate));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime starts");
        let listener = runtime.block_on(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))).expect("a port is free");
        let own_port = listener.local_addr().expect("a bound socket has an address").port();
        let (stop, stopped) = oneshot::channel();
        let thread = thread::spawn(move || {
            runtime.block_on(async {
                tokio::select! {
                    () = carry_all(&listener, port, connector) => {}
                    _ = stopped => {}
                }
            });
        });
        TlsFront { port: own_port, stop: Some(stop), thread: Some(thread) }
    }
}

impl Drop for TlsFront {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

async fn carry_all(listener: &TcpListener, port: u16, connector: TlsConnector) {
    while let Ok((mut clear, _)) = listener.accept().await {
        let connector = connector.clone();
        tokio::spawn(async move {
            let name = ServerName::try_from("localhost").expect("a name");
            let far = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await?;
            let mut far = connector.connect(name, far).await?;
            // A peer that resets is a peer that has ended: the other side sees the same.
            tokio::io::copy_bidirectional(&mut clear, &mut far).await
        });
    }
}
