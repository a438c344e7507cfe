//! Tells what happens to one instance: to everybody by events, and to those that require it by the tally.

use std::time::Duration;

use tokio::sync::mpsc::UnboundedSender;
use tokio::time::Instant;

use super::event::{Addresses, Cause, Event, InstanceName, Progress};
use super::presence::Presence;

/// When somebody is told that an instance is taking its time.
const PATIENCE: Duration = Duration::from_secs(10);

/// Tells each change once.
pub(super) struct Herald {
    instance: InstanceName,
    events: UnboundedSender<Event>,
    presence: Presence,
    started: Instant,
    addresses: Addresses,
    last: Last,
}

/// What was told last about its readiness.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Last {
    Nothing,
    Waiting,
    Ready,
    NotReady,
}

impl Herald {
    pub(super) fn new(instance: InstanceName, events: UnboundedSender<Event>, presence: Presence) -> Herald {
        let addresses = Addresses::default();
        Herald { instance, events, presence, started: Instant::now(), addresses, last: Last::Nothing }
    }

    /// It is about to be started.
    pub(super) fn starts(&mut self) {
        self.started = Instant::now();
        self.last = Last::Nothing;
        self.tell(Event::Starting(self.instance.clone()));
    }

    /// It was started by another Fermata, `up` ago, and what there was to tell of it has been told.
    pub(super) fn goes_on(&mut self, up: Duration, ready: bool) {
        let now = Instant::now();
        self.started = now.checked_sub(up).unwrap_or(now);
        if ready {
            self.last = Last::Ready;
            self.presence.ready();
        }
    }

    /// It was found running, `up` after its start.
    pub(super) fn finds(&mut self, up: Duration) {
        self.goes_on(up, false);
        self.tell(Event::Found { instance: self.instance.clone(), up });
    }

    /// Whether it takes traffic.
    pub(super) fn is_ready(&self) -> bool {
        self.last == Last::Ready
    }

    /// When it was started.
    pub(super) fn started(&self) -> Instant {
        self.started
    }

    /// It has been started, and is to listen at `addresses`.
    pub(super) fn is_at(&mut self, addresses: Addresses) {
        self.addresses = addresses;
    }

    /// Its check passed.
    pub(super) fn passes(&mut self) {
        if self.last != Last::Ready {
            self.last = Last::Ready;
            self.presence.ready();
            self.tell(Event::Ready { instance: self.instance.clone(), addresses: self.addresses.clone() });
        }
    }

    /// Its check failed.
    pub(super) fn fails(&mut self, reason: String) {
        let instance = self.instance.clone();
        match self.last {
            Last::Nothing if self.started.elapsed() >= PATIENCE => {
                self.last = Last::Waiting;
                self.tell(Event::Waiting { instance, reason });
            }
            Last::Ready => {
                self.last = Last::NotReady;
                self.presence.not_ready();
                self.tell(Event::NotReady { instance, reason });
            }
            Last::Nothing | Last::Waiting | Last::NotReady => {}
        }
    }

    /// It ended, or is about to be ended, and will be started again.
    pub(super) fn exited(&mut self, cause: Cause, restart_in: Duration) {
        self.presence.not_ready();
        self.tell(Event::Exited { instance: self.instance.clone(), cause, restart_in });
    }

    /// It is about to be ended for good.
    pub(super) fn stops(&mut self) {
        self.presence.not_ready();
        self.tell(Event::Stopping(self.instance.clone()));
    }

    /// Nothing of it is left.
    pub(super) fn stopped(&mut self) {
        self.tell(Event::Stopped(self.instance.clone()));
    }

    /// Something about it that somebody should look at.
    pub(super) fn trouble(&self, text: impl std::fmt::Display) {
        self.tell(Event::Trouble(format!("{}: {text}", self.instance)));
    }

    /// Something about it that takes its time.
    pub(super) fn progress(&self, progress: Progress) {
        self.tell(Event::Progress { about: Some(self.instance.clone()), progress });
    }

    /// How long ago it was started.
    pub(super) fn up(&self) -> Duration {
        self.started.elapsed()
    }

    fn tell(&self, event: Event) {
        // An instance whose events nobody takes still lives.
        let _ = self.events.send(event);
    }
}
