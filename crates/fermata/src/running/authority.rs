//! The certificate authority of a running file: asked for certificates as long as the file names it.

use fermata_spec::Spec;
use tokio::sync::mpsc;
use tokio::task::AbortHandle;

use super::{Notice, Running};
use crate::acme::{self, Ordering, Said};
use crate::app::Place;
use crate::tls::Challenges;

/// An authority that is being asked, until this is dropped.
pub(super) struct Authority {
    ordering: Ordering,
    task: AbortHandle,
}

impl Drop for Authority {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Authority {
    /// The authority that a file names.
    pub(super) fn of(
        spec: &Spec,
        place: &Place,
        challenges: &Challenges,
        notices: &mpsc::Sender<Notice>,
    ) -> Option<Authority> {
        let acme = spec.tls.acme.clone()?;
        let root = acme.root.as_ref().map(|root| place.folder.join(root));
        let ordering = Ordering { acme, root, state: place.state.clone() };
        let (wanted, challenges, notices) = (ordering.clone(), challenges.clone(), notices.clone());
        let keeping = async move {
            let tell = async |said| {
                let notice = match said {
                    Said::Issued(text) => Notice::Done(text),
                    Said::Failed(text) => Notice::Warning(text),
                };
                // Without a listener there is nobody to tell.
                let _ = notices.send(notice).await;
            };
            acme::keep(wanted, challenges, tell).await;
        };
        Some(Authority { ordering, task: tokio::task::spawn_local(keeping).abort_handle() })
    }
}

impl Running {
    /// After a reload: another authority, or other names. An order under way for what stays the same goes on.
    pub(super) fn renew_authority(&mut self) {
        let next = self.spec.tls.acme.as_ref();
        if self.authority.as_ref().map(|authority| &authority.ordering.acme) != next {
            self.authority = Authority::of(&self.spec, &self.place, &self.shared.challenges, &self.outside.notices);
        }
    }
}
