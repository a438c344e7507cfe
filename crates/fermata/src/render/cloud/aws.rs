//! AWS: Application and Network Load Balancer, for the Terraform provider hashicorp/aws 6.

use fermata_spec::Spec;
use serde_json::{Value, json};

use super::front::{Ask, Front, Listener, Speech};
use super::gates::Admitted;
use super::readme::Guide;
use super::terraform::{Module, Provider, SOME_SERVERS, asked, clients, filled, name};
use super::{Made, render};
use crate::render::Rendered;

pub(super) const AWS: Provider = Provider { name: "aws", source: "hashicorp/aws", version: "~> 6.69" };

/// Mistakes of either kind that neither makes, for Terraform and `CloudFormation` alike.
pub(super) const ALB_AVOIDS: &[&str] = &[
    "An idle limit left at 60 s: it ends sockets between two Pings that come later.",
    "A health check on the WebSocket's path, which never answers 200 to a plain GET.",
    "A target group for HTTP/2 or gRPC: an upgrade passes HTTP/1.1 only, so the protocol version is HTTP1.",
    "Security groups that open the traffic port and not the health check's, or only one of the two directions.",
    "Ports of the servers open to the world: only the balancer's group gets in, so X-Forwarded-For cannot be forged.",
    "A redirect from http to https on a port that ws:// clients use: they do not follow it.",
    "A deregistration delay shorter than the time that tunnels get to leave.",
    "Round robin, which piles connections up on the oldest servers: least outstanding requests counts open sockets.",
];
pub(super) const NLB_AVOIDS: &[&str] = &[
    "`idle_timeout` on the balancer, where it means nothing: it is an attribute of each TCP listener here.",
    "A TLS listener, whose idle limit is 350 s for ever, or one that offers only HTTP/2: TLS passes through to Fermata.",
    "Ending all sockets of a server whose health check fails once: unhealthy targets keep theirs for the time to leave.",
    "PROXY protocol on one side only: it is off, since the clients' addresses are preserved.",
    "Servers open to the world because clients' addresses are preserved: only the balancer's group gets in.",
    "A health check by PROXY protocol or on the WebSocket's path.",
    "A deregistration delay shorter than the time that tunnels get to leave, and connections ended when it is over.",
];

pub(in crate::render) fn alb(spec: &Spec) -> Rendered {
    render(spec, "aws-alb", |front| {
        let mut module = module(front);
        module.resource(
            "aws_lb",
            "edge",
            json!({
                "name": "${var.name}",
                "load_balancer_type": "application",
                "subnets": "${var.subnets}",
                "security_groups": ["${aws_security_group.balancer.id}"],
                "idle_timeout": front.idle,
                "enable_http2": true,
                "preserve_host_header": true,
                "xff_header_processing_mode": "append",
            }),
        );
        for target in front.targets() {
            group(&mut module, front, &target, &alb_group(front, &target));
        }
        for listener in &front.listeners {
            let mut body = listen(listener);
            body["protocol"] = json!(if listener.speech == Speech::Https { "HTTPS" } else { "HTTP" });
            if listener.speech == Speech::Https {
                body["ssl_policy"] = json!("ELBSecurityPolicy-TLS13-1-2-2021-06");
                body["certificate_arn"] = json!("${var.certificate_arn}");
            }
            module.resource("aws_lb_listener", &listener.id(), body);
        }
        made(
            module,
            Guide::terraform(ALB_AVOIDS, &["Its nodes come and go with the load; clients have to reconnect then."]),
        )
    })
}

pub(in crate::render) fn nlb(spec: &Spec) -> Rendered {
    render(spec, "aws-nlb", |front| {
        let mut module = module(front);
        module.resource(
            "aws_lb",
            "edge",
            json!({
                "name": "${var.name}",
                "load_balancer_type": "network",
                "subnets": "${var.subnets}",
                "security_groups": ["${aws_security_group.balancer.id}"],
                "enable_cross_zone_load_balancing": true,
            }),
        );
        for target in front.targets() {
            group(&mut module, front, &target, &nlb_group(front, &target));
        }
        for listener in &front.listeners {
            let mut body = listen(listener);
            body["protocol"] = json!(if listener.speech == Speech::Udp { "UDP" } else { "TCP" });
            if listener.speech == Speech::Tcp {
                body["tcp_idle_timeout_seconds"] = json!(front.idle);
            }
            module.resource("aws_lb_listener", &listener.id(), body);
        }
        made(
            module,
            Guide::terraform(
                NLB_AVOIDS,
                &[
                    "A server cannot reach itself through it (no hairpin while addresses are preserved).",
                    "When the idle limit is over, nobody is told; the next packet gets a reset.",
                ],
            ),
        )
    })
}

fn made(module: Module, guide: Guide) -> Made {
    Made { name: "main.tf.json", text: module.write(), guide }
}

/// Provider, variables and security groups.
fn module(front: &Front<'_>) -> Module {
    let mut module = Module::new(AWS, json!({ "region": "${var.region}" }));
    module.variable(name());
    module.variable(asked("region", "string", "The region, such as eu-central-1.", filled!("region")));
    let vpc = ("can(regex(\"^vpc-\", var.vpc_id))", "The id of a VPC begins with vpc-.");
    module.variable(asked("vpc_id", "string", "The VPC that the servers are in.", vpc));
    let subnets = (
        "length(var.subnets) >= 2 && alltrue([for subnet in var.subnets : can(regex(\"^subnet-\", subnet))])",
        "At least two ids of subnets, which begin with subnet-.",
    );
    module.variable(asked("subnets", "list(string)", "Public subnets in at least two zones.", subnets));
    module.variable(asked("servers", "list(string)", "Ids of the instances that run fermata up.", SOME_SERVERS));
    if front.has(Speech::Https) {
        let certificate = ("can(regex(\"^arn:\", var.certificate_arn))", "The ARN of a certificate begins with arn:.");
        let about = "ARN of the certificate in ACM for the https ports.";
        module.variable(asked("certificate_arn", "string", about, certificate));
    }
    if front.has_clients() {
        module.variable(clients());
    }
    groups(&mut module, front);
    module.output("server_security_group", "Give the instances this group.", "${aws_security_group.servers.id}");
    module.address("The balancer's name.", "${aws_lb.edge.dns_name}");
    module
}

