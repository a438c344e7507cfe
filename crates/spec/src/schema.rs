//! The JSON Schema of service.yml, made from the same tables that the reader goes by.
//!
//! It says what can be said without comparing values: keys, kinds, spellings, bounds. Rules between values (a port taken
//! twice, a name in `requires` that no service has) are `fermata check`'s alone.

use std::collections::BTreeSet;
use std::fmt::Write;

use serde_json::{Map, Value, json};

use crate::format::file::FILE;
use crate::grammar::{Actor, Key, Now, Numbers, OldKey, Origin, Others, Required, Section, Shape, Text};

/// The schema, draft 2020-12.
pub fn schema() -> Value {
    let mut definitions = Definitions::default();
    let file = definitions.refer(&FILE);
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "service.yml",
        "description": "Services and the public ports, certificates and load balancers in front of them.",
        // Files of 2014 to 2017 have one environment around everything.
        "if": {
            "type": "object",
            "minProperties": 1,
            "maxProperties": 1,
            "additionalProperties": { "type": "object", "required": ["services"] },
        },
        "then": { "type": "object", "additionalProperties": file },
        "else": file,
        "$defs": definitions.0,
    })
}

/// The sections that the schema refers to, by name.
#[derive(Default)]
struct Definitions(Map<String, Value>);

impl Definitions {
    /// A reference to a section, which is defined at its first use.
    fn refer(&mut self, section: &'static Section) -> Value {
        let name = name(section);
        if !self.0.contains_key(&name) {
            // Holds the place in the order, and ends the recursion if a section ever holds itself.
            self.0.insert(name.clone(), Value::Null);
            let definition = self.section(section);
            self.0.insert(name.clone(), definition);
        }
        json!({ "$ref": format!("#/$defs/{name}") })
    }

    fn section(&mut self, section: &'static Section) -> Value {
        let mut properties = Map::new();
        for key in section.keys {
            properties.insert(key.name.to_owned(), self.key(key));
        }
        for old in section.old {
            properties.insert(old.name.to_owned(), self.old(old, section));
        }
        let mut schema = json!({ "type": "object", "properties": properties });
        if section.others != Others::Ignored {
            schema["additionalProperties"] = false.into();
        }
        if section.others == Others::RefusedButExtensions {
            schema["patternProperties"] = json!({ "^x-": true });
        }
        let required: Vec<&str> =
            section.keys.iter().filter(|key| key.required == Required::Yes).map(|key| key.name).collect();
        if !required.is_empty() {
            schema["required"] = required.into();
        }
        for key in section.keys {
            if let Required::Unless(other) = key.required {
                schema["anyOf"] = json!([{ "required": [key.name] }, { "required": [other] }]);
            }
        }
        schema
    }

    fn key(&mut self, key: &'static Key) -> Value {
        let mut schema = self.shape(&key.shape);
        if key.required == Required::No {
            schema = or_null(schema);
        }
        schema["description"] = describe(key).into();
        if let Some(example) = example(key) {
            schema["examples"] = json!([example]);
        }
        schema
    }

    fn old(&mut self, old: &'static OldKey, section: &'static Section) -> Value {
        let (mut schema, description) = match old.now {
            Now::Renamed(now) => {
                let key = section.keys.iter().find(|key| key.name == now);
                let schema = key.map_or_else(|| json!({}), |key| or_null(self.shape(&key.shape)));
                (schema, format!("Older spelling of {now}."))
            }
            Now::Reshaped => (or_null(self.shape(&old.shape)), "Older spelling.".to_owned()),
            Now::Ended(instead) => (json!({}), format!("Has no effect; {instead}.")),
        };
        schema["description"] = description.into();
        schema["deprecated"] = true.into();
        schema
    }

    fn shape(&mut self, shape: &'static Shape) -> Value {
        match shape {
            Shape::Text(text) => of_text(text),
            Shape::Integer { min, max } => json!({ "anyOf": [
                { "type": "integer", "minimum": min, "maximum": max },
                { "type": "string", "pattern": range_pattern(*min, *max) },
            ] }),
            Shape::Flag => json!({ "enum": flags() }),
            Shape::Choice(words) => {
                let words = words.iter().map(|word| json!({ "const": word.word, "description": word.about }));
                json!({ "anyOf": words.collect::<Vec<Value>>() })
            }
            Shape::List(item) => json!({ "type": "array", "items": self.shape(item) }),
            Shape::ListOrOne(item) => {
                let item = self.shape(item);
                json!({ "anyOf": [{ "type": "array", "items": item }, item] })
            }
            Shape::Section(section) => self.refer(section),
            Shape::Table { names, least, values } => {
                let mut schema = json!({ "type": "object", "additionalProperties": self.shape(values) });
                if *least > 0 {
                    schema["minProperties"] = (*least).into();
                }
                if !names.is_empty() {
                    schema["propertyNames"] = json!({ "pattern": names });
                }
                schema
            }
            Shape::Either(shapes) => {
                let shapes: Vec<Value> = shapes.iter().map(|shape| self.shape(shape)).collect();
                json!({ "anyOf": shapes })
            }
            Shape::Anything => json!({ "type": ["string", "number", "boolean", "null"] }),
            Shape::Free => json!({}),
        }
    }
}

