//! What a target cannot carry: a diagnostic at its place in the file with a way out, exit code 1, nothing written.
//!
//! Each kind once, in `refused.txt`; `every_file_becomes_exactly_what_is_written` has more of each.

use std::fmt::Write;

use fermata::render::Rendered;

use crate::cloud::{PORTS, input};
use crate::support::Folder;
use crate::support::golden::{Golden, folder, rendered};

/// A service with this beside its ports, and with these ports.
fn service(ports: &str, more: &str) -> String {
    let gateway = if more.contains("gateway:") { "" } else { "gateway: {trusted_proxies: [10.0.0.0/8]}\n" };
    format!("services:\n  web:\n    image: example/web\n    ports: [{ports}]\n{more}{gateway}")
}

fn web(more: &str) -> String {
    service("{container: 3000, http: 8080, https: 8443}", more)
}

/// More public ports than one balancer has listeners.
fn many(count: u16) -> String {
    let ports: Vec<String> = (0..count).map(|port| format!("{{container: 3000, http: {}}}", 8000 + port)).collect();
    service(&ports.join(", "), "")
}

#[test]
fn each_kind_of_value_that_a_target_does_not_carry_is_refused_at_its_place() {
    let announced = "gateway: {trusted_proxies: [10.0.0.0/8], proxy_protocol: true}\n";
    let some = "gateway: {trusted_proxies: [10.0.0.0/8], proxy_protocol: [8080]}\n";
    let ruled = "firewall: {rules: [{port: 8080, from: 203.0.113.0/24}]}\n";
    let asked =
        |line: &str| format!("load_balancer: {{servers: [{{name: a, address: 10.0.0.11}}], httpchk: \"{line}\"}}\n");
    let kinds = [
        ("raw TCP behind a balancer of requests", "gcp-alb", service("{container: 1883, tcp: 1883}", "")),
        ("UDP behind a balancer of TCP", "hetzner", service("{container: 53, udp: 53}, {container: 80, http: 80}", "")),
        (
            "nothing but UDP, which cannot be asked whether it is well",
            "aws-nlb",
            service("{container: 53, udp: 53}", ""),
        ),
        ("a cookie where nobody sees cookies", "aws-nlb", web("    sticky: cookie\n")),
        ("the PROXY protocol on the gateway's side only", "aws-alb", web(announced)),
        ("the same, where addresses are preserved", "azure-lb", web(announced)),
        ("the PROXY protocol on one port of a balancer that has it on all or none", "digitalocean", web(some)),
        ("Pings more seldom than the longest idle limit allows", "aws-alb", web("    websocket: {keepalive: 40m}\n")),
        ("the same, where the limit cannot be set", "vultr", web("    websocket: {keepalive: 6m}\n")),
        ("more time to leave than a deregistration delay may have", "aws-nlb", web("    websocket: {drain: 2h}\n")),
        ("the same for a drain timeout", "azure-appgw", web("    websocket: {drain: 61m}\n")),
        ("the same for a kill timeout", "fly", web("    websocket: {drain: 10m}\n")),
        ("a port that is not proxied", "cloudflare", service("{container: 3000, http: 9000}", "")),
        (
            "TLS that only the balancer could end, and no port in the clear behind it",
            "aws-alb",
            service("{container: 3000, https: 443}", ""),
        ),
        ("a health check by another method", "scaleway", web(&asked("HEAD /up"))),
        (
            "a health check at the path of a WebSocket",
            "openstack-octavia",
            web(&("    health: {ready: {type: websocket, endpoint: /ws}}\n".to_owned() + &asked("GET /ws"))),
        ),
        ("a port kept to some networks, where the balancer is open to everybody", "hetzner", web(ruled)),
        ("ports kept to different networks, where the balancer has one list", "digitalocean", web(ruled)),
        ("an address that the balancer does not reach", "linode", web("gateway: {bind: [\"127.0.0.1\"]}\n")),
        ("more ports than a balancer has listeners", "aws-nlb", many(51)),
        ("the same for the largest size there is", "hetzner", many(31)),
        ("no public port", "gcp-nlb", service("{container: 3000}", "")),
        ("a cookie of the standard that the Gateway API does not have", "kubernetes", web("    sticky: cookie\n")),
        ("raw TCP behind an Ingress", "kubernetes-ingress-nginx", service("{container: 1883, tcp: 1883}", "")),
    ];
    let mut text = String::new();
    for (kind, target, yml) in kinds {
        let place = Folder::new(&yml);
        let ended = place.run(&["render", target, "-o", "made"]);
        assert_eq!((ended.code, ended.stdout.as_str()), (Some(1), ""), "{kind}: {ended:?}");
        assert!(ended.stderr.contains("error: "), "{kind}: {ended:?}");
        assert!(ended.stderr.ends_with("service.yml: nothing was written\n"), "{kind}: {ended:?}");
        assert!(!place.path().join("made").exists(), "{kind}");
        let _ = write!(text, "===== {target}: {kind}\n{}", ended.stderr);
    }
    let mut golden = Golden::default();
    golden.expect(&folder("render").join("refused.txt"), &text);
    golden.done();
}

