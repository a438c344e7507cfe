//! A Rust source file, as far as names are concerned: which paths it uses, in which lines. Comments, strings and
//! characters are passed over; nothing is expanded, so a macro's own imports are its author's affair.

use std::iter::Peekable;
use std::str::CharIndices;

/// A source file of one of our crates.
pub(crate) struct Source {
    /// Its path from the top of the repository.
    pub(crate) file: String,
    /// The crate it belongs to, or the module at the top of the `fermata` crate.
    pub(crate) room: String,
    /// Its own module path inside its crate.
    module: Vec<String>,
    /// Modules in files of their own that are only there for tests.
    test_modules: Vec<Vec<String>>,
    tokens: Vec<Token>,
}

/// A path somewhere in a file.
pub(crate) struct Use {
    pub(crate) line: usize,
    pub(crate) name: Name,
}

/// What a path leads to.
pub(crate) enum Name {
    /// Something of the same crate, from its top.
    Ours(Vec<String>),
    /// Anything else, as it is written.
    Theirs(Vec<String>),
}

struct Token {
    line: usize,
    text: String,
}

impl Token {
    fn is_word(&self) -> bool {
        self.text.starts_with(|first: char| first.is_alphabetic() || first == '_')
    }
}

impl Source {
    /// Reads a file of `crates/NAME/src`.
    pub(crate) fn new(file: String, text: &str) -> Source {
        let mut parts = file.split('/').skip(1);
        let owner = parts.next().expect("crates/NAME/src/…").to_owned();
        let mut module: Vec<String> = parts.skip(1).map(|part| part.trim_end_matches(".rs").to_owned()).collect();
        if module.last().is_some_and(|last| last == "mod" || last == "lib") {
            module.pop();
        }
        let room = match (owner.as_str(), module.first()) {
            ("fermata", Some(top)) => top.clone(),
            _ => owner,
        };
        let (tokens, test_modules) = without_tests(tokens(text));
        let test_modules = test_modules.into_iter().map(|name| [module.clone(), vec![name]].concat()).collect();
        Source { file, room, module, test_modules, tokens }
    }

    /// Whether `other` says that this file is only there for tests.
    pub(crate) fn is_test_of(&self, other: &Source) -> bool {
        self.owner() == other.owner() && other.test_modules.iter().any(|module| self.module.starts_with(module))
    }

    fn owner(&self) -> &str {
        self.file.split('/').nth(1).expect("crates/NAME/src/…")
    }

    /// Every path that the file uses, in imports and elsewhere.
    pub(crate) fn paths(&self) -> Vec<Use> {
        let mut found = Vec::new();
        let mut at = 0;
        while at < self.tokens.len() {
            let before = at.checked_sub(1).map_or("", |before| self.tokens[before].text.as_str());
            if self.tokens[at].is_word() && before != "." {
                at = self.tree(at, &[], &mut found);
            } else {
                at += 1;
            }
        }
        found
    }

    /// Every word of the file with its line; a macro's name has its `!`.
    pub(crate) fn words(&self) -> Vec<(usize, String)> {
        let next = |at: usize| self.tokens.get(at + 1).map(|token| token.text.as_str());
        self.tokens
            .iter()
            .enumerate()
            .filter(|(_, token)| token.is_word())
            .map(|(at, token)| {
                let bang = if next(at) == Some("!") { "!" } else { "" };
                (token.line, format!("{}{bang}", token.text))
            })
            .collect()
    }

    /// One path, or a tree of them in braces, from the word at `at`; returns where it ends.
    fn tree(&self, mut at: usize, stem: &[String], found: &mut Vec<Use>) -> usize {
        let line = self.tokens[at].line;
        let mut path = stem.to_vec();
        path.push(self.tokens[at].text.clone());
        at += 1;
        while self.text(at) == "::" {
            at += 1;
            match self.tokens.get(at) {
                Some(token) if token.is_word() => {
                    path.push(token.text.clone());
                    at += 1;
                }
                Some(token) if token.text == "{" => return self.branches(at + 1, &path, found),
                _ => break,
            }
        }
        found.push(Use { line, name: self.resolve(path) });
        // What it is called from here on says nothing about where it comes from.
        if self.text(at) == "as" { at + 2 } else { at }
    }

    fn branches(&self, mut at: usize, stem: &[String], found: &mut Vec<Use>) -> usize {
        while at < self.tokens.len() && self.text(at) != "}" {
            at = if self.tokens[at].is_word() { self.tree(at, stem, found) } else { at + 1 };
        }
        at + 1
    }

    fn text(&self, at: usize) -> &str {
        self.tokens.get(at).map_or("", |token| token.text.as_str())
    }

