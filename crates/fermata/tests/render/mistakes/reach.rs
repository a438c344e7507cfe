//! Mistakes around load balancers of clouds: who reaches whom, and who is asked what.

use serde_json::Value;

use super::Mistake;
use super::made::{Made, every, number, present, rules, words};
use super::targets::{ALB, ALB_TEMPLATE, APPGW, AZURE_LB, GCP_ALB, GCP_NLB, NLB, NLB_TEMPLATE, OCEAN, OCTAVIA};

/// All of them.
pub(super) const MISTAKES: &[Mistake] = &[
    Mistake {
        sentence: "a health check at the path of a WebSocket, or one that takes an upgrade for an answer",
        shown: &[(
            &[
                ALB,
                NLB,
                ALB_TEMPLATE,
                NLB_TEMPLATE,
                GCP_ALB,
                GCP_NLB,
                APPGW,
                AZURE_LB,
                OCEAN,
                OCTAVIA,
                "hetzner",
                "linode",
                "vultr",
                "scaleway",
                "cloudflare",
                "fly",
            ],
            |made| {
                let named = made.spec.load_balancer.as_ref().and_then(|section| section.httpchk.as_deref());
                let path = named.map_or("/.fermata/health", |line| line.trim_start_matches("GET "));
                let paths = strings(
                    &made.module,
                    &["path", "request_path", "url_path", "uri", "check_path", "HealthCheckPath"],
                );
                let codes =
                    strings(&made.module, &["matcher", "expected_codes", "status_code", "status_codes", "HttpCode"]);
                let text = words(&made.text, "path = ").into_iter().filter_map(|one| one.as_str().map(str::to_owned));
                let paths: Vec<String> = if made.target == "fly" { text.collect() } else { paths };
                paths.iter().all(|one| one.replace("$${", "${") == path) && codes.iter().all(|code| code == "200")
            },
        )],
    },
    Mistake {
        sentence: "a health check that only connects, where a path could be asked",
        shown: &[
            (&[ALB, NLB], |made| asks(made, &made.of("aws_lb_target_group", "/health_check/path"))),
            (&[ALB_TEMPLATE, NLB_TEMPLATE], |made| {
                let groups = made.properties("ElasticLoadBalancingV2::TargetGroup");
                asks(made, &groups.iter().map(|group| group["HealthCheckPath"].clone()).collect::<Vec<Value>>())
            }),
            (&[GCP_ALB], |made| asks(made, &made.of("google_compute_health_check", "/http_health_check/request_path"))),
            (&[GCP_NLB], |made| {
                asks(made, &made.of("google_compute_region_health_check", "/http_health_check/request_path"))
            }),
            (&[APPGW], |made| asks(made, &made.of("azurerm_application_gateway", "/probe/0/path"))),
            (&[AZURE_LB], |made| asks(made, &made.of("azurerm_lb_probe", "/request_path"))),
            (&[OCEAN], |made| asks(made, &made.of("digitalocean_loadbalancer", "/healthcheck/path"))),
            (&["hetzner"], |made| asks(made, &made.of("hcloud_load_balancer_service", "/health_check/http/path"))),
            (&["vultr"], |made| asks(made, &made.of("vultr_load_balancer", "/health_check/path"))),
            (&["scaleway"], |made| {
                let bare = made.of("scaleway_lb_backend", "/health_check_tcp");
                made.announced(8080) || bare.iter().all(Value::is_null)
            }),
        ],
    },
    Mistake {
        sentence: "a port of the health check that is shut",
        shown: &[
            (&[ALB, NLB], |made| {
                let checked = made.of("aws_lb_target_group", "/health_check/port");
                let ways = ["aws_vpc_security_group_egress_rule", "aws_vpc_security_group_ingress_rule"];
                ways.iter().all(|way| all_open(&checked, &made.of(way, "/to_port")))
            }),
            (&[ALB_TEMPLATE, NLB_TEMPLATE], |made| {
                let groups = made.properties("ElasticLoadBalancingV2::TargetGroup");
                let checked: Vec<Value> = groups.iter().map(|group| group["HealthCheckPort"].clone()).collect();
                let open = servers_in_template(made);
                all_open(&checked, &open.iter().map(|rule| rule["ToPort"].clone()).collect::<Vec<Value>>())
            }),
            (&[GCP_ALB, GCP_NLB], |made| {
                let checks = ["google_compute_health_check", "google_compute_region_health_check"];
                let ways = ["/http_health_check/port", "/https_health_check/port", "/tcp_health_check/port"];
                let checked = checks.iter().flat_map(|kind| ways.iter().flat_map(|way| present(made.of(kind, way))));
                all_open(&checked.collect::<Vec<Value>>(), &ports_for(made, &["130.211.0.0/22", "35.191.0.0/16"]))
            }),
            (&[OCEAN], |made| {
                let open = rules(made, "digitalocean_firewall", "/inbound_rule");
                let open: Vec<Value> = open.iter().map(|rule| rule["port_range"].clone()).collect();
                all_open(&made.of("digitalocean_loadbalancer", "/healthcheck/port"), &open)
            }),
            (&[OCTAVIA], |made| {
                let own = made.of("openstack_lb_member_v2", "/monitor_port");
                all_open(&present(own), &made.of("openstack_networking_secgroup_rule_v2", "/port_range_max"))
            }),
            (&[AZURE_LB, APPGW], |made| {
                made.of("azurerm_network_security_rule", "/source_address_prefix").contains(&"AzureLoadBalancer".into())
            }),
        ],
    },
    Mistake {
        sentence: "servers that anybody reaches beside the balancer",
        shown: &[
            (&[ALB, NLB], |made| {
                let rules = made.module["resource"]["aws_vpc_security_group_ingress_rule"].as_object();
                let servers = "${aws_security_group.servers.id}";
                rules.is_some_and(|rules| {
                    let mut own = rules.iter().filter(|(_, rule)| rule["security_group_id"] == servers);
                    own.all(|(name, rule)| rule["cidr_ipv4"].is_null() || name.starts_with("rule_"))
                })
            }),
            (&[ALB_TEMPLATE, NLB_TEMPLATE], |made| {
                let ruled = |port: &Value| made.spec.firewall.rules.iter().any(|rule| *port == rule.port);
                let public = |port: &Value| {
                    let mut entries = made.spec.services.iter().flat_map(|service| &service.ports);
                    entries.any(|one| [one.http, one.https, one.tcp, one.udp].iter().flatten().any(|own| *port == *own))
                };
                let beside = |rule: &Value| ruled(&rule["ToPort"]) && !public(&rule["ToPort"]);
                servers_in_template(made).iter().all(|rule| rule["CidrIp"].is_null() || beside(rule))
            }),
            (&[OCEAN], |made| {
                let open = rules(made, "digitalocean_firewall", "/inbound_rule");
                let ruled = |rule: &Value| {
                    made.spec.firewall.rules.iter().any(|own| number(&rule["port_range"]) == Some(own.port.into()))
                };
                open.iter().all(|rule| !rule["source_load_balancer_uids"].is_null() || ruled(rule))
            }),
            (&[GCP_ALB], |made| {
                let rules = made.of("google_compute_firewall", "/source_ranges");
                rules.iter().all(|ranges| *ranges != "${var.clients}" && !ranges.to_string().contains("0.0.0.0/0"))
            }),
            (&[OCTAVIA], |made| {
                let rules = made.module["resource"]["openstack_networking_secgroup_rule_v2"].as_object();
                rules.is_some_and(|rules| {
                    rules
                        .iter()
                        .all(|(name, rule)| rule["remote_ip_prefix"] == "${var.network}" || name.starts_with("rule_"))
                })
            }),
            (&["hetzner"], |made| {
                every(&made.of("hcloud_load_balancer_target", "/use_private_ip"), |one| *one == true)
            }),
        ],
    },
    Mistake {
        sentence: "a port that the file keeps to some networks, open to everybody",
        shown: &[
            (&[ALB, NLB], |made| {
                kept(made).iter().all(|(port, networks)| {
                    let rules = made.module["resource"]["aws_vpc_security_group_ingress_rule"].as_object();
                    let balancer = "${aws_security_group.balancer.id}";
                    rules.into_iter().flatten().filter(|(_, rule)| rule["security_group_id"] == balancer).all(
                        |(_, rule)| {
                            rule["to_port"] != *port
                                || rule["for_each"] == format!("${{toset({})}}", serde_json::json!(networks))
                        },
                    )
                })
            }),
            (&[AZURE_LB, APPGW], |made| {
                kept(made).iter().all(|(port, networks)| {
                    let rules = made.module["resource"]["azurerm_network_security_rule"].as_object();
                    let has = |rule: &Value| {
                        let ports = rule["destination_port_ranges"].as_array().cloned().unwrap_or_default();
                        ports.contains(&Value::from(port.to_string()))
                    };
                    let mut own = rules.into_iter().flatten().map(|(_, rule)| rule).filter(|rule| has(rule));
                    own.all(|rule| rule["source_address_prefixes"] == serde_json::json!(networks))
                })
            }),
            (&[OCTAVIA], |made| {
                let listeners = made.module["resource"]["openstack_lb_listener_v2"].as_object();
                listeners.into_iter().flatten().all(|(_, one)| {
                    let kept = kept(made);
                    let networks =
                        kept.iter().find(|(port, _)| one["protocol_port"] == *port).map(|(_, networks)| networks);
                    networks.is_none_or(|networks| one["allowed_cidrs"] == serde_json::json!(networks))
                })
            }),
        ],
    },
    Mistake {
        sentence: "the PROXY protocol on one side only",
        shown: &[
            (&[NLB], |made| every(&made.of("aws_lb_target_group", "/proxy_protocol_v2"), |one| *one == false)),
            (&[NLB_TEMPLATE], |made| {
                every(&made.attributes("TargetGroup", "TargetGroupAttributes", "proxy_protocol_v2.enabled"), |one| {
                    *one == "false"
                })
            }),
            (&["hetzner"], |made| agrees(made, "hcloud_load_balancer_service", ("destination_port", "proxyprotocol"))),
            (&["linode"], |made| agrees(made, "linode_nodebalancer_config", ("port", "proxy_protocol"))),
            (&["scaleway"], |made| agrees(made, "scaleway_lb_backend", ("forward_port", "proxy_protocol"))),
            (&["vultr"], |made| made.of("vultr_load_balancer", "/proxy_protocol") == [made.announced(8080)]),
            (&[OCEAN], |made| made.of("digitalocean_loadbalancer", "/enable_proxy_protocol") == [made.announced(8080)]),
            (&[OCTAVIA], |made| !made.text.contains("PROXY\"") && !made.text.contains("PROXYV2")),
        ],
    },
    Mistake {
        sentence: "a plain question at a port that expects the PROXY protocol",
        shown: &[
            (&["hetzner"], |made| {
                let (kinds, ports) = ("/health_check/protocol", "/health_check/port");
                unannounced(
                    made,
                    &made.of("hcloud_load_balancer_service", kinds),
                    &made.of("hcloud_load_balancer_service", ports),
                )
            }),
            (&["vultr"], |made| {
                let of = |key: &str| made.of("vultr_load_balancer", &format!("/health_check/{key}"));
                unannounced(made, &of("protocol"), &of("port"))
            }),
            (&[OCEAN], |made| {
                let of = |key: &str| made.of("digitalocean_loadbalancer", &format!("/healthcheck/{key}"));
                unannounced(made, &of("protocol"), &of("port"))
            }),
            (&["linode"], |made| {
                let of = |key: &str| made.of("linode_nodebalancer_config", &format!("/{key}"));
                unannounced(made, &of("check"), &of("port"))
            }),
            (&["scaleway"], |made| {
                let backends = made.module["resource"]["scaleway_lb_backend"].as_object();
                backends.into_iter().flatten().all(|(_, one)| {
                    !one["health_check_tcp"].is_null()
                        || !made.announced(one["health_check_port"].as_u64().unwrap_or_default())
                })
            }),
        ],
    },
    Mistake {
        sentence: "who the client is told by the balancer, and nobody warned that nobody is believed",
        shown: &[(&[ALB, ALB_TEMPLATE, GCP_ALB, APPGW, OCEAN, "scaleway", OCTAVIA, "cloudflare", "fly"], |made| {
            let said = fermata_spec::balancers::judge(made.row(), &made.spec);
            made.spec.gateway.trusted_proxies.is_empty() == said.iter().any(|one| one.path == "gateway.trusted_proxies")
        })],
    },
    Mistake {
        sentence: "Google's checks and front ends, or clients of addresses that are preserved, shut out",
        shown: &[
            (&[GCP_ALB], |made| !ports_for(made, &["130.211.0.0/22", "35.191.0.0/16"]).is_empty()),
            (&[GCP_NLB], |made| {
                let open = made.of("google_compute_firewall", "/allow/0/ports");
                let open: Vec<Value> = open.iter().filter_map(Value::as_array).flatten().cloned().collect();
                let ports =
                    made.web().flat_map(|service| &service.ports).flat_map(|port| [port.http, port.https]).flatten();
                ports.into_iter().all(|port| open.contains(&Value::from(port.to_string())))
            }),
        ],
    },
    Mistake {
        sentence: "a gateway whose subnet shuts out who manages it",
        shown: &[(&[APPGW], |made| {
            let rules = made.module["resource"]["azurerm_network_security_rule"].as_object();
            rules.is_some_and(|rules| {
                rules.values().any(|rule| {
                    rule["source_address_prefix"] == "GatewayManager"
                        && rule["destination_port_ranges"] == serde_json::json!(["65200-65535"])
                })
            })
        })],
    },
    Mistake {
        sentence: "the clients' addresses lost, and with them the ports of one address to one server (55,000)",
        shown: &[
            (&[NLB], |made| every(&made.of("aws_lb_target_group", "/preserve_client_ip"), |one| *one == "true")),
            (&[NLB_TEMPLATE], |made| {
                every(&made.attributes("TargetGroup", "TargetGroupAttributes", "preserve_client_ip.enabled"), |one| {
                    *one == "true"
                })
            }),
        ],
    },
    Mistake {
        sentence: "a port that is not proxied",
        shown: &[(&["cloudflare"], |made| {
            let ports =
                made.web().flat_map(|service| &service.ports).flat_map(|port| [port.http, port.https]).flatten();
            ports.into_iter().all(|port| made.row().ports.contains(&port))
        })],
    },
];

