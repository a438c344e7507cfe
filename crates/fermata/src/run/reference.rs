//! References inside values: `_env(VAR)` and its older spellings, and `$(VAR)` in commands.
//!
//! Only their grammar. What a variable's value is, is told by whoever asks; nothing here knows of services or of the
//! environment.

use std::borrow::Cow;

/// A value of the file, cut at its references.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Piece<'a> {
    /// Taken as it is.
    Text(&'a str),
    /// Replaced by a variable's value.
    Reference(Reference<'a>),
}

/// `_env(SERVICE[name].VAR:default)`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Reference<'a> {
    /// As it stands in the file.
    pub(super) written: &'a str,
    /// `SERVICE[name].VAR`.
    pub(super) path: &'a str,
    pub(super) owner: Owner<'a>,
    pub(super) variable: &'a str,
    /// May hold references itself.
    pub(super) default: Option<&'a str>,
}

/// Whose variable is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Owner<'a> {
    /// The application's: here, of the environment that Fermata runs in.
    Application,
    /// `SERVICE[name]`.
    Service(&'a str),
    /// `STACK[uid]`, with or without a service.
    OtherApplication(&'a str),
}

/// A reference that cannot be understood, as it stands in the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Malformed<'a>(pub(super) &'a str);

/// Cuts `text` at its references.
pub(super) fn pieces(text: &str) -> Result<Vec<Piece<'_>>, Malformed<'_>> {
    let mut pieces = Vec::new();
    let (mut plain, mut at) = (0, 0);
    while let Some(found) = next_opening(&text[at..]) {
        let start = at + found;
        let Some((reference, length)) = reference(&text[start..])? else {
            at = start + 1;
            continue;
        };
        if plain < start {
            pieces.push(Piece::Text(&text[plain..start]));
        }
        pieces.push(Piece::Reference(reference));
        plain = start + length;
        at = plain;
    }
    if plain < text.len() {
        pieces.push(Piece::Text(&text[plain..]));
    }
    Ok(pieces)
}

fn next_opening(text: &str) -> Option<usize> {
    ["_env(", "_env:", "{{"].iter().filter_map(|opening| text.find(opening)).min()
}

/// The reference that `text` starts with and its length. `{{ }}` around anything else, as templates of other programs
/// have it, is plain text; `_env(` never is.
fn reference(text: &str) -> Result<Option<(Reference<'_>, usize)>, Malformed<'_>> {
    if let Some(rest) = text.strip_prefix("_env(") {
        let end = closing(rest).ok_or(Malformed(text))?;
        let written = &text[..=end + 5];
        let reference = named(written, &rest[..end]).ok_or(Malformed(written))?;
        return Ok(Some((reference, written.len())));
    }
    if let Some(rest) = text.strip_prefix("{{") {
        let Some(end) = rest.find("}}") else { return Ok(None) };
        let written = &text[..end + 4];
        return Ok(named(written, rest[..end].trim()).map(|found| (found, written.len())));
    }
    let name = &text["_env:".len()..];
    let written = &text[.."_env:".len() + name_length(name)];
    Ok(named(written, &name[..name_length(name)]).map(|found| (found, written.len())))
}

/// Where the parenthesis closes that was opened before `text`; a default may hold pairs of its own.
fn closing(text: &str) -> Option<usize> {
    let mut depth = 0;
    text.char_indices().find_map(|(at, letter)| match letter {
        '(' => {
            depth += 1;
            None
        }
        ')' if depth == 0 => Some(at),
        ')' => {
            depth -= 1;
            None
        }
        _ => None,
    })
}

fn named<'a>(written: &'a str, body: &'a str) -> Option<Reference<'a>> {
    let (path, default) = match body.split_once(':') {
        Some((path, default)) => (path, Some(default)),
        None => (body, None),
    };
    let (stack, rest) = owner(path, "STACK[")?;
    let (service, variable) = owner(rest, "SERVICE[")?;
    let owner = match (stack, service) {
        (Some(stack), _) => Owner::OtherApplication(stack),
        (None, Some(service)) => Owner::Service(service),
        (None, None) => Owner::Application,
    };
    is_name(variable).then_some(Reference { written, path, owner, variable, default })
}

/// `KIND[name].rest` to the name, if it is there, and the rest.
fn owner<'a>(body: &'a str, kind: &str) -> Option<(Option<&'a str>, &'a str)> {
    let Some(rest) = body.strip_prefix(kind) else { return Some((None, body)) };
    let (name, rest) = rest.split_once("].")?;
    (!name.is_empty()).then_some((Some(name), rest))
}

/// Replaces `$(VAR)` as Kubernetes does in commands (`EnvVar` and `Container` of its API reference): what `value` does
/// not know stays as it is, and `$$(VAR)` gives the text `$(VAR)`.
pub(super) fn expand<'v>(word: &str, value: impl Fn(&str) -> Option<Cow<'v, str>>) -> String {
    let mut expanded = String::with_capacity(word.len());
    let mut rest = word;
    while let Some(dollar) = rest.find('$') {
        expanded.push_str(&rest[..dollar]);
        rest = &rest[dollar..];
        let length = if rest.starts_with("$$") {
            expanded.push('$');
            2
        } else {
            let (written, name) = variable(rest);
            match name.and_then(&value) {
                Some(value) => expanded.push_str(&value),
                None => expanded.push_str(written),
            }
            written.len()
        };
        rest = &rest[length..];
    }
    expanded.push_str(rest);
    expanded
}

