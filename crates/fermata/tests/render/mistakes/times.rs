//! Mistakes around load balancers of clouds: how long things may take.

use fermata_spec::balancers::{Drain, Idle};
use serde_json::Value;

use super::Mistake;
use super::made::{Made, every, number, present, settings, words};
use super::targets::{ALB, ALB_TEMPLATE, APPGW, AZURE_LB, GCP_ALB, GCP_NLB, NLB, NLB_TEMPLATE, OCEAN, OCTAVIA};

/// All of them.
pub(super) const MISTAKES: &[Mistake] = &[
    Mistake {
        sentence: "an idle limit that is over before two Pings",
        shown: &[
            (&[ALB], |made| outlives(made, &made.of("aws_lb", "/idle_timeout"), 1.0)),
            (&[ALB_TEMPLATE], |made| {
                let limits = made.attributes("LoadBalancer", "LoadBalancerAttributes", "idle_timeout.timeout_seconds");
                outlives(made, &limits, 1.0)
            }),
            (&[NLB], |made| outlives(made, &present(made.of("aws_lb_listener", "/tcp_idle_timeout_seconds")), 1.0)),
            (&[NLB_TEMPLATE], |made| {
                let limits = made.attributes("Listener", "ListenerAttributes", "tcp.idle_timeout.seconds");
                outlives(made, &present(limits), 1.0)
            }),
            (&[AZURE_LB], |made| {
                outlives(made, &present(made.of("azurerm_lb_rule", "/idle_timeout_in_minutes")), 60.0)
            }),
            (&[APPGW], |made| outlives(made, &settings(made, "request_timeout"), 1.0)),
            (&[OCEAN], |made| outlives(made, &made.of("digitalocean_loadbalancer", "/http_idle_timeout_seconds"), 1.0)),
            (&[OCTAVIA], |made| {
                let of = |side: &str| present(made.of("openstack_lb_listener_v2", &format!("/timeout_{side}_data")));
                outlives(made, &of("client"), 0.001) && outlives(made, &of("member"), 0.001)
            }),
            (&["scaleway"], |made| {
                outlives(made, &made.of("scaleway_lb_backend", "/timeout_tunnel"), 1.0)
                    && outlives(made, &made.of("scaleway_lb_frontend", "/timeout_client"), 1.0)
            }),
            (&["fly"], |made| outlives(made, &words(&made.text, "idle_timeout = "), 1.0)),
            // What cannot be set has to be longer than the file's Pings.
            (&[GCP_NLB, "hetzner", "linode", "vultr", "cloudflare"], |made| {
                let limit = made.row().longest_silence().and_then(|limit| u32::try_from(limit).ok()).map(f64::from);
                let said = fermata_spec::balancers::judge(made.row(), &made.spec);
                // One that is only assumed is a warning.
                limit.is_some_and(|limit| made.ping() * 2.0 <= limit)
                    || said.iter().any(|one| one.path.ends_with("keepalive"))
            }),
        ],
    },
    Mistake {
        sentence: "a value that the provider does not take",
        shown: &[
            (&[ALB], |made| {
                within(
                    made,
                    &made.of("aws_lb", "/idle_timeout"),
                    &made.of("aws_lb_target_group", "/deregistration_delay"),
                )
            }),
            (&[NLB], |made| {
                let limits = present(made.of("aws_lb_listener", "/tcp_idle_timeout_seconds"));
                within(made, &limits, &made.of("aws_lb_target_group", "/deregistration_delay"))
            }),
            (&[GCP_ALB], |made| {
                let drains = made.of("google_compute_backend_service", "/connection_draining_timeout_sec");
                within(made, &[], &drains)
            }),
            (&[APPGW], |made| {
                within(
                    made,
                    &settings(made, "request_timeout"),
                    &settings(made, "connection_draining/drain_timeout_sec"),
                )
            }),
            (&[OCEAN], |made| within(made, &made.of("digitalocean_loadbalancer", "/http_idle_timeout_seconds"), &[])),
            (&[AZURE_LB], |made| {
                let minutes = present(made.of("azurerm_lb_rule", "/idle_timeout_in_minutes"));
                every(&minutes, |one| number(one).is_some_and(|one| (4.0..=30.0).contains(&one)))
            }),
            (&["fly"], |made| {
                every(&words(&made.text, "kill_timeout = "), |one| number(one).is_some_and(|one| one <= 300.0))
            }),
        ],
    },
    Mistake {
        sentence: "a lifetime that is taken for an idle limit, or is longer than front ends live",
        shown: &[
            (&[GCP_ALB], |made| {
                every(&made.of("google_compute_backend_service", "/timeout_sec"), |one| *one == 86_400)
            }),
            (&[APPGW], |made| every(&settings(made, "request_timeout"), |one| *one == 86_400)),
        ],
    },
    Mistake {
        sentence: "an idle limit of the balancer where only its listeners have one",
        shown: &[
            (&[NLB], |made| every(&made.of("aws_lb", "/idle_timeout"), Value::is_null)),
            (&[NLB_TEMPLATE], |made| {
                every(
                    &made.attributes("LoadBalancer", "LoadBalancerAttributes", "idle_timeout.timeout_seconds"),
                    Value::is_null,
                )
            }),
        ],
    },
    Mistake {
        sentence: "seconds where milliseconds are meant, or one of two limits left as it was",
        shown: &[(&[OCTAVIA], |made| {
            let of = |side: &str| made.of("openstack_lb_listener_v2", &format!("/timeout_{side}_data"));
            of("client") == of("member") && every(&present(of("client")), |one| one.as_u64() >= Some(50_000))
        })],
    },
    Mistake {
        sentence: "connections that are dropped in silence",
        shown: &[(&[AZURE_LB], |made| {
            let protocols = made.of("azurerm_lb_rule", "/protocol");
            let resets = made.of("azurerm_lb_rule", "/tcp_reset_enabled");
            protocols.iter().zip(resets).all(|(protocol, reset)| protocol == "Udp" || reset == true)
        })],
    },
    Mistake {
        sentence: "a server that is cut off before its tunnels have left",
        shown: &[
            (&[ALB, NLB], |made| leaves(made, &made.of("aws_lb_target_group", "/deregistration_delay"))),
            (&[ALB_TEMPLATE, NLB_TEMPLATE], |made| {
                let key = "deregistration_delay.timeout_seconds";
                leaves(made, &made.attributes("TargetGroup", "TargetGroupAttributes", key))
            }),
            (&[GCP_ALB], |made| {
                leaves(made, &made.of("google_compute_backend_service", "/connection_draining_timeout_sec"))
            }),
            (&[GCP_NLB], |made| {
                leaves(made, &made.of("google_compute_region_backend_service", "/connection_draining_timeout_sec"))
            }),
            (&[APPGW], |made| {
                leaves(made, &settings(made, "connection_draining/drain_timeout_sec"))
                    && every(&settings(made, "connection_draining/enabled"), |one| *one == true)
            }),
            (&["fly"], |made| leaves(made, &words(&made.text, "kill_timeout = "))),
        ],
    },
    Mistake {
        sentence: "connections ended when the time to leave is over",
        shown: &[
            (&[NLB], |made| every(&made.of("aws_lb_target_group", "/connection_termination"), |one| *one == false)),
            (&[NLB_TEMPLATE], |made| {
                let key = "deregistration_delay.connection_termination.enabled";
                every(&made.attributes("TargetGroup", "TargetGroupAttributes", key), |one| *one == "false")
            }),
        ],
    },
];

/// Whether limits, in this unit, are two Pings at least.
fn outlives(made: &Made, limits: &[Value], unit: f64) -> bool {
    every(limits, |limit| number(limit).is_some_and(|limit| limit * unit >= made.ping() * 2.0))
}

/// Whether times are no less than tunnels have to leave.
fn leaves(made: &Made, times: &[Value]) -> bool {
    every(times, |time| number(time).is_some_and(|time| time >= made.drain()))
}

/// Whether idle limits and times to leave are what the provider takes.
fn within(made: &Made, idles: &[Value], drains: &[Value]) -> bool {
    let inside =
        |value: &Value, (min, max): (u64, u64)| value.as_u64().is_some_and(|value| (min..=max).contains(&value));
    let idle = match made.row().idle {
        Idle::Set(range, _) => idles.iter().all(|one| inside(one, (range.min, range.max))),
        _ => idles.is_empty(),
    };
    let drain = match made.row().drain {
        Drain::Set(range) => drains.iter().all(|one| inside(one, (range.min, range.max))),
        Drain::Unbounded => drains.is_empty(),
    };
    idle && drain
}
