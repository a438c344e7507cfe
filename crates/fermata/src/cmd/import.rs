//! `fermata import`: a service.yml from a compose.yml or from Kamal's deploy.yml.

use std::fs::OpenOptions;
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

use fermata_spec::diagnostic::codes;
use fermata_spec::{Severity, SourceText};

use super::{Answer, Failure, file, remarks};
use crate::cli::Import;
use crate::import::{self, Dialect, Imported};

/// Runs it.
pub fn run(args: &Import) -> Result<Answer, Failure> {
    let text = file::read(&args.file)?;
    let name = args.file.display().to_string();
    let source = SourceText::new(&name, &text);
    let imported = match import::import(&text, &folder(&args.file)?) {
        Ok(imported) => imported,
        Err(said) => {
            for one in &said {
                match codes::find(one.code) {
                    Some(_) => anstream::eprintln!("{}", source.render(one, true)),
                    None => anstream::eprint!("{}", remarks::lines(&source, std::slice::from_ref(one))),
                }
            }
            return Ok(Answer::No);
        }
    };
    anstream::eprint!("{}", remarks::lines(&source, &imported.said));
    still_good(&imported)?;
    match &args.output {
        None => anstream::print!("{}", imported.text),
        Some(path) => {
            write(path, &imported.text)?;
            let shown = path.display();
            anstream::eprintln!(
                "{name}: written to {shown} ({}); next: fermata check {shown}",
                remarks::summary(&imported.said)
            );
        }
    }
    Ok(Answer::Yes)
}

/// The folder that relative paths of the file start at: Kamal's start above config/.
fn folder(path: &Path) -> Result<String, Failure> {
    let whole = std::path::absolute(path).map_err(|error| Failure::Usage(format!("{}: {error}", path.display())))?;
    let folder = whole.parent().unwrap_or(Path::new("/"));
    let above = if folder.ends_with("config") { folder.parent().unwrap_or(folder) } else { folder };
    Ok(above.display().to_string())
}

/// What is written must be accepted: that it always is, is what the tests are for.
fn still_good(imported: &Imported) -> Result<(), Failure> {
    let said = fermata_spec::read(&imported.text).diagnostics;
    let errors: Vec<String> = said
        .iter()
        .filter(|one| one.severity == Severity::Error)
        .map(|one| SourceText::new("service.yml", &imported.text).render(one, false))
        .collect();
    if errors.is_empty() {
        return Ok(());
    }
    let whose = match imported.dialect {
        Dialect::Compose => "compose file",
        Dialect::Kamal => "deploy.yml",
    };
    Err(Failure::No(format!("this {whose} becomes a service.yml with errors; correct them in it\n{}", errors.concat())))
}

/// Writes a file that is not there yet.
fn write(path: &PathBuf, text: &str) -> Result<(), Failure> {
    let shown = path.display();
    let failed = |error: std::io::Error| match error.kind() {
        ErrorKind::AlreadyExists => {
            Failure::Usage(format!("{shown} is there already; remove it, or name another file"))
        }
        _ => Failure::Usage(format!("{shown}: {error}")),
    };
    let mut file = OpenOptions::new().write(true).create_new(true).open(path).map_err(failed)?;
    file.write_all(text.as_bytes()).map_err(failed)
}
