//! AWS without Terraform: the same balancers as templates of `CloudFormation`. Attributes are texts there.

use fermata_spec::Spec;

use super::aws::{ALB_AVOIDS, NLB_AVOIDS};
use super::front::{Front, Listener, Speech};
use super::gates::Admitted;
use super::readme::Guide;
use super::{Made, render};
use crate::render::yaml::{Item, Map, Value};
use crate::render::{MARK, Rendered};

pub(in crate::render) fn alb(spec: &Spec) -> Rendered {
    render(spec, "aws-alb", |front| made(front, ALB_AVOIDS, &Kind::Application))
}

pub(in crate::render) fn nlb(spec: &Spec) -> Rendered {
    render(spec, "aws-nlb", |front| made(front, NLB_AVOIDS, &Kind::Network))
}

#[derive(PartialEq, Eq)]
enum Kind {
    Application,
    Network,
}

fn made(front: &Front<'_>, avoids: &[&str], kind: &Kind) -> Made {
    let mut guide = Guide::terraform(avoids, &[]);
    guide.before = vec![
        "The AWS command line, with credentials.".to_owned(),
        "`parameters.json`: a list of `{\"ParameterKey\": …, \"ParameterValue\": …}` for the template's parameters. \
         Give the instances the group that the output `ServerSecurityGroup` names."
            .to_owned(),
    ];
    "aws cloudformation create-stack --stack-name fermata --template-body file://template.yaml --parameters \
     file://parameters.json"
        .clone_into(&mut guide.apply);
    "$(aws cloudformation describe-stacks --stack-name fermata --query \
     \"Stacks[0].Outputs[?OutputKey=='Address'].OutputValue\" --output text)"
        .clone_into(&mut guide.host);
    "aws cloudformation delete-stack --stack-name fermata".clone_into(&mut guide.undo);
    Made { name: "template.yaml", text: format!("{MARK}\n{}", template(front, kind).write()), guide }
}

fn template(front: &Front<'_>, kind: &Kind) -> Map {
    let mut file = Map::default();
    // Quoted: a reader of YAML 1.1 takes it for a date.
    file.put("AWSTemplateFormatVersion", Value::text("2010-09-09"));
    file.put("Description", Value::text(format!("{} before Fermata", front.balancer.title)));
    file.put("Parameters", parameters(front));
    let mut resources = Map::default();
    groups(front, &mut resources);
    resources.put("Balancer", resource("LoadBalancer", balancer(front, kind)));
    for target in front.targets() {
        resources.put(target_id(&target), resource("TargetGroup", target_group(front, &target, kind)));
    }
    for listener in &front.listeners {
        resources.put(id(listener), resource("Listener", listen(front, listener, kind)));
    }
    file.put("Resources", resources);
    let mut outputs = Map::default();
    outputs.put("Address", Map::of([("Value", get("Balancer", "DNSName"))]));
    outputs.put("ServerSecurityGroup", Map::of([("Value", get("ServerGroup", "GroupId"))]));
    file.put("Outputs", outputs);
    file
}

fn parameters(front: &Front<'_>) -> Map {
    let mut parameters = Map::default();
    let mut add = |name: &str, kind: &str, about: &str| {
        parameters.put(name, Map::of([("Type", Value::text(kind)), ("Description", Value::text(about))]));
    };
    add("VpcId", "AWS::EC2::VPC::Id", "The VPC that the servers are in.");
    add("Subnets", "List<AWS::EC2::Subnet::Id>", "Public subnets in at least two zones.");
    add("Server", "AWS::EC2::Instance::Id", "An instance that runs fermata up.");
    add("OtherServer", "AWS::EC2::Instance::Id", "Another instance that runs fermata up.");
    if front.has(Speech::Https) {
        let mut certificate = Map::of([("Type", Value::text("String"))]);
        certificate.put("Description", Value::text("ARN of the certificate in ACM for the https ports."));
        certificate.put("AllowedPattern", Value::text("arn:.+"));
        certificate.put("ConstraintDescription", Value::text("an ARN, which begins with arn:"));
        parameters.put("CertificateArn", certificate);
    }
    if front.has_clients() {
        let mut clients = Map::of([("Type", Value::text("String")), ("Default", Value::text("0.0.0.0/0"))]);
        clients.put("Description", Value::text("The IPv4 network that may connect to the public ports."));
        clients.put("AllowedPattern", Value::text("[0-9.]+/[0-9]+"));
        parameters.put("Clients", clients);
    }
    parameters
}

