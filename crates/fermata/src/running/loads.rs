//! How much of a CPU each instance uses: what it has used between two looks, or since its start where there was no look before.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use crate::admin::Status;
use crate::run::Usage;

/// Two looks that are closer together tell more about the clock than about the instance.
const CLOSE: Duration = Duration::from_millis(500);

/// The last look at each instance.
#[derive(Debug, Default)]
pub(super) struct Loads {
    looks: BTreeMap<String, Look>,
}

#[derive(Debug, Clone, Copy)]
struct Look {
    at: Instant,
    cpu: Duration,
    share: f32,
}

impl Loads {
    /// Writes into a status what its instances use.
    pub(super) fn fill(&mut self, status: &mut Status, usages: &BTreeMap<String, Usage>, now: Instant) {
        self.looks.retain(|name, _| usages.contains_key(name));
        for row in status.services.iter_mut().flat_map(|service| &mut service.instances) {
            let Some(usage) = usages.get(&row.name) else { continue };
            row.memory = Some(usage.memory);
            row.cpu = self.share(&row.name, usage.cpu, row.uptime, now);
        }
    }

    fn share(&mut self, name: &str, cpu: Duration, uptime: Option<u64>, now: Instant) -> Option<f32> {
        let look = match self.looks.get(name).filter(|before| before.cpu <= cpu) {
            Some(before) if now.duration_since(before.at) < CLOSE => *before,
            Some(before) => {
                let share = cpu.saturating_sub(before.cpu).as_secs_f32() / now.duration_since(before.at).as_secs_f32();
                Look { at: now, cpu, share }
            }
            // It is another run of the instance, or nobody has looked yet.
            None => Look { at: now, cpu, share: cpu.as_secs_f32() / uptime.filter(|uptime| *uptime > 0)? as f32 },
        };
        self.looks.insert(name.to_owned(), look);
        Some(look.share)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_is_that_of_the_time_since_the_last_look() {
        let mut loads = Loads::default();
        let begin = Instant::now();
        let mut share = |seconds: f32, cpu: u64, uptime| {
            loads.share("web.1", Duration::from_secs(cpu), uptime, begin + Duration::from_secs_f32(seconds))
        };
        assert_eq!(share(0.0, 1, Some(0)), None, "it has just begun");
        assert_eq!(share(1.0, 5, Some(10)), Some(0.5), "since its start");
        assert_eq!(share(1.1, 5, Some(10)), Some(0.5), "too soon to tell");
        assert_eq!(share(3.0, 8, Some(12)), Some(1.5));
        assert_eq!(share(4.0, 1, Some(1)), Some(1.0), "another run");
    }
}
