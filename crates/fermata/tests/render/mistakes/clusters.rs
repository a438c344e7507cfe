//! Mistakes in manifests for Kubernetes.

use fermata_spec::service_path;
use serde_json::Value;

use super::Mistake;
use super::made::Made;

const EDGE: &str = "kubernetes-edge";
const GATEWAY: &str = "kubernetes";
const ALL: &[&str] = &[
    GATEWAY,
    EDGE,
    "kubernetes-ingress-alb",
    "kubernetes-ingress-haproxy",
    "kubernetes-ingress-nginx",
    "kubernetes-ingress-traefik",
];

/// All of them.
pub(super) const MISTAKES: &[Mistake] = &[
    Mistake {
        sentence: "a pod that is killed before its tunnels have left, or told to end while it still gets new ones",
        shown: &[(ALL, |made| {
            workloads(made).all(|(name, pod)| {
                let drain = drain(made, name);
                let grace = pod["terminationGracePeriodSeconds"].as_f64().unwrap_or_default();
                // The edge tells tunnels itself, while the pods behind it wait; it and all others wait until endpoints have spread.
                let waits = if behind_the_edge(made, name) { drain + 5.0 } else { 10.0 };
                slept(pod).is_none_or(|slept| slept >= waits && slept < grace) && grace >= 10.0 + drain
            })
        })],
    },
    Mistake {
        sentence: "a rolling update that ends pods before others are ready, where the file does not say so",
        shown: &[(ALL, |made| {
            made.kind("Deployment").all(|object| {
                let unavailable = &object["spec"]["strategy"]["rollingUpdate"]["maxUnavailable"];
                let path =
                    |one: &fermata_spec::Service| format!("{}.constraints.max_unavailable", service_path(&one.name));
                let said = service(made, name(object)).is_some_and(|one| made.spec.places.find(&path(one)).is_some());
                *unavailable == 0 || said
            })
        })],
    },
    Mistake {
        sentence: "a pod that is started again for it drains: what says that it lives is what says that it is ready",
        shown: &[(&[EDGE], |made| {
            workloads(made).filter(|(name, _)| *name == "fermata").all(|(_, pod)| {
                let probe = |kind: &str| pod["containers"][0][kind]["httpGet"].clone();
                !probe("readinessProbe").is_null() && probe("readinessProbe") != probe("livenessProbe")
            })
        })],
    },
    Mistake {
        sentence: "a probe at the path of a WebSocket",
        shown: &[(ALL, |made| {
            workloads(made)
                .flat_map(|(_, pod)| probes(pod))
                .all(|path| !["/ws", "/cable", "/socket.io"].contains(&&*path))
        })],
    },
    Mistake {
        sentence: "HTTP/2 to a service with WebSockets, or a port whose name says so",
        shown: &[(ALL, |made| {
            let text = made.text.to_lowercase();
            ["h2c", "http2", "grpc"].iter().all(|word| !text.contains(word))
                && made.kind("Service").filter(|one| name(one) != "fermata").all(|one| {
                    let ports = one["spec"]["ports"].as_array().cloned().unwrap_or_default();
                    ports.iter().all(|port| port["appProtocol"].is_null() || port["appProtocol"] == "kubernetes.io/ws")
                })
        })],
    },
    Mistake {
        sentence: "visitors pinned to pods by their address, for which one socket has no use",
        shown: &[(ALL, |made| made.kind("Service").all(|one| one["spec"]["sessionAffinity"].is_null()))],
    },
    Mistake {
        sentence: "no budget for disruptions, or one that lets no pod go and blocks every upgrade of nodes",
        shown: &[(ALL, |made| {
            made.kind("Deployment").all(|object| {
                let mut budgets = made.kind("PodDisruptionBudget");
                budgets.any(|budget| name(budget) == name(object) && budget["spec"]["maxUnavailable"] == 1)
            })
        })],
    },
    Mistake {
        sentence: "an autoscaler by CPU, or one that goes down in leaps",
        shown: &[(ALL, |made| {
            made.kind("HorizontalPodAutoscaler").all(|object| {
                let metric = &object["spec"]["metrics"][0];
                let name =
                    [&metric["pods"], &metric["external"]].into_iter().find_map(|one| one["metric"]["name"].as_str());
                let known = ["ws_connections_open", "fermata_service_tunnels", "fermata_tunnels"];
                let down = &object["spec"]["behavior"]["scaleDown"];
                name.is_some_and(|name| known.contains(&name))
                    && down["stabilizationWindowSeconds"].as_u64() >= Some(600)
                    && down["policies"][0]["value"] == 1
            })
        })],
    },
    Mistake {
        sentence: "one pod of the edge, with which all tunnels go",
        shown: &[(&[EDGE], |made| {
            let edge = made.kind("Deployment").filter(|object| name(object) == "fermata");
            edge.into_iter().all(|object| {
                let scaled = || {
                    made.kind("HorizontalPodAutoscaler")
                        .any(|one| name(one) == "fermata" && one["spec"]["minReplicas"].as_u64() >= Some(2))
                };
                object["spec"]["replicas"].as_u64() >= Some(2) || scaled()
            })
        })],
    },
    Mistake {
        sentence: "an https listener without a certificate, or TLS where there is none",
        shown: &[(&[GATEWAY], |made| {
            made.kind("Gateway")
                .flat_map(|object| object["spec"]["listeners"].as_array().cloned().unwrap_or_default())
                .all(|listener| {
                    let certificates =
                        listener["tls"]["certificateRefs"].as_array().is_some_and(|list| !list.is_empty());
                    (listener["protocol"] == "HTTPS") == certificates && certificates != listener["tls"].is_null()
                })
        })],
    },
    Mistake {
        sentence: "a route whose requests, and with them its sockets, end after the controller's own time",
        shown: &[(&[GATEWAY], |made| {
            let rules =
                made.kind("HTTPRoute").flat_map(|route| route["spec"]["rules"].as_array().cloned().unwrap_or_default());
            rules
                .into_iter()
                .all(|rule| rule["timeouts"]["request"] == "0s" && rule["timeouts"]["backendRequest"] == "0s")
        })],
    },
    Mistake {
        sentence: "a controller that is retired, or an object that is gone",
        shown: &[(ALL, |made| {
            let text = made.text.to_lowercase();
            ["nginx.ingress.kubernetes.io", "ingress-nginx", "backendlbpolicy"].iter().all(|word| !text.contains(word))
        })],
    },
    Mistake {
        sentence: "an idle limit of the controller that is over before two Pings",
        shown: &[
            (&["kubernetes-ingress-alb"], |made| {
                let limits = annotations(made, "alb.ingress.kubernetes.io/load-balancer-attributes");
                limits.iter().all(|text| {
                    let limit = text
                        .split(',')
                        .find_map(|pair| pair.strip_prefix("idle_timeout.timeout_seconds=")?.parse::<f64>().ok());
                    limit.is_some_and(|limit| limit >= made.ping() * 2.0)
                }) && !limits.is_empty()
            }),
            (&["kubernetes-ingress-haproxy"], |made| {
                long_enough(made, &annotations(made, "haproxy.org/timeout-tunnel"))
            }),
            (&["kubernetes-ingress-nginx"], |made| {
                long_enough(made, &annotations(made, "nginx.org/proxy-read-timeout"))
            }),
        ],
    },
    Mistake {
        sentence: "metrics that the whole cluster reads",
        shown: &[(&[EDGE], |made| {
            let policies = made.kind("NetworkPolicy").filter(|object| name(object) == "fermata");
            policies.into_iter().all(|policy| {
                let rules = policy["spec"]["ingress"].as_array().cloned().unwrap_or_default();
                rules.len() == 2
                    && rules[1]["from"][0]["namespaceSelector"]["matchLabels"]["kubernetes.io/metadata.name"]
                        == "monitoring"
            })
        })],
    },
    Mistake { sentence: "secrets in files", shown: &[(ALL, |made| made.kind("Secret").next().is_none())] },
];

