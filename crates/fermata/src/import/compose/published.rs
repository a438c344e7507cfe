//! `ports` and `expose` of a compose service, in every form that they have.

use crate::import::known::Speech;
use crate::import::ports::{self, Machine, Publication};
use crate::import::source::Value;
use crate::import::variables;

pub(super) fn port<'a>(value: &Value<'a>) -> Option<Publication<'a>> {
    if !value.is_map() {
        let text = value.expect_text("a port")?;
        let made = variables::defaults(text);
        if let Some(lost) = made.lost {
            value.left_out(format!("{lost} has no default"), "write the port under ports by hand");
            return None;
        }
        if !made.names.is_empty() {
            value.note(
                format!("the default of {} was taken", made.names.join(", ")),
                "ports are written as numbers here",
            );
        }
        return ports::parse(&made.text, value);
    }
    let number = |key: &str| value.get_text(key).map(|text| variables::defaults(text).text);
    let Some(container) = number("target").and_then(|text| ports::range(&text)) else {
        value.left_out("target names no port", "write container: and http: by hand");
        return None;
    };
    let machine = match number("published").filter(|text| !text.is_empty()) {
        None => Machine::Any,
        Some(text) => Machine::Ports(ports::range(&text).or_else(|| {
            value.left_out("published names no port", "write http: or tcp: by hand");
            None
        })?),
    };
    let speech = match value.get_text("app_protocol").unwrap_or_default() {
        "http" | "http2" | "grpc" | "h2c" | "ws" | "kubernetes.io/ws" | "kubernetes.io/h2c" => Some(Speech::Http),
        "https" | "wss" | "kubernetes.io/wss" => Some(Speech::Tcp),
        _ => None,
    };
    let speech = speech.or(ports::speech_of(value.get_text("protocol").unwrap_or("tcp"), value)?);
    let address = value.get_text("host_ip").and_then(ports::ip);
    Some(Publication { container, machine, address, speech, value: value.clone() })
}

pub(super) fn expose<'a>(value: &Value<'a>) -> Option<Publication<'a>> {
    let text = variables::defaults(value.expect_text("a port")?).text;
    let found = ports::range(text.split('/').next().unwrap_or_default());
    if found.is_none() {
        value.left_out(format!("\"{}\" is not a port", text.escape_debug()), "write container: by hand");
    }
    Some(Publication::inside(found?, value))
}
