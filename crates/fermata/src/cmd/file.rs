//! Finds, reads and checks the service.yml that a command is about, and prints what is wrong with it.

use std::io::IsTerminal;
use std::path::{Path, PathBuf};

use fermata_spec::{Severity, Spec};

use super::Failure;

/// A file that has passed its checks.
pub(super) struct Loaded {
    /// Where it is.
    pub(super) path: PathBuf,
    /// What it says.
    pub(super) spec: Spec,
}

/// Reads and checks `file`, or the one of this folder. `None` means that its errors have been printed.
pub(super) fn load(file: Option<&Path>) -> Result<Option<Loaded>, Failure> {
    let path = find(file)?;
    let text = read(&path)?;
    let outcome = fermata_spec::read(&text);
    let color = std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|no| no.is_empty());
    for diagnostic in outcome.diagnostics.iter().filter(|one| one.severity != Severity::Note) {
        anstream::eprintln!("{}\n", diagnostic.render(&path.display().to_string(), &text, color).trim_end());
    }
    Ok(outcome.spec.map(|spec| Loaded { path, spec }))
}

/// The file that is meant.
pub(super) fn find(file: Option<&Path>) -> Result<PathBuf, Failure> {
    if let Some(file) = file {
        return Ok(file.to_owned());
    }
    ["service.yml", "service.yaml"].into_iter().map(PathBuf::from).find(|path| path.exists()).ok_or_else(|| {
        Failure::Usage(
            "there is no service.yml in this folder; name the file, or write one (see fermata schema)".into(),
        )
    })
}

/// The file's text.
pub(super) fn read(path: &Path) -> Result<String, Failure> {
    std::fs::read_to_string(path).map_err(|error| {
        let why = match error.kind() {
            std::io::ErrorKind::NotFound => "there is no such file".to_owned(),
            std::io::ErrorKind::IsADirectory => "is a folder; name the service.yml in it".to_owned(),
            std::io::ErrorKind::InvalidData => "is not UTF-8 text".to_owned(),
            _ => error.to_string(),
        };
        Failure::Usage(format!("{}: {why}", path.display()))
    })
}
