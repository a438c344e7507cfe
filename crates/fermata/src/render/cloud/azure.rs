//! Azure: Application Gateway v2 and Load Balancer, for hashicorp/azurerm 5.

use fermata_spec::Spec;
use serde_json::{Value, json};

use super::front::{Ask, Front, Listener, Speech};
use super::gates::Admitted;
use super::readme::Guide;
use super::terraform::{self, Module, Provider, Variable, asked, clients, filled, name};
use super::{Made, render};
use crate::render::Rendered;

const AZURE: Provider = Provider { name: "azurerm", source: "hashicorp/azurerm", version: "~> 5.10" };

const APPGW_AVOIDS: &[&str] = &[
    "A request timeout of 20 or 30 s, which holds for a WebSocket's session as well: it is a day.",
    "Connection draining off, or shorter than the time that tunnels get to leave.",
    "A probe on the WebSocket's path, which never answers 200 to a plain GET.",
    "A subnet that does not admit GatewayManager on 65200-65535 or AzureLoadBalancer, without which it never starts.",
];
const LB_AVOIDS: &[&str] = &[
    "Connections dropped in silence: TCP reset is on, so both ends learn that the idle limit is over.",
    "An idle limit left at 4 minutes.",
    "A network security group that lets clients in and not AzureLoadBalancer, whose probes then fail.",
    "A probe on the WebSocket's path, which never answers 200 to a plain GET.",
    "The names of older providers (`enable_tcp_reset`), which azurerm 5 refuses.",
];

pub(in crate::render) fn appgw(spec: &Spec) -> Rendered {
    render(spec, "azure-appgw", |front| {
        let mut module = module(front);
        let about = "Id of the gateway's own subnet, which has nothing else in it.";
        module.variable(asked("subnet_id", "string", about, SUBNET));
        module.variable(servers("Private addresses of the machines that run fermata up."));
        if front.has(Speech::Https) {
            let about = "Id of the certificate for the https ports, a secret of a key vault.";
            let check = ("can(regex(\"^https://\", var.certificate_id))", "The id of a secret begins with https://.");
            module.variable(asked("certificate_id", "string", about, check));
            let about = "Id of the managed identity that may read the certificate.";
            let check = ("can(regex(\"^/subscriptions/\", var.identity_id))", "An id begins with /subscriptions/.");
            module.variable(asked("identity_id", "string", about, check));
        }
        public_ip(&mut module);
        let mut rules = vec![
            rule("gateway-manager", 100, "GatewayManager", "Tcp", &["65200-65535".to_owned()]),
            rule("balancer", 110, "AzureLoadBalancer", "*", &["*".to_owned()]),
        ];
        rules.extend(admitting(front, |listener| listener.port));
        security(&mut module, &rules);
        module.resource("azurerm_application_gateway", "edge", gateway(front));
        let notes = &[
            "Every change of its configuration drains it and cuts the sockets that are left: change it seldom.",
            "The subnet needs a way out to the internet, too.",
            "The servers' own network security group has to admit the gateway's subnet, and nobody else.",
        ];
        made(module, Guide::terraform(APPGW_AVOIDS, notes))
    })
}

pub(in crate::render) fn lb(spec: &Spec) -> Rendered {
    render(spec, "azure-lb", |front| {
        let mut module = module(front);
        let about = "Id of the virtual network that the servers are in.";
        let check = ("can(regex(\"/virtualNetworks/\", var.network_id))", "The id has /virtualNetworks/ in it.");
        module.variable(asked("network_id", "string", about, check));
        module.variable(asked("subnet_id", "string", "Id of the servers' subnet.", SUBNET));
        module.variable(servers("Private addresses of the machines that run fermata up."));
        public_ip(&mut module);
        let frontend = json!([{ "name": "public", "public_ip_address_id": "${azurerm_public_ip.edge.id}" }]);
        module.resource(
            "azurerm_lb",
            "edge",
            placed(json!({ "sku": "Standard", "frontend_ip_configuration": frontend })),
        );
        let balancer = "${azurerm_lb.edge.id}";
        let pool = json!({ "name": "servers", "loadbalancer_id": balancer });
        module.resource("azurerm_lb_backend_address_pool", "servers", pool);
        let member = json!({
            "for_each": "${toset(var.servers)}",
            "name": "${each.value}",
            "backend_address_pool_id": "${azurerm_lb_backend_address_pool.servers.id}",
            "virtual_network_id": "${var.network_id}",
            "ip_address": "${each.value}",
        });
        module.resource("azurerm_lb_backend_address_pool_address", "servers", member);
        module.resource("azurerm_lb_probe", "health", lb_probe(front, balancer));
        for listener in &front.listeners {
            module.resource("azurerm_lb_rule", &listener.id(), lb_rule(front, listener, balancer));
        }
        let mut rules = vec![rule("balancer", 110, "AzureLoadBalancer", "*", &["*".to_owned()])];
        rules.extend(admitting(front, |listener| listener.target));
        for ((gate, networks), priority) in front.gates.beside.iter().zip((2000..).step_by(10)) {
            let transport = gate.protocol.name();
            let named = format!("rule-{transport}-{}", gate.port);
            rules.push(rule_from(&named, priority, &json!(networks), transport, &[gate.port.to_string()]));
        }
        security(&mut module, &rules);
        made(module, Guide::terraform(LB_AVOIDS, &[]))
    })
}

