//! How often it was said that everything is to end: by signals, and by the guard of a process that took over. A shell's
//! Ctrl-C reaches both, and both tell: the same word twice is one word.

use std::rc::Rc;

use tokio::sync::mpsc;

use crate::handover::{Ward, Word};

/// Who may say it, and how often each has.
pub(super) struct Stops {
    signals: mpsc::Receiver<()>,
    ward: Option<Rc<Ward>>,
    reload: mpsc::Sender<()>,
    by_signal: u32,
    by_guard: u32,
    told: u32,
}

impl Stops {
    /// By signals alone.
    pub(super) fn new(signals: mpsc::Receiver<()>) -> Stops {
        let (reload, _) = mpsc::channel(1);
        Stops { signals, ward: None, reload, by_signal: 0, by_guard: 0, told: 0 }
    }

    /// By a guard, too, which may also tell to reload.
    pub(super) fn listen_to(&mut self, ward: Rc<Ward>, reload: mpsc::Sender<()>) {
        (self.ward, self.reload) = (Some(ward), reload);
    }

    /// Somebody else listens to it now.
    pub(super) fn forget_the_guard(&mut self) {
        self.ward = None;
    }

    /// Returns when it is said once more.
    pub(super) async fn next(&mut self) {
        loop {
            let guard = async {
                match &self.ward {
                    Some(ward) => ward.hear().await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                Some(()) = self.signals.recv() => self.by_signal += 1,
                word = guard => match word {
                    Word::Stop => self.by_guard += 1,
                    // One that waits already is as good.
                    Word::Reload => drop(self.reload.try_send(())),
                },
                else => std::future::pending().await,
            }
            let told = self.by_signal.max(self.by_guard);
            if told > self.told {
                self.told = told;
                return;
            }
        }
    }
}
