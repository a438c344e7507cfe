//! Watches the files of certificates and offers new ones as soon as they are whole.
//!
//! The folders are watched, not the files: editors, certbot and Kubernetes replace files by renaming. What happens there
//! may concern other files, so what counts is whether the contents have changed.

use std::time::Duration;

use notify::{EventKind, RecursiveMode, Watcher};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::sleep;

use super::certificates::{Certificates, Loaded};

/// Changes that come together are looked at together.
const SETTLE: Duration = Duration::from_millis(200);
/// A certificate and its key come one after the other, perhaps in two uploads.
const PAIRING: Duration = Duration::from_secs(1);

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

/// Renews `certificates`, of which `loaded` is offered now, whenever their files change. What cannot be used changes nothing,
/// and is told.
pub fn watch(certificates: Certificates, loaded: Loaded, tell: impl Fn(String) + 'static) -> Watch {
    let (notify, changes) = mpsc::channel(1);
    let folders = loaded.folders();
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
            let following = follow(watcher, changes, certificates, loaded, tell);
            Watch { task: Some(tokio::task::spawn_local(following)) }
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
    mut loaded: Loaded,
    tell: impl Fn(String),
) {
    let mut told = Vec::new();
    loop {
        let mut renewal = loaded.renew();
        if !renewal.troubles.is_empty() {
            sleep(PAIRING).await;
            let renewed = std::mem::take(&mut renewal.renewed);
            renewal = loaded.renew();
            renewal.renewed.extend(renewed);
        }
        if !renewal.renewed.is_empty() {
            certificates.offer(&loaded);
        }
        for file in &renewal.renewed {
            tracing::info!(target: "certificates", file = %file.display(), "renewed");
        }
        let troubles: Vec<String> = renewal.troubles.iter().map(ToString::to_string).collect();
        for trouble in troubles.iter().filter(|trouble| !told.contains(*trouble)) {
            tell(format!("a certificate stays as it was: {trouble}"));
        }
        told = troubles;
        if changes.recv().await.is_none() {
            return;
        }
        sleep(SETTLE).await;
        // What came meanwhile is about to be seen.
        let _ = changes.try_recv();
    }
}
