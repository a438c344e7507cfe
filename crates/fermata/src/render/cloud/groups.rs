//! Security groups, or what a cloud calls them, for the machines themselves: the same openings as `fermata firewall` has on one
//! machine, from the same rules. For machines that clients or a `fermata lb` reach directly; the groups around a native load
//! balancer are rendered with it.

use std::fmt::Write;
use std::net::IpAddr;

use fermata_spec::{Network, Severity, Spec, Whence};
use serde_json::{Value, json};

use super::aws::AWS;
use super::azure;
use super::digitalocean::DIGITALOCEAN;
use super::gcp::GOOGLE;
use super::hetzner::HCLOUD;
use super::octavia::OPENSTACK;
use super::terraform::{Module, asked, filled, name};
use crate::firewall::{Gate, openings};
use crate::render::{File, Gaps, Rendered, SIGN};

/// One port, and some networks of one version of IP that get in.
struct Admission {
    gate: Gate,
    version: &'static str,
    networks: Vec<String>,
    why: String,
}

impl Admission {
    /// Unique among all of a file.
    fn id(&self) -> String {
        format!("{}_{}_{}", self.gate.protocol.name(), self.gate.port, self.version)
    }
}

pub(in crate::render) fn aws(spec: &Spec) -> Rendered {
    render(spec, "An AWS security group", |admissions| {
        let mut module = Module::new(AWS, json!({ "region": "${var.region}" }));
        module.variable(name());
        module.variable(asked("region", "string", "The region, such as eu-central-1.", filled!("region")));
        let vpc = ("can(regex(\"^vpc-\", var.vpc_id))", "The id of a VPC begins with vpc-.");
        module.variable(asked("vpc_id", "string", "Id of the VPC that the instances are in.", vpc));
        module.variable(asked("ssh", "list(string)", SSH, filled!("ssh")));
        let group = json!({
            "name": "${var.name}-servers",
            "description": "Clients to the servers",
            "vpc_id": "${var.vpc_id}",
        });
        module.resource("aws_security_group", "servers", group);
        let id = "${aws_security_group.servers.id}";
        let ingress = |gate: Gate| {
            json!({
                "security_group_id": id,
                "ip_protocol": gate.protocol.name(),
                "from_port": gate.port,
                "to_port": gate.port,
            })
        };
        for one in admissions {
            let mut rule = ingress(one.gate);
            rule["for_each"] = json!(format!("${{toset({})}}", json!(one.networks)));
            rule[format!("cidr_ip{}", one.version)] = json!("${each.value}");
            rule["description"] = json!(one.why);
            module.resource("aws_vpc_security_group_ingress_rule", &one.id(), rule);
        }
        let mut ssh = ingress(Gate::tcp(22));
        ssh["for_each"] = json!("${toset(var.ssh)}");
        ssh["cidr_ipv4"] = json!("${each.value}");
        ssh["description"] = json!("SSH");
        module.resource("aws_vpc_security_group_ingress_rule", "ssh", ssh);
        for (version, everywhere) in EVERYWHERE {
            let mut rule = json!({ "security_group_id": id, "ip_protocol": "-1" });
            rule[format!("cidr_ip{version}")] = json!(everywhere);
            module.resource("aws_vpc_security_group_egress_rule", version, rule);
        }
        module.output("security_group", "Give the instances this group.", id);
        module
    })
}

pub(in crate::render) fn gcp(spec: &Spec) -> Rendered {
    render(spec, "Google Cloud firewall rules", |admissions| {
        let mut module = Module::new(GOOGLE, json!({ "project": "${var.project}" }));
        module.variable(name());
        module.variable(asked("project", "string", "The project's id.", filled!("project")));
        module.variable(asked("network", "string", "The network that the servers are in.", filled!("network")));
        module.variable(asked("tag", "string", "The network tag of the servers.", filled!("tag")));
        module.variable(asked("ssh", "list(string)", SSH, filled!("ssh")));
        let rule = |purpose: String, gate: Gate, networks: Value, why: &str| {
            json!({
                "name": format!("${{var.name}}-{purpose}"),
                "description": why,
                "network": "${var.network}",
                "source_ranges": networks,
                "target_tags": ["${var.tag}"],
                "allow": [{ "protocol": gate.protocol.name(), "ports": [gate.port.to_string()] }],
            })
        };
        for one in admissions {
            // A name there has no underscores.
            let purpose = one.id().replace('_', "-");
            let body = rule(purpose, one.gate, json!(one.networks), &one.why);
            module.resource("google_compute_firewall", &one.id(), body);
        }
        let ssh = rule("ssh".into(), Gate::tcp(22), json!("${var.ssh}"), "SSH");
        module.resource("google_compute_firewall", "ssh", ssh);
        module.output("tag", "Machines with this network tag have the rules.", "${var.tag}");
        module
    })
}

