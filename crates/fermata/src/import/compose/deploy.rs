//! `deploy` of a compose service, and what older files wrote beside it: how many instances, and what they may use.

use crate::import::amounts;
use crate::import::draft::{Resources, Service};
use crate::import::source::Value;
use crate::import::variables;
use crate::render::yaml;

use super::others;

/// service.yml takes no less memory than this.
const MIN_MEMORY: u64 = 4_000_000;

/// `deploy`, or one of the keys that older files have in its place.
pub(super) fn read(key: &str, value: &Value<'_>, service: &mut Service<'_>) {
    match key {
        "scale" => replicas(value, service),
        "mem_limit" => service.limits.memory = memory(value),
        "mem_reservation" => service.requests.memory = memory(value),
        "cpus" => service.limits.cpu = cpu(value),
        _ => value.entries().for_each(|(key, value)| deploy(key, &value, service)),
    }
    keep_below_limits(value, service);
}

fn deploy(key: &str, value: &Value<'_>, service: &mut Service<'_>) {
    match key {
        "replicas" => replicas(value, service),
        "mode" => match value.text() {
            Some("global") => service.put("type", yaml::Value::text("daemon_set")),
            Some("replicated") | None => {}
            Some(_) => value.left_out("jobs that end", "run them before fermata up, not as a service"),
        },
        "labels" => others::labels(value, service),
        "resources" => value.entries().for_each(|(key, value)| match key {
            "limits" => amounts_of(&value, &mut service.limits),
            "reservations" => amounts_of(&value, &mut service.requests),
            _ => value.left_out("not known here", "write it under constraints by hand"),
        }),
        "restart_policy" => {
            value.note("left out: an instance that ends is always started again here", "nothing has to be done");
        }
        "update_config" => value.left_out(
            "how a new version is rolled out",
            "constraints.max_surge and max_unavailable say how many are replaced at once",
        ),
        "rollback_config" => value.left_out("rolling back", "deploy the earlier image again"),
        "placement" => value.left_out("where instances may run", "write constraints.servers"),
        "endpoint_mode" => value.note("left out: visitors are balanced by balance", "nothing has to be done"),
        _ => value.left_out("not known here", "look up what it did, and write it by hand"),
    }
}

fn replicas(value: &Value<'_>, service: &mut Service<'_>) {
    let count = value.text().map(|text| variables::defaults(text).text).and_then(|text| text.parse::<u32>().ok());
    match count {
        // A profile has decided already that none starts.
        Some(_) if service.has("replicas") => {}
        Some(count) => service.put("replicas", yaml::Value::bare(count)),
        None => value.unexpected("a number of instances"),
    }
}

fn amounts_of(value: &Value<'_>, resources: &mut Resources) {
    for (key, value) in value.entries() {
        match key {
            "memory" => resources.memory = memory(&value),
            "cpus" => resources.cpu = cpu(&value),
            _ => value.left_out("only memory and cpus are known here", "limit it where the containers run"),
        }
    }
}

fn memory(value: &Value<'_>) -> Option<u64> {
    let text = variables::defaults(value.text().unwrap_or_default()).text;
    let bytes = amounts::bytes(&text);
    match bytes {
        None => value.unexpected("a size such as 512M"),
        Some(bytes) if bytes < MIN_MEMORY => {
            value.left_out("less than 4M", "no container starts with that; write more");
        }
        Some(_) => {}
    }
    bytes.filter(|bytes| *bytes >= MIN_MEMORY)
}

fn cpu(value: &Value<'_>) -> Option<u32> {
    let text = variables::defaults(value.text().unwrap_or_default()).text;
    let cpu = amounts::millicpus(&text);
    if cpu.is_none() {
        value.unexpected("a number of CPUs such as 0.5");
    }
    cpu
}

/// service.yml refuses a request above its limit, and one that equals it says nothing more.
fn keep_below_limits(value: &Value<'_>, service: &mut Service<'_>) {
    let (limits, requests) = (service.limits, &mut service.requests);
    let mut dropped = false;
    if limits.memory.is_some() && requests.memory >= limits.memory {
        requests.memory = None;
        dropped = true;
    }
    if limits.cpu.is_some() && requests.cpu >= limits.cpu {
        requests.cpu = None;
        dropped = true;
    }
    if dropped {
        value.note("a reservation that is not below its limit is left out", "nothing has to be done");
    }
}
