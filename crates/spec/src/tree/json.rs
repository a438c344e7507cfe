//! A tree as JSON, by YAML 1.2's core schema (10.3.2): what programs for JSON make of the file.

use serde_json::{Map, Number, Value};

use super::{Kind, Node, Scalar};

/// A value as JSON.
pub fn json(node: &Node) -> Value {
    match &node.kind {
        Kind::Scalar(scalar) => of_scalar(scalar),
        Kind::List(items) => Value::Array(items.iter().map(json).collect()),
        Kind::Map(entries) => {
            let entries = entries.iter().map(|entry| (entry.key.text.clone(), json(&entry.value)));
            Value::Object(entries.collect::<Map<String, Value>>())
        }
    }
}

fn of_scalar(scalar: &Scalar) -> Value {
    let text = scalar.text.as_str();
    if !scalar.plain {
        return text.into();
    }
    match text {
        "true" | "True" | "TRUE" => true.into(),
        "false" | "False" | "FALSE" => false.into(),
        _ if scalar.is_null() => Value::Null,
        _ => number(text).map_or_else(|| text.into(), Value::Number),
    }
}

fn number(text: &str) -> Option<Number> {
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    if !digits.starts_with(|first: char| first.is_ascii_digit() || first == '.') {
        return None;
    }
    if digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return text.strip_prefix('+').unwrap_or(text).parse::<i64>().ok().map(Number::from);
    }
    let decimal = digits.bytes().all(|byte| byte.is_ascii_digit() || matches!(byte, b'.' | b'e' | b'E' | b'+' | b'-'));
    if decimal { text.parse::<f64>().ok().and_then(Number::from_f64) } else { None }
}
