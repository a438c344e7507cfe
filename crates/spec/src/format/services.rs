//! `services`: their names, and what stands among them by a slip of indentation.

use crate::diagnostic::{Diagnostic, codes, quote};
use crate::grammar::Shape;
use crate::model::Service;
use crate::reader::Field;
use crate::tree::{Entry, Kind};

use super::service::{self, SERVICE};

pub(super) const SERVICES: Shape =
    Shape::Table { names: "^[A-Za-z0-9_.-]+$", least: 1, values: &Shape::Section(&SERVICE) };

pub(super) fn read(field: &Field<'_>) -> Vec<Service> {
    let Kind::Map(entries) = &field.node.kind else {
        if field.node.is_null() && field.reading.partial {
            return Vec::new();
        }
        let message = match field.node.kind {
            Kind::List(_) => "must be a map of name to service, not a list",
            _ if field.node.is_null() => "the file defines no services",
            _ => "must be a map of name to service",
        };
        field.say_help(
            &codes::FILE_EMPTY,
            message,
            "write the name of a service below services, and its keys below the name",
        );
        return Vec::new();
    };
    if entries.is_empty() && !field.reading.said.has(&codes::YAML_KEY) {
        field.say(&codes::FILE_EMPTY, "the file defines no services");
    }
    let mut services = Vec::new();
    for (entry, value) in field.table() {
        match (entry.key.text.as_str(), &value.node.kind) {
            (
                name @ ("databases" | "version" | "tls" | "gateway" | "load_balancer" | "firewall" | "kubernetes"),
                Kind::List(_) | Kind::Scalar(_),
            ) if !value.node.is_null() => {
                let place = entry.key_span.clone();
                let message = format!("{name} belongs beside services, not below it");
                let help =
                    format!("move it {} columns to the left", if value.path.contains('.') { "two" } else { "some" });
                field
                    .reading
                    .said
                    .add(Diagnostic::new(&codes::KEY_PLACE, value.path.clone(), place, message).help(help));
            }
            (name, Kind::List(_) | Kind::Scalar(_))
                if !value.node.is_null() && SERVICE.keys.iter().any(|key| key.name == name) =>
            {
                let message = format!("{name} is a key of a service and stands where services are named");
                let help = "indent it deeper, below the name of its service";
                let place = entry.key_span.clone();
                field
                    .reading
                    .said
                    .add(Diagnostic::new(&codes::KEY_PLACE, value.path.clone(), place, message).help(help));
            }
            (name, _) => services.extend(one(name, entry, &value)),
        }
    }
    services
}

fn one(name: &str, entry: &Entry, value: &Field<'_>) -> Option<Service> {
    check_name(name, entry, value);
    if value.node.is_null() && value.reading.partial {
        return None;
    }
    if value.node.is_null() {
        let help = "write its keys below it, or remove the line";
        value.say_help(&codes::SERVICE_EMPTY, "the service has no keys", help);
        return None;
    }
    if let Some(scalar) = value.scalar()
        && scalar.text.contains(['/', ':']) | !scalar.text.contains(' ')
    {
        let message = format!("expected the keys of a service, found {}", quote(&scalar.text));
        let help = format!("if that is its image, write image: {} on the next line", scalar.text);
        value.say_help(&codes::VALUE_TYPE, message, help);
        return None;
    }
    service::read(name, value)
}

/// A service's name is its host name among services.
fn check_name(name: &str, entry: &Entry, value: &Field<'_>) {
    if !is_service_name(name) {
        let message = format!("{} is not a name for a service", quote(name));
        let diagnostic = Diagnostic::new(&codes::SERVICE_NAME_BAD, value.path.clone(), entry.key_span.clone(), message);
        value.reading.said.add(diagnostic.help("use letters, digits and dashes"));
    }
}

/// What may name a service at all, as the schema's pattern says.
pub(crate) fn is_service_name(name: &str) -> bool {
    let letter = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    !name.is_empty() && name.bytes().all(letter)
}
