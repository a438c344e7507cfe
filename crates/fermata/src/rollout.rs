//! How a service gets other instances without a moment in which nobody answers: start some, wait until they are ready, let
//! as many old ones go, and again. A pure machine: it is told what happens and says what to do next.

use std::collections::VecDeque;
use std::sync::Arc;

use fermata_spec::{Constraints, Share};

use crate::run::{Event, InstanceName};

/// What is to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Start so many new instances, and tell by [`Rollout::started`].
    Start(usize),
    /// Give these no new traffic, drain their tunnels, then stop them.
    Retire(Vec<InstanceName>),
    /// Everything is as it should be.
    Done,
    /// It was given up: stop these new ones. What was old and is still there stays.
    GiveUp {
        /// New instances that never became ready.
        stop: Vec<InstanceName>,
        /// Why.
        reason: String,
        /// What was done before that.
        so_far: SoFar,
    },
}

/// What a rollout has changed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SoFar {
    /// New instances that became ready.
    pub new: Vec<InstanceName>,
    /// How many old ones have gone.
    pub gone: usize,
}

/// How many instances change at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pace {
    /// All of them.
    AllAtOnce,
    /// So many new ones first, then as many old ones go.
    NewFirst(usize),
    /// So many old ones go first, then as many new ones start.
    OldFirst(usize),
}

impl Pace {
    /// What `max_surge` and `max_unavailable` allow for this many instances. Percentages round up and down as Kubernetes
    /// does it (Deployment, `rollingUpdate`); where both come to nothing one more is started all the same.
    pub fn of(constraints: &Constraints, instances: usize) -> Pace {
        let percent = |percent: u32| instances * percent as usize;
        let surge = match constraints.max_surge {
            Share::Percent(share) => percent(share).div_ceil(100),
            Share::Count(count) => count as usize,
        };
        let unavailable = match constraints.max_unavailable {
            Share::Percent(share) => percent(share) / 100,
            Share::Count(count) => count as usize,
        };
        match (surge, unavailable) {
            (0, 0) => Pace::NewFirst(1),
            (0, old) => Pace::OldFirst(old),
            (new, _) => Pace::NewFirst(new),
        }
    }
}

/// A change of one service's instances, under way.
#[derive(Debug)]
pub struct Rollout {
    /// The service.
    pub service: Arc<str>,
    /// Whether it adds instances.
    pub adds: bool,
    pace: Pace,
    to_start: usize,
    old: VecDeque<InstanceName>,
    starting: Vec<InstanceName>,
    leaving: Vec<InstanceName>,
    so_far: SoFar,
}

impl Rollout {
    /// Towards `new` fresh instances and none of `old`.
    pub fn new(service: Arc<str>, old: Vec<InstanceName>, new: usize, pace: Pace) -> Rollout {
        Rollout {
            service,
            adds: new > 0,
            pace,
            to_start: new,
            old: old.into(),
            starting: Vec::new(),
            leaving: Vec::new(),
            so_far: SoFar::default(),
        }
    }

    /// What comes first.
    pub fn begin(&mut self) -> Step {
        match self.pace {
            Pace::OldFirst(count) if !self.old.is_empty() => self.retire(count),
            _ => self.start_or_retire(),
        }
    }

    /// These were started.
    pub fn started(&mut self, instances: Vec<InstanceName>) {
        self.starting = instances;
    }

    /// What follows from something that happened.
    pub fn follow(&mut self, event: &Event) -> Option<Step> {
        match event {
            Event::Ready { instance, .. } => {
                let waited = self.starting.len();
                self.starting.retain(|one| one != instance);
                if self.starting.len() < waited {
                    self.so_far.new.push(instance.clone());
                }
                (waited > 0 && self.starting.is_empty()).then(|| self.after_start())
            }
            Event::Exited { instance, cause, .. } if self.starting.contains(instance) => {
                Some(self.give_up(format!("{instance} {cause}")))
            }
            Event::Stopped(instance) => {
                let waited = self.leaving.len();
                self.leaving.retain(|one| one != instance);
                (waited > 0 && self.leaving.is_empty()).then(|| self.after_retire())
            }
            _ => None,
        }
    }

    /// It has taken too long for the new instances to become ready.
    pub fn too_long(&mut self) -> Option<Step> {
        let first = self.starting.first()?;
        let reason = format!("{first} did not become ready in time");
        Some(self.give_up(reason))
    }

    /// Whether it is this instance that it waits for.
    pub fn is_of(&self, instance: &InstanceName) -> bool {
        self.starting.contains(instance)
    }

    /// Whether it waits for new instances to become ready.
    pub fn is_starting(&self) -> bool {
        !self.starting.is_empty()
    }

    fn start_or_retire(&mut self) -> Step {
        if self.to_start == 0 {
            return self.retire(usize::MAX);
        }
        let count = match self.pace {
            Pace::AllAtOnce => self.to_start,
            Pace::NewFirst(count) | Pace::OldFirst(count) => count.min(self.to_start),
        };
        self.to_start -= count;
        Step::Start(count)
    }

    fn after_start(&mut self) -> Step {
        match self.pace {
            Pace::AllAtOnce => self.retire(usize::MAX),
            Pace::NewFirst(count) if !self.old.is_empty() => self.retire(count),
            Pace::NewFirst(_) | Pace::OldFirst(_) => self.begin(),
        }
    }

