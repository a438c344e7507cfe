//! What is known of what runs: each instance's state, the last lines of output, and what is still waited for.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use tokio::time::Instant;

use crate::admin::{Asking, Reply};
use crate::public::shown;
use crate::run::{Event, Line, Plan};

/// Lines of output that are remembered for `fermata logs`.
pub(super) const REMEMBERED: usize = 1000;

/// What is known of an instance.
#[derive(Debug, Clone)]
pub(super) struct Seen {
    pub(super) service: Arc<str>,
    pub(super) state: &'static str,
    pub(super) address: String,
    pub(super) since: Option<Instant>,
    pub(super) restarts: u32,
    /// Why it is not ready, where that was told.
    pub(super) reason: Option<String>,
}

/// The states that there are.
const STATES: [&str; 6] = ["starting", "ready", "not ready", "waiting", "stopping", "external"];

/// The state of this name; one that nobody knows here will be told anew.
pub(super) fn state_of(name: &str) -> &'static str {
    STATES.into_iter().find(|state| *state == name).unwrap_or("starting")
}

/// Keeps the instances' states true to what they do.
pub(super) fn note(instances: &mut BTreeMap<String, Seen>, event: &Event) {
    let (instance, state) = match event {
        Event::Starting(instance) | Event::Found { instance, .. } | Event::Waiting { instance, .. } => {
            (instance, "starting")
        }
        Event::Ready { instance, .. } | Event::Well { instance, .. } => (instance, "ready"),
        Event::NotReady { instance, .. } | Event::Unwell { instance, .. } => (instance, "not ready"),
        Event::Exited { instance, .. } => (instance, "waiting"),
        Event::Stopping(instance) => (instance, "stopping"),
        Event::Stopped(instance) => return drop(instances.remove(&instance.to_string())),
        Event::Swept { .. } | Event::Trouble(_) | Event::Progress { .. } => return,
    };
    let seen = instances.entry(instance.to_string()).or_insert_with(|| Seen {
        service: instance.service.clone(),
        state,
        address: String::new(),
        since: None,
        restarts: 0,
        reason: None,
    });
    seen.state = state;
    seen.reason = match event {
        Event::Waiting { reason, .. } | Event::NotReady { reason, .. } => Some(reason.clone()),
        Event::Exited { cause, .. } => Some(cause.to_string()),
        // A new start does not say why the last one failed, and takes nothing back.
        Event::Starting(_) | Event::Found { .. } => seen.reason.take(),
        _ => None,
    };
    match event {
        Event::Starting(_) => seen.since = Some(Instant::now()),
        Event::Found { up, .. } => seen.since = Instant::now().checked_sub(*up),
        Event::Exited { .. } => {
            seen.since = None;
            seen.restarts += 1;
        }
        Event::Ready { addresses, .. } if !addresses.is_empty() => {
            let all: Vec<String> = addresses.iter().map(|(_, address)| address.to_string()).collect();
            seen.address = all.join(" ");
        }
        _ => {}
    }
}

/// What runs already, for status.
pub(super) fn external(plan: &Plan) -> BTreeMap<String, Seen> {
    let all = plan.running.iter().flat_map(|service| {
        service.places.iter().map(|place| {
            let seen = Seen {
                service: service.name.clone(),
                state: "external",
                address: shown(&place.address),
                since: None,
                restarts: 0,
                reason: None,
            };
            (place.name.to_string(), seen)
        })
    });
    all.collect()
}

/// The last lines of output, and who wants more of them.
#[derive(Default)]
pub(super) struct Tail {
    pub(super) lines: VecDeque<(Instant, Line)>,
    pub(super) followers: Vec<(Option<String>, Asking)>,
}

impl Tail {
    /// Remembers a line, and gives it to those who wait for it.
    pub(super) async fn hear(&mut self, line: &Line) {
        let mut stay = Vec::new();
        for (service, asking) in self.followers.drain(..) {
            let wanted = service.as_deref().is_none_or(|name| name == &*line.instance.service);
            if !wanted || asking.reply(reply_of(line)).await {
                stay.push((service, asking));
            }
        }
        self.followers = stay;
        if self.lines.len() == REMEMBERED {
            self.lines.pop_front();
        }
        self.lines.push_back((Instant::now(), line.clone()));
    }
}

/// A line as it goes to somebody who reads logs.
pub(super) fn reply_of(line: &Line) -> Reply {
    Reply::Line { instance: line.instance.to_string(), text: line.text.clone() }
}

/// Which services have yet to become ready for the first time.
#[derive(Default)]
pub(super) struct Waiting {
    left: BTreeMap<Arc<str>, usize>,
    told: bool,
}

impl Waiting {
    /// As it stood in another process.
    pub(super) fn at(left: &[(String, usize)], told: bool) -> Waiting {
        Waiting { left: left.iter().map(|(service, count)| (service.as_str().into(), *count)).collect(), told }
    }

    /// What is still waited for, and whether the end of that has been told.
    pub(super) fn standing(&self) -> (Vec<(String, usize)>, bool) {
        (self.left.iter().map(|(service, count)| (service.to_string(), *count)).collect(), self.told)
    }

    pub(super) fn expect(&mut self, services: impl IntoIterator<Item = (Arc<str>, usize)>) {
        self.left.extend(services.into_iter().filter(|(_, instances)| *instances > 0));
    }

    pub(super) fn follow(&mut self, event: &Event) {
        if let Event::Ready { instance, .. } | Event::Well { instance, .. } = event
            && let Some(left) = self.left.get_mut(&instance.service)
        {
            *left -= 1;
            if *left == 0 {
                self.left.remove(&instance.service);
            }
        }
    }

    /// A service of which nothing but that it is there was waited for.
    pub(super) fn has_come(&mut self, service: &str) {
        self.left.remove(service);
    }

    /// Whether nothing is waited for any more.
    pub(super) fn is_over(&self) -> bool {
        self.left.is_empty()
    }

    /// True once: when nothing is waited for any more.
    pub(super) fn is_over_now(&mut self) -> bool {
        self.left.is_empty() && !std::mem::replace(&mut self.told, true)
    }
}
