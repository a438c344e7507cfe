//! `fermata render`: configuration for other programs.

use std::io::ErrorKind;
use std::path::Path;

use fermata_spec::{Severity, SourceText};

use super::{Answer, Failure, file, remarks};
use crate::cli::Render;
use crate::render::{self, File, TARGETS};

/// Runs it.
pub fn run(args: &Render) -> Result<Answer, Failure> {
    let Some(name) = args.target.as_deref() else {
        let width = TARGETS.iter().map(|target| target.name.len()).max().unwrap_or_default();
        for target in TARGETS {
            anstream::println!("{:width$}  {}", target.name, target.about);
        }
        return Ok(Answer::Yes);
    };
    let target = render::target(name).ok_or_else(|| {
        let near = render::near(name);
        let meant = if near.is_empty() { String::new() } else { format!("did you mean {}? ", near.join(" or ")) };
        Failure::Usage(format!("\"{name}\" is not a target; {meant}fermata render --list names all of them"))
    })?;
    let Some(loaded) = file::load(args.file.as_deref())? else { return Ok(Answer::No) };
    let rendered = target.render(&loaded.spec);
    let (name, text) = (loaded.path.display().to_string(), file::read(&loaded.path)?);
    anstream::eprint!("{}", remarks::lines(&SourceText::new(&name, &text), &rendered.said));
    if rendered.said.iter().any(|said| said.severity == Severity::Error) {
        anstream::eprintln!("{name}: nothing was written");
        return Ok(Answer::No);
    }
    match &args.output {
        None => print(&rendered.files),
        Some(folder) => {
            rendered.files.iter().try_for_each(|file| may_replace(&folder.join(file.name)))?;
            for file in &rendered.files {
                write(folder, file)?;
            }
            let folder = folder.display();
            let files: Vec<String> = rendered.files.iter().map(|file| format!("{folder}/{}", file.name)).collect();
            anstream::eprintln!("{name}: written to {} ({})", files.join(", "), remarks::summary(&rendered.said));
        }
    }
    Ok(Answer::Yes)
}

/// The configuration itself; several YAML files are documents of one.
fn print(files: &[File]) {
    for (number, file) in files.iter().filter(|file| !file.beside).enumerate() {
        if number > 0 {
            anstream::println!("---");
        }
        anstream::print!("{}", file.text);
    }
}

/// Refuses to replace what somebody else has written.
fn may_replace(path: &Path) -> Result<(), Failure> {
    match std::fs::read(path) {
        Ok(earlier) if !File::is_ours(&earlier) => Err(Failure::Usage(format!(
            "{} was not written by fermata render; move it, or name another folder",
            path.display()
        ))),
        Err(error) if error.kind() != ErrorKind::NotFound => {
            Err(Failure::Usage(format!("{}: {error}", path.display())))
        }
        _ => Ok(()),
    }
}

fn write(folder: &Path, file: &File) -> Result<(), Failure> {
    let path = folder.join(file.name);
    let failed = |error: std::io::Error| Failure::Usage(format!("{}: {error}", path.display()));
    std::fs::create_dir_all(folder).map_err(failed)?;
    std::fs::write(&path, &file.text).map_err(failed)
}
