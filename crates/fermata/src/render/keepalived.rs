//! `keepalived`: two configurations for two balancers that share an address (VRRP, RFC 9568).
//!
//! Whoever has the address keeps it when the other one comes back: each move ends what is open.

use std::net::IpAddr;

use fermata_spec::{Floating, Spec};

use super::{File, Gaps, MARK, Rendered};

/// Whose turn it is first; keepalived's own default is 100.
const PRIORITIES: [u8; 2] = [100, 90];

pub(super) fn render(spec: &Spec) -> Rendered {
    let mut gaps = Gaps::new(spec);
    let balancer = spec.load_balancer.as_ref();
    let Some((floating, ports)) = balancer.and_then(|one| Some((one.floating.as_ref()?, one.ports))) else {
        gaps.refused(
            "load_balancer",
            "there is no floating address",
            "write load_balancer: {floating: {address: 203.0.113.10, interface: eth0, balancers: [203.0.113.8, 203.0.113.9]}}",
        );
        return Rendered { files: Vec::new(), said: gaps.into_sorted() };
    };
    let near = Near { ip: near(spec), port: ports.http.public };
    let files = vec![
        File::new("keepalived-1.conf", configuration(floating, 0, &near)),
        File::new("keepalived-2.conf", configuration(floating, 1, &near)),
    ];
    Rendered { files, said: gaps.into_sorted() }
}

/// Where the balancer of the same machine is asked.
struct Near {
    ip: IpAddr,
    port: u16,
}

/// An address that it listens on.
fn near(spec: &Spec) -> IpAddr {
    let bound = spec.gateway.bind.iter().copied().find(|ip| !ip.is_unspecified());
    bound.unwrap_or(IpAddr::from([127, 0, 0, 1]))
}

fn configuration(floating: &Floating, which: usize, near: &Near) -> String {
    let Floating { address, interface, balancers, router } = floating;
    let (own, other) = (balancers[which], balancers[1 - which]);
    let (priority, number, Near { ip: near, port }) = (PRIORITIES[which], which + 1, near);
    format!(
        "{MARK}\n\
         # For the balancer with the address {own}, as /etc/keepalived/keepalived.conf there.\n\
         \n\
         global_defs {{\n  \
           router_id balancer-{number}\n  \
           enable_script_security\n  \
           # The script only connects. As another user, keepalived 2.2 ends itself while it checks a configuration.\n  \
           script_user root\n\
         }}\n\
         \n\
         # A balancer that takes no connections gives the address away within some four seconds.\n\
         vrrp_script balancer {{\n  \
           script \"/bin/bash -c '</dev/tcp/{near}/{port}'\"\n  \
           interval 2\n  \
           timeout 2\n  \
           fall 2\n  \
           rise 2\n\
         }}\n\
         \n\
         vrrp_instance balancers {{\n  \
           # Who has the address keeps it when the other comes back: each move cuts what is open.\n  \
           state BACKUP\n  \
           nopreempt\n  \
           interface {interface}\n  \
           virtual_router_id {router}\n  \
           priority {priority}\n  \
           advert_int 1\n  \
           # Most clouds carry no multicast. Protocol 112 (VRRP) has to pass between the two.\n  \
           unicast_src_ip {own}\n  \
           unicast_peer {{\n    \
             {other}\n  \
           }}\n  \
           virtual_ipaddress {{\n    \
             {address} dev {interface}\n  \
           }}\n  \
           track_script {{\n    \
             balancer\n  \
           }}\n\
         }}\n"
    )
}
