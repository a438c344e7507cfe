//! The law of the house: ARCHITECTURE.md says who may import whom, what may stand where, and what every file is. This
//! reads it there, and fails where the code says otherwise.

mod law;
mod source;

use std::collections::BTreeSet;
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::{env, fs};

use law::Law;
use source::{Name, Source};

#[test]
fn nobody_imports_what_the_law_forbids() {
    let (law, house) = (Law::read(&repository()), House::walk());
    let mut breaches = String::new();
    for source in &house.sources {
        for rule in law.never.iter().filter(|rule| rule.who.contains(&source.room)) {
            for path in source.paths() {
                if let Some(forbidden) = rule.what.iter().find(|what| house.is(source, &path.name, what)) {
                    let _ = writeln!(
                        breaches,
                        "{}:{}: `{}` never imports `{forbidden}`: {}",
                        source.file, path.line, source.room, rule.because
                    );
                }
            }
        }
    }
    assert!(breaches.is_empty(), "\n{breaches}");
}

#[test]
fn no_crate_depends_on_what_the_law_forbids() {
    let law = Law::read(&repository());
    let mut breaches = String::new();
    for (room, manifest) in crates() {
        let text = fs::read_to_string(repository().join(&manifest)).expect("every crate has a manifest");
        for rule in law.never.iter().filter(|rule| rule.who.contains(&room)) {
            for (line, dependency) in source::dependencies(&text) {
                if rule.what.contains(&dependency) {
                    let _ = writeln!(
                        breaches,
                        "{manifest}:{line}: `{room}` never depends on `{dependency}`: {}",
                        rule.because
                    );
                }
            }
        }
    }
    assert!(breaches.is_empty(), "\n{breaches}");
}

#[test]
fn what_has_one_place_stands_nowhere_else() {
    let (law, house) = (Law::read(&repository()), House::walk());
    let mut breaches = String::new();
    for source in &house.sources {
        for rule in law.only.iter().filter(|rule| !rule.who.contains(&source.room)) {
            for (line, word) in source.words() {
                if rule.what.contains(&word) {
                    let places: Vec<String> = rule.who.iter().map(|room| format!("`{room}`")).collect();
                    let _ = writeln!(
                        breaches,
                        "{}:{line}: `{word}` stands only in {}: {}",
                        source.file,
                        places.join(", "),
                        rule.because
                    );
                }
            }
        }
    }
    assert!(breaches.is_empty(), "\n{breaches}");
}

#[test]
fn the_law_speaks_of_rooms_that_exist() {
    let (law, house) = (Law::read(&repository()), House::walk());
    let rooms: BTreeSet<&str> = house.sources.iter().map(|source| source.room.as_str()).collect();
    let named: BTreeSet<&str> =
        law.never.iter().chain(&law.only).flat_map(|rule| &rule.who).map(String::as_str).collect();
    let unknown: Vec<&&str> = named.difference(&rooms).collect();
    assert!(unknown.is_empty(), "ARCHITECTURE.md makes rules for {unknown:?}, which is neither a crate nor a module");
}

#[test]
fn every_file_is_on_the_map() {
    let law = Law::read(&repository());
    // A folder's `mod.rs` is the folder.
    let found: BTreeSet<String> = files().into_iter().map(|file| file.trim_end_matches("mod.rs").to_owned()).collect();
    let found: BTreeSet<String> = found.iter().cloned().chain(found.iter().flat_map(|file| folders_of(file))).collect();
    let unlisted: Vec<&String> = found.difference(&law.map).collect();
    let gone: Vec<&String> = law.map.difference(&found).collect();
    assert!(
        unlisted.is_empty() && gone.is_empty(),
        "the map in ARCHITECTURE.md\n does not have: {unlisted:#?}\n has, though it is gone: {gone:#?}"
    );
}

/// All source files of our crates.
struct House {
    sources: Vec<Source>,
    /// The modules at the top of the `fermata` crate.
    modules: BTreeSet<String>,
}

impl House {
    fn walk() -> House {
        let mut sources = Vec::new();
        let of_a_crate = |file: &String| crates().iter().any(|(name, _)| file.starts_with(&format!("crates/{name}/")));
        for file in files().into_iter().filter(of_a_crate).filter(|file| has_extension(file, "rs")) {
            let text = fs::read_to_string(repository().join(&file)).expect("a listed file can be read");
            sources.push(Source::new(file, &text));
        }
        // What only tests need is no part of the program.
        let tests: BTreeSet<String> = sources
            .iter()
            .filter(|source| sources.iter().any(|other| source.is_test_of(other)))
            .map(|source| source.file.clone())
            .collect();
        sources.retain(|source| !tests.contains(&source.file));
        let modules = sources
            .iter()
            .filter(|source| source.file.starts_with(FERMATA) && source.room != "fermata")
            .map(|source| source.room.clone())
            .collect();
        House { sources, modules }
    }

    /// Whether a name in the code is what the law calls `what`: a module of ours, or a path of somebody else's crate.
    fn is(&self, source: &Source, name: &Name, what: &str) -> bool {
        match name {
            Name::Ours(path) => {
                source.file.starts_with(FERMATA)
                    && self.modules.contains(what)
                    && path.first().is_some_and(|room| room == what)
            }
            Name::Theirs(path) => {
                let what: Vec<&str> = what.split("::").collect();
                !self.modules.contains(what[0])
                    && path.len() >= what.len()
                    && path.iter().zip(what).all(|(a, b)| a == b)
            }
        }
    }
}

const FERMATA: &str = "crates/fermata/src/";

/// Each crate's room and manifest.
fn crates() -> Vec<(String, String)> {
    ["wire", "spec", "fermata"].map(|name| (name.to_owned(), format!("crates/{name}/Cargo.toml"))).to_vec()
}

/// Every file under `src` of our crates, the bench and the chores, by its path from the top of the repository.
fn files() -> BTreeSet<String> {
    let top = repository();
    let mut found = BTreeSet::new();
    let mut folders: Vec<PathBuf> = ["crates/wire", "crates/spec", "crates/fermata", "crates/bench", "xtask"]
        .map(|one| top.join(one).join("src"))
        .to_vec();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display())) {
            let path = entry.expect("a folder can be listed").path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let short = path.strip_prefix(&top).expect("it is inside the repository");
                found.insert(short.to_str().expect("file names are UTF-8").to_owned());
            }
        }
    }
    found
}

/// The folders below `src` that a file is in.
fn folders_of(file: &str) -> impl Iterator<Item = String> {
    let src = file.find("/src/").map_or(file.len(), |at| at + "/src/".len());
    file.match_indices('/').map(|(at, _)| at + 1).filter(move |end| *end > src).map(|end| file[..end].to_owned())
}

fn has_extension(file: &str, extension: &str) -> bool {
    Path::new(file).extension().is_some_and(|it| it == extension)
}

fn repository() -> PathBuf {
    let manifest = env::var_os("CARGO_MANIFEST_DIR").map_or_else(|| env!("CARGO_MANIFEST_DIR").into(), PathBuf::from);
    manifest.join("../..").canonicalize().expect("the crate is inside its repository")
}