    fn resolve(&self, path: Vec<String>) -> Name {
        match path[0].as_str() {
            "crate" => Name::Ours(path[1..].to_vec()),
            // The program's own `main.rs` calls the library by its name.
            "fermata" if self.file.ends_with("src/main.rs") => Name::Ours(path[1..].to_vec()),
            "self" => Name::Ours([&self.module, &path[1..]].concat()),
            "super" => {
                let up = path.iter().take_while(|part| *part == "super").count();
                let stem = &self.module[..self.module.len().saturating_sub(up)];
                Name::Ours([stem, &path[up..]].concat())
            }
            _ => Name::Theirs(path),
        }
    }
}

/// The names in `[dependencies]`, as code spells them, with their lines. Development dependencies are not the crate's.
pub(crate) fn dependencies(manifest: &str) -> Vec<(usize, String)> {
    let mut inside = false;
    let mut found = Vec::new();
    for (number, line) in manifest.lines().enumerate() {
        if line.starts_with('[') {
            inside = line.trim() == "[dependencies]";
        } else if inside {
            let name: String = line.chars().take_while(|c| c.is_alphanumeric() || "-_".contains(*c)).collect();
            if !name.is_empty() {
                found.push((number + 1, name.replace('-', "_")));
            }
        }
    }
    found
}

/// Leaves out every `#[cfg(test)] mod … { … }`, and names those that are files of their own.
fn without_tests(tokens: Vec<Token>) -> (Vec<Token>, Vec<String>) {
    const OPENING: [&str; 8] = ["#", "[", "cfg", "(", "test", ")", "]", "mod"];
    let (mut kept, mut files) = (Vec::new(), Vec::new());
    let mut rest = tokens.into_iter();
    while let Some(token) = rest.next() {
        kept.push(token);
        let tail = kept.len().saturating_sub(OPENING.len());
        if kept[tail..].iter().map(|token| token.text.as_str()).eq(OPENING) {
            kept.truncate(tail);
            let name = rest.next().expect("a module has a name").text;
            match rest.next().expect("a module has an end").text.as_str() {
                "{" => pass_block(&mut rest),
                _ => files.push(name),
            }
        }
    }
    (kept, files)
}

/// Goes on behind the brace that closes the one before.
fn pass_block(rest: &mut impl Iterator<Item = Token>) {
    let mut depth = 1;
    while depth > 0 {
        match rest.next().as_ref().map(|token| token.text.as_str()) {
            Some("{") => depth += 1,
            Some("}") => depth -= 1,
            Some(_) => {}
            None => return,
        }
    }
}

fn tokens(text: &str) -> Vec<Token> {
    let mut found = Vec::new();
    let mut line = 1;
    let mut rest = text.char_indices().peekable();
    while let Some((start, first)) = rest.next() {
        let end = match first {
            '/' if text[start..].starts_with("//") => skip(&mut rest, text[start..].find('\n').map(|n| start + n)),
            '/' if text[start..].starts_with("/*") => skip(&mut rest, Some(start + comment(&text[start..]))),
            '"' => skip(&mut rest, Some(start + string(&text[start..]))),
            '\'' if let Some(length) = character(&text[start..]) => skip(&mut rest, Some(start + length)),
            _ if first.is_alphabetic() || first == '_' => {
                let word: String = text[start..].chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
                let after = start + word.len();
                if let Some(length) = raw_string(&word, &text[after..]) {
                    skip(&mut rest, Some(after + length))
                } else {
                    found.push(Token { line, text: word });
                    skip(&mut rest, Some(after))
                }
            }
            ':' if text[start..].starts_with("::") => {
                found.push(Token { line, text: "::".to_owned() });
                skip(&mut rest, Some(start + 2))
            }
            _ => {
                if !first.is_whitespace() && !first.is_numeric() {
                    found.push(Token { line, text: first.to_string() });
                }
                start + first.len_utf8()
            }
        };
        line += text[start..end.min(text.len())].matches('\n').count();
    }
    found
}

/// Goes on to `end`, or to the end of the text, and says where that is.
fn skip(rest: &mut Peekable<CharIndices<'_>>, end: Option<usize>) -> usize {
    let end = end.unwrap_or(usize::MAX);
    while rest.next_if(|(at, _)| *at < end).is_some() {}
    end
}

/// The length of a block comment; they nest.
fn comment(text: &str) -> usize {
    let (mut depth, mut at) = (0, 0);
    loop {
        match text.as_bytes().get(at..at + 2) {
            Some(b"/*") => (depth, at) = (depth + 1, at + 2),
            Some(b"*/") => (depth, at) = (depth - 1, at + 2),
            Some(_) => at += 1,
            None => return text.len(),
        }
        if depth == 0 {
            return at;
        }
    }
}