/// The text that starts with `$`, up to where it could be a variable, and that variable's name.
fn variable(text: &str) -> (&str, Option<&str>) {
    let Some(body) = text.strip_prefix("$(") else { return (&text[..1], None) };
    let length = name_length(body);
    if length > 0 && body[length..].starts_with(')') {
        (&text[..length + 3], Some(&body[..length]))
    } else {
        (&text[..2], None)
    }
}

fn is_name(text: &str) -> bool {
    !text.is_empty() && name_length(text) == text.len()
}

/// How much of `text` is the name of an environment variable.
fn name_length(text: &str) -> usize {
    if text.starts_with(|first: char| first.is_ascii_digit()) {
        return 0;
    }
    text.find(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_').unwrap_or(text.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn only(text: &str) -> Reference<'_> {
        match pieces(text).unwrap().as_slice() {
            [Piece::Reference(reference)] => *reference,
            other => panic!("{text} is {other:?}"),
        }
    }

    #[test]
    fn a_reference_names_a_variable_its_owner_and_a_default() {
        use Owner::{Application, OtherApplication, Service};
        for (text, owner, variable, default) in [
            ("_env(A)", Application, "A", None),
            ("_env(A:)", Application, "A", Some("")),
            ("_env(A:b:c)", Application, "A", Some("b:c")),
            ("_env(A:f(x))", Application, "A", Some("f(x)")),
            ("_env(SERVICE[db].A)", Service("db"), "A", None),
            ("_env(SERVICE[my-db].A:x)", Service("my-db"), "A", Some("x")),
            ("_env(STACK[u1].A)", OtherApplication("u1"), "A", None),
            ("_env(STACK[u1].SERVICE[db].A)", OtherApplication("u1"), "A", None),
            ("{{A}}", Application, "A", None),
            ("{{ SERVICE[db].A }}", Service("db"), "A", None),
            ("_env:A", Application, "A", None),
        ] {
            let found = only(text);
            assert_eq!((found.written, found.owner, found.variable, found.default), (text, owner, variable, default));
        }
    }

    #[test]
    fn a_reference_may_stand_inside_a_longer_value() {
        let found = pieces("--dip=zigot._env(NAMESPACE)/_env:B.c").unwrap();
        let application = |written, variable| {
            Piece::Reference(Reference { written, path: variable, owner: Owner::Application, variable, default: None })
        };
        let wanted = [
            Piece::Text("--dip=zigot."),
            application("_env(NAMESPACE)", "NAMESPACE"),
            Piece::Text("/"),
            application("_env:B", "B"),
            Piece::Text(".c"),
        ];
        assert_eq!(found, wanted);
    }

    #[test]
    fn templates_of_other_programs_are_plain_text() {
        for text in ["{{ .Values.x }}", "{{", "{{}}", "{{#if x}}", "$x", "_env", "_env:", "é{{é}}"] {
            assert_eq!(pieces(text), Ok(vec![Piece::Text(text)]), "{text}");
        }
    }

    #[test]
    fn a_reference_that_is_not_closed_or_names_nothing_is_malformed() {
        for (text, malformed) in [
            ("a _env(FOO", "_env(FOO"),
            ("_env()", "_env()"),
            ("_env(1A) b", "_env(1A)"),
            ("_env(SERVICE[].A)", "_env(SERVICE[].A)"),
            ("_env(SERVICE[db]A)", "_env(SERVICE[db]A)"),
            ("_env(A-B)", "_env(A-B)"),
        ] {
            assert_eq!(pieces(text), Err(Malformed(malformed)), "{text}");
        }
    }

    #[test]
    fn commands_are_expanded_by_the_rules_of_kubernetes() {
        let value = |name: &str| (name == "PORT").then_some(Cow::Borrowed("3000"));
        for (word, expanded) in [
            ("--port=$(PORT)", "--port=3000"),
            ("$(PORT)$(PORT)", "30003000"),
            ("$$(PORT)", "$(PORT)"),
            ("$$$(PORT)", "$3000"),
            ("$(OTHER)", "$(OTHER)"),
            ("$(hostname -i) $(PORT)", "$(hostname -i) 3000"),
            ("$PORT ${PORT} $( $", "$PORT ${PORT} $( $"),
            ("$($(PORT)", "$(3000"),
            ("é$é", "é$é"),
        ] {
            assert_eq!(expand(word, value), expanded, "{word}");
        }
    }
}
