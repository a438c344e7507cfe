//! Terraform's JSON syntax (developer.hashicorp.com/terraform/language/syntax/json): variables with validation, pinned
//! providers, resources and outputs.

use serde_json::{Map, Value, json};

use crate::render::SIGN;

/// A provider: its name here, its source in the registry, and the versions that the file was written for.
pub(super) struct Provider {
    pub(super) name: &'static str,
    pub(super) source: &'static str,
    pub(super) version: &'static str,
}

/// A variable: what the file cannot know.
pub(super) struct Variable {
    pub(super) name: &'static str,
    /// `string`, `list(string)`.
    pub(super) kind: &'static str,
    pub(super) about: &'static str,
    pub(super) default: Option<Value>,
    /// A condition, and what is said where it does not hold.
    pub(super) check: (&'static str, &'static str),
}

/// A whole file.
pub(super) struct Module {
    provider: Provider,
    settings: Value,
    variables: Map<String, Value>,
    resources: Map<String, Value>,
    outputs: Map<String, Value>,
}

/// A variable that whoever applies the file is asked for.
pub(super) const fn asked(
    name: &'static str,
    kind: &'static str,
    about: &'static str,
    check: (&'static str, &'static str),
) -> Variable {
    Variable { name, kind, about, default: None, check }
}

/// A variable with a default.
pub(super) fn preset(
    name: &'static str,
    kind: &'static str,
    about: &'static str,
    default: impl Into<Value>,
    check: (&'static str, &'static str),
) -> Variable {
    Variable { name, kind, about, default: Some(default.into()), check }
}

/// What everything is called.
pub(super) fn name() -> Variable {
    preset(
        "name",
        "string",
        "What everything that is made is called.",
        "fermata",
        (
            "can(regex(\"^[a-z][a-z0-9-]{0,23}$\", var.name))",
            "A name has 1 to 24 lower case letters, digits and dashes, and begins with a letter.",
        ),
    )
}

/// From where clients come.
pub(super) fn clients() -> Variable {
    preset(
        "clients",
        "list(string)",
        "IPv4 networks that may connect to the public ports.",
        json!(["0.0.0.0/0"]),
        (
            "alltrue([for network in var.clients : can(cidrhost(network, 0))])",
            "Networks are written as 203.0.113.0/24; 0.0.0.0/0 is everybody.",
        ),
    )
}

/// Condition and words for a list that needs an item.
pub(super) const SOME_SERVERS: (&str, &str) =
    ("length(var.servers) > 0", "At least one machine that runs fermata up is needed.");
/// Condition and words for a text that may not be empty.
macro_rules! filled {
    ($name:literal) => {
        (concat!("length(var.", $name, ") > 0"), concat!("The variable ", $name, " may not be empty."))
    };
}
pub(super) use filled;

impl Module {
    pub(super) fn new(provider: Provider, settings: Value) -> Module {
        let (variables, resources, outputs) = Default::default();
        Module { provider, settings, variables, resources, outputs }
    }

    pub(super) fn variable(&mut self, variable: Variable) {
        let mut body = json!({ "description": variable.about, "type": variable.kind });
        if let Some(default) = variable.default {
            body["default"] = default;
        }
        let (condition, message) = variable.check;
        body["validation"] = json!([{ "condition": format!("${{{condition}}}"), "error_message": message }]);
        self.variables.insert(variable.name.to_owned(), body);
    }

    pub(super) fn resource(&mut self, kind: &str, name: &str, body: Value) {
        let kind = self.resources.entry(kind).or_insert_with(|| json!({}));
        kind[name] = body;
    }

    /// Says where the balancer is, as `address`.
    pub(super) fn address(&mut self, about: &str, value: &str) {
        self.output("address", about, value);
    }

    pub(super) fn output(&mut self, name: &str, about: &str, value: &str) {
        self.outputs.insert(name.to_owned(), json!({ "description": about, "value": value }));
    }

    pub(super) fn write(self) -> String {
        let Provider { name, source, version } = self.provider;
        let mut file = json!({
            "//": SIGN,
            "terraform": {
                "required_version": ">= 1.3",
                "required_providers": { name: { "source": source, "version": version } },
            },
            "variable": self.variables,
        });
        file["provider"] = json!({ name: self.settings });
        file["resource"] = self.resources.into();
        file["output"] = self.outputs.into();
        let mut text = String::new();
        lay_out(&mut text, &file, 0);
        text + "\n"
    }
}

/// Widest line that is not broken.
const WIDTH: usize = 110;

/// JSON for people: what fits into a line stands in one, but not the folders of the file (variables, resources).
fn lay_out(out: &mut String, value: &Value, depth: usize) {
    let line = one_line(value);
    let whole = if depth < 2 { 0 } else { WIDTH.saturating_sub(2 * depth) };
    let (open, close, entries): (_, _, Vec<(Option<&String>, &Value)>) = match value {
        Value::Object(map) if !map.is_empty() && line.len() > whole => {
            ('{', '}', map.iter().map(|(key, value)| (Some(key), value)).collect())
        }
        Value::Array(list) if line.len() > whole => ('[', ']', list.iter().map(|value| (None, value)).collect()),
        _ => return out.push_str(&line),
    };
    out.push(open);
    for (number, (key, value)) in entries.into_iter().enumerate() {
        out.push_str(if number == 0 { "\n" } else { ",\n" });
        out.push_str(&"  ".repeat(depth + 1));
        if let Some(key) = key {
            out.push_str(&json!(key).to_string());
            out.push_str(": ");
        }
        lay_out(out, value, depth + 1);
    }
    out.push('\n');
    out.push_str(&"  ".repeat(depth));
    out.push(close);
}

fn one_line(value: &Value) -> String {
    match value {
        Value::Object(map) if !map.is_empty() => {
            let entries: Vec<String> =
                map.iter().map(|(key, value)| format!("{}: {}", json!(key), one_line(value))).collect();
            format!("{{ {} }}", entries.join(", "))
        }
        Value::Array(list) => format!("[{}]", list.iter().map(one_line).collect::<Vec<String>>().join(", ")),
        value => value.to_string(),
    }
}

/// A text of the file in Terraform's: there `${` and `%{` begin something (string templates).
pub(super) fn text(text: &str) -> String {
    text.replace("${", "$${").replace("%{", "%%{")
}