fn name(object: &Value) -> &str {
    object["metadata"]["name"].as_str().unwrap_or_default()
}

/// The service that is called so in the cluster.
fn service<'m>(made: &'m Made, name: &str) -> Option<&'m fermata_spec::Service> {
    made.spec.services.iter().find(|service| service.name.to_lowercase().replace('_', "-") == name)
}

/// Name and pod of every workload.
fn workloads(made: &Made) -> impl Iterator<Item = (&str, &Value)> {
    made.objects.iter().filter_map(|object| Some((name(object), object.pointer("/spec/template/spec")?)))
}

/// The time that the tunnels to a workload have; those through the edge, the longest of all.
fn drain(made: &Made, name: &str) -> f64 {
    service(made, name).map_or(made.drain(), |service| service.websocket.drain.as_secs_f64())
}

/// Whether the edge holds the tunnels to this workload.
fn behind_the_edge(made: &Made, name: &str) -> bool {
    let public = |service: &fermata_spec::Service| {
        service.ports.iter().any(|port| port.http.or(port.https).or(port.tcp).or(port.udp).is_some())
    };
    made.target == EDGE && service(made, name).is_some_and(public)
}

/// How long a pod waits before it is told to end.
fn slept(pod: &Value) -> Option<f64> {
    let stop = &pod["containers"][0]["lifecycle"]["preStop"];
    let script = stop["exec"]["command"][2].as_str();
    let script = script.and_then(|script| script.strip_prefix("sleep ")?.split(';').next()?.parse().ok());
    stop["sleep"]["seconds"].as_f64().or(script)
}

/// The paths of a pod's probes.
fn probes(pod: &Value) -> Vec<String> {
    let probe = |kind: &str| pod["containers"][0][kind]["httpGet"]["path"].as_str().map(str::to_owned);
    ["readinessProbe", "livenessProbe", "startupProbe"].into_iter().filter_map(probe).collect()
}

/// The values of an annotation of every Ingress.
fn annotations(made: &Made, key: &str) -> Vec<String> {
    made.kind("Ingress").filter_map(|one| one["metadata"]["annotations"][key].as_str().map(str::to_owned)).collect()
}

/// Whether times of a controller, in seconds with or without the unit or in hours, are two Pings at least.
fn long_enough(made: &Made, times: &[String]) -> bool {
    let seconds = |text: &String| match text.strip_suffix('h') {
        Some(hours) => hours.parse::<f64>().ok().map(|hours| hours * 3600.0),
        None => text.trim_end_matches('s').parse().ok(),
    };
    !times.is_empty() && times.iter().all(|text| seconds(text).is_some_and(|limit| limit >= made.ping() * 2.0))
}
