//! Which image the containers of a plan are made of, once that has been found out.
//!
//! An image's name may mean another one later, and a source be edited, but an instance that ends and starts again must not change
//! by that. Plans are told apart as things and not as values: all copies of one share its [`ContainerPlan`], and whoever wants
//! what an image is now makes a plan of its own.

use std::sync::{Arc, Mutex, PoisonError, Weak};

use crate::run::plan::ContainerPlan;

/// The id of an image for each plan that still is one.
#[derive(Debug, Default)]
pub(super) struct Settled(Mutex<Vec<(Weak<ContainerPlan>, String)>>);

impl Settled {
    /// What containers of this plan are made of.
    pub(super) fn of(&self, plan: &Arc<ContainerPlan>) -> Option<String> {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.iter().find(|(of, _)| of.as_ptr() == Arc::as_ptr(plan)).map(|(_, image)| image.clone())
    }

    /// From now on they are made of this, unless that was settled before.
    pub(super) fn settle(&self, plan: &Arc<ContainerPlan>, image: &str) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.retain(|(of, _)| of.strong_count() > 0);
        if known.iter().all(|(of, _)| of.as_ptr() != Arc::as_ptr(plan)) {
            known.push((Arc::downgrade(plan), image.to_owned()));
        }
    }
}