pub(in crate::render) fn digitalocean(spec: &Spec) -> Rendered {
    render(spec, "A DigitalOcean firewall", |admissions| {
        let mut module = Module::new(DIGITALOCEAN, json!({}));
        module.variable(name());
        module.variable(asked("tag", "string", "The tag of the Droplets that run fermata.", filled!("tag")));
        module.variable(asked("ssh", "list(string)", SSH, filled!("ssh")));
        let rule = |gate: Gate, networks: Value| {
            json!({
                "protocol": gate.protocol.name(),
                "port_range": gate.port.to_string(),
                "source_addresses": networks,
            })
        };
        let mut inbound: Vec<Value> = admissions.iter().map(|one| rule(one.gate, json!(one.networks))).collect();
        inbound.push(rule(Gate::tcp(22), json!("${var.ssh}")));
        let everywhere = EVERYWHERE.map(|(_, network)| network);
        let outbound = [("tcp", Some("1-65535")), ("udp", Some("1-65535")), ("icmp", None)].map(|(protocol, ports)| {
            let mut rule = json!({ "protocol": protocol, "destination_addresses": everywhere });
            if let Some(ports) = ports {
                rule["port_range"] = json!(ports);
            }
            rule
        });
        let firewall = json!({
            "name": "${var.name}-servers",
            "tags": ["${var.tag}"],
            "inbound_rule": inbound,
            "outbound_rule": outbound,
        });
        module.resource("digitalocean_firewall", "servers", firewall);
        module.output("tag", "Droplets with this tag have the rules.", "${var.tag}");
        module
    })
}

pub(in crate::render) fn azure(spec: &Spec) -> Rendered {
    render(spec, "An Azure network security group", |admissions| {
        let mut module = azure::located();
        module.variable(asked("subnet_id", "string", "Id of the servers' subnet.", azure::SUBNET));
        module.variable(asked("ssh", "list(string)", SSH, filled!("ssh")));
        let rule = |(one, priority): (&Admission, u16)| {
            let (transport, port) = (one.gate.protocol.name(), one.gate.port.to_string());
            let name = format!("{transport}-{port}-{}", one.version);
            azure::rule_from(&name, priority, &json!(one.networks), transport, &[port])
        };
        let mut rules = vec![azure::rule_from("ssh", 100, &json!("${var.ssh}"), "tcp", &["22".to_owned()])];
        rules.extend(admissions.iter().zip((110..).step_by(10)).map(rule));
        azure::security(&mut module, &rules);
        let id = "${azurerm_network_security_group.edge.id}";
        module.output("security_group", "The subnet has this group.", id);
        module
    })
}

pub(in crate::render) fn hetzner(spec: &Spec) -> Rendered {
    render(spec, "A Hetzner firewall", |admissions| {
        let mut module = Module::new(HCLOUD, json!({}));
        module.variable(name());
        module.variable(asked("label", "string", "The label of the servers, such as role=edge.", filled!("label")));
        module.variable(asked("ssh", "list(string)", SSH, filled!("ssh")));
        let rule = |gate: Gate, networks: Value, why: &str| {
            json!({
                "direction": "in",
                "description": why,
                "protocol": gate.protocol.name(),
                "port": gate.port.to_string(),
                "source_ips": networks,
            })
        };
        let mut rules: Vec<Value> =
            admissions.iter().map(|one| rule(one.gate, json!(one.networks), &one.why)).collect();
        rules.push(rule(Gate::tcp(22), json!("${var.ssh}"), "SSH"));
        let firewall = json!({
            "name": "${var.name}-servers",
            "apply_to": [{ "label_selector": "${var.label}" }],
            "rule": rules,
        });
        module.resource("hcloud_firewall", "servers", firewall);
        module.output("label", "Servers with this label have the rules.", "${var.label}");
        module
    })
}

