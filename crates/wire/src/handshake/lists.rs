//! The grammar of the headers that a handshake is made of.

use http::header::{HeaderMap, HeaderName, HeaderValue};

/// What RFC 9110 5.6.3 allows around the members of a list.
const OWS: [char; 2] = [' ', '\t'];

/// A header that is not what the grammar says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Malformed;

/// A header that is there exactly once, as text without blanks around it.
pub(super) fn only<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (Some(value), None) => value.to_str().ok().map(|text| text.trim_matches(OWS)),
        _ => None,
    }
}

/// Whether a list, which may stand in several lines, has `token` as a member, in whatever case.
pub(super) fn lists(headers: &HeaderMap, name: &HeaderName, token: &str) -> bool {
    let lines = headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
    lines.flat_map(members).any(|member| member.eq_ignore_ascii_case(token))
}

/// The tokens of a list that may stand in several lines, and must have one where there are lines (`1#token`).
pub(super) fn tokens(headers: &HeaderMap, name: &HeaderName) -> Result<Vec<String>, Malformed> {
    read_lines(headers, name, |line, tokens| {
        for member in members(line) {
            if !is_token(member) {
                return Err(Malformed);
            }
            tokens.push(member.to_owned());
        }
        Ok(())
    })
}

/// The names of extensions, in lower case and without their parameters, whose grammar is checked (RFC 6455 9.1).
///
/// One may be named several times, with different parameters (RFC 7692 5.2, the offers of permessage-deflate).
pub(super) fn extensions(headers: &HeaderMap, name: &HeaderName) -> Result<Vec<String>, Malformed> {
    read_lines(headers, name, |line, names| {
        let mut rest = line;
        loop {
            rest = rest.trim_start_matches([',', ' ', '\t']);
            if rest.is_empty() {
                return Ok(());
            }
            names.push(read_token(&mut rest)?.to_ascii_lowercase());
            while skip(&mut rest, ';') {
                read_parameter(&mut rest)?;
            }
            if !rest.is_empty() && !rest.starts_with(',') {
                return Err(Malformed);
            }
        }
    })
}

/// All lines of a header into one list. A list without members is only allowed where there are no lines.
fn read_lines(
    headers: &HeaderMap,
    name: &HeaderName,
    read: impl Fn(&str, &mut Vec<String>) -> Result<(), Malformed>,
) -> Result<Vec<String>, Malformed> {
    let mut list = Vec::new();
    for line in headers.get_all(name) {
        read(text(line)?, &mut list)?;
    }
    if list.is_empty() && headers.contains_key(name) {
        return Err(Malformed);
    }
    Ok(list)
}

fn text(value: &HeaderValue) -> Result<&str, Malformed> {
    value.to_str().map_err(|_| Malformed)
}

/// The members of one line; empty ones are ignored (RFC 9110 5.6.1.2).
fn members(line: &str) -> impl Iterator<Item = &str> {
    line.split(',').map(|member| member.trim_matches(OWS)).filter(|member| !member.is_empty())
}

/// `token [ "=" (token | quoted-string) ]`, with blanks wherever RFC 2616 2.1 implies them.
fn read_parameter(rest: &mut &str) -> Result<(), Malformed> {
    *rest = rest.trim_start_matches(OWS);
    read_token(rest)?;
    if skip(rest, '=') {
        *rest = rest.trim_start_matches(OWS);
        match rest.strip_prefix('"') {
            Some(quoted) => *rest = after_quoted_token(quoted)?,
            None => read_token(rest).map(drop)?,
        }
    }
    *rest = rest.trim_start_matches(OWS);
    Ok(())
}

/// What follows a quoted string whose opening quote has been read. Without its escapes it must be a token (RFC 6455 9.1).
fn after_quoted_token(quoted: &str) -> Result<&str, Malformed> {
    let mut value = String::new();
    let mut characters = quoted.char_indices();
    loop {
        match characters.next().ok_or(Malformed)? {
            (end, '"') if is_token(&value) => return Ok(&quoted[end + 1..]),
            (_, '"') => return Err(Malformed),
            (_, '\\') => value.push(characters.next().ok_or(Malformed)?.1),
            (_, character) => value.push(character),
        }
    }
}

fn read_token<'a>(rest: &mut &'a str) -> Result<&'a str, Malformed> {
    let end = rest.bytes().position(|byte| !is_token_byte(byte)).unwrap_or(rest.len());
    let (token, after) = rest.split_at(end);
    *rest = after;
    if token.is_empty() { Err(Malformed) } else { Ok(token) }
}

/// Skips blanks and then `mark`, if that is what follows; blanks alone are skipped, too.
fn skip(rest: &mut &str, mark: char) -> bool {
    *rest = rest.trim_start_matches(OWS);
    rest.strip_prefix(mark).map(|after| *rest = after).is_some()
}

fn is_token(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(is_token_byte)
}

/// A character of a token (RFC 9110 5.6.2).
fn is_token_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::header::SEC_WEBSOCKET_EXTENSIONS;

    fn read(lines: &[&str]) -> Result<Vec<String>, Malformed> {
        let headers: HeaderMap =
            lines.iter().map(|line| (SEC_WEBSOCKET_EXTENSIONS, HeaderValue::from_str(line).unwrap())).collect();
        extensions(&headers, &SEC_WEBSOCKET_EXTENSIONS)
    }

    #[test]
    fn extensions_are_read_as_their_grammar_says() {
        let good: [(&[&str], &[&str]); 10] = [
            (&[], &[]),
            (&["foo"], &["foo"]),
            (&["foo", "bar; baz=2"], &["foo", "bar"]),
            (&["permessage-deflate; client_max_window_bits"], &["permessage-deflate"]),
            (&["a;x=1, a;x=2"], &["a", "a"]),
            (&[", a ,, b,"], &["a", "b"]),
            (&["", "a"], &["a"]),
            (&["a;x=\"10\";y,b"], &["a", "b"]),
            (&["A ; x = 1 ;y\t,\tB"], &["a", "b"]),
            (&[r#"a; x="t\o\ken", b"#], &["a", "b"]),
        ];
        for (lines, names) in good {
            assert_eq!(read(lines), Ok(names.iter().map(ToString::to_string).collect()), "{lines:?}");
        }
        let bad = [
            "",
            ",",
            " , ,",
            ";",
            "a;",
            "a;;b",
            "a; =1",
            "a; x=",
            "a b",
            "a; x y",
            "a; x=1 2",
            "a; x=\"",
            "a; x=\"1",
            "a; x=\"\"",
            "a; x=\"a b\"",
            "a; x=\"a,b\"",
            "a; x=\"1\"2",
            "a; x=\"1\\",
            "a; x=\"1\\\"\"",
            "(a)",
            "a=1",
            "a; x=1=2",
            "\"a\"",
        ];
        for line in bad {
            assert_eq!(read(&[line]), Err(Malformed), "{line:?}");
        }
    }

    #[test]
    fn what_is_not_ascii_is_no_list() {
        let headers: HeaderMap =
            [(SEC_WEBSOCKET_EXTENSIONS, HeaderValue::from_bytes(b"a; x=\xfc").unwrap())].into_iter().collect();
        assert_eq!(extensions(&headers, &SEC_WEBSOCKET_EXTENSIONS), Err(Malformed));
        assert_eq!(tokens(&headers, &SEC_WEBSOCKET_EXTENSIONS), Err(Malformed));
    }
}
