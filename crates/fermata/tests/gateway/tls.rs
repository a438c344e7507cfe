//! TLS on https ports: versions, names, resumption, and certificates that change while connections go on.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::version::{TLS12, TLS13};
use rustls::{ClientConfig, HandshakeKind, ProtocolVersion, RootCertStore, SupportedProtocolVersion};

use crate::site::{Service, service_yml};
use crate::support::{Fermata, Folder, free_port};
use crate::talk::{End, Talk};

const GET: &str = "GET / HTTP/1.1\nHost: app\n\n";
const OK: &str = "HTTP/1.1 200 OK\nContent-Length: 2\n\nok";

/// A gateway with an https port, and the certificates that it was given.
struct Site {
    fermata: Fermata,
    service: Service,
    https: u16,
}

impl Site {
    /// With a certificate `NAME.pem` for each of these names and their hosts.
    fn with(certificates: &[(&str, &[&str])], gateway_keys: &str) -> Site {
        let (service, https) = (Service::new(), free_port());
        let yml = service_yml(service.port, &format!("https: {https}"), "", gateway_keys);
        let list: String =
            certificates.iter().map(|(name, _)| format!("  - {{cert: {name}.pem, key: {name}.key}}\n")).collect();
        let folder = Folder::new(&format!("{yml}tls:\n  certificates:\n{list}"));
        for (name, hosts) in certificates {
            folder.write_certificate(name, hosts);
        }
        Site { fermata: folder.up(), service, https }
    }

    fn new() -> Site {
        Site::with(&[("app", &["app.test"])], "")
    }

    fn file(&self, name: &str) -> PathBuf {
        self.fermata.folder.path().join(name)
    }

    /// A client that trusts the certificate `NAME.pem` as it is now.
    fn trusting(&self, name: &str) -> Arc<ClientConfig> {
        client(&[&self.file(&format!("{name}.pem"))], &[&TLS13, &TLS12], &[])
    }

    fn connect(&self, config: &Arc<ClientConfig>) -> Talk {
        Talk::to(self.https).tls(config, "app.test")
    }

    /// A request and its answer.
    fn converse(&self, client: &mut Talk) {
        client.say(GET);
        let mut service = self.service.accept();
        service.head();
        service.say(OK);
        assert_eq!(client.response().body, "ok");
    }

    /// Waits until certificates have been renewed for the `count`th time.
    fn renewed(&self, count: usize) {
        let stderr = &self.fermata.process.stderr;
        let seen = stderr.wait_until(|lines| lines.iter().filter(|line| line.contains("renewed")).count() >= count);
        assert!(seen, "{}", self.fermata.process.transcript());
    }
}