/// Whether paths are asked; where every port that could be asked expects the PROXY protocol, nobody can be.
fn asks(made: &Made, paths: &[Value]) -> bool {
    made.announced(8080) || every(paths, |path| !path.is_null())
}

/// Whether every one of these ports is among those, as numbers or as texts.
fn all_open(checked: &[Value], open: &[Value]) -> bool {
    let word = |value: &Value| value.to_string().trim_matches('"').to_owned();
    checked.iter().all(|port| open.iter().any(|open| word(open) == word(port)))
}

/// Whether a check says the PROXY protocol where the port expects it.
fn agrees(made: &Made, kind: &str, (port, said): (&str, &str)) -> bool {
    let (ports, said) = (made.of(kind, &format!("/{port}")), made.of(kind, &format!("/{said}")));
    let on = |said: &Value| *said == true || *said == "v2";
    !ports.is_empty()
        && ports.iter().zip(said).all(|(port, said)| on(&said) == made.announced(port.as_u64().unwrap_or_default()))
}

/// Whether no check of these kinds asks over HTTP where the port expects the PROXY protocol.
fn unannounced(made: &Made, kinds: &[Value], ports: &[Value]) -> bool {
    let asks = |kind: &Value| *kind == "http" || *kind == "https";
    kinds.iter().zip(ports).all(|(kind, port)| !asks(kind) || !made.announced(port.as_u64().unwrap_or_default()))
}

