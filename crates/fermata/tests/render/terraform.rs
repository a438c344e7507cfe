//! Terraform's files: what the providers know of their resources, and references that lead somewhere.
//!
//! `schemas.json` is what the Terraform providers know of their resources; `schemas.py` makes it.

use std::fs;

use serde_json::Value;

use crate::cloud::{FOLDER, targets};
use crate::support::golden::{folder, inputs, rendered};

/// All JSON that is rendered, with where it comes from.
fn modules() -> Vec<(String, Value)> {
    let mut modules = Vec::new();
    for name in targets() {
        for (input, yml) in inputs(FOLDER) {
            for file in rendered(name, &yml).files.iter().filter(|file| file.name == "main.tf.json") {
                modules.push((format!("{name} {input}"), serde_json::from_str(&file.text).expect("it is JSON")));
            }
        }
    }
    modules
}

#[test]
fn the_terraform_providers_know_every_argument_and_miss_none() {
    let schemas = fs::read_to_string(folder(FOLDER).join("schemas.json")).expect("the schemas are there");
    let schemas: Value = serde_json::from_str(&schemas).expect("they are JSON");
    let mut wrong = Vec::new();
    for (place, module) in modules() {
        for (kind, resources) in module["resource"].as_object().expect("there are resources") {
            let Some(schema) = schemas.get(kind) else {
                wrong.push(format!("{place}: no provider has {kind}"));
                continue;
            };
            for (name, body) in resources.as_object().expect("resources have names") {
                compare(&format!("{place}: {kind}.{name}"), body, schema, &mut wrong);
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Whether every key is known and all that are required are there. A `!` stands before those.
fn compare(place: &str, body: &Value, schema: &Value, wrong: &mut Vec<String>) {
    if let Some(bodies) = body.as_array() {
        for body in bodies {
            compare(place, body, schema, wrong);
        }
        return;
    }
    let (Some(body), Some(schema)) = (body.as_object(), schema.as_object()) else { return };
    // Terraform's own, for every resource.
    let own = ["for_each", "count", "depends_on", "lifecycle"];
    for (key, value) in body.iter().filter(|(key, _)| !own.contains(&key.as_str())) {
        match schema.get(key).or_else(|| schema.get(&format!("!{key}"))) {
            None => wrong.push(format!("{place} has no argument {key}")),
            Some(inner) => compare(&format!("{place}.{key}"), value, inner, wrong),
        }
    }
    let required = schema.keys().filter_map(|key| key.strip_prefix('!'));
    wrong.extend(required.filter(|key| !body.contains_key(*key)).map(|key| format!("{place} misses {key}")));
}

#[test]
fn every_reference_leads_to_something_that_the_module_has() {
    let mut wrong = Vec::new();
    for (place, module) in modules() {
        let text = module.to_string();
        for piece in text.split("${").skip(1) {
            let expression = piece.split('}').next().unwrap_or_default();
            let words = expression.split(|letter: char| !(letter.is_alphanumeric() || "._".contains(letter)));
            for word in words {
                let mut steps = word.split('.');
                let known = match (steps.next().unwrap_or_default(), steps.next()) {
                    ("var", Some(name)) => module["variable"].get(name).is_some(),
                    (kind, Some(name)) if module["resource"].get(kind).is_some() => {
                        module["resource"][kind].get(name).is_some()
                    }
                    _ => true,
                };
                if !known {
                    wrong.push(format!("{place}: {word}"));
                }
            }
        }
        for (name, variable) in module["variable"].as_object().expect("there are variables") {
            if !text.contains(&format!("var.{name}")) || variable.get("validation").is_none() {
                wrong.push(format!("{place}: variable {name} is not used, or takes anything"));
            }
            let said = variable["description"].as_str().is_some_and(|about| about.ends_with('.'));
            let refused = variable["validation"][0]["error_message"].as_str().is_some_and(|about| about.ends_with('.'));
            assert!(said && refused, "{place}: variable {name}");
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
