//! Real proxies with configurations of a test's own: nginx, HAProxy and Caddy, as Debian has them.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use fermata::echo;
use fermata::probe::{Addresses, Question, Report, Target, Trust, probe};
use fermata::report::{Step, Verdict};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use tokio::net::TcpListener;

use crate::support::{self, Folder, Process, free_port};

/// The name that the certificate is for.
const HOST: &str = "app.example";

/// A running proxy. Dropping it ends it.
pub(crate) struct Proxy {
    _process: Process,
    folder: Folder,
    pub(crate) port: u16,
}

/// One server of nginx. Every configuration here may say `PORT` for where the proxy is to listen, `BACKEND` for the
/// service's address, `FOLDER` for a folder with `app.pem` (certificate and key together), `app.crt` and `app.key`.
pub(crate) fn nginx(server: &str, backend: SocketAddr) -> Proxy {
    nginx_with("", server, backend)
}

/// The same with lines of the level above.
pub(crate) fn nginx_with(http: &str, server: &str, backend: SocketAddr) -> Proxy {
    start(&format!("server_tokens off;\n{http}\nserver {{\n{server}\n}}\n"), backend, support::nginx)
}

/// What nginx needs to pass an upgrade on.
pub(crate) const PASSES_ON: &str = "proxy_pass http://BACKEND; proxy_http_version 1.1;
proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection \"upgrade\";";

/// Sections of `HAProxy`.
pub(crate) fn haproxy(sections: &str, backend: SocketAddr) -> Proxy {
    start(&format!("{sections}\n"), backend, support::haproxy)
}

/// One site of Caddy.
pub(crate) fn caddy(site: &str, backend: SocketAddr) -> Proxy {
    start(&format!("{{\nadmin off\nauto_https off\n}}\n{site}\n"), backend, support::caddy)
}

fn start(config: &str, backend: SocketAddr, proxy: impl Fn(&Folder, &str, u16) -> Process) -> Proxy {
    let folder = Folder::new("");
    let made = rcgen::generate_simple_self_signed(vec![HOST.to_owned()]).expect("a certificate");
    let (certificate, key) = (made.cert.pem(), made.signing_key.serialize_pem());
    folder.write("app.pem", &format!("{certificate}{key}"));
    folder.write("app.crt", &certificate);
    folder.write("app.key", &key);
    let port = free_port();
    let path = folder.path().to_str().expect("UTF-8");
    let config = config.replace("FOLDER", path).replace("BACKEND", &backend.to_string());
    let process = proxy(&folder, &config.replace("PORT", &port.to_string()), port);
    Proxy { _process: process, folder, port }
}

impl Proxy {
    /// A question about it, in the clear.
    pub(crate) fn clear(&self, path: &str) -> Question {
        self.ask("ws", path, Trust::Roots(Vec::new()))
    }

    /// A question about it over TLS, by somebody who trusts its certificate.
    pub(crate) fn secure(&self, path: &str) -> Question {
        let certificate = CertificateDer::from_pem_file(self.folder.path().join("app.crt")).expect("a certificate");
        self.ask("wss", path, Trust::Roots(vec![certificate]))
    }

    fn ask(&self, scheme: &str, path: &str, trust: Trust) -> Question {
        let target = Target::read(&format!("{scheme}://{HOST}:{}{path}", self.port)).expect("a URL");
        let addresses = Addresses::Given(vec![IpAddr::V4(Ipv4Addr::LOCALHOST)]);
        Question { addresses, ..Question::new(target, trust) }
    }
}

/// Fermata's sample service.
pub(crate) async fn service() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    tokio::spawn(echo::serve(listener, std::future::pending()));
    address
}

/// Where nobody listens.
pub(crate) fn nobody() -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, free_port()))
}

/// What is wrong: the hop, and the code of each advice. Nothing where nothing is to be said.
pub(crate) fn diagnosis(report: &Report) -> Vec<String> {
    let words = |verdict| if verdict == Verdict::Broken { "breaks" } else { "works" };
    let each = report.findings.iter().flat_map(|hop| hop.advice.iter().map(move |advice| (hop, advice)));
    each.map(|(hop, advice)| format!("{} {}: {}", hop.name, words(hop.verdict), advice.code)).collect()
}

/// All steps of all advice.
pub(crate) fn steps(report: &Report) -> String {
    let advice = report.findings.iter().flat_map(|hop| &hop.advice);
    let steps = advice.flat_map(|advice| &advice.fix).map(|step| match step {
        Step::Do(text) | Step::Write(text) => format!("{text}\n"),
    });
    steps.collect()
}

/// Probes, and insists on a diagnosis and on words in what is to be done.
pub(crate) async fn insist(question: Question, expected: &[&str], words: &str) {
    let report = probe(&question).await;
    let shown = anstream::adapter::strip_str(&report.to_string()).to_string();
    assert_eq!(diagnosis(&report), expected, "{shown}");
    assert!(steps(&report).contains(words), "\"{words}\" is not in\n{shown}");
}

/// Probes, and insists that nothing is to be said.
pub(crate) async fn insist_on_health(question: Question) {
    insist(question, &[], "").await;
}