pub(super) const SUBNET: (&str, &str) =
    ("can(regex(\"/subnets/\", var.subnet_id))", "The id of a subnet has /subnets/ in it.");

fn servers(about: &'static str) -> Variable {
    let condition =
        "length(var.servers) > 0 && alltrue([for server in var.servers : can(cidrhost(\"${server}/32\", 0))])";
    asked("servers", "list(string)", about, (condition, "At least one IPv4 address is needed."))
}

fn made(module: Module, guide: Guide) -> Made {
    Made { name: "main.tf.json", text: module.write(), guide }
}

/// The provider, and where everything is.
pub(super) fn located() -> Module {
    let mut module = Module::new(AZURE, json!({ "features": {}, "subscription_id": "${var.subscription_id}" }));
    module.variable(name());
    module.variable(asked("subscription_id", "string", "The subscription's id.", filled!("subscription_id")));
    module.variable(asked("resource_group", "string", "The resource group's name.", filled!("resource_group")));
    module.variable(asked("location", "string", "The region, such as westeurope.", filled!("location")));
    module
}

fn module(front: &Front<'_>) -> Module {
    let mut module = located();
    if front.has_clients() {
        module.variable(clients());
    }
    module.address("The balancer's address.", "${azurerm_public_ip.edge.ip_address}");
    module
}

/// With the name, place and group that everything has.
fn placed(mut body: Value) -> Value {
    body["name"] = json!("${var.name}");
    body["location"] = json!("${var.location}");
    body["resource_group_name"] = json!("${var.resource_group}");
    body
}

fn public_ip(module: &mut Module) {
    module.resource("azurerm_public_ip", "edge", placed(json!({ "allocation_method": "Static", "sku": "Standard" })));
}

fn rule(name: &str, priority: u16, source: &str, protocol: &str, ports: &[String]) -> Value {
    json!({
        "name": name,
        "priority": priority,
        "direction": "Inbound",
        "access": "Allow",
        "protocol": protocol,
        "source_address_prefix": source,
        "source_port_range": "*",
        "destination_address_prefix": "*",
        "destination_port_ranges": ports,
    })
}

/// A rule for each group of listeners that are open to the same.
fn admitting(front: &Front<'_>, port: impl Fn(&Listener) -> u16) -> Vec<Value> {
    let rules = front.groups().into_iter().zip((120..).step_by(10)).map(|(group, priority)| {
        let ports: Vec<String> = group.listeners.iter().map(|listener| port(listener).to_string()).collect();
        let (whose, sources) = match group.admitted {
            Admitted::Clients => ("clients".to_owned(), json!("${var.clients}")),
            Admitted::Networks(networks) => (format!("networks-{}", ports.join("-")), json!(networks)),
        };
        rule_from(&format!("{whose}-{}", group.transport), priority, &sources, group.transport, &ports)
    });
    rules.collect()
}

pub(super) fn rule_from(name: &str, priority: u16, sources: &Value, transport: &str, ports: &[String]) -> Value {
    let mut rule = rule(name, priority, "", if transport == "udp" { "Udp" } else { "Tcp" }, ports);
    if let Some(rule) = rule.as_object_mut() {
        rule.remove("source_address_prefix");
        rule.insert("source_address_prefixes".to_owned(), sources.clone());
    }
    rule
}

pub(super) fn security(module: &mut Module, rules: &[Value]) {
    module.resource("azurerm_network_security_group", "edge", placed(json!({})));
    for rule in rules {
        let mut body = rule.clone();
        body["resource_group_name"] = json!("${var.resource_group}");
        body["network_security_group_name"] = json!("${azurerm_network_security_group.edge.name}");
        let id = rule["name"].as_str().unwrap_or_default().replace('-', "_");
        // `*` is a range, and not one of several.
        if rule["destination_port_ranges"] == json!(["*"])
            && let Some(body) = body.as_object_mut()
        {
            body.remove("destination_port_ranges");
            body.insert("destination_port_range".to_owned(), json!("*"));
        }
        module.resource("azurerm_network_security_rule", &id, body);
    }
    let association = json!({
        "subnet_id": "${var.subnet_id}",
        "network_security_group_id": "${azurerm_network_security_group.edge.id}",
    });
    module.resource("azurerm_subnet_network_security_group_association", "edge", association);
}

