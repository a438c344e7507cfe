//! Certificates from a real authority: Debian's pebble, which asks the gateway itself for its proofs, and finds it by the
//! names that pebble-challtestsrv tells.

mod support;

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::Command;

use rustls::{ClientConnection, StreamOwned};
use support::{Fermata, Folder, PATIENCE, Process, free_port, trusting, until};

/// A certificate authority whose questions go to one port of this machine, whatever the name.
struct Authority {
    _names: Process,
    _pebble: Process,
    folder: Folder,
    directory: u16,
    management: u16,
}

impl Authority {
    fn asking(port: u16) -> Authority {
        let (directory, management, names, names_management) = (free_port(), free_port(), free_port(), free_port());
        let folder = Folder::new("");
        folder.write_certificate("authority", &["localhost"]);
        folder.write(
            "pebble.json",
            &format!(
                r#"{{"pebble": {{"listenAddress": "127.0.0.1:{directory}", "managementListenAddress": "127.0.0.1:{management}",
                    "certificate": "authority.pem", "privateKey": "authority.key", "httpPort": {port}, "tlsPort": 1,
                    "ocspResponderURL": "", "externalAccountBindingRequired": false}}}}"#
            ),
        );
        let listen = |port: u16| format!("127.0.0.1:{port}");
        let resolver = Process::start(
            Command::new("pebble-challtestsrv")
                .args(["-defaultIPv6", "", "-http01", "", "-https01", "", "-tlsalpn01", ""])
                .args(["-dns01", &listen(names), "-management", &listen(names_management)]),
        );
        let pebble = Process::start(
            Command::new("pebble")
                .args(["-config", "pebble.json", "-dnsserver", &listen(names)])
                .current_dir(folder.path())
                // It waits before each question, and says no to some good requests, unless it is told not to.
                .env("PEBBLE_VA_NOSLEEP", "1")
                .env("PEBBLE_WFE_NONCEREJECT", "0"),
        );
        let authority = Authority { _names: resolver, _pebble: pebble, folder, directory, management };
        until("the authority listens", || {
            [directory, management].iter().all(|port| TcpStream::connect(("127.0.0.1", *port)).is_ok())
        });
        authority
    }

    fn own_certificate(&self) -> PathBuf {
        self.folder.path().join("authority.pem")
    }

    /// Writes the root of what it issues into a file.
    fn root(&self) -> PathBuf {
        let stream = TcpStream::connect(("127.0.0.1", self.management)).expect("it listens");
        stream.set_read_timeout(Some(PATIENCE)).expect("a limit can be set");
        let name = "localhost".try_into().expect("a name");
        let session = ClientConnection::new(trusting(&self.own_certificate()), name).expect("a session");
        let mut stream = StreamOwned::new(session, stream);
        stream.write_all(b"GET /roots/0 HTTP/1.0\r\nHost: localhost\r\n\r\n").expect("it reads");
        let mut answer = String::new();
        // The end of the stream may come without TLS's own end.
        let _ = stream.read_to_string(&mut answer);
        let (_, pem) = answer.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no root in {answer:?}"));
        self.folder.write("root.pem", pem)
    }
}

struct Site {
    https: u16,
    folder: Folder,
}

/// A service at `https`, and a port for the authority's questions.
fn site(authority: &Authority, asked: u16) -> Site {
    let https = free_port();
    let folder = Folder::new(&format!(
        "version: 2
services:
  echo:
    command: $(FERMATA) echo
    ports:
    - container: {}
      https: {https}
tls:
  acme:
    email: ops@example.com
    domains: [app.example.com]
    directory: https://localhost:{}/dir
    root: authority.pem
    challenge_port: {asked}
gateway: {{bind: [127.0.0.1]}}
",
        free_port(),
        authority.directory,
    ));
    fs::copy(authority.own_certificate(), folder.path().join("authority.pem")).expect("a file can be copied");
    Site { https, folder }
}

/// What a client says that trusts one root only.
fn probe(fermata: &Fermata, https: u16, root: &std::path::Path) -> Option<i32> {
    let url = format!("wss://app.example.com:{https}/");
    let mut command = fermata.folder.command(&["probe", &url, "--through", "127.0.0.1"]);
    command.env("SSL_CERT_FILE", root);
    Process::start(&mut command).wait().code()
}

#[test]
fn a_name_gets_a_certificate_of_the_authority_and_keeps_it() {
    let asked = free_port();
    let authority = Authority::asking(asked);
    let Site { https, folder } = site(&authority, asked);
    let fermata = folder.up();
    let issued = fermata.process.wait_for("that it is issued", |line| line.contains("has a certificate of"));
    assert!(
        issued
            .ends_with(&format!("app.example.com has a certificate of https://localhost:{}/dir", authority.directory))
    );
    let said = fermata.process.stdout.text();
    assert!(
        said.contains("until the authority has issued a certificate, a self-signed one is used for app.example.com")
    );
    assert!(said.contains(&format!("ws://127.0.0.1:{asked}  answers the certificate authority (tls.acme)")));
    let root = authority.root();
    until("clients see the new certificate", || probe(&fermata, https, &root) == Some(0));

    let folder = fermata.folder.path().join("state/acme");
    let first = fs::read(folder.join("app.example.com.pem")).expect("a certificate is kept");
    let Fermata { process, folder: site } = fermata;
    drop(process);
    let fermata = site.up();
    assert_eq!(probe(&fermata, https, &root), Some(0));
    assert_eq!(fs::read(folder.join("app.example.com.pem")).expect("a certificate is kept"), first);
    assert!(!fermata.process.stdout.text().contains("self-signed"));
}

#[test]
fn an_authority_that_is_not_content_is_quoted_and_everything_else_goes_on() {
    let (asked, elsewhere) = (free_port(), free_port());
    let authority = Authority::asking(elsewhere);
    let Site { https, folder } = site(&authority, asked);
    let fermata = folder.up();
    let failed = fermata.process.wait_for("that it failed", |line| line.contains("no certificate for"));
    assert!(failed.contains("no certificate for app.example.com: the authority: "), "{failed}");
    assert!(failed.contains(&elsewhere.to_string()), "{failed}");
    let advice = "(the name must lead here, and port 80 must be reachable from the internet); \
                  it keeps the one that it has, and is tried again in 1 min";
    assert!(failed.ends_with(advice), "{failed}");
    let own = fermata.folder.path().join("state/acme/app.example.com.pem");
    assert_eq!(probe(&fermata, https, &own), Some(0));
}

#[test]
fn an_authority_that_is_not_there_is_told_and_everything_else_goes_on() {
    let asked = free_port();
    let authority = Authority::asking(asked);
    let Site { https, folder } = site(&authority, asked);
    drop(authority);
    let fermata = folder.up();
    let failed = fermata.process.wait_for("that it failed", |line| line.contains("no certificate for"));
    assert!(failed.contains("Connection refused"), "{failed}");
    let own = fermata.folder.path().join("state/acme/app.example.com.pem");
    assert_eq!(probe(&fermata, https, &own), Some(0));
}
