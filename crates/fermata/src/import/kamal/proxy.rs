//! `proxy`: kamal-proxy's port to the container, names, TLS and health check.

use super::{Edge, web_ports};
use crate::import::amounts;
use crate::import::draft::Service;
use crate::import::health::{Check, Rhythm};
use crate::import::known;
use crate::import::source::Value;
use crate::render::yaml;

/// kamal-proxy's defaults (basecamp/kamal, configuration/docs/proxy.yml).
const APP_PORT: u16 = 80;
const HEALTH_PATH: &str = "/up";

/// Whom a proxy stands in front of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Whose {
    /// The role that has one without asking.
    Primary,
    /// A role that has one if it says so.
    Other,
    Accessory,
}

impl Whose {
    pub(super) fn of(primary: bool) -> Self {
        if primary { Whose::Primary } else { Whose::Other }
    }
}

/// The public side of a role or an accessory: its own `proxy`, and what it does not say itself from that of the file.
pub(super) fn read<'a>(
    root: &Value<'a>,
    own: Option<&Value<'a>>,
    whose: Whose,
    service: &mut Service<'a>,
    edge: &mut Edge,
) {
    let default = root.get("proxy");
    let own = own.and_then(|role| role.get("proxy")).filter(|proxy| !proxy.is_null());
    if own.as_ref().is_some_and(Value::is_false) || (own.is_none() && whose == Whose::Other) {
        return;
    }
    // A role's own keys go before the file's.
    let layers: Vec<Value<'a>> = own.filter(Value::is_map).into_iter().chain(default.filter(Value::is_map)).collect();
    let find = |key: &str| layers.iter().find_map(|layer| layer.get(key)).filter(|value| !value.is_null());
    let port = find("app_port").and_then(|value| value.text()?.parse().ok()).filter(|port| *port > 0);
    let ssl = find("ssl").filter(|ssl| ssl.is_true() || ssl.is_map());
    let names = |layer: &Value<'a>| {
        let names: Vec<Value<'a>> = ["host", "hosts"].into_iter().filter_map(|key| layer.get(key)).collect();
        (!names.is_empty()).then_some(names)
    };
    let hosts = hosts(layers.iter().find_map(names).unwrap_or_default().into_iter());
    let balanced = edge.balanced && whose != Whose::Accessory;
    service.ports = web_ports(port.unwrap_or(APP_PORT), ssl.is_some(), balanced);
    if port.is_none() {
        service.ports[0] = service.ports[0].clone().with("80 is Kamal's own default for app_port");
    }
    if !hosts.is_empty() {
        service.put("traffic_matches", yaml::Value::words(hosts.iter().cloned()));
    }
    health(find("healthcheck").as_ref(), root.get("readiness_delay").as_ref(), service);
    if let Some(ssl) = ssl {
        tls(&ssl, &hosts, edge);
    }
    for layer in &layers {
        layer.entries().for_each(|(key, value)| rest(key, &value, edge));
    }
}

/// Names, each perhaps several with commas between them.
fn hosts<'a>(values: impl Iterator<Item = Value<'a>>) -> Vec<String> {
    let mut hosts = Vec::new();
    for item in values.flat_map(|value| value.items()) {
        for host in item.text().unwrap_or_default().split(',').map(str::trim).filter(|host| !host.is_empty()) {
            let bare = host.strip_prefix("*.").unwrap_or(host);
            if known::is_host(bare) {
                hosts.push(host.to_owned());
            } else {
                item.unexpected("the name of a host");
            }
        }
    }
    hosts.dedup();
    hosts
}

fn health(check: Option<&Value<'_>>, delay: Option<&Value<'_>>, service: &mut Service<'_>) {
    let time = |key: &str| check.and_then(|check| check.get_text(key)).and_then(amounts::duration);
    let path = check
        .and_then(|check| check.get_text("path"))
        .filter(|path| path.starts_with('/') && !path.contains(char::is_whitespace));
    let delay = delay.and_then(Value::text).and_then(amounts::duration);
    let rhythm = Rhythm { period: time("interval"), timeout: time("timeout"), failures: None, delay };
    let endpoint = path.unwrap_or(HEALTH_PATH).to_owned();
    let health = Check::Request { https: false, port: None, endpoint }.health(rhythm);
    if path.is_some() {
        service.put("health", health);
    } else {
        service.put_with("health", "Kamal's own default", health);
    }
    for (key, value) in check.iter().flat_map(|check| check.entries()) {
        if !matches!(key, "path" | "interval" | "timeout") {
            value.left_out("not known here", "write it under health by hand");
        }
    }
}

/// kamal-proxy gets certificates from Let's Encrypt for its hosts.
fn tls(ssl: &Value<'_>, hosts: &[String], edge: &mut Edge) {
    if ssl.is_map() {
        ssl.left_out("certificates from secrets", "write tls: {certificates: [{cert: app.pem, key: app.key}]}");
        return;
    }
    let names: Vec<&String> = hosts.iter().filter(|host| !host.starts_with("*.")).collect();
    if names.is_empty() {
        ssl.changed("no host to get a certificate for", "write tls: {acme: {domains: [app.example.com]}}");
        return;
    }
    for name in names {
        if !edge.domains.contains(name) {
            edge.domains.push(name.clone());
        }
    }
}

/// Keys that have no place in a service.
fn rest(key: &str, value: &Value<'_>, edge: &mut Edge) {
    match key {
        "host" | "hosts" | "app_port" | "ssl" | "healthcheck" => {}
        "response_timeout" => {
            let time = value.text().and_then(amounts::duration).filter(|time| !time.is_zero());
            if time.is_none() {
                value.unexpected("a number of seconds");
            }
            edge.answer_timeout = edge.answer_timeout.take().or(time.map(amounts::seconds));
        }
        "ssl_redirect" | "forward_headers" if value.is_false() => {}
        "ssl_redirect" => value.left_out("requests to http are not sent to https", "let the service redirect them"),
        "forward_headers" => value.left_out(
            "X-Forwarded-* is believed only of known proxies",
            "write gateway: {trusted_proxies: [10.0.0.0/8]} with their addresses",
        ),
        "buffering" => value.note("left out: requests and answers stream", "nothing has to be done"),
        "logging" => value.note("left out: nothing logs requests", "let the service log them"),
        "path_prefix" | "path_prefixes" | "strip_path_prefix" => {
            value.left_out("paths are not told apart", "give the service a name of its own under traffic_matches");
        }
        "run" => value.note("left out: how kamal-proxy itself runs", "nothing has to be done"),
        _ => value.left_out("not known here", "look up what it did, and write it by hand"),
    }
}