/// Public ports that rules of the file keep to some networks.
fn kept(made: &Made) -> Vec<(u16, Vec<String>)> {
    use fermata_spec::Whence;
    let mut kept: Vec<(u16, Vec<String>)> = Vec::new();
    for rule in &made.spec.firewall.rules {
        let Whence::Network(network) = rule.from else { continue };
        let text = format!("{}/{}", network.address, network.prefix);
        match kept.iter_mut().find(|(port, _)| *port == rule.port) {
            Some((_, networks)) => networks.push(text),
            None => kept.push((rule.port, vec![text])),
        }
    }
    kept
}

/// The ports that firewall rules of Google open to these networks.
fn ports_for(made: &Made, networks: &[&str]) -> Vec<Value> {
    let rules = made.module["resource"]["google_compute_firewall"].as_object();
    let own = rules.into_iter().flatten().filter(|(_, rule)| rule["source_ranges"] == serde_json::json!(networks));
    own.flat_map(|(_, rule)| rule["allow"][0]["ports"].as_array().cloned().unwrap_or_default()).collect()
}

/// The rules of the servers' group in a template.
fn servers_in_template(made: &Made) -> Vec<Value> {
    let group = &made.module["Resources"]["ServerGroup"]["Properties"]["SecurityGroupIngress"];
    group.as_array().cloned().unwrap_or_default()
}

/// Every text under these keys, wherever they are.
fn strings(value: &Value, keys: &[&str]) -> Vec<String> {
    let mut found = Vec::new();
    match value {
        Value::Object(map) => {
            for (key, inner) in map {
                if keys.contains(&&**key) {
                    let list = inner.as_array().cloned().unwrap_or_else(|| vec![inner.clone()]);
                    found.extend(list.iter().filter_map(Value::as_str).map(str::to_owned));
                }
                found.extend(strings(inner, keys));
            }
        }
        Value::Array(list) => found.extend(list.iter().flat_map(|inner| strings(inner, keys))),
        _ => {}
    }
    found
}
