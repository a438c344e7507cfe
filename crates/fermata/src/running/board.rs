//! The status address of a running file: served as long as the file names it.

use std::net::TcpListener;
use std::sync::Arc;

use tokio::task::AbortHandle;

use super::Running;
use crate::admin;

/// The status address, served until this is dropped.
pub(super) struct Board {
    listener: Arc<TcpListener>,
    task: AbortHandle,
}

impl Drop for Board {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Running {
    /// Serves the status address of now, and no other.
    pub(super) fn show(&mut self) {
        let wanted = self.bound.status();
        if self
            .board
            .as_ref()
            .map(|board| &board.listener)
            .zip(wanted)
            .is_some_and(|(now, next)| Arc::ptr_eq(now, next))
        {
            return;
        }
        self.board = wanted.and_then(|listener| match listener.try_clone() {
            Ok(copy) => {
                let serving = admin::serve_status(copy, self.visits.clone());
                Some(Board { listener: listener.clone(), task: tokio::task::spawn_local(serving).abort_handle() })
            }
            Err(error) => {
                tracing::error!(%error, "cannot accept at the status address");
                None
            }
        });
    }
}
