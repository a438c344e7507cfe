//! How many instances of a service are there and how many are ready, for those that wait for it.

use tokio::sync::watch;

/// The instances of one service.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Tally {
    pub(super) there: usize,
    pub(super) ready: usize,
}

/// One instance in the tally of its service, until drop.
#[derive(Debug)]
pub(super) struct Presence {
    tally: watch::Sender<Tally>,
    readiness: Readiness,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Readiness {
    Ready,
    NotReady,
}

impl Presence {
    pub(super) fn new(tally: &watch::Sender<Tally>) -> Presence {
        tally.send_modify(|tally| tally.there += 1);
        Presence { tally: tally.clone(), readiness: Readiness::NotReady }
    }

    pub(super) fn ready(&mut self) {
        if self.readiness == Readiness::NotReady {
            self.readiness = Readiness::Ready;
            self.tally.send_modify(|tally| tally.ready += 1);
        }
    }

    pub(super) fn not_ready(&mut self) {
        if self.readiness == Readiness::Ready {
            self.readiness = Readiness::NotReady;
            self.tally.send_modify(|tally| tally.ready -= 1);
        }
    }
}

impl Drop for Presence {
    fn drop(&mut self) {
        self.not_ready();
        self.tally.send_modify(|tally| tally.there -= 1);
    }
}