fn client(trusted: &[&Path], versions: &[&'static SupportedProtocolVersion], alpn: &[&str]) -> Arc<ClientConfig> {
    let mut roots = RootCertStore::empty();
    for file in trusted {
        let certificate = CertificateDer::from_pem_file(file).expect("a certificate in PEM");
        roots.add(certificate).expect("a certificate that can be trusted");
    }
    let mut config =
        ClientConfig::builder_with_protocol_versions(versions).with_root_certificates(roots).with_no_client_auth();
    config.alpn_protocols = alpn.iter().map(|protocol| protocol.as_bytes().to_vec()).collect();
    Arc::new(config)
}

/// The certificate that a client was shown.
fn shown(client: &Talk) -> Vec<u8> {
    client.session().peer_certificates().expect("a server shows one")[0].to_vec()
}

fn certificate(file: &Path) -> Vec<u8> {
    CertificateDer::from_pem_file(file).expect("a certificate in PEM").to_vec()
}

#[test]
fn tls_1_2_and_1_3_are_spoken_and_of_protocols_only_http_1_1() {
    let site = Site::new();
    for (version, spoken) in [(&TLS12, ProtocolVersion::TLSv1_2), (&TLS13, ProtocolVersion::TLSv1_3)] {
        let config = client(&[&site.file("app.pem")], &[version], &["h2", "http/1.1"]);
        let mut client = site.connect(&config);
        site.converse(&mut client);
        assert_eq!(client.session().protocol_version(), Some(spoken));
        assert_eq!(client.session().alpn_protocol(), Some(b"http/1.1".as_slice()));
    }
}

#[test]
fn a_client_that_only_speaks_http_2_is_told_so_by_tls() {
    let site = Site::new();
    let config = client(&[&site.file("app.pem")], &[&TLS13], &["h2"]);
    let error = Talk::to(site.https).try_tls(&config, "app.test").err().expect("there is no protocol in common");
    assert_eq!(error, "received fatal alert: NoApplicationProtocol");
}

#[test]
fn each_name_gets_its_certificate() {
    let site = Site::with(&[("one", &["one.test"]), ("two", &["two.test", "zwei.test"]), ("any", &["*.any.test"])], "");
    let files = ["one.pem", "two.pem", "any.pem"].map(|name| site.file(name));
    let config = client(&files.each_ref().map(PathBuf::as_path), &[&TLS13], &[]);
    for (name, file) in [("one.test", 0), ("ONE.test", 0), ("two.test", 1), ("zwei.test", 1), ("a.any.test", 2)] {
        let client = Talk::to(site.https).tls(&config, name);
        assert_eq!(shown(&client), certificate(&files[file]), "{name}");
    }
    for name in ["three.test", "any.test", "a.b.any.test"] {
        let error = Talk::to(site.https).try_tls(&config, name).err().expect("no certificate is for that name");
        let why = format!(
            "invalid peer certificate: certificate not valid for name \"{name}\"; certificate is only valid for DnsName(\"one.test\")"
        );
        assert_eq!(error, why);
    }
}

#[test]
fn sessions_are_resumed() {
    let site = Site::new();
    for version in [&TLS12, &TLS13] {
        let config = client(&[&site.file("app.pem")], &[version], &[]);
        let kinds = [(); 3].map(|()| {
            let mut client = site.connect(&config);
            // TLS 1.3 sends its tickets behind the handshake.
            site.converse(&mut client);
            client.session().handshake_kind().expect("the handshake is over")
        });
        assert_eq!(kinds, [HandshakeKind::Full, HandshakeKind::Resumed, HandshakeKind::Resumed], "{version:?}");
    }
}

#[test]
fn a_renewed_certificate_is_offered_while_old_connections_go_on() {
    let site = Site::new();
    let old = certificate(&site.file("app.pem"));
    let mut before = site.connect(&site.trusting("app"));
    site.converse(&mut before);

    // Written over, one file after the other.
    site.fermata.folder.write_certificate("app", &["app.test"]);
    site.renewed(1);
    let written = certificate(&site.file("app.pem"));
    let mut client = site.connect(&site.trusting("app"));
    assert_eq!(shown(&client), written);
    assert_ne!(written, old);
    site.converse(&mut client);

    // Replaced by renaming, as certbot does.
    site.fermata.folder.write_certificate("next", &["app.test"]);
    for end in ["key", "pem"] {
        fs::rename(site.file(&format!("next.{end}")), site.file(&format!("app.{end}"))).expect("a file can be renamed");
    }
    site.renewed(2);
    let client = site.connect(&site.trusting("app"));
    assert_eq!(shown(&client), certificate(&site.file("app.pem")));
    assert_ne!(shown(&client), written);

    assert_eq!(shown(&before), old);
    before.say(GET);
    let mut service = site.service.accept();
    service.head();
    service.say(OK);
    assert_eq!(before.response().body, "ok");
}

#[test]
fn a_certificate_behind_links_is_renewed_when_a_link_is_turned() {
    // As Kubernetes mounts secrets: app.pem -> current/app.pem, current -> 1.
    let (service, https) = (Service::new(), free_port());
    let yml = service_yml(service.port, &format!("https: {https}"), "", "");
    let folder = Folder::new(&format!("{yml}tls:\n  certificates: [{{cert: app.pem, key: app.key}}]\n"));
    let link = |to: &str, name: &str| std::os::unix::fs::symlink(to, folder.path().join(name)).expect("a link");
    for version in ["1", "2"] {
        fs::create_dir(folder.path().join(version)).expect("a folder");
        folder.write_certificate(&format!("{version}/app"), &["app.test"]);
    }
    link("1", "current");
    link("current/app.pem", "app.pem");
    link("current/app.key", "app.key");
    let site = Site { fermata: folder.up(), service, https };
    assert_eq!(shown(&site.connect(&site.trusting("1/app"))), certificate(&site.file("1/app.pem")));
    std::os::unix::fs::symlink("2", site.file("turned")).expect("a link");
    fs::rename(site.file("turned"), site.file("current")).expect("a link can be renamed");
    site.renewed(1);
    assert_eq!(shown(&site.connect(&site.trusting("2/app"))), certificate(&site.file("2/app.pem")));
}

#[test]
fn a_broken_replacement_changes_nothing_and_hinders_no_other() {
    let site = Site::with(&[("app", &["app.test"]), ("other", &["other.test"])], "");
    let (app, other) = (site.trusting("app"), site.trusting("other"));
    let key = site.file("app.key").display().to_string();
    let strange = rcgen::KeyPair::generate().expect("a key can be made").serialize_pem();
    site.fermata.folder.write("app.key", &strange);
    let cert = site.file("app.pem").display().to_string();
    let warning = format!(
        "warning: a certificate stays as it was: {key}: does not belong to the certificate {cert}; see tls.certificates in the file"
    );
    site.fermata.process.wait_for("what is wrong", |line| line.ends_with(&warning));
    site.converse(&mut site.connect(&app));

    site.fermata.folder.write_certificate("other", &["other.test"]);
    site.renewed(1);
    let client = Talk::to(site.https).tls(&site.trusting("other"), "other.test");
    assert_eq!(shown(&client), certificate(&site.file("other.pem")));
    let error = Talk::to(site.https).try_tls(&other, "other.test").err().expect("the old one is gone");
    assert!(error.starts_with("invalid peer certificate: "), "{error}");
    site.converse(&mut site.connect(&app));

    site.fermata.folder.write_certificate("app", &["app.test"]);
    site.renewed(2);
    site.converse(&mut site.connect(&site.trusting("app")));
    assert_eq!(site.fermata.process.stdout.text().matches("a certificate stays").count(), 1);
}

#[test]
fn other_files_in_a_certificates_folder_are_no_news() {
    let site = Site::new();
    for number in 0..50 {
        site.fermata.folder.write("noise", &number.to_string());
    }
    site.fermata.folder.write_certificate("app", &["app.test"]);
    site.renewed(1);
    let ended = site.fermata.stop();
    assert_eq!(ended.stderr.matches("renewed").count(), 1, "{}", ended.stderr);
}

#[test]
fn plain_http_on_a_tls_port_gets_words() {
    let site = Site::new();
    let mut client = Talk::to(site.https);
    client.say(GET);
    let response = client.response();
    let words = format!(
        "400 Bad Request\n\nPort {} speaks TLS, and this was plain HTTP.\nUse https:// or wss:// here.\n",
        site.https
    );
    assert_eq!(response.body, words);
    assert_eq!(
        response.head,
        format!(
            "HTTP/1.1 400 Bad Request\nconnection: close\ncontent-length: {}\ncontent-type: text/plain; charset=utf-8",
            words.len()
        )
    );
    assert_eq!(client.end(), End::Closed);
}

#[test]
fn a_slow_tls_handshake_times_out() {
    let site = Site::with(&[("app", &["app.test"])], "head_timeout: 200ms");
    let mut client = Talk::to(site.https);
    // The head of a record of 512 bytes that never come.
    client.send([0x16, 3, 1, 2, 0, 1]);
    assert_eq!(client.end(), End::Closed);
    let mut silent = Talk::to(site.https);
    assert_eq!(silent.end(), End::Closed);
}

#[test]
fn a_connection_over_tls_ends_as_tls_wants() {
    let site = Site::new();
    let mut client = site.connect(&site.trusting("app"));
    client.say("GET / HTTP/1.1\nHost: app\nConnection: close\n\n");
    let mut service = site.service.accept();
    service.head();
    service.say(OK);
    client.response();
    // Without close_notify this would be an error.
    assert_eq!(client.end(), End::Closed);
}

#[test]
fn bodies_of_many_records_pass_whole() {
    let site = Site::new();
    let mut client = site.connect(&site.trusting("app"));
    let body: Vec<u8> = (0..5_000_000u32).map(|at| (at % 251) as u8).collect();
    client.say(&format!("PUT / HTTP/1.1\nHost: app\nContent-Length: {}\n\n", body.len()));
    let mut service = site.service.accept();
    let sent = body.clone();
    let sending = std::thread::spawn(move || {
        client.send(&sent);
        client
    });
    service.head();
    assert!(service.bytes(body.len()) == body);
    let mut client = sending.join().expect("everything was sent");
    let sent = body.clone();
    let answering = std::thread::spawn(move || {
        service.say(&format!("HTTP/1.1 200 OK\nContent-Length: {}\n\n", sent.len()));
        service.send(&sent);
    });
    client.head();
    assert!(client.bytes(body.len()) == body);
    answering.join().expect("everything was sent");
}

#[test]
fn without_a_certificate_one_is_made_and_kept_and_warned_of() {
    let (service, https) = (Service::new(), free_port());
    let yml = service_yml(service.port, &format!("https: {https}"), "traffic_matches: [app.test]", "");
    let fermata = Folder::new(&yml).up();
    let made = fermata.folder.path().join("state/self-signed.pem");
    let warning = "warning: no certificate is configured for https: using a self-signed one for localhost, 127.0.0.1, ::1, \
                   app.test (state/self-signed.pem), which browsers warn of; name yours under tls.certificates in service.yml";
    fermata.process.wait_for("where the certificate is", |line| line.ends_with(warning));
    let first = certificate(&made);
    let mut client = Talk::to(https).tls(&client(&[&made], &[&TLS13], &[]), "app.test");
    client.say("GET / HTTP/1.1\nHost: app.test\n\n");
    let mut far = service.accept();
    far.head();
    far.say(OK);
    assert_eq!(client.response().body, "ok");
    assert_eq!(shown(&client), first);
}