fn groups(front: &Front<'_>, resources: &mut Map) {
    let group = |about: &str, ingress: Vec<Item>| {
        let mut group = Map::of([("GroupDescription", Value::text(about)), ("VpcId", reference("VpcId"))]);
        group.put("SecurityGroupIngress", Value::List(ingress));
        group
    };
    let rule = |port: u16, transport: &str| {
        Map::of([
            ("IpProtocol", Value::text(transport)),
            ("FromPort", Value::bare(port)),
            ("ToPort", Value::bare(port)),
        ])
    };
    let admitting = |port: u16, transport: &str, network: Value| {
        let mut rule = rule(port, transport);
        rule.put("CidrIp", network);
        Item::from(Value::from(rule))
    };
    let mut clients: Vec<Item> = Vec::new();
    for listener in &front.listeners {
        let networks = match front.admitted(listener) {
            None => Vec::new(),
            Some(Admitted::Clients) => vec![reference("Clients")],
            Some(Admitted::Networks(networks)) => networks.iter().map(Value::text).collect(),
        };
        clients.extend(networks.into_iter().map(|network| admitting(listener.port, listener.transport(), network)));
    }
    let clients = group("Clients to the balancer", clients);
    resources.put("BalancerGroup", typed("AWS::EC2::SecurityGroup", clients));
    let mut servers: Vec<Item> = Vec::new();
    for (port, transport) in front.openings() {
        let mut rule = rule(port, transport);
        rule.put("SourceSecurityGroupId", get("BalancerGroup", "GroupId"));
        servers.push(Value::from(rule).into());
    }
    for (gate, networks) in &front.gates.beside {
        let rule = |network| admitting(gate.port, gate.protocol.name(), Value::text(network));
        servers.extend(networks.iter().map(rule));
    }
    resources.put("ServerGroup", typed("AWS::EC2::SecurityGroup", group("The balancer to the servers", servers)));
}

fn balancer(front: &Front<'_>, kind: &Kind) -> Map {
    let application = *kind == Kind::Application;
    let mut balancer = Map::of([
        ("Type", Value::text(if application { "application" } else { "network" })),
        ("Scheme", Value::text("internet-facing")),
        ("Subnets", reference("Subnets")),
        ("SecurityGroups", Value::List(vec![get("BalancerGroup", "GroupId").into()])),
    ]);
    let idle = front.idle.to_string();
    let of = |pairs: &[(&str, &str)]| attributes(pairs);
    balancer.put(
        "LoadBalancerAttributes",
        if application {
            of(&[
                ("idle_timeout.timeout_seconds", &idle),
                ("routing.http2.enabled", "true"),
                ("routing.http.preserve_host_header.enabled", "true"),
                ("routing.http.xff_header_processing.mode", "append"),
            ])
        } else {
            of(&[("load_balancing.cross_zone.enabled", "true")])
        },
    );
    balancer
}

