//! Variables in the texts of a compose file (`${VAR:-default}`), and what service.yml writes for them (`_env(VAR:default)`).

use std::fmt::Write;

/// What a text becomes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Converted {
    /// The text with service.yml's references, or without any.
    pub(super) text: String,
    /// Variables that were in it.
    pub(super) names: Vec<String>,
    /// A variable whose value only a shell or compose can tell.
    pub(super) lost: Option<String>,
}

/// How variables are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum As {
    /// As `_env(VAR:default)`.
    Reference,
    /// As their defaults: no references stand there.
    Default,
}

/// For places where service.yml has references: commands, volumes, `env_vars`.
pub(super) fn references(text: &str) -> Converted {
    convert(text, As::Reference)
}

/// A reference to a variable of this name, where it is a name that a variable may have.
pub(super) fn reference_to(name: &str) -> Option<String> {
    let good = name.chars().all(is_letter) && name.starts_with(|first: char| !first.is_ascii_digit());
    good.then(|| format!("_env({name})"))
}

/// For places without references: defaults are filled in, and a variable that has none is lost.
pub(super) fn defaults(text: &str) -> Converted {
    convert(text, As::Default)
}

fn convert(text: &str, how: As) -> Converted {
    let mut made = Converted { text: String::new(), names: Vec::new(), lost: None };
    let mut rest = text;
    while let Some(at) = rest.find('$') {
        made.text.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        if let Some(behind) = rest.strip_prefix('$') {
            made.text.push('$');
            rest = behind;
        } else if let Some((body, behind)) = rest.strip_prefix('{').and_then(braced) {
            made.add(body, how);
            rest = behind;
        } else {
            let end = rest.find(|letter: char| !is_letter(letter)).unwrap_or(rest.len());
            if rest.starts_with(|first: char| first.is_ascii_digit()) || end == 0 {
                made.text.push('$');
            } else {
                made.add(&rest[..end], how);
                rest = &rest[end..];
            }
        }
    }
    made.text.push_str(rest);
    made
}

impl Converted {
    /// One variable: `VAR`, `VAR:-default`, `VAR-default`, `VAR:?error`, `VAR?error`, `VAR:+other`, `VAR+other`.
    fn add(&mut self, body: &str, how: As) {
        let end = body.find(|letter: char| !is_letter(letter)).unwrap_or(body.len());
        let (name, operator) = body.split_at(end);
        self.names.push(name.to_owned());
        let operator = operator.strip_prefix(':').unwrap_or(operator);
        let default = operator.strip_prefix('-').map(|default| convert(default, how));
        let known = operator.is_empty() || operator.starts_with(['-', '?']);
        let fits = default.as_ref().is_none_or(|default| is_balanced(&default.text));
        match (default, how) {
            _ if !known || name.is_empty() => self.lost = Some(format!("${{{body}}}")),
            (Some(default), As::Default) => {
                self.text.push_str(&default.text);
                self.lost = self.lost.take().or(default.lost);
            }
            (None, As::Default) => self.lost = Some(format!("${{{name}}}")),
            (Some(default), As::Reference) if fits && !default.text.is_empty() => {
                _ = write!(self.text, "_env({name}:{})", default.text);
                self.names.extend(default.names);
            }
            (default, As::Reference) => {
                _ = write!(self.text, "_env({name})");
                if default.is_some() && !fits {
                    self.lost = Some(format!("${{{body}}}"));
                }
            }
        }
    }
}

/// What stands between the brace that is open and the one that closes it, and what stands behind.
fn braced(text: &str) -> Option<(&str, &str)> {
    let mut depth = 1;
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            b'{' => depth += 1,
            b'}' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return Some((&text[..at], &text[at + 1..]));
        }
    }
    None
}

fn is_letter(letter: char) -> bool {
    letter.is_ascii_alphanumeric() || letter == '_'
}

/// Whether parentheses close in order, so that a reference around the text ends where it should.
fn is_balanced(text: &str) -> bool {
    let depth = text.bytes().try_fold(0_usize, |depth, byte| match byte {
        b'(' => Some(depth + 1),
        b')' => depth.checked_sub(1),
        _ => Some(depth),
    });
    depth == Some(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_become_references() {
        let cases = [
            ("plain", "plain"),
            ("$HOME/x", "_env(HOME)/x"),
            ("${A}-${B:-b}", "_env(A)-_env(B:b)"),
            ("${A-b}", "_env(A:b)"),
            ("${A:-}", "_env(A)"),
            ("${A:?must be set}", "_env(A)"),
            ("${A:-${B:-c}}", "_env(A:_env(B:c))"),
            ("$$HOME costs $5", "$HOME costs $5"),
            ("${A", "${A"),
            ("100%$", "100%$"),
        ];
        for (from, to) in cases {
            let made = references(from);
            assert_eq!((made.text.as_str(), made.lost), (to, None), "{from}");
        }
    }

    #[test]
    fn defaults_are_filled_in_where_no_reference_may_stand() {
        assert_eq!(defaults("web:${TAG:-1.4}").text, "web:1.4");
        assert_eq!(defaults("web:${TAG}").lost, Some("${TAG}".into()));
        assert_eq!(defaults("${A:-${B:-c}}").text, "c");
    }

    #[test]
    fn what_only_compose_can_tell_is_lost() {
        assert_eq!(references("${A:+b}").lost, Some("${A:+b}".into()));
        assert_eq!(references("${A:-x)}").lost, Some("${A:-x)}".into()));
    }
}
