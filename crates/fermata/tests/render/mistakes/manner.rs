//! Mistakes around load balancers of clouds: what they speak, and how they choose.

use serde_json::Value;

use super::Mistake;
use super::made::{every, number, present, rules, settings, words};
use super::targets::{ALB, ALB_TEMPLATE, APPGW, AZURE_LB, GCP_ALB, GCP_NLB, NLB, NLB_TEMPLATE, OCEAN, OCTAVIA};

/// All of them.
pub(super) const MISTAKES: &[Mistake] = &[
    Mistake {
        sentence: "HTTP/2 or gRPC to the servers, over which upgrades do not pass",
        shown: &[
            (&[ALB], |made| every(&made.of("aws_lb_target_group", "/protocol_version"), |one| *one == "HTTP1")),
            (&[ALB_TEMPLATE], |made| {
                let groups = made.properties("ElasticLoadBalancingV2::TargetGroup");
                every(&groups, |group| group["ProtocolVersion"] == "HTTP1")
            }),
            (&[GCP_ALB], |made| every(&made.of("google_compute_backend_service", "/protocol"), |one| *one == "HTTP")),
            (&[OCEAN], |made| {
                let rules = rules(made, "digitalocean_loadbalancer", "/forwarding_rule");
                every(&rules, |rule| ["http", "tcp", "udp"].iter().any(|word| rule["target_protocol"] == *word))
            }),
            (&["fly"], |made| !made.text.contains("h2_backend = true") && !made.text.contains("\"h2c\"")),
            (
                &[
                    NLB,
                    NLB_TEMPLATE,
                    GCP_NLB,
                    APPGW,
                    AZURE_LB,
                    OCTAVIA,
                    "hetzner",
                    "linode",
                    "vultr",
                    "scaleway",
                    "cloudflare",
                ],
                |made| {
                    let text = made.text.to_lowercase();
                    ["\"http2\"", "\"h2c\"", "\"grpc\"", "http2only", "\"h2\""].iter().all(|word| !text.contains(word))
                },
            ),
        ],
    },
    Mistake {
        sentence: "a TLS listener at layer 4, whose idle limit cannot be set, or one that offers HTTP/2 alone",
        shown: &[
            (&[NLB], |made| {
                every(&made.of("aws_lb_listener", "/protocol"), |one| *one == "TCP" || *one == "UDP")
                    && made.of("aws_lb_listener", "/alpn_policy").iter().all(Value::is_null)
            }),
            (&[NLB_TEMPLATE], |made| {
                let listeners = made.properties("ElasticLoadBalancingV2::Listener");
                every(&listeners, |one| {
                    (one["Protocol"] == "TCP" || one["Protocol"] == "UDP") && one["AlpnPolicy"].is_null()
                })
            }),
            (&[OCTAVIA], |made| {
                let offered = present(made.of("openstack_lb_listener_v2", "/alpn_protocols"));
                offered.iter().all(|one| *one == serde_json::json!(["http/1.1"]))
            }),
        ],
    },
    Mistake {
        sentence: "a redirect to https that clients of ws:// do not follow",
        shown: &[
            (&[ALB, NLB], |made| every(&made.of("aws_lb_listener", "/default_action/type"), |one| *one == "forward")),
            (&[ALB_TEMPLATE, NLB_TEMPLATE], |made| {
                let listeners = made.properties("ElasticLoadBalancingV2::Listener");
                every(&listeners, |one| one["DefaultActions"][0]["Type"] == "forward")
            }),
            (&[OCEAN], |made| {
                every(&made.of("digitalocean_loadbalancer", "/redirect_http_to_https"), |one| *one == false)
            }),
            (&[GCP_ALB, APPGW, "hetzner", "vultr", "scaleway", "cloudflare", "fly"], |made| {
                !made.text.contains("redirect")
                    || made.text.contains("\"follow_redirects\": false") && made.target == "cloudflare"
            }),
        ],
    },
    Mistake {
        sentence: "an https listener without a certificate",
        shown: &[
            (&[ALB], |made| {
                let protocols = made.of("aws_lb_listener", "/protocol");
                let certificates = made.of("aws_lb_listener", "/certificate_arn");
                protocols.iter().zip(certificates).all(|(protocol, one)| (protocol == "HTTPS") != one.is_null())
            }),
            (&[ALB_TEMPLATE], |made| {
                let listeners = made.properties("ElasticLoadBalancingV2::Listener");
                every(&listeners, |one| (one["Protocol"] == "HTTPS") != one["Certificates"].is_null())
            }),
            (&[GCP_ALB], |made| {
                made.of("google_compute_target_https_proxy", "/ssl_certificates").iter().all(|one| !one.is_null())
            }),
            (&[APPGW], |made| made.secure() != made.of("azurerm_application_gateway", "/ssl_certificate")[0].is_null()),
            (&[OCEAN], |made| {
                let rules = rules(made, "digitalocean_loadbalancer", "/forwarding_rule");
                every(&rules, |rule| (rule["entry_protocol"] == "https") != rule["certificate_name"].is_null())
            }),
            (&[OCTAVIA], |made| {
                let protocols = made.of("openstack_lb_listener_v2", "/protocol");
                let certificates = made.of("openstack_lb_listener_v2", "/default_tls_container_ref");
                protocols
                    .iter()
                    .zip(certificates)
                    .all(|(protocol, one)| (protocol == "TERMINATED_HTTPS") != one.is_null())
            }),
        ],
    },
    Mistake {
        sentence: "the sockets of a server cut because one check failed",
        shown: &[
            (&[NLB], |made| {
                let of = |pointer: &str| made.of("aws_lb_target_group", &format!("/target_health_state/{pointer}"));
                present(of("enable_unhealthy_connection_termination")).iter().all(|one| *one == false)
                    && made.of("aws_lb_target_group", "/protocol").iter().filter(|one| **one == "TCP").count()
                        == present(of("unhealthy_draining_interval")).len()
            }),
            (&[NLB_TEMPLATE], |made| {
                let key = "target_health_state.unhealthy.connection_termination.enabled";
                made.attributes("TargetGroup", "TargetGroupAttributes", key)
                    .iter()
                    .all(|one| one.is_null() || *one == "false")
            }),
            (&["scaleway"], |made| {
                every(&made.of("scaleway_lb_backend", "/on_marked_down_action"), |one| *one == "none")
            }),
            (&["linode"], |made| every(&made.of("linode_nodebalancer_config", "/check_passive"), |one| *one == false)),
            (&[GCP_NLB], |made| {
                let pointer = "/connection_tracking_policy/connection_persistence_on_unhealthy_backends";
                every(&made.of("google_compute_region_backend_service", pointer), |one| *one == "ALWAYS_PERSIST")
            }),
        ],
    },
    Mistake {
        sentence: "round robin, or a count of requests, which sees no open sockets",
        shown: &[
            (&[ALB], |made| {
                every(&made.of("aws_lb_target_group", "/load_balancing_algorithm_type"), |one| {
                    *one == "least_outstanding_requests"
                })
            }),
            (&[ALB_TEMPLATE], |made| {
                let key = "load_balancing.algorithm.type";
                let said = made.attributes("TargetGroup", "TargetGroupAttributes", key);
                every(&said, |one| *one == "least_outstanding_requests")
            }),
            (&[GCP_ALB], |made| {
                every(&made.of("google_compute_backend_service", "/backend/balancing_mode"), |one| {
                    *one == "UTILIZATION"
                })
            }),
            (&["hetzner"], |made| {
                every(&made.of("hcloud_load_balancer", "/algorithm/type"), |one| *one == "least_connections")
            }),
            (&["linode"], |made| {
                every(&made.of("linode_nodebalancer_config", "/algorithm"), |one| *one == "leastconn")
            }),
            (&["vultr"], |made| {
                every(&made.of("vultr_load_balancer", "/balancing_algorithm"), |one| *one == "leastconn")
            }),
            (&["scaleway"], |made| {
                every(&made.of("scaleway_lb_backend", "/forward_port_algorithm"), |one| *one == "leastconn")
            }),
            (&[OCTAVIA], |made| {
                every(&made.of("openstack_lb_pool_v2", "/lb_method"), |one| *one == "LEAST_CONNECTIONS")
            }),
            (&["cloudflare"], |made| {
                every(&made.of("cloudflare_load_balancer_pool", "/origin_steering/policy"), |one| {
                    *one == "least_connections"
                })
            }),
            (&["fly"], |made| every(&words(&made.text, "\ntype = "), |one| *one == "connections")),
        ],
    },
    Mistake {
        sentence: "visitors pinned who need not be, or not pinned who have to be",
        shown: &[
            (&[ALB], |made| every(&made.of("aws_lb_target_group", "/stickiness/enabled"), |one| *one == made.sticky())),
            (&[ALB_TEMPLATE], |made| {
                let said = made.attributes("TargetGroup", "TargetGroupAttributes", "stickiness.enabled");
                every(&said, |one| *one == if made.sticky() { "true" } else { "false" })
            }),
            (&[GCP_ALB], |made| {
                let expected = if made.sticky() { "GENERATED_COOKIE" } else { "NONE" };
                every(&made.of("google_compute_backend_service", "/session_affinity"), |one| *one == expected)
            }),
            (&[APPGW], |made| {
                let expected = if made.sticky() { "Enabled" } else { "Disabled" };
                every(&settings(made, "cookie_based_affinity"), |one| *one == expected)
            }),
            (&[OCEAN], |made| made.sticky() != made.of("digitalocean_loadbalancer", "/sticky_sessions")[0].is_null()),
            (&["cloudflare"], |made| {
                let expected = if made.sticky() { "cookie" } else { "none" };
                every(&made.of("cloudflare_load_balancer", "/session_affinity"), |one| *one == expected)
            }),
        ],
    },
    Mistake {
        sentence: "servers of one zone alone",
        shown: &[(&[NLB], |made| every(&made.of("aws_lb", "/enable_cross_zone_load_balancing"), |one| *one == true))],
    },
    Mistake {
        sentence: "a function as a target, which refuses upgrades",
        shown: &[
            (&[ALB, NLB], |made| every(&made.of("aws_lb_target_group", "/target_type"), |one| *one == "instance")),
            (&[ALB_TEMPLATE, NLB_TEMPLATE], |made| {
                every(&made.properties("ElasticLoadBalancingV2::TargetGroup"), |group| {
                    group["TargetType"] == "instance"
                })
            }),
        ],
    },
    Mistake {
        sentence: "headers of the client changed on their way",
        shown: &[(&[ALB], |made| {
            every(&made.of("aws_lb", "/preserve_host_header"), |one| *one == true)
                && every(&made.of("aws_lb", "/xff_header_processing_mode"), |one| *one == "append")
        })],
    },
    Mistake {
        sentence: "clients behind one address locked out as they all come back",
        shown: &[(&["linode"], |made| {
            every(&made.of("linode_nodebalancer", "/client_conn_throttle"), |one| *one == 0)
        })],
    },
    Mistake {
        sentence: "WebSockets switched off, or the servers asked over http where there is https",
        shown: &[(&["cloudflare"], |made| {
            let settings = made.module["resource"]["cloudflare_zone_setting"].clone();
            settings["websockets"]["value"] == "on" && (settings["ssl"]["value"] == "full") == made.secure()
        })],
    },
    Mistake {
        sentence: "a limit of 20 connections, or machines that are stopped while they look idle",
        shown: &[(&["fly"], |made| {
            every(&words(&made.text, "soft_limit = "), |one| number(one).is_some_and(|limit| limit > 20.0))
                && every(&words(&made.text, "auto_stop_machines = "), |one| *one == "off")
        })],
    },
    Mistake {
        sentence: "a provider of whatever version there is",
        shown: &[(
            &[
                ALB,
                NLB,
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
            ],
            |made| {
                let pinned = made.module["terraform"]["required_providers"].as_object().cloned().unwrap_or_default();
                let versions: Vec<Value> = pinned.values().map(|one| one["version"].clone()).collect();
                every(&versions, |version| version.as_str().is_some_and(|version| version.starts_with("~> ")))
            },
        )],
    },
];
