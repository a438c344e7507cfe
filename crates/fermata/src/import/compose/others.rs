//! What a compose service says to and about others: whom it waits for, whether it is well, what its labels tell.

use crate::import::amounts::duration;
use crate::import::draft::Service;
use crate::import::health::{Check, Rhythm};
use crate::import::source::Value;
use crate::render::yaml;

use super::service::{literal, reference};

pub(super) fn depends_on<'a>(value: &Value<'a>, service: &mut Service<'a>) {
    if !value.is_map() {
        let names = value.items().into_iter().filter_map(|item| Some((item.text()?.to_owned(), item)));
        service.requires.extend(names);
        return;
    }
    for (name, value) in value.entries() {
        if value.get_text("condition") == Some("service_completed_successfully") {
            value.left_out(
                "requires waits for a service that runs, not for one that has ended",
                "run the job before fermata up, or make it part of the command",
            );
            continue;
        }
        service.requires.push((name.to_owned(), value));
    }
}

pub(super) fn links<'a>(value: &Value<'a>, service: &mut Service<'a>) {
    for item in value.items() {
        let Some(text) = item.expect_text("the name of a service") else { continue };
        let (name, alias) = text.split_once(':').unwrap_or((text, text));
        if alias != name {
            item.left_out(format!("the name {} for {name}", alias.escape_debug()), "use the service's own name");
        }
        service.requires.push((name.to_owned(), item));
    }
}

/// Labels become tags; those that make Traefik route say names that `traffic_matches` wants.
pub(super) fn labels(value: &Value<'_>, service: &mut Service<'_>) {
    let mut hosts: Vec<String> = Vec::new();
    for (name, text, value) in value.pairs() {
        let text = literal(text);
        if name.starts_with("traefik.") && name.rsplit('.').next() == Some("rule") {
            hosts.extend(rule_hosts(&text));
            value.note(
                "nothing reads Traefik's labels here",
                if hosts.is_empty() {
                    "write traffic_matches by hand".to_owned()
                } else {
                    format!("if the service has a public port: traffic_matches: [{}]", hosts.join(", "))
                },
            );
        }
        service.tags.push(if text.is_empty() { name } else { format!("{name}={text}") });
    }
}

/// The names in ``Host(`a.example.com`) || Host(`b.example.com`)``.
fn rule_hosts(rule: &str) -> Vec<String> {
    let inside = rule.split("Host(").skip(1).filter_map(|rest| rest.split(')').next());
    let names = inside.flat_map(|names| names.split(','));
    names.map(|name| name.trim().trim_matches(['`', '"', '\'']).to_owned()).filter(|name| !name.is_empty()).collect()
}

pub(super) fn healthcheck(value: &Value<'_>, service: &mut Service<'_>) {
    let test = value.get("test");
    let words: Vec<String> =
        test.iter().filter(|test| test.is_list()).flat_map(Value::texts).map(|word| reference(word, value)).collect();
    let none = words.first().is_some_and(|word| word == "NONE");
    if none || value.get("disable").is_some_and(|disable| disable.is_true()) {
        service.put("health", yaml::Value::text("none"));
        return;
    }
    let check = match words.split_first().map(|(kind, rest)| (kind.as_str(), rest)) {
        Some(("CMD", rest)) => Check::of_words(rest),
        Some(("CMD-SHELL", [script])) => Check::of_script(script),
        Some(_) => None,
        None => test.as_ref().and_then(Value::text).and_then(|script| Check::of_script(&reference(script, value))),
    };
    let time = |key: &str| value.get_text(key).and_then(duration);
    let rhythm = Rhythm {
        period: time("interval"),
        timeout: time("timeout"),
        failures: value.get_text("retries").and_then(|text| text.parse().ok()).filter(|count| *count > 0),
        delay: None,
    };
    for (key, value) in value.entries() {
        match key {
            "test" | "interval" | "timeout" | "retries" | "disable" => {}
            "start_period" | "start_interval" => value.note(
                "left out: a service that is not ready yet gets no traffic, and that is all",
                "nothing has to be done; health.startup keeps the alive check waiting, if you add one",
            ),
            _ => value.left_out("not known here", "write it under health by hand"),
        }
    }
    match (check, test) {
        (Some(check), _) => service.put("health", check.health(rhythm)),
        (None, Some(test)) => test.left_out("not a command", "write health: {ready: {type: exec, command: ...}}"),
        (None, None) => service.put_with("health", "the image's own HEALTHCHECK", yaml::Value::text("default")),
    }
}
