//! `fermata render`: configuration for other programs.

use std::io::ErrorKind;
use std::path::Path;

use fermata_spec::SourceText;

use super::{Answer, Failure, file, remarks};
use crate::cli::Render;
use crate::render::{self, File, MARK, TARGETS};

/// Runs it.
pub fn run(args: &Render) -> Result<Answer, Failure> {
    let Some(name) = args.target.as_deref() else {
        for target in TARGETS {
            anstream::println!("{}  {}", target.name, target.about);
        }
        return Ok(Answer::Yes);
    };
    let target = render::target(name).ok_or_else(|| {
        let names: Vec<&str> = TARGETS.iter().map(|target| target.name).collect();
        Failure::Usage(format!("\"{name}\" is not a target; the targets are: {}", names.join(", ")))
    })?;
    let Some(loaded) = file::load(args.file.as_deref())? else { return Ok(Answer::No) };
    let rendered = target.render(&loaded.spec);
    let (name, text) = (loaded.path.display().to_string(), file::read(&loaded.path)?);
    anstream::eprint!("{}", remarks::lines(&SourceText::new(&name, &text), &rendered.said));
    match &args.output {
        None => rendered.files.iter().for_each(|file| anstream::print!("{}", file.text)),
        Some(folder) => {
            for file in &rendered.files {
                write(folder, file)?;
                let written = folder.join(file.name);
                anstream::eprintln!("{name}: written to {} ({})", written.display(), remarks::summary(&rendered.said));
            }
        }
    }
    Ok(Answer::Yes)
}

/// Writes a file, in the place of an earlier one of ours.
fn write(folder: &Path, file: &File) -> Result<(), Failure> {
    let path = folder.join(file.name);
    let failed = |error: std::io::Error| Failure::Usage(format!("{}: {error}", path.display()));
    match std::fs::read(&path) {
        Ok(earlier) if !earlier.starts_with(MARK.as_bytes()) => {
            let shown = path.display();
            return Err(Failure::Usage(format!(
                "{shown} was not written by fermata render; move it, or name another folder"
            )));
        }
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(failed(error)),
        _ => {}
    }
    std::fs::create_dir_all(folder).map_err(failed)?;
    std::fs::write(&path, &file.text).map_err(failed)
}