/// The length of a string literal, quotes included.
fn string(text: &str) -> usize {
    let mut escaped = false;
    for (at, byte) in text.bytes().enumerate().skip(1) {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => return at + 1,
            _ => {}
        }
    }
    text.len()
}

/// The length of a raw string after its `r`, `br` or `cr`.
fn raw_string(word: &str, text: &str) -> Option<usize> {
    let hashes = text.len() - text.trim_start_matches('#').len();
    if !matches!(word, "r" | "br" | "cr") || !text[hashes..].starts_with('"') {
        return None;
    }
    let close = format!("\"{}", "#".repeat(hashes));
    let body = hashes + 1;
    Some(text[body..].find(&close).map_or(text.len(), |length| body + length + close.len()))
}

/// The length of a character literal, if it is one and no lifetime.
fn character(text: &str) -> Option<usize> {
    let mut chars = text.char_indices().skip(1);
    let (_, first) = chars.next()?;
    if first == '\\' {
        let (_, escaped) = chars.next()?;
        let skipped = if escaped == 'u' { text.find('}')? } else { 3 };
        return text[skipped..].find('\'').map(|length| skipped + length + 1);
    }
    let (at, second) = chars.next()?;
    (second == '\'').then_some(at + 1)
}

#[cfg(test)]
mod tests {
    use super::{Name, Source, dependencies};

    fn names(file: &str, text: &str) -> Vec<String> {
        Source::new(file.to_owned(), text)
            .paths()
            .into_iter()
            .filter_map(|path| match path.name {
                Name::Ours(name) => Some(format!("{} ours::{}", path.line, name.join("::"))),
                Name::Theirs(name) if name.len() > 1 => Some(format!("{} {}", path.line, name.join("::"))),
                Name::Theirs(_) => None,
            })
            .collect()
    }

    #[test]
    fn a_tree_of_imports_is_taken_apart() {
        let text = "use crate::{net::{Leg, listen}, tls};\nuse std::{fs, net::IpAddr as Ip};\n";
        assert_eq!(
            names("crates/fermata/src/serve.rs", text),
            ["1 ours::net::Leg", "1 ours::net::listen", "1 ours::tls", "2 std::fs", "2 std::net::IpAddr"]
        );
    }

    #[test]
    fn super_leads_to_where_it_leads() {
        let text = "use super::ledger;\nfn f() { super::super::front::h1() }";
        assert_eq!(names("crates/fermata/src/tunnel/engine.rs", text), ["1 ours::tunnel::ledger", "2 ours::front::h1"]);
    }

    #[test]
    fn what_is_only_said_is_not_used() {
        let text = r##"// crate::front
/* crate::front /* again */ still */ fn f<'a>(x: &'a str) -> char {
    let _ = ("crate::front \" crate::front", r#"crate::"front"#, 'c', '\'', '\u{1F600}', b"crate::front");
    crate::net::dial(x)
}"##;
        assert_eq!(names("crates/fermata/src/serve.rs", text), ["4 ours::net::dial"]);
    }

    #[test]
    fn tests_are_no_part_of_the_program() {
        let text = "use crate::net;\n#[cfg(test)]\nmod tests { use crate::run; fn f() { crate::probe::g(); } }\n\
            #[cfg(test)]\nmod more;\nuse crate::tls;\n";
        assert_eq!(names("crates/fermata/src/serve.rs", text), ["1 ours::net", "6 ours::tls"]);
        let (serve, more) = ("crates/fermata/src/serve.rs", "crates/fermata/src/serve/more.rs");
        assert!(Source::new(more.to_owned(), "").is_test_of(&Source::new(serve.to_owned(), text)));
        assert!(!Source::new(serve.to_owned(), "").is_test_of(&Source::new(serve.to_owned(), text)));
    }

    #[test]
    fn a_file_belongs_to_its_top_module_or_its_crate() {
        let room = |file: &str| Source::new(file.to_owned(), "").room;
        assert_eq!(room("crates/fermata/src/tunnel/engine.rs"), "tunnel");
        assert_eq!(room("crates/fermata/src/os.rs"), "os");
        assert_eq!(room("crates/fermata/src/lib.rs"), "fermata");
        assert_eq!(room("crates/wire/src/relay/flow.rs"), "wire");
    }

    #[test]
    fn macros_have_their_sign_and_dependencies_their_line() {
        let source = Source::new("crates/fermata/src/app.rs".to_owned(), "fn f() { anstream::println!(\"\") }");
        assert!(source.words().contains(&(1, "println!".to_owned())));
        assert_eq!(
            dependencies(
                "[package]\nname = \"x\"\n[dependencies]\nfermata-wire.workspace = true\n[dev-dependencies]\ntokio = \"1\"\n"
            ),
            [(4, "fermata_wire".to_owned())]
        );
    }
}
