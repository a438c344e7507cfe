//! Names and paths of names.

use std::borrow::Cow;

use crate::diagnostic::quote;

/// A path with another step behind it.
pub(crate) fn join(path: &str, step: &str) -> String {
    if path.is_empty() {
        return step.to_owned();
    }
    let mut joined = String::with_capacity(path.len() + 1 + step.len());
    joined.push_str(path);
    joined.push('.');
    joined.push_str(step);
    joined
}

/// One step of a path: a name as it is where it is a plain word, else in quotes.
pub(crate) fn segment(name: &str) -> Cow<'_, str> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
    if !name.is_empty() && name.len() <= 64 && name.bytes().all(plain) { name.into() } else { quote(name).into() }
}

/// The word that was probably meant.
pub fn nearest_word<'w>(written: &str, words: impl Iterator<Item = &'w str>) -> Option<&'w str> {
    if written.len() > 64 {
        return None;
    }
    let written = written.to_ascii_lowercase().replace('-', "_");
    let most = |word: &str| written.len().max(word.len()) / 3;
    let words = words.filter(|word| written.len().abs_diff(word.len()) <= most(word));
    let distances = words.map(|word| (strsim::damerau_levenshtein(&written, word), word));
    let (_, near) =
        distances.filter(|(distance, word)| *distance <= most(word)).min_by_key(|(distance, _)| *distance)?;
    Some(near)
}

/// `a, b and c`.
pub(crate) fn list<'w>(words: impl Iterator<Item = &'w str>) -> String {
    let words: Vec<&str> = words.collect();
    match words.split_last() {
        Some((last, others)) if !others.is_empty() => format!("{} and {last}", others.join(", ")),
        Some((last, _)) => (*last).to_owned(),
        None => String::new(),
    }
}
