//! Which files of a build's folder the build does not see (.dockerignore). Pure.
//!
//! Rules are those of docs.docker.com/build/concepts/context: one pattern a line, from the folder's root; `*`, `?`, `[a-z]` and
//! `\` within a name, `**` for any number of folders; `!` brings back; the last line that matches decides; a folder stands for all
//! that is in it.

/// The lines of a .dockerignore.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Ignore {
    rules: Vec<Rule>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Rule {
    names: Vec<Vec<char>>,
    verdict: Verdict,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    Ignored,
    BroughtBack,
}

impl Ignore {
    pub(super) fn read(text: &str) -> Ignore {
        let lines = text.trim_start_matches('\u{feff}').lines().map(str::trim);
        Ignore { rules: lines.filter(|line| !line.starts_with('#')).filter_map(Rule::read).collect() }
    }

    /// Whether the build does not see what is at this path of the folder, `a/b`.
    pub(super) fn hides(&self, path: &str) -> bool {
        let names: Vec<Vec<char>> = path.split('/').map(|name| name.chars().collect()).collect();
        let last = self.rules.iter().rev().find(|rule| rule.covers(&names));
        last.is_some_and(|rule| rule.verdict == Verdict::Ignored)
    }

    /// Whether something in a folder that is not seen may be seen all the same.
    pub(super) fn brings_back(&self) -> bool {
        self.rules.iter().any(|rule| rule.verdict == Verdict::BroughtBack)
    }
}

impl Rule {
    fn read(line: &str) -> Option<Rule> {
        let (line, verdict) = match line.strip_prefix('!') {
            Some(rest) => (rest.trim_start(), Verdict::BroughtBack),
            None => (line, Verdict::Ignored),
        };
        let mut names: Vec<Vec<char>> = Vec::new();
        for name in line.split('/') {
            match name {
                "" | "." => {}
                ".." => drop(names.pop()),
                name => names.push(name.chars().collect()),
            }
        }
        (!names.is_empty()).then_some(Rule { names, verdict })
    }

    /// Whether it names the path, or a folder above it.
    fn covers(&self, path: &[Vec<char>]) -> bool {
        (1..=path.len()).any(|length| all_match(&self.names, &path[..length]))
    }
}

fn all_match(pattern: &[Vec<char>], path: &[Vec<char>]) -> bool {
    match pattern.split_first() {
        None => path.is_empty(),
        Some((any, rest)) if any[..] == ['*', '*'] => (0..=path.len()).any(|skipped| all_match(rest, &path[skipped..])),
        Some((name, rest)) => {
            path.split_first().is_some_and(|(first, others)| matches(name, first) && all_match(rest, others))
        }
    }
}

/// A name against a pattern.
fn matches(pattern: &[char], name: &[char]) -> bool {
    match pattern {
        [] => name.is_empty(),
        ['*', rest @ ..] => (0..=name.len()).any(|skipped| matches(rest, &name[skipped..])),
        ['?', rest @ ..] => !name.is_empty() && matches(rest, &name[1..]),
        ['[', set @ ..] => match (set.iter().skip(1).position(|letter| *letter == ']'), name.first()) {
            (Some(end), Some(letter)) => is_in(&set[..=end], *letter) && matches(&set[end + 2..], &name[1..]),
            _ => false,
        },
        ['\\', letter, rest @ ..] | [letter, rest @ ..] => name.first() == Some(letter) && matches(rest, &name[1..]),
    }
}

/// A letter against what stands between brackets.
fn is_in(set: &[char], letter: char) -> bool {
    let (set, wanted) = match set {
        ['^', rest @ ..] => (rest, false),
        _ => (set, true),
    };
    let mut at = 0;
    let mut found = false;
    while let Some(from) = set.get(at) {
        if let (Some('-'), Some(to)) = (set.get(at + 1), set.get(at + 2)) {
            found |= (*from..=*to).contains(&letter);
            at += 3;
        } else {
            found |= *from == letter;
            at += 1;
        }
    }
    found == wanted
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hidden<'a>(text: &str, paths: &[&'a str]) -> Vec<&'a str> {
        let ignore = Ignore::read(text);
        paths.iter().copied().filter(|path| ignore.hides(path)).collect()
    }

    #[test]
    fn a_pattern_is_about_the_root_and_all_that_is_below() {
        let paths = ["target", "target/debug/a", "src/target", "src/a.rs", "a.md", "docs/a.md", "x1", "x2"];
        assert_eq!(hidden("target", &paths), ["target", "target/debug/a"]);
        assert_eq!(hidden("/target/", &paths), ["target", "target/debug/a"]);
        assert_eq!(hidden("**/target", &paths), ["target", "target/debug/a", "src/target"]);
        assert_eq!(hidden("*.md", &paths), ["a.md"]);
        assert_eq!(hidden("**/*.md", &paths), ["a.md", "docs/a.md"]);
        assert_eq!(hidden("src/**", &paths), ["src/target", "src/a.rs"]);
        assert_eq!(hidden("x[0-1]\n#x2\n\n", &paths), ["x1"]);
        assert_eq!(hidden("x?", &paths), ["x1", "x2"]);
        assert_eq!(hidden("x[^1]", &paths), ["x2"]);
        assert_eq!(hidden("../a.md", &paths), ["a.md"]);
    }

    #[test]
    fn the_last_line_that_matches_decides() {
        let paths = ["a.md", "README.md", "docs/b"];
        assert_eq!(hidden("*.md\n!README.md\ndocs\n! docs/b", &paths), ["a.md"]);
        assert_eq!(hidden("!README.md\n*.md", &paths), ["a.md", "README.md"]);
    }
}
