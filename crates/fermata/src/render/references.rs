//! References in values (`_env(VAR:default)`), and what others write for them.

/// A text cut at its references.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Piece<'t> {
    /// As it is.
    Text(&'t str),
    /// `_env(VAR)` or `_env(VAR:default)`, and the older spellings.
    Variable { name: &'t str, default: Option<&'t str> },
    /// A variable of another service or of another application, as it is written.
    Elsewhere { written: &'t str, service: Option<&'t str>, name: &'t str },
}

/// The pieces of a text. What cannot be understood is text.
pub(super) fn pieces(text: &str) -> Vec<Piece<'_>> {
    let (mut pieces, mut plain, mut at) = (Vec::new(), 0, 0);
    while at < text.len() {
        let found = if text.is_char_boundary(at) { reference(&text[at..]) } else { None };
        let Some((piece, length)) = found else {
            at += 1;
            continue;
        };
        if plain < at {
            pieces.push(Piece::Text(&text[plain..at]));
        }
        pieces.push(piece);
        at += length;
        plain = at;
    }
    if plain < text.len() {
        pieces.push(Piece::Text(&text[plain..]));
    }
    pieces
}

/// The reference that a text starts with, and how long it is.
fn reference(text: &str) -> Option<(Piece<'_>, usize)> {
    if let Some(rest) = text.strip_prefix("_env(") {
        let end = closing(rest)?;
        let length = "_env(".len() + end + 1;
        return Some((piece(&text[..length], &rest[..end])?, length));
    }
    if let Some(rest) = text.strip_prefix("{{") {
        let end = rest.find("}}")?;
        return Some((piece(&text[..end + 4], rest[..end].trim())?, end + 4));
    }
    let rest = text.strip_prefix("_env:")?;
    let end = rest.find(|letter: char| !is_letter(letter)).unwrap_or(rest.len());
    Some((piece(&text[..end + 5], &rest[..end])?, end + 5))
}

/// Where the parenthesis closes that was opened before the text.
fn closing(text: &str) -> Option<usize> {
    let mut depth = 0_usize;
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            b'(' => depth += 1,
            b')' if depth == 0 => return Some(at),
            b')' => depth -= 1,
            _ => {}
        }
    }
    None
}

fn piece<'t>(written: &'t str, body: &'t str) -> Option<Piece<'t>> {
    let (path, default) = body.split_once(':').map_or((body, None), |(path, default)| (path, Some(default)));
    let rest = path.strip_prefix("STACK[").and_then(|rest| rest.split_once("].")).map(|(_, rest)| rest);
    let (stack, path) = (rest.is_some(), rest.unwrap_or(path));
    let service = path.strip_prefix("SERVICE[").and_then(|rest| rest.split_once("]."));
    let name = service.map_or(path, |(_, name)| name);
    let good =
        !name.is_empty() && name.chars().all(is_letter) && !name.starts_with(|first: char| first.is_ascii_digit());
    if !good {
        return None;
    }
    if stack {
        return Some(Piece::Elsewhere { written, service: None, name });
    }
    match service {
        Some((service, _)) => Some(Piece::Elsewhere { written, service: Some(service), name }),
        None => Some(Piece::Variable { name, default }),
    }
}

fn is_letter(letter: char) -> bool {
    letter.is_ascii_alphanumeric() || letter == '_'
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_cut_at_its_references() {
        assert_eq!(
            pieces("a_env(B:c(d))e{{F}}{{ .Go }}é_env:G"),
            [
                Piece::Text("a"),
                Piece::Variable { name: "B", default: Some("c(d)") },
                Piece::Text("e"),
                Piece::Variable { name: "F", default: None },
                Piece::Text("{{ .Go }}é"),
                Piece::Variable { name: "G", default: None },
            ]
        );
        assert_eq!(
            pieces("_env(SERVICE[db].URL)_env(STACK[x].SERVICE[y].Z:1)"),
            [
                Piece::Elsewhere { written: "_env(SERVICE[db].URL)", service: Some("db"), name: "URL" },
                Piece::Elsewhere { written: "_env(STACK[x].SERVICE[y].Z:1)", service: None, name: "Z" },
            ]
        );
        assert_eq!(pieces("_env(A"), [Piece::Text("_env(A")]);
    }
}
