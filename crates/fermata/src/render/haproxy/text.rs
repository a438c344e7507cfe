//! Words of a haproxy.cfg: a space ends one, and `#`, `$`, quotes and backslashes have a meaning.

/// A text as one word, in strong quotes where it needs them (HAProxy's manual, 2.2 "Quoting and escaping").
pub(super) fn quoted(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/._-:?&=,+~".contains(&byte);
    if !text.is_empty() && text.bytes().all(plain) {
        return text.to_owned();
    }
    format!("'{}'", text.replace('\'', r"'\''"))
}
