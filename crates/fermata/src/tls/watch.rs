//! Watches the files of certificates and offers new ones as soon as they are whole.
//!
//! The folders are watched, not the files: editors, certbot and Kubernetes replace files by renaming.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use notify::{EventKind, RecursiveMode, Watcher};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

use super::certificates::{Certificates, Loaded};

/// A certificate and its key come one after the other; this long without a change means that both are there.
const SETTLE: Duration = Duration::from_millis(200);

/// A watch, until it is dropped.
pub struct Watch {
    task: Option<JoinHandle<()>>,
}

impl Drop for Watch {
    fn drop(&mut self) {
        if let Some(task) = &self.task {
            task.abort();
        }
    }
}

/// Reloads `certificates` whenever one of `files` changes. What cannot be used changes nothing, and is told.
pub fn watch(certificates: Certificates, files: Vec<(PathBuf, PathBuf)>, tell: impl Fn(String) + 'static) -> Watch {
    let (notify, changes) = mpsc::channel(1);
    let folders: BTreeSet<PathBuf> =
        files.iter().flat_map(|(cert, key)| [cert, key]).map(|file| folder_of(file)).collect();
    if folders.is_empty() {
        return Watch { task: None };
    }
    let watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
        // Reading the files ourselves is no change. A full channel has the news already.
        if !event.is_ok_and(|event| matches!(event.kind, EventKind::Access(_))) {
            let _ = notify.try_send(());
        }
    });
    let watching = watcher.and_then(|mut watcher| {
        folders.iter().try_for_each(|folder| watcher.watch(folder, RecursiveMode::NonRecursive)).map(|()| watcher)
    });
    match watching {
        Ok(watcher) => {
            Watch { task: Some(tokio::task::spawn_local(follow(watcher, changes, certificates, files, tell))) }
        }
        Err(error) => {
            tell(format!("changes of the certificates will not be noticed: {error}"));
            Watch { task: None }
        }
    }
}

async fn follow(
    _watcher: impl Watcher,
    mut changes: mpsc::Receiver<()>,
    certificates: Certificates,
    files: Vec<(PathBuf, PathBuf)>,
    tell: impl Fn(String),
) {
    while changes.recv().await.is_some() {
        while timeout(SETTLE, changes.recv()).await.is_ok_and(|change| change.is_some()) {}
        // A certificate whose key has not come yet does not match; once more, then it is an error.
        let outcome = match Loaded::read(&files) {
            Ok(loaded) => Ok(loaded),
            Err(_) => {
                sleep(SETTLE * 5).await;
                Loaded::read(&files)
            }
        };
        match outcome {
            Ok(loaded) => {
                certificates.offer(loaded);
                tracing::info!(target: "certificates", "certificates were read again");
            }
            Err(error) => tell(format!("the certificates stay as they were: {error}")),
        }
    }
}

fn folder_of(file: &Path) -> PathBuf {
    file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new(".")).to_owned()
}
