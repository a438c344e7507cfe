//! TLS at the balancer, and TLS on the way to the servers.

use std::net::Ipv4Addr;

use tokio_tungstenite::connect_async;

use crate::support::{Fermata, Folder, TlsFront, free_port};
use crate::{Ports, balance, echoes, get, runtime};

/// A `fermata up` on an address of its own, with a certificate that is good for web.internal.
fn server(number: u8, https: u16) -> Fermata {
    let file = format!(
        "services:\n  app:\n    command: $(FERMATA) echo\n    ports: [{{container: {}, https: {https}}}]\n\
         gateway: {{bind: {}, tester: false}}\n\
         tls: {{certificates: [{{cert: app.pem, key: app.key}}]}}\n",
        free_port(),
        Ipv4Addr::new(127, 0, 0, number)
    );
    let folder = Folder::new(&file);
    folder.write_certificate("app", &["web.internal"]);
    folder.up()
}

/// A balancer over TLS whose servers are one at 127.0.0.2, over TLS and trusted if they are web.internal.
fn file(ports: Ports, https: u16, name: &str) -> String {
    format!(
        "load_balancer:\n  servers: [{{name: web2, address: 127.0.0.2}}]\n  \
         ports: {{http: {}, https: \"{}:{https}\", ws: {}, wss: \"{}:{https}\"}}\n  \
         server_tls: {{ca: servers.pem, name: {name}}}\n\
         gateway: {{bind: 127.0.0.1, tester: false}}\n\
         tls: {{certificates: [{{cert: app.pem, key: app.key}}]}}\n",
        ports.http, ports.https, ports.ws, ports.wss
    )
}

#[test]
fn servers_over_tls_are_verified_by_the_root_and_the_name_of_the_file() {
    let (ports, https) = (Ports::new(), free_port());
    let server = server(2, https);
    let root = std::fs::read_to_string(server.folder.path().join("app.pem")).expect("its certificate");
    let folder = Folder::new(&file(ports, https, "web.internal"));
    folder.write("servers.pem", &root);
    let own = folder.write_certificate("app", &["localhost"]);
    let balancer = balance(folder);
    let well = format!("web2 is well on {https}");
    balancer.process.wait_for(&well, |line| line.contains(&well));
    let front = TlsFront::of(ports.https, &own);
    for port in [ports.http, front.port] {
        assert_eq!(get(port, "/", "").0, "HTTP/1.1 200 OK");
        runtime().block_on(async {
            let mut socket = connect_async(format!("ws://127.0.0.1:{port}/")).await.expect("a tunnel opens").0;
            echoes(&mut socket).await;
        });
    }
    // Another name than that of the certificate is somebody else.
    balancer.folder.write("service.yml", &file(ports, https, "other.internal"));
    let reloaded = balancer.folder.run(&["reload", "--state-dir", "state"]);
    assert_eq!(reloaded.code, Some(0), "{reloaded:?}");
    let (status, body) = get(ports.http, "/again", "");
    assert_eq!(status, "HTTP/1.1 502 Bad Gateway");
    assert!(body.contains("cannot be reached: web2 at 127.0.0.2") && body.contains("certificate"), "{body}");
    assert_eq!(balancer.stop().code, Some(0));
    assert_eq!(server.stop().code, Some(0));
}

#[test]
fn a_root_that_cannot_be_read_is_said_at_the_start() {
    let ports = Ports::new();
    let folder = Folder::new(&file(ports, 8443, "web.internal"));
    folder.write_certificate("app", &["localhost"]);
    let ended = folder.run(&["lb", "--state-dir", "state"]);
    assert_eq!(ended.code, Some(1));
    assert!(ended.stderr.starts_with("error: load_balancer.server_tls: "), "{}", ended.stderr);
    assert!(ended.stderr.contains("servers.pem"), "{}", ended.stderr);
}
