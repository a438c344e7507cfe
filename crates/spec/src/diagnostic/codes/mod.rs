//! Every code that a diagnostic can have, with what `fermata check --explain CODE` tells about it.
//!
//! Codes are a promise: once released, a code keeps its name and its meaning. `E-` is an error, `W-` a warning, `N-` a note.

use super::Severity;

/// One kind of diagnostic.
#[derive(Debug, PartialEq, Eq)]
pub struct Code {
    /// Its stable name.
    pub name: &'static str,
    /// How bad it is.
    pub severity: Severity,
    /// One line.
    pub title: &'static str,
    /// Why it matters and what to do.
    pub text: &'static str,
    /// A file that has the problem.
    pub wrong: &'static str,
    /// The same file without it.
    pub right: &'static str,
}

/// Defines codes and the list of them.
macro_rules! codes {
    ($($ident:ident = $severity:ident $name:literal {
        title: $title:literal,
        text: $text:literal,
        wrong: $wrong:literal,
        right: $right:literal $(,)?
    })*) => {
        use super::{Code, Severity};
        $(
            #[doc = concat!("`", $name, "`.")]
            pub(crate) const $ident: Code = Code {
                name: $name,
                severity: Severity::$severity,
                title: $title,
                text: $text,
                wrong: $wrong,
                right: $right,
            };
        )*
        pub(super) const ALL: &[Code] = &[$($ident),*];
    };
}

mod file;
mod keys;
mod ports;
mod values;
mod yaml;

pub(crate) use file::*;
pub(crate) use keys::*;
pub(crate) use ports::*;
pub(crate) use values::*;
pub(crate) use yaml::*;

/// All codes, in the order of the reference.
pub fn all() -> impl Iterator<Item = &'static Code> {
    [yaml::ALL, file::ALL, keys::ALL, ports::ALL, values::ALL].into_iter().flatten()
}

/// The code of this name, in any case of letters.
pub fn find(name: &str) -> Option<&'static Code> {
    all().find(|code| code.name.eq_ignore_ascii_case(name))
}