    fn after_retire(&mut self) -> Step {
        match self.pace {
            Pace::OldFirst(_) => self.start_or_retire(),
            Pace::AllAtOnce | Pace::NewFirst(_) => self.begin(),
        }
    }

    /// Lets some old ones go; with none left, and nothing to start, it is done.
    fn retire(&mut self, count: usize) -> Step {
        let count = count.min(self.old.len());
        if count == 0 {
            return if self.to_start == 0 { Step::Done } else { self.start_or_retire() };
        }
        self.leaving = self.old.drain(..count).collect();
        self.so_far.gone += count;
        Step::Retire(self.leaving.clone())
    }

    fn give_up(&mut self, reason: String) -> Step {
        Step::GiveUp { stop: std::mem::take(&mut self.starting), reason, so_far: std::mem::take(&mut self.so_far) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(number: u32) -> InstanceName {
        InstanceName::new("web".into(), number)
    }

    /// Plays a rollout in which everything works, and tells it in words.
    fn play(old: u32, new: usize, pace: Pace) -> String {
        let mut rollout = Rollout::new("web".into(), (1..=old).map(name).collect(), new, pace);
        let mut story = Vec::new();
        let mut next = old;
        let mut step = rollout.begin();
        loop {
            let events: Vec<Event> = match &step {
                Step::Start(count) => {
                    story.push(format!("start {count}"));
                    let fresh: Vec<InstanceName> = (0..*count as u32).map(|at| name(next + 1 + at)).collect();
                    next += *count as u32;
                    rollout.started(fresh.clone());
                    fresh.into_iter().map(|instance| Event::Ready { instance, addresses: Arc::default() }).collect()
                }
                Step::Retire(instances) => {
                    story.push(format!("retire {}", instances.len()));
                    instances.iter().cloned().map(Event::Stopped).collect()
                }
                Step::Done => return story.join(", ") + ", done",
                Step::GiveUp { .. } => panic!("nothing failed"),
            };
            let steps: Vec<Step> = events.iter().filter_map(|event| rollout.follow(event)).collect();
            let [only] = &steps[..] else { panic!("one step follows, not {steps:?}") };
            step = only.clone();
        }
    }

    #[test]
    fn old_instances_go_only_as_new_ones_are_ready() {
        assert_eq!(play(1, 1, Pace::NewFirst(1)), "start 1, retire 1, done");
        assert_eq!(play(4, 4, Pace::NewFirst(2)), "start 2, retire 2, start 2, retire 2, done");
        assert_eq!(play(3, 3, Pace::NewFirst(2)), "start 2, retire 2, start 1, retire 1, done");
        assert_eq!(play(3, 3, Pace::OldFirst(1)), "retire 1, start 1, retire 1, start 1, retire 1, start 1, done");
    }

    #[test]
    fn a_scale_is_a_rollout_of_one_side() {
        assert_eq!(play(0, 3, Pace::AllAtOnce), "start 3, done");
        assert_eq!(play(2, 0, Pace::AllAtOnce), "retire 2, done");
        assert_eq!(play(4, 1, Pace::NewFirst(2)), "start 1, retire 2, retire 2, done");
    }

    #[test]
    fn a_new_instance_that_ends_leaves_the_old_ones_alone() {
        let mut rollout = Rollout::new("web".into(), vec![name(1), name(2)], 2, Pace::NewFirst(1));
        assert_eq!(rollout.begin(), Step::Start(1));
        rollout.started(vec![name(3)]);
        let cause = crate::run::Cause::NotStarted("no such file".into());
        let event = Event::Exited { instance: name(3), cause, restart_in: std::time::Duration::from_secs(1) };
        let reason = "web.3 cannot be started: no such file".to_owned();
        let so_far = SoFar::default();
        assert_eq!(rollout.follow(&event), Some(Step::GiveUp { stop: vec![name(3)], reason, so_far }));
        assert_eq!(rollout.follow(&Event::Stopped(name(3))), None);
    }

    #[test]
    fn one_that_fails_later_tells_what_was_done_before() {
        let mut rollout = Rollout::new("web".into(), vec![name(1), name(2)], 2, Pace::NewFirst(1));
        rollout.begin();
        rollout.started(vec![name(3)]);
        assert_eq!(
            rollout.follow(&Event::Ready { instance: name(3), addresses: Arc::default() }),
            Some(Step::Retire(vec![name(1)]))
        );
        assert_eq!(rollout.follow(&Event::Stopped(name(1))), Some(Step::Start(1)));
        rollout.started(vec![name(1)]);
        let reason = "web.1 did not become ready in time".to_owned();
        let so_far = SoFar { new: vec![name(3)], gone: 1 };
        assert_eq!(rollout.too_long(), Some(Step::GiveUp { stop: vec![name(1)], reason, so_far }));
    }

    #[test]
    fn surge_rounds_up_and_unavailable_down() {
        let pace = |surge, unavailable, instances| {
            let constraints = Constraints { max_surge: surge, max_unavailable: unavailable, ..Constraints::default() };
            Pace::of(&constraints, instances)
        };
        assert_eq!(pace(Share::Percent(50), Share::Percent(50), 3), Pace::NewFirst(2));
        assert_eq!(pace(Share::Percent(0), Share::Percent(50), 3), Pace::OldFirst(1));
        assert_eq!(pace(Share::Percent(0), Share::Percent(30), 3), Pace::NewFirst(1));
        assert_eq!(pace(Share::Count(3), Share::Count(0), 9), Pace::NewFirst(3));
    }
}