fn target_group(front: &Front<'_>, target: &Listener, kind: &Kind) -> Map {
    let health = front.health_of(target);
    let mut group = Map::of([
        ("VpcId", reference("VpcId")),
        ("TargetType", Value::text("instance")),
        ("Port", Value::bare(target.target)),
        ("Protocol", Value::text(protocol(target, kind))),
    ]);
    if *kind == Kind::Application {
        group.put("ProtocolVersion", Value::text("HTTP1"));
    }
    group.put("HealthCheckProtocol", Value::text(health.ask.word().to_uppercase()));
    group.put("HealthCheckPort", Value::text(health.port.to_string()));
    if let Some(path) = health.ask.path() {
        group.put("HealthCheckPath", Value::text(path));
        group.put("Matcher", Map::of([("HttpCode", Value::text("200"))]));
    }
    for (key, value) in [
        ("HealthCheckIntervalSeconds", 10),
        ("HealthCheckTimeoutSeconds", 5),
        ("HealthyThresholdCount", 2),
        ("UnhealthyThresholdCount", 3),
    ] {
        group.put(key, Value::bare(value));
    }
    let server = |name: &str| Item::from(Value::from(Map::of([("Id", reference(name))])));
    group.put("Targets", Value::List(vec![server("Server"), server("OtherServer")]));
    let drain = front.drain.to_string();
    let mut pairs: Vec<(&str, &str)> = vec![("deregistration_delay.timeout_seconds", &drain)];
    if *kind == Kind::Application {
        pairs.push(("load_balancing.algorithm.type", "least_outstanding_requests"));
        pairs.push(("stickiness.enabled", if front.sticky { "true" } else { "false" }));
        pairs.push(("stickiness.type", "lb_cookie"));
    } else {
        pairs.push(("deregistration_delay.connection_termination.enabled", "false"));
        pairs.push(("preserve_client_ip.enabled", "true"));
        pairs.push(("proxy_protocol_v2.enabled", "false"));
        if target.speech == Speech::Tcp {
            pairs.push(("target_health_state.unhealthy.connection_termination.enabled", "false"));
            pairs.push(("target_health_state.unhealthy.draining_interval_seconds", &drain));
        }
    }
    group.put("TargetGroupAttributes", attributes(&pairs));
    group
}

fn listen(front: &Front<'_>, listener: &Listener, kind: &Kind) -> Map {
    let mut body = Map::of([
        ("LoadBalancerArn", reference("Balancer")),
        ("Port", Value::bare(listener.port)),
        ("Protocol", Value::text(if listener.speech == Speech::Https { "HTTPS" } else { protocol(listener, kind) })),
    ]);
    if listener.speech == Speech::Https {
        body.put("SslPolicy", Value::text("ELBSecurityPolicy-TLS13-1-2-2021-06"));
        let certificate = Map::of([("CertificateArn", reference("CertificateArn"))]);
        body.put("Certificates", Value::List(vec![Value::from(certificate).into()]));
    }
    if listener.speech == Speech::Tcp {
        body.put("ListenerAttributes", attributes(&[("tcp.idle_timeout.seconds", &front.idle.to_string())]));
    }
    let action = Map::of([("Type", Value::text("forward")), ("TargetGroupArn", reference(&target_id(listener)))]);
    body.put("DefaultActions", Value::List(vec![Value::from(action).into()]));
    body
}

fn protocol(listener: &Listener, kind: &Kind) -> &'static str {
    match (kind, listener.speech) {
        (Kind::Application, _) => "HTTP",
        (Kind::Network, Speech::Udp) => "UDP",
        (Kind::Network, _) => "TCP",
    }
}

/// `ListenerHttps443`: logical ids have letters and digits only.
fn id(listener: &Listener) -> String {
    format!("Listener{}{}", capital(listener.word()), listener.port)
}

fn target_id(listener: &Listener) -> String {
    let word = listener.target_id();
    let (word, port) = word.split_once('_').unwrap_or((&word, ""));
    format!("Targets{}{port}", capital(word))
}

fn capital(word: &str) -> String {
    let mut letters = word.chars();
    letters.next().map(|first| first.to_ascii_uppercase().to_string() + letters.as_str()).unwrap_or_default()
}

fn resource(kind: &str, properties: Map) -> Map {
    typed(&format!("AWS::ElasticLoadBalancingV2::{kind}"), properties)
}

fn typed(kind: &str, properties: Map) -> Map {
    Map::of([("Type", Value::text(kind)), ("Properties", properties.into())])
}

fn attributes(pairs: &[(&str, &str)]) -> Value {
    let pair = |(key, value): &(&str, &str)| {
        Item::from(Value::from(Map::of([("Key", Value::text(*key)), ("Value", Value::text(*value))])))
    };
    Value::List(pairs.iter().map(pair).collect())
}

fn reference(name: &str) -> Value {
    Map::of([("Ref", Value::text(name))]).into()
}

fn get(name: &str, attribute: &str) -> Value {
    Map::of([("Fn::GetAtt", Value::words([name, attribute]))]).into()
}
