//! The words in which the format is declared: every key stands in one table, and the reader, "did you mean", the JSON
//! Schema and the reference documentation all take it from there.

/// A map with known keys: the file itself, a service, one entry of `ports`.
#[derive(Debug)]
pub(crate) struct Section {
    /// What it is called in messages: "a service", "an entry of ports".
    pub(crate) name: &'static str,
    pub(crate) keys: &'static [Key],
    /// Keys of older files.
    pub(crate) old: &'static [OldKey],
    /// What a key that stands in neither list is.
    pub(crate) others: Others,
}

/// What unknown keys of a section are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Others {
    /// Errors.
    Refused,
    /// Errors, except those that begin with `x-`: there people keep what their anchors name.
    RefusedButExtensions,
    /// Warnings: real files have undocumented ones here that work.
    Ignored,
}

/// A key of today.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Key {
    pub(crate) name: &'static str,
    pub(crate) shape: Shape,
    /// One or two sentences.
    pub(crate) about: &'static str,
    /// What holds where the key is left out.
    pub(crate) default: &'static str,
    pub(crate) origin: Origin,
    pub(crate) actor: Actor,
    pub(crate) required: Required,
    /// The key with a value, as YAML.
    pub(crate) example: &'static str,
}

/// Whether a key may be left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Required {
    No,
    Yes,
    /// Only where another key is given.
    Unless(&'static str),
}

/// Who made a key up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Origin {
    /// It is in the original format.
    Original,
    /// It is Fermata's own.
    Fermata,
}

/// Who acts on a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Actor {
    /// `fermata up` and its kin.
    Fermata,
    /// Only `fermata render` for a target that knows it.
    Render,
    /// Nobody but the original platform.
    Original,
}

/// A key of an older file.
#[derive(Debug)]
pub(crate) struct OldKey {
    pub(crate) name: &'static str,
    pub(crate) shape: Shape,
    pub(crate) now: Now,
}

/// What became of an old key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Now {
    /// Only the name changed; it is read under the new one.
    Renamed(&'static str),
    /// Its reader says what to write.
    Reshaped,
    /// Version 1 only and without effect; what to use instead.
    Ended(&'static str),
}

/// What a value looks like.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Shape {
    /// A scalar that follows a rule.
    Text(&'static Text),
    /// A whole number, quoted or not.
    Integer {
        min: i64,
        max: i64,
    },
    /// `true` or `false`.
    Flag,
    /// One of some words, each with what it means.
    Choice(&'static [Word]),
    List(&'static Shape),
    /// A list, or one alone.
    ListOrOne(&'static Shape),
    Section(&'static Section),
    /// Names of the user's own, each with a value of this shape.
    Table {
        /// A regular expression for the names; empty for any.
        names: &'static str,
        /// Fewest entries.
        least: usize,
        values: &'static Shape,
    },
    /// The first that fits the kind of value (scalar, list, map).
    Either(&'static [Shape]),
    /// A scalar or nothing at all.
    Anything,
    /// Any YAML.
    Free,
}

/// One word of a choice.
#[derive(Debug)]
pub(crate) struct Word {
    pub(crate) word: &'static str,
    pub(crate) about: &'static str,
}

/// A rule for a scalar.
#[derive(Debug)]
pub(crate) struct Text {
    /// What belongs there, with an article: "a duration such as 30s".
    pub(crate) expected: &'static str,
    /// A regular expression of JSON Schema (ECMA 262) that quoted values match; empty for any.
    pub(crate) pattern: &'static str,
    /// Numbers that may stand there without quotes.
    pub(crate) numbers: Numbers,
}

/// Which numbers may stand for a text without quotes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Numbers {
    None,
    Between(i64, i64),
    /// Positive ones, with or without a fraction.
    Decimal,
    /// All, and booleans too: it is text, however it looks.
    All,
}

impl Key {
    pub(crate) const fn new(name: &'static str, shape: Shape, about: &'static str, example: &'static str) -> Self {
        Key {
            name,
            shape,
            about,
            default: "",
            origin: Origin::Original,
            actor: Actor::Fermata,
            required: Required::No,
            example,
        }
    }

    /// Fermata's own.
    pub(crate) const fn own(mut self) -> Self {
        self.origin = Origin::Fermata;
        self
    }

    pub(crate) const fn default(mut self, default: &'static str) -> Self {
        self.default = default;
        self
    }

    pub(crate) const fn required(mut self) -> Self {
        self.required = Required::Yes;
        self
    }

    pub(crate) const fn required_unless(mut self, other: &'static str) -> Self {
        self.required = Required::Unless(other);
        self
    }

    pub(crate) const fn actor(mut self, actor: Actor) -> Self {
        self.actor = actor;
        self
    }
}

impl Shape {
    /// What to write, in a few words.
    pub(crate) fn expected(&self) -> String {
        match self {
            Shape::Text(text) => text.expected.to_owned(),
            Shape::Integer { min, max } if *max == i64::from(u32::MAX) => format!("a whole number from {min}"),
            Shape::Integer { min, max } => format!("a whole number from {min} to {max}"),
            Shape::Flag => "true or false".to_owned(),
            Shape::Choice(words) => {
                let words: Vec<&str> = words.iter().map(|word| word.word).collect();
                format!("one of {}", words.join(", "))
            }
            Shape::List(_) => "a list".to_owned(),
            Shape::ListOrOne(shape) => format!("{}, or a list of such", shape.expected()),
            Shape::Section(section) => format!("a map with keys such as {}", section.keys[0].name),
            Shape::Table { .. } => "a map of names and values".to_owned(),
            Shape::Either(shapes) => {
                let shapes: Vec<String> = shapes.iter().map(Shape::expected).collect();
                shapes.join(", or ")
            }
            Shape::Anything => "a plain value".to_owned(),
            Shape::Free => "any value".to_owned(),
        }
    }
}