pub(in crate::render) fn openstack(spec: &Spec) -> Rendered {
    render(spec, "An OpenStack security group", |admissions| {
        let mut module = Module::new(OPENSTACK, json!({}));
        module.variable(name());
        module.variable(asked("ssh", "list(string)", SSH, filled!("ssh")));
        let group = json!({ "name": "${var.name}-servers", "description": "Clients to the servers" });
        module.resource("openstack_networking_secgroup_v2", "servers", group);
        let id = "${openstack_networking_secgroup_v2.servers.id}";
        let rule = |gate: Gate, version: &str, networks: Value, why: &str| {
            json!({
                "for_each": networks,
                "security_group_id": id,
                "description": why,
                "direction": "ingress",
                "ethertype": version.replace('v', "IPv"),
                "protocol": gate.protocol.name(),
                "port_range_min": gate.port,
                "port_range_max": gate.port,
                "remote_ip_prefix": "${each.value}",
            })
        };
        for one in admissions {
            let networks = json!(format!("${{toset({})}}", json!(one.networks)));
            let body = rule(one.gate, one.version, networks, &one.why);
            module.resource("openstack_networking_secgroup_rule_v2", &one.id(), body);
        }
        let ssh = rule(Gate::tcp(22), "v4", json!("${toset(var.ssh)}"), "SSH");
        module.resource("openstack_networking_secgroup_rule_v2", "ssh", ssh);
        module.output("security_group", "Give the servers this group.", id);
        module
    })
}

/// 22 is open to somebody, always: whoever applies this must not lock themselves out.
const SSH: &str = "IPv4 networks that SSH is open to, such as [\"203.0.113.0/24\"].";
const EVERYWHERE: [(&str, &str); 2] = [("v4", "0.0.0.0/0"), ("v6", "::/0")];

fn render(spec: &Spec, title: &str, make: impl FnOnce(&[Admission]) -> Module) -> Rendered {
    let mut gaps = Gaps::new(spec);
    let admissions = admissions(spec, &mut gaps);
    let said = gaps.into_sorted();
    if said.iter().any(|one| one.severity == Severity::Error) {
        return Rendered { files: Vec::new(), said };
    }
    let readme = readme(title, &admissions);
    let files = vec![File::new("main.tf.json", make(&admissions).write()), File::beside("README.md", readme)];
    Rendered { files, said }
}

/// Who gets in where, by port and version of IP.
fn admissions(spec: &Spec, gaps: &mut Gaps<'_>) -> Vec<Admission> {
    for (at, rule) in spec.firewall.rules.iter().enumerate() {
        if rule.from == Whence::LoadBalancer && spec.gateway.trusted_proxies.is_empty() {
            gaps.refused(
                &format!("firewall.rules[{at}].from"),
                "which addresses the load balancers have is not known",
                "name them under gateway: trusted_proxies",
            );
        }
    }
    let mut all: Vec<Admission> = Vec::new();
    for opening in openings(spec) {
        let networks: Vec<(&str, String)> = match opening.from {
            Whence::Anywhere => EVERYWHERE.map(|(version, network)| (version, network.to_owned())).into(),
            Whence::Network(network) => vec![written(network)],
            Whence::LoadBalancer => spec.gateway.trusted_proxies.iter().map(|network| written(*network)).collect(),
        };
        for (version, network) in networks {
            let same = |one: &&mut Admission| one.gate == opening.gate && one.version == version;
            match all.iter_mut().find(same) {
                Some(known) => known.networks.push(network),
                None => all.push(Admission {
                    gate: opening.gate,
                    version,
                    networks: vec![network],
                    why: opening.why.clone(),
                }),
            }
        }
    }
    for one in &mut all {
        one.networks.sort();
        one.networks.dedup();
    }
    all
}

/// Clouds want a length of prefix even for a single address.
fn written(network: Network) -> (&'static str, String) {
    let version = if matches!(network.address, IpAddr::V4(_)) { "v4" } else { "v6" };
    (version, format!("{}/{}", network.address, network.prefix))
}

fn readme(title: &str, admissions: &[Admission]) -> String {
    let mut text = format!(
        "<!-- {SIGN} -->\n# {title} for machines that run Fermata\n\n\
         `main.tf.json` opens what `fermata firewall` opens on one machine, by the same rules of service.yml.\n\n\
         | port | to | by |\n| --- | --- | --- |\n"
    );
    for Admission { gate, networks, why, .. } in admissions {
        let _ = writeln!(text, "| {}/{} | {} | {why} |", gate.port, gate.protocol.name(), networks.join(", "));
    }
    text.push_str(
        "| 22/tcp | `ssh`, which `terraform plan` asks for | so that nobody locks themselves out |\n\n\
         ## Three commands\n\n```sh\nterraform init && terraform apply\nfermata probe ws://ADDRESS:8080/\nterraform destroy\n```\n\n\
         The first applies, the second tests one machine from outside, the third undoes. The `output` says what to give the \
         machines. Behind a native load balancer use its own target of `fermata render`, which lets in nobody else.\n",
    );
    text
}