fn gateway(front: &Front<'_>) -> Value {
    let ports = front.listeners.iter().map(|listener| json!({ "name": listener.id(), "port": listener.port }));
    let mut gateway = placed(json!({
        "sku": { "name": "Standard_v2", "tier": "Standard_v2" },
        "autoscale_configuration": { "min_capacity": 2, "max_capacity": 10 },
        "gateway_ip_configuration": [{ "name": "subnet", "subnet_id": "${var.subnet_id}" }],
        "frontend_ip_configuration": [{ "name": "public", "public_ip_address_id": "${azurerm_public_ip.edge.id}" }],
        "frontend_port": ports.collect::<Vec<Value>>(),
        "backend_address_pool": [{ "name": "servers", "ip_addresses": "${var.servers}" }],
    }));
    if front.has(Speech::Https) {
        gateway["identity"] = json!({ "type": "UserAssigned", "identity_ids": ["${var.identity_id}"] });
        gateway["ssl_certificate"] = json!([{ "name": "certificate", "key_vault_secret_id": "${var.certificate_id}" }]);
    }
    let targets = front.targets();
    gateway["probe"] = targets.iter().map(|target| probe(front, target)).collect();
    gateway["backend_http_settings"] = targets.iter().map(|target| settings(front, target)).collect();
    gateway["http_listener"] = front.listeners.iter().map(entry).collect();
    let rules = front.listeners.iter().zip(10_u16..);
    gateway["request_routing_rule"] = rules.map(|(listener, number)| route(listener, number * 10)).collect();
    gateway
}

fn probe(front: &Front<'_>, target: &Listener) -> Value {
    let health = front.health_of(target);
    json!({
        "name": target.target_id(),
        "protocol": "Http",
        "host": "127.0.0.1",
        "port": health.port,
        "path": terraform::text(health.ask.path().unwrap_or("/")),
        "interval": 10,
        "timeout": 5,
        "unhealthy_threshold": 3,
        "match": { "status_code": ["200"] },
    })
}

fn settings(front: &Front<'_>, target: &Listener) -> Value {
    let mut settings = json!({
        "name": target.target_id(),
        "protocol": "Http",
        "port": target.target,
        "probe_name": target.target_id(),
        "request_timeout": front.idle,
        "cookie_based_affinity": if front.sticky { "Enabled" } else { "Disabled" },
        "connection_draining": { "enabled": true, "drain_timeout_sec": front.drain },
    });
    if front.sticky {
        settings["affinity_cookie_name"] = json!("FermataServer");
    }
    settings
}

fn entry(listener: &Listener) -> Value {
    let mut entry = json!({
        "name": listener.id(),
        "frontend_ip_configuration_name": "public",
        "frontend_port_name": listener.id(),
        "protocol": if listener.speech == Speech::Https { "Https" } else { "Http" },
    });
    if listener.speech == Speech::Https {
        entry["ssl_certificate_name"] = json!("certificate");
    }
    entry
}

fn route(listener: &Listener, priority: u16) -> Value {
    json!({
        "name": listener.id(),
        "rule_type": "Basic",
        "priority": priority,
        "http_listener_name": listener.id(),
        "backend_address_pool_name": "servers",
        "backend_http_settings_name": listener.target_id(),
    })
}

fn lb_probe(front: &Front<'_>, balancer: &str) -> Value {
    let mut probe = json!({
        "name": "health",
        "loadbalancer_id": balancer,
        "port": front.health.port,
        "protocol": match front.health.ask { Ask::Http(_) => "Http", Ask::Https(_) => "Https", Ask::Tcp => "Tcp" },
        "interval_in_seconds": 5,
    });
    if let Some(path) = front.health.ask.path() {
        probe["request_path"] = json!(terraform::text(path));
    }
    probe
}

fn lb_rule(front: &Front<'_>, listener: &Listener, balancer: &str) -> Value {
    let mut rule = json!({
        "name": listener.id(),
        "loadbalancer_id": balancer,
        "protocol": if listener.speech == Speech::Udp { "Udp" } else { "Tcp" },
        "frontend_port": listener.port,
        "backend_port": listener.target,
        "frontend_ip_configuration_name": "public",
        "backend_address_pool_ids": ["${azurerm_lb_backend_address_pool.servers.id}"],
        "probe_id": "${azurerm_lb_probe.health.id}",
        "load_distribution": "Default",
    });
    if listener.speech == Speech::Tcp {
        // Minutes.
        rule["idle_timeout_in_minutes"] = json!(front.idle.div_ceil(60));
        rule["tcp_reset_enabled"] = json!(true);
    }
    rule
}