/// `a health check` as `health_check`.
fn name(section: &Section) -> String {
    let name = section.name.trim_start_matches("a ").trim_start_matches("an ").trim_start_matches("the ");
    name.replace([' ', '-'], "_")
}

fn describe(key: &Key) -> String {
    let mut text = key.about.to_owned();
    if !key.default.is_empty() {
        let _ = write!(text, " Default: {}.", key.default);
    }
    match (key.actor, key.origin) {
        (Actor::Original, _) => text.push_str(" For the original platform; without effect in Fermata."),
        (Actor::Render, _) => text.push_str(" For rendered files."),
        (Actor::Fermata, Origin::Fermata) => text.push_str(" Fermata's own."),
        (Actor::Fermata, Origin::Original) => {}
    }
    text
}

/// The value of a key's example.
fn example(key: &Key) -> Option<Value> {
    let said = crate::diagnostic::Diagnostics::default();
    let root = crate::tree::load(key.example, &said).root?;
    root.entries().first().map(|entry| crate::tree::json(&entry.value))
}

/// A key without a value gets a warning and counts as left out.
fn or_null(schema: Value) -> Value {
    match schema.get("anyOf").and_then(Value::as_array) {
        _ if schema == json!({}) => schema,
        Some(choices) => {
            let mut choices = choices.clone();
            choices.push(json!({ "type": "null" }));
            json!({ "anyOf": choices })
        }
        None => json!({ "anyOf": [schema, { "type": "null" }] }),
    }
}

fn of_text(text: &Text) -> Value {
    if text.pattern.is_empty() && text.numbers == Numbers::All {
        return json!({ "type": ["string", "number", "boolean"] });
    }
    let string = json!({ "type": "string", "pattern": text.pattern });
    let number = match text.numbers {
        Numbers::None => return string,
        Numbers::Between(min, max) => json!({ "type": "integer", "minimum": min, "maximum": max }),
        Numbers::Decimal => json!({ "type": "number", "minimum": 0 }),
        Numbers::All => json!({ "type": ["number", "boolean"] }),
    };
    json!({ "anyOf": [number, string] })
}

/// What [`crate::reader::Field::flag`] reads.
fn flags() -> Vec<Value> {
    let words = ["true", "false", "yes", "no", "on", "off"];
    let cases = words.iter().flat_map(|word| {
        let mut title = word.to_string();
        title[..1].make_ascii_uppercase();
        [(*word).to_owned(), title, word.to_uppercase()]
    });
    [true.into(), false.into()].into_iter().chain(cases.map(Value::from)).collect()
}

/// A regular expression for the decimal digits of the numbers from `min` (0 or more) to `max`, leading zeros allowed.
fn range_pattern(min: i64, max: i64) -> String {
    let parts = if min == max { vec![min.to_string()] } else { pieces(min.unsigned_abs(), max.unsigned_abs()) };
    format!("^0*({})$", parts.join("|"))
}

/// Cuts a range into pieces that each have one pattern: 1-256 into 1-9, 10-99, 100-199, 200-249, 250-256.
fn pieces(min: u64, max: u64) -> Vec<String> {
    let mut ends = BTreeSet::from([max]);
    // Upwards from `min`, where its last digits may all become nines …
    let nines = (1..20).map_while(|digits| 10_u64.checked_pow(digits)).map(|step| min / step * step + (step - 1));
    ends.extend(nines.take_while(|end| *end < max));
    // … and downwards from `max`, where its last digits may all be zeros.
    let zeros = (1..20).map_while(|digits| 10_u64.checked_pow(digits)).map(|step| (max + 1) / step * step);
    ends.extend(zeros.take_while(|end| *end > min).map(|end| end - 1));
    let mut from = min;
    let mut pieces = Vec::new();
    for end in ends {
        pieces.push(pattern(&from.to_string(), &end.to_string()));
        from = end + 1;
    }
    pieces
}

/// Digit by digit.
fn pattern(from: &str, to: &str) -> String {
    let class = |(from, to): (char, char)| if from == to { from.to_string() } else { format!("[{from}-{to}]") };
    from.chars().zip(to.chars()).map(class).collect()
}

#[cfg(test)]
mod tests;
