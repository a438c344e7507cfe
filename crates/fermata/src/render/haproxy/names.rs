//! The https port where the TLS of some names is passed through: which way a connection goes is decided by the name in its
//! first message.

use std::fmt::Write;

use fermata_spec::{HostPattern, LoadBalancer, Spec};

use super::text::quoted;
use super::{Paths, announced, backends, bind, millis};

/// The section that gives a connection back to `HAProxy` itself, where its TLS ends. No server of a file has such a name.
pub const ENDING: &str = "tls:ends-here";

/// Where the frontend for requests takes TLS that has come by [`ENDING`].
pub(super) fn bind_ending(out: &mut String, paths: &Paths, how: &str) {
    let socket = quoted(&format!("unix@{}", paths.ending));
    let _ = writeln!(out, "  bind {socket} mode 600 accept-proxy{how}");
}

/// The port, and where it leads.
pub(super) fn pass(out: &mut String, spec: &Spec, balancer: &LoadBalancer, ends_tls: bool, paths: &Paths) {
    let port = balancer.ports.https;
    let others = if ends_tls { "Other TLS ends here" } else { "Other TLS is refused" };
    let _ = write!(
        out,
        "\n# TLS of these names goes byte for byte to {} of the servers. {others}.\n\
         frontend names\n  \
           mode tcp\n",
        port.server
    );
    bind(out, spec, port.public, "");
    announced(out, spec, &[port.public]);
    let limit = millis(spec.gateway.head_timeout);
    let _ = writeln!(
        out,
        "  # The name stands in the first message (SNI), which has to come in one record.\n  tcp-request inspect-delay {limit}"
    );
    for name in &balancer.pass_through {
        let _ = match name {
            HostPattern::Exact(name) => writeln!(out, "  acl is_passed req.ssl_sni -i {}", quoted(name)),
            HostPattern::Under(domain) => {
                writeln!(out, "  acl is_passed req.ssl_sni -i -m end {}", quoted(&format!(".{domain}")))
            }
            HostPattern::Any => writeln!(out, "  acl is_passed req.ssl_sni -m found"),
        };
    }
    out.push_str("  tcp-request content accept if is_passed\n");
    if !ends_tls {
        out.push_str("  tcp-request content reject\n");
    }
    let _ = writeln!(out, "  use_backend pass-{} if is_passed", port.public);
    if ends_tls {
        let socket = quoted(&format!("unix@{}", paths.ending));
        let _ = write!(
            out,
            "  default_backend {ENDING}\n\
             \n# To the frontend for requests, which is told who the client is.\n\
             backend {ENDING}\n  \
               mode tcp\n  \
               server {ENDING} {socket} send-proxy-v2\n"
        );
    }
    let _ = write!(out, "\nbackend pass-{}\n  mode tcp\n", port.public);
    backends::tcp(out, balancer, port.server);
}
