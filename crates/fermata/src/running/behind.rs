//! Tunnels that stay in an older process: they count here as long as they live there, and are closed there when they would be
//! closed here.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::rc::Rc;
use std::sync::Arc;

use tokio::sync::mpsc;
use tokio::task::AbortHandle;

use crate::handover::manifest::Staying;
use crate::handover::{AreToEnd, HaveEnded, Tie};
use crate::public::Pools;
use crate::route::{Admission, Lease, Place, Places};
use crate::tunnel::{TunnelId, Which};
use crate::workers::Drain;

/// An older process, and its tunnels.
pub(super) struct Behind {
    tie: Rc<Tie>,
    tunnels: Rc<RefCell<BTreeMap<u64, Counted>>>,
    listening: AbortHandle,
}

/// One of its tunnels, as far as it counts.
struct Counted {
    record: Staying,
    _lease: Option<Lease>,
    _admission: Option<Admission>,
    _place: Option<Place>,
}

impl Drop for Behind {
    fn drop(&mut self) {
        self.listening.abort();
    }
}

impl Behind {
    /// Counts these until they have ended, or the process that has them has.
    pub(super) fn count(tie: Tie, tunnels: Vec<Staying>, pools: &Pools, places: &Arc<Places>) -> Behind {
        let counted = tunnels.into_iter().map(|record| {
            let service: Arc<str> = record.service.as_str().into();
            let endpoints = pools.endpoints(&service);
            let endpoint = endpoints.iter().find(|one| *one.instance == *record.instance);
            let counted = Counted {
                _lease: endpoint.map(|one| pools.hold(&service, &one.instance, &one.target)),
                _admission: pools.guests(&service).admit(record.client, None, None).ok(),
                _place: places.take(None),
                record,
            };
            (counted.record.id, counted)
        });
        let (tie, tunnels) = (Rc::new(tie), Rc::new(RefCell::new(counted.collect())));
        let listening = listen(&tie, &tunnels);
        Behind { tie, tunnels, listening }
    }

    /// For the next process: what is counted now. Until [`Behind::go_on`] nothing changes it.
    pub(super) fn hold_still(&self) -> Vec<Staying> {
        self.listening.abort();
        self.tunnels.borrow().values().map(|one| one.record.clone()).collect()
    }

    /// There is no next process.
    pub(super) fn go_on(&mut self) {
        self.listening = listen(&self.tie, &self.tunnels);
    }

    /// How many of them a choice means.
    pub(super) fn how_many(&self, which: &Which) -> usize {
        let means = |one: &Staying| {
            let to = |name: &str| name == one.service || name == one.instance;
            (which.ids.is_empty() || which.ids.contains(&TunnelId(one.id)))
                && which.to.as_deref().is_none_or(to)
                && which.client.is_none_or(|client| client == one.client)
        };
        self.tunnels.borrow().values().filter(|one| means(&one.record)).count()
    }

    /// Whether nothing is left of it.
    pub(super) fn is_over(&self) -> bool {
        self.listening.is_finished()
    }

    /// What it is told through.
    pub(super) fn tie(&self) -> &Rc<Tie> {
        &self.tie
    }
}

fn listen(tie: &Rc<Tie>, tunnels: &Rc<RefCell<BTreeMap<u64, Counted>>>) -> AbortHandle {
    let (tie, tunnels) = (tie.clone(), tunnels.clone());
    let listening = async move {
        while let Some(HaveEnded(ids)) = tie.hear().await {
            let mut tunnels = tunnels.borrow_mut();
            for id in ids {
                tunnels.remove(&id);
            }
        }
        tunnels.borrow_mut().clear();
    };
    tokio::task::spawn_local(listening).abort_handle()
}

/// Tells older processes of every drain.
pub(super) fn pass_on(ties: Vec<Rc<Tie>>, mut drains: mpsc::UnboundedReceiver<Drain>) -> AbortHandle {
    let passing = async move {
        while let Some(Drain { which, close, over }) = drains.recv().await {
            let client: Option<IpAddr> = which.client;
            let word = AreToEnd {
                ids: which.ids.iter().map(|id| id.0).collect(),
                to: which.to.as_deref().map(str::to_owned),
                client,
                code: close.code.0,
                reason: close.reason.to_string(),
                over,
            };
            for tie in &ties {
                tie.say(&word).await;
            }
        }
    };
    tokio::task::spawn_local(passing).abort_handle()
}
