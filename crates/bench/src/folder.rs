//! The folder of a run, gone at its end however it ends.

use std::io;
use std::path::{Path, PathBuf};
use std::thread;

use tempfile::TempDir;

/// A temporary folder.
pub(crate) struct Folder(TempDir);

impl Folder {
    /// A folder that goes with Ctrl-C or SIGTERM too. The processes of the run end with this one, see `child`.
    pub(crate) fn new() -> io::Result<Folder> {
        let folder = tempfile::Builder::new().prefix("fermata-bench-").tempdir()?;
        let path = folder.path().to_owned();
        thread::spawn(move || remove_when_told(&path));
        Ok(Folder(folder))
    }

    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }
}

fn remove_when_told(path: &PathBuf) {
    use tokio::signal::unix::{SignalKind, signal};
    let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_all().build() else { return };
    runtime.block_on(async {
        let (Ok(mut interrupt), Ok(mut terminate)) = (signal(SignalKind::interrupt()), signal(SignalKind::terminate()))
        else {
            return;
        };
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
        // It is a folder of ours in a temporary one: what cannot be removed is swept with the rest there.
        let _ = std::fs::remove_dir_all(path);
        std::process::exit(130);
    });
}