fn groups(module: &mut Module, front: &Front<'_>) {
    let group = |purpose: &str, about: &str| json!({ "name": format!("${{var.name}}-{purpose}"), "description": about, "vpc_id": "${var.vpc_id}" });
    module.resource("aws_security_group", "balancer", group("balancer", "Clients to the balancer"));
    module.resource("aws_security_group", "servers", group("servers", "The balancer to the servers"));
    for listener in &front.listeners {
        let Some(admitted) = front.admitted(listener) else { continue };
        let body = admitting(rule(listener.port, listener.transport()), admitted, "balancer");
        module.resource("aws_vpc_security_group_ingress_rule", &format!("clients_{}", listener.id()), body);
    }
    for (gate, networks) in &front.gates.beside {
        let transport = gate.protocol.name();
        let body = admitting(rule(gate.port, transport), &Admitted::Networks(networks.clone()), "servers");
        module.resource("aws_vpc_security_group_ingress_rule", &format!("rule_{transport}_{}", gate.port), body);
    }
    // A rule that names the balancer's group admits what comes through it, also where an NLB preserves the clients' addresses
    // (docs.aws.amazon.com, "Update the security groups for your Network Load Balancer").
    for (port, transport) in front.openings() {
        let id = format!("{transport}_{port}");
        for (kind, of, other) in [("egress", "balancer", "servers"), ("ingress", "servers", "balancer")] {
            let mut body = rule(port, transport);
            body["security_group_id"] = json!(format!("${{aws_security_group.{of}.id}}"));
            body["referenced_security_group_id"] = json!(format!("${{aws_security_group.{other}.id}}"));
            module.resource(&format!("aws_vpc_security_group_{kind}_rule"), &id, body);
        }
    }
}

fn rule(port: u16, transport: &str) -> Value {
    json!({ "ip_protocol": transport, "from_port": port, "to_port": port })
}

/// A rule of a group, for each network.
fn admitting(mut rule: Value, admitted: &Admitted, group: &str) -> Value {
    rule["for_each"] = match admitted {
        Admitted::Clients => json!("${toset(var.clients)}"),
        Admitted::Networks(networks) => json!(format!("${{toset({})}}", json!(networks))),
    };
    rule["security_group_id"] = json!(format!("${{aws_security_group.{group}.id}}"));
    rule["cidr_ipv4"] = json!("${each.value}");
    rule
}

/// A target group, and the instances in it.
fn group(module: &mut Module, front: &Front<'_>, target: &Listener, own: &Value) {
    let id = target.target_id();
    let health = front.health_of(target);
    let mut check = json!({
        "protocol": health.ask.word().to_uppercase(),
        "port": health.port.to_string(),
        "interval": 10,
        "timeout": 5,
        "healthy_threshold": 2,
        "unhealthy_threshold": 3,
    });
    if let Ask::Http(path) | Ask::Https(path) = &health.ask {
        check["path"] = json!(super::terraform::text(path));
        check["matcher"] = json!("200");
    }
    let mut body = json!({
        "name": format!("${{var.name}}-{}", id.replace('_', "-")),
        "port": target.target,
        "target_type": "instance",
        "vpc_id": "${var.vpc_id}",
        "deregistration_delay": front.drain,
        "health_check": check,
    });
    for (key, value) in own.as_object().into_iter().flatten() {
        body[key.as_str()] = value.clone();
    }
    module.resource("aws_lb_target_group", &id, body);
    let attachment = json!({
        "for_each": "${toset(var.servers)}",
        "target_group_arn": format!("${{aws_lb_target_group.{id}.arn}}"),
        "target_id": "${each.value}",
        "port": target.target,
    });
    module.resource("aws_lb_target_group_attachment", &id, attachment);
}

fn alb_group(front: &Front<'_>, _: &Listener) -> Value {
    json!({
        "protocol": "HTTP",
        "protocol_version": "HTTP1",
        "load_balancing_algorithm_type": "least_outstanding_requests",
        "stickiness": { "type": "lb_cookie", "enabled": front.sticky, "cookie_duration": 86_400 },
    })
}

fn nlb_group(front: &Front<'_>, target: &Listener) -> Value {
    let mut group = json!({
        "protocol": if target.speech == Speech::Udp { "UDP" } else { "TCP" },
        "preserve_client_ip": "true",
        "proxy_protocol_v2": false,
        "connection_termination": false,
    });
    if target.speech == Speech::Tcp {
        group["target_health_state"] = json!({
            "enable_unhealthy_connection_termination": false,
            "unhealthy_draining_interval": front.drain,
        });
    }
    group
}

fn listen(listener: &Listener) -> Value {
    json!({
        "load_balancer_arn": "${aws_lb.edge.arn}",
        "port": listener.port,
        "default_action": {
            "type": "forward",
            "target_group_arn": format!("${{aws_lb_target_group.{}.arn}}", listener.target_id()),
        },
    })
}
