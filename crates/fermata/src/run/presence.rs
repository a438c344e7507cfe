//! How many instances of a service are ready, for those that wait for it.

use tokio::sync::watch;

/// The number of ready instances of one service.
pub(super) type Tally = watch::Sender<usize>;

/// One instance in the tally of its service, until drop.
#[derive(Debug)]
pub(super) struct Presence {
    tally: Tally,
    readiness: Readiness,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Readiness {
    Ready,
    NotReady,
}

impl Presence {
    pub(super) fn new(tally: &Tally) -> Presence {
        Presence { tally: tally.clone(), readiness: Readiness::NotReady }
    }

    pub(super) fn ready(&mut self) {
        if self.readiness == Readiness::NotReady {
            self.readiness = Readiness::Ready;
            self.tally.send_modify(|ready| *ready += 1);
        }
    }

    pub(super) fn not_ready(&mut self) {
        if self.readiness == Readiness::Ready {
            self.readiness = Readiness::NotReady;
            self.tally.send_modify(|ready| *ready -= 1);
        }
    }
}

impl Drop for Presence {
    fn drop(&mut self) {
        self.not_ready();
    }
}