#[test]
fn as_many_listeners_as_a_balancer_has_are_rendered() {
    for (target, count) in [("aws-nlb", 50), ("hetzner", 30)] {
        assert_eq!(rendered(target, &many(count)).files.len(), 2, "{target}");
    }
    let size = |count| rendered("hetzner", &many(count)).files[0].text.clone();
    for (count, name) in [(5, "lb11"), (6, "lb21"), (15, "lb21"), (16, "lb31")] {
        assert!(size(count).contains(&format!("\"default\": \"{name}\"")), "{count}: {name}");
    }
}

#[test]
fn a_balancer_that_is_rendered_tells_all_that_stands_against_it_at_once() {
    let folder = Folder::new(&input("4-raw.yml"));
    let ended = folder.run(&["render", "aws-alb", "-o", "aws"]);
    let said = "\
service.yml:6:30: error: services.mqtt.ports[1].tcp: AWS Application Load Balancer carries no raw TCP
    use aws-nlb for it, or open the port beside the balancer
service.yml:9:36: error: services.dns.ports[0].udp: AWS Application Load Balancer carries no UDP
    use aws-nlb for it, or open the port beside the balancer
service.yml: nothing was written
";
    assert_eq!((ended.code, ended.stdout.as_str(), ended.stderr.as_str()), (Some(1), "", said));
}

#[test]
fn rules_for_load_balancers_are_written_when_it_is_known_where_these_are() {
    let yml = format!("{PORTS}firewall: {{rules: [{{port: 8080, from: load_balancer}}]}}\n");
    for name in crate::cloud::targets().into_iter().filter(|name| name.starts_with("servers-")) {
        let Rendered { files, said } = rendered(name, &yml);
        let said: Vec<_> = said.iter().map(|one| (&*one.path, &*one.message, one.help.as_deref())).collect();
        let (why, way) =
            ("which addresses the load balancers have is not known", "name them under gateway: trusted_proxies");
        assert_eq!((files.len(), said), (0, vec![("firewall.rules[0].from", why, Some(way))]), "{name}");
    }
}

#[test]
fn a_health_path_that_no_name_leads_to_is_refused() {
    let yml = "services:\n  web:\n    image: nginx\n    ports: [\"80:8080\"]\n    traffic_matches: [a.example.com]\nload_balancer:\n  \
               servers: [{name: web1, address: 10.0.0.11}]\n  httpchk: \"HEAD /up\"\n";
    let errors = rendered("aws-nlb", yml).said;
    let errors: Vec<&str> = errors.iter().map(|said| said.message.as_str()).collect();
    let expected = [
        "AWS Network Load Balancer asks with GET, not HEAD",
        "a balancer asks by address, and every service answers to its traffic_matches only",
    ];
    assert_eq!(errors, expected);
}
