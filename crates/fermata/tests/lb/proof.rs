//! Checks of servers that are spoken to over TLS: they verify what the traffic does, and say what is wrong.

use rcgen::{CertificateParams, KeyPair, date_time_ymd};

use crate::support::{Fermata, Folder, free_port};
use crate::{Ports, balance};

/// A `fermata up` at 127.0.0.2 with a certificate for web.internal, or with the one that is written by then.
fn server(https: u16, write: impl FnOnce(&Folder)) -> Fermata {
    let folder = Folder::new(&format!(
        "services:\n  app:\n    command: $(FERMATA) echo\n    ports: [{{container: {}, https: {https}}}]\n\
         gateway: {{bind: 127.0.0.2, tester: false}}\n\
         tls: {{certificates: [{{cert: app.pem, key: app.key}}]}}\n",
        free_port()
    ));
    folder.write_certificate("app", &["web.internal"]);
    write(&folder);
    folder.up()
}

/// A balancer before it that looks for a name, by the root in its `servers.pem`.
fn folder(ports: Ports, https: u16, name: &str, check: &str) -> Folder {
    Folder::new(&format!(
        "load_balancer:\n  servers: [{{name: web2, address: 127.0.0.2}}]\n  \
         ports: {{http: {}, https: \"{}:{https}\", ws: {}, wss: \"{}:{https}\"}}\n  \
         server_tls: {{ca: servers.pem, name: {name}}}\n  \
         check: {{type: {check}, endpoint: /, period: 1, initial_delay: 0, failure_threshold: 1, success_threshold: 1}}\n\
         gateway: {{bind: 127.0.0.1, tester: false}}\n",
        ports.http, ports.https, ports.ws, ports.wss
    ))
}

/// What the balancer says of the server, which has its own certificate for a root unless that is another one.
fn said(name: &str, check: &str, root: Option<&str>, write: impl FnOnce(&Folder)) -> String {
    let (ports, https) = (Ports::new(), free_port());
    let server = server(https, write);
    let own = std::fs::read_to_string(server.folder.path().join("app.pem")).expect("its certificate");
    let folder = folder(ports, https, name, check);
    folder.write("servers.pem", root.unwrap_or(&own));
    let balancer = balance(folder);
    let own = format!(" on {https}");
    let line = balancer.process.wait_for("how the server is", |line| line.contains("web2 is ") && line.contains(&own));
    assert_eq!(balancer.stop().code, Some(0));
    assert_eq!(server.stop().code, Some(0));
    line.split_once("web2 is ").expect("it says so").1.replace(&https.to_string(), "HTTPS")
}

const DOWN: &str = "down on HTTPS: 127.0.0.2:HTTPS made no TLS connection: ";

#[test]
fn a_server_that_proves_who_it_is_is_well_by_a_page_and_by_a_websocket() {
    for check in ["http", "websocket"] {
        assert_eq!(said("web.internal", check, None, |_| {}), "well on HTTPS", "{check}");
    }
}

#[test]
fn a_certificate_for_another_name_is_named() {
    let why = "its certificate is for web.internal, and not for other.internal; load_balancer.server_tls.name is the name that \
               is looked for";
    assert_eq!(said("other.internal", "websocket", None, |_| {}), format!("{DOWN}{why}"));
}

#[test]
fn a_certificate_from_nobody_who_is_trusted_is_said() {
    let other = rcgen::generate_simple_self_signed(["web.internal".to_owned()]).expect("a name").cert.pem();
    let why = "its certificate comes from nobody who is trusted; name the root in load_balancer.server_tls.ca";
    assert_eq!(said("web.internal", "http", Some(&other), |_| {}), format!("{DOWN}{why}"));
}

#[test]
fn a_certificate_that_has_expired_is_said() {
    let old = |folder: &Folder| {
        let key = KeyPair::generate().expect("a key");
        let mut params = CertificateParams::new(["web.internal".to_owned()]).expect("a name");
        (params.not_before, params.not_after) = (date_time_ymd(2020, 1, 1), date_time_ymd(2021, 1, 1));
        folder.write("app.pem", &params.self_signed(&key).expect("a certificate").pem());
        folder.write("app.key", &key.serialize_pem());
    };
    let why = "its certificate has expired; renew it there";
    assert_eq!(said("web.internal", "http", None, old), format!("{DOWN}{why}"));
}
