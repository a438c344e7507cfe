//! Whole texts, compared with what is kept of them beside the tests.
//!
//! `FERMATA_BLESS=1` writes them anew; look at what changed before you commit it.

use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};

use fermata::render::{Rendered, target};
use fermata_spec::SourceText;

/// Stands between the parts of a case that is one file.
pub const SEPARATOR: &str = "=====\n";

/// What differs from the files that are kept.
#[derive(Default)]
pub struct Golden {
    wrong: Vec<String>,
}

impl Golden {
    /// Compares what was made with a file, or writes it there.
    pub fn expect(&mut self, file: &Path, made: &str) {
        let kept = fs::read_to_string(file).unwrap_or_default();
        if kept == made {
            return;
        }
        if std::env::var_os("FERMATA_BLESS").is_some() {
            fs::write(file, made).expect("a case can be written");
        } else {
            self.wrong.push(format!("{}\n{}", file.display(), difference(&kept, made)));
        }
    }

    /// Fails if anything differs.
    pub fn done(self) {
        assert!(self.wrong.is_empty(), "{} files differ:\n{}", self.wrong.len(), self.wrong.join("\n"));
    }
}

/// From the first line that differs, a screen of what was expected and of what was made.
fn difference(kept: &str, made: &str) -> String {
    let first = kept.lines().zip(made.lines()).take_while(|(kept, made)| kept == made).count();
    let screen = |text: &str| text.lines().skip(first).take(20).collect::<Vec<&str>>().join("\n");
    format!("--- expected from line {} on\n{}\n--- made\n{}", first + 1, screen(kept), screen(made))
}

/// A folder beside the tests.
pub fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests").join(name)
}

/// The files of a folder beside the tests that end so, in the order of the numbers that they begin with.
pub fn cases(name: &str, ending: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder(name)).expect("the cases are there");
    let paths = entries.map(|entry| entry.expect("a folder can be listed").path());
    let mut paths: Vec<PathBuf> = paths.filter(|path| path.extension().is_some_and(|end| end == ending)).collect();
    let number = |path: &PathBuf| title(path).split('-').next().and_then(|digits| digits.parse::<u32>().ok());
    paths.sort_by_key(|path| (number(path), path.clone()));
    paths
}

/// The name of a file without its folder.
pub fn title(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// Name and text of every service.yml of a folder beside the tests.
pub fn inputs(name: &str) -> Vec<(String, String)> {
    let read = |path: PathBuf| (title(&path), fs::read_to_string(&path).expect("a case can be read"));
    cases(name, "yml").into_iter().map(read).collect()
}

/// What a target makes of a service.yml, which has to be one.
pub fn rendered(name: &str, yml: &str) -> Rendered {
    let outcome = fermata_spec::read(yml);
    let spec = outcome.spec.unwrap_or_else(|| panic!("not a service.yml: {:?}", outcome.diagnostics));
    target(name).expect("a target").render(&spec)
}

/// What a target makes of every service.yml of a folder, and what it says; files that explain the others, once.
pub fn transcript(name: &str, folder: &str) -> String {
    let (mut text, mut explained) = (String::new(), false);
    for (input, yml) in inputs(folder) {
        let made = rendered(name, &yml);
        let _ = writeln!(text, "===== {input}");
        let source = SourceText::new(&input, &yml);
        for said in &made.said {
            let place = source.position(said.places[0].span.start);
            let (severity, path, message) = (said.severity, &said.path, &said.message);
            let help = said.help.as_deref().unwrap_or_default();
            let _ = writeln!(text, "{}:{}: {severity}: {path}: {message}\n    {help}", place.line, place.column);
        }
        for file in made.files.iter().filter(|file| !file.beside || !explained) {
            let _ = write!(text, "----- {}\n{}", file.name, file.text);
        }
        explained |= !made.files.is_empty();
    }
    text
}
