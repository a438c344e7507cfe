//! Bytes for the parser's characters: it counts in `char`s, everybody else in bytes.

/// The byte of each character of a text.
#[derive(Debug)]
pub(super) enum Offsets {
    /// Nothing but ASCII: the numbers are the same. Holds the length.
    Same(usize),
    /// The byte at which each character starts, and the length at the end.
    Table(Vec<u32>),
}

impl Offsets {
    /// `text` is shorter than 4 GiB.
    pub(super) fn new(text: &str) -> Self {
        if text.is_ascii() {
            return Offsets::Same(text.len());
        }
        let starts = text.char_indices().map(|(at, _)| at as u32);
        Offsets::Table(starts.chain(std::iter::once(text.len() as u32)).collect())
    }

    /// The byte at which a character starts; the end of the text for one beyond it.
    pub(super) fn byte(&self, character: usize) -> usize {
        match self {
            Offsets::Same(length) => character.min(*length),
            Offsets::Table(starts) => starts.get(character).or(starts.last()).map_or(0, |at| *at as usize),
        }
    }
}
