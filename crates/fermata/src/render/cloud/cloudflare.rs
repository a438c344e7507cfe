//! Cloudflare: a proxied, balanced host name, for cloudflare/cloudflare 5.

use fermata_spec::Spec;
use serde_json::json;

use super::front::Speech;
use super::readme::Guide;
use super::terraform::{self, Module, Provider, asked, name};
use super::{Made, render};
use crate::render::Rendered;

const CLOUDFLARE: Provider = Provider { name: "cloudflare", source: "cloudflare/cloudflare", version: "~> 5.0" };

const AVOIDS: &[&str] = &[
    "WebSockets switched off for the zone.",
    "A port that Cloudflare does not proxy, such as 9443: the file's ports were compared with its list.",
    "The mode \"flexible\", which asks the servers over http and meets their redirects for ever: it is \"full\" where there \
     is https.",
    "A monitor on the WebSocket's path, which never answers 200 to a plain GET.",
    "Pings more than 50 s apart: silence of 100 s ends a connection, by reports.",
];

pub(in crate::render) fn balancer(spec: &Spec) -> Rendered {
    render(spec, "cloudflare", |front| {
        let mut module = Module::new(CLOUDFLARE, json!({}));
        module.variable(name());
        let said = "An id has 32 digits and letters from a to f.";
        let account = ("can(regex(\"^[0-9a-f]{32}$\", var.account_id))", said);
        module.variable(asked("account_id", "string", "The account's id.", account));
        let zone = ("can(regex(\"^[0-9a-f]{32}$\", var.zone_id))", said);
        module.variable(asked("zone_id", "string", "The zone's id.", zone));
        let host = ("can(regex(\"[.]\", var.host))", "A host name has a dot, such as ws.example.com.");
        module.variable(asked("host", "string", "The host name that clients connect to.", host));
        let about = "Public addresses of the machines that run fermata up.";
        module.variable(asked("servers", "list(string)", about, terraform::SOME_SERVERS));
        let setting = |id: &str, value: &str| json!({ "zone_id": "${var.zone_id}", "setting_id": id, "value": value });
        module.resource("cloudflare_zone_setting", "websockets", setting("websockets", "on"));
        if front.has(Speech::Https) {
            module.resource("cloudflare_zone_setting", "ssl", setting("ssl", "full"));
        }
        let monitor = json!({
            "account_id": "${var.account_id}",
            "type": front.health.ask.word(),
            "method": "GET",
            "port": front.health.port,
            "path": terraform::text(front.health.ask.path().unwrap_or("/")),
            "expected_codes": "200",
            "allow_insecure": true,
            "follow_redirects": false,
            "interval": 60,
            "timeout": 5,
            "retries": 2,
        });
        module.resource("cloudflare_load_balancer_monitor", "health", monitor);
        let origins = "${[for server in var.servers : { name = server, address = server, enabled = true }]}";
        let pool = json!({
            "account_id": "${var.account_id}",
            "name": "${var.name}",
            "origins": origins,
            "origin_steering": { "policy": "least_connections" },
            "monitor": "${cloudflare_load_balancer_monitor.health.id}",
        });
        module.resource("cloudflare_load_balancer_pool", "servers", pool);
        let edge = json!({
            "zone_id": "${var.zone_id}",
            "name": "${var.host}",
            "default_pools": ["${cloudflare_load_balancer_pool.servers.id}"],
            "fallback_pool": "${cloudflare_load_balancer_pool.servers.id}",
            "proxied": true,
            "session_affinity": if front.sticky { "cookie" } else { "none" },
        });
        module.resource("cloudflare_load_balancer", "edge", edge);
        module.address("The host name that clients connect to.", "${var.host}");
        let notes = &[
            "It may restart its servers, which ends WebSockets: clients should come back by themselves.",
            "Let only Cloudflare's networks (cloudflare.com/ips) reach the servers' public ports.",
        ];
        Made { name: "main.tf.json", text: module.write(), guide: Guide::terraform(AVOIDS, notes) }
    })
}
