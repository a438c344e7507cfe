//! `traffic_matches`: the server names that a service answers to.

use crate::diagnostic::{codes, quote};
use crate::model::HostPattern;
use crate::reader::Field;

use super::values;

/// The items of `traffic_matches`.
pub(crate) fn read(items: &[Field<'_>]) -> Vec<HostPattern> {
    items.iter().filter_map(pattern).collect()
}

/// One name, or one pattern of names.
pub(super) fn pattern(field: &Field<'_>) -> Option<HostPattern> {
    let text = field.text()?;
    let Some(pattern) = values::host_pattern(text) else {
        field.say_help(&codes::MATCH, format!("{} is not a server name", quote(text)), advice(text));
        return None;
    };
    if let HostPattern::Exact(name) | HostPattern::Under(name) = &pattern
        && !is_host_name(name)
        && !text.contains("_env(")
    {
        let message = format!("{} is not a host name, and some clients refuse it", quote(text));
        field.say_help(&codes::MATCH_NAME, message, "host names have letters, digits, dashes and dots");
    }
    Some(pattern)
}

fn advice(text: &str) -> String {
    if let Some((_, rest)) = text.split_once("://") {
        return format!("write the name alone: {}", rest.split(['/', ':']).next().unwrap_or_default());
    }
    if text.matches('*').count() > 1 || (text.contains('*') && !text.starts_with("*.")) {
        return "a wildcard is one leading \"*.\"".to_owned();
    }
    if let Some((name, _)) = text.split_once('/') {
        return format!("write the name alone, as paths are not told apart: {name}");
    }
    if let Some((name, _)) = text.split_once(':').filter(|(name, _)| values::domain(name).is_some()) {
        return format!("write the name without a port: {name}");
    }
    "write a name such as app.example.com, *.example.com, or \"_\" for every name".to_owned()
}

/// RFC 1123, 2.1: letters, digits and dashes between dots.
fn is_host_name(name: &str) -> bool {
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    name.len() <= 253 && name.split('.').all(label)
}
