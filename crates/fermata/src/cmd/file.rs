//! Finds, reads and checks the service.yml that a command is about, and prints what is wrong with it.

use std::io::{IsTerminal, Read};
use std::path::{Path, PathBuf};

use fermata_spec::{Severity, Spec};
use notify::event::{AccessKind, AccessMode, ModifyKind};
use notify::{EventKind, RecursiveMode, Watcher};
use tokio::sync::mpsc;

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

/// The file's text, or as much of it as shows that it is too large to be read.
pub(super) fn read(path: &Path) -> Result<String, Failure> {
    read_bounded(path).map_err(|error| {
        let why = match error.kind() {
            std::io::ErrorKind::NotFound => "there is no such file".to_owned(),
            std::io::ErrorKind::IsADirectory => "is a folder; name the service.yml in it".to_owned(),
            std::io::ErrorKind::InvalidData => "is not UTF-8 text".to_owned(),
            _ => error.to_string(),
        };
        Failure::Usage(format!("{}: {why}", path.display()))
    })
}

fn read_bounded(path: &Path) -> std::io::Result<String> {
    let most = fermata_spec::MAX_BYTES;
    let mut bytes = Vec::new();
    // A character more than the most, so that a cut through one does not matter.
    std::fs::File::open(path)?.take(most as u64 + 4).read_to_end(&mut bytes)?;
    match String::from_utf8(bytes) {
        Ok(text) => Ok(text),
        Err(error) if error.utf8_error().valid_up_to() > most => {
            Ok(String::from_utf8_lossy(error.as_bytes()).into_owned())
        }
        Err(_) => Err(std::io::ErrorKind::InvalidData.into()),
    }
}

/// Reads and checks a file again, while it runs: an error is everything that is wrong with it, for people.
pub(super) fn reread(path: &Path) -> Result<Spec, String> {
    let text = read(path).map_err(|failure| failure.to_string())?;
    let outcome = fermata_spec::read(&text);
    outcome.spec.ok_or_else(|| {
        let errors = outcome.diagnostics.iter().filter(|one| one.severity == Severity::Error);
        let shown: Vec<String> =
            errors.map(|error| error.render(&path.display().to_string(), &text, false).trim_end().to_owned()).collect();
        format!("the file has errors, and nothing was changed\n{}", shown.join("\n"))
    })
}

/// Tells of changes of a file, until dropped. Its folder is watched, since editors replace files by renaming.
pub(super) fn watch(path: &Path, changed: mpsc::Sender<()>) -> Option<impl Watcher + use<>> {
    let name = path.file_name()?.to_owned();
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
        let Ok(event) = event else { return };
        let written = matches!(
            event.kind,
            EventKind::Access(AccessKind::Close(AccessMode::Write))
                | EventKind::Create(_)
                | EventKind::Modify(ModifyKind::Name(_))
        );
        if written && event.paths.iter().any(|path| path.file_name() == Some(&name)) {
            // A full channel has the news already.
            let _ = changed.try_send(());
        }
    })
    .ok()?;
    watcher.watch(folder, RecursiveMode::NonRecursive).ok()?;
    Some(watcher)
}
