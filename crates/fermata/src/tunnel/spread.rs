//! How the closes of a drain are spread over its time: one place in it for each tunnel, over all engines together, so that
//! no moment carries more than its share, however the tunnels lie on the threads.

/// One engine's part of a drain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Spread {
    /// Its places, in no order, counted from zero.
    pub places: Vec<u32>,
    /// How many places the time is divided into.
    pub of: u32,
    /// Whether tunnels for which there is no place are left alone, or share one with another.
    pub others: Others,
}

/// What becomes of tunnels that have come since the places were given away, or were never meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Others {
    /// They go with the rest.
    Go,
    /// They stay.
    Stay,
}

impl Spread {
    /// Gives engines with so many tunnels their places: a place for each tunnel, or for `most` of them.
    pub fn over(tunnels: &[usize], most: Option<usize>) -> Vec<Spread> {
        let engines = tunnels.iter().enumerate();
        let mut owners: Vec<usize> = engines.flat_map(|(engine, count)| std::iter::repeat_n(engine, *count)).collect();
        fastrand::shuffle(&mut owners);
        owners.truncate(most.unwrap_or(usize::MAX));
        let others = if most.is_some() { Others::Stay } else { Others::Go };
        let part = Spread { places: Vec::new(), of: owners.len() as u32, others };
        let mut parts = vec![part; tunnels.len()];
        for (place, engine) in (0..).zip(owners) {
            parts[engine].places.push(place);
        }
        parts
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn every_place_is_given_once_and_to_an_engine_that_has_a_tunnel_for_it(
            tunnels in prop::collection::vec(0_usize..200, 1..8),
            most in prop::option::of(0_usize..400),
        ) {
            let parts = Spread::over(&tunnels, most);
            let wanted = tunnels.iter().sum::<usize>().min(most.unwrap_or(usize::MAX));
            let mut places: Vec<u32> = parts.iter().flat_map(|part| part.places.clone()).collect();
            places.sort_unstable();
            prop_assert_eq!(places, (0..wanted as u32).collect::<Vec<_>>());
            for (part, tunnels) in parts.iter().zip(&tunnels) {
                prop_assert!(part.places.len() <= *tunnels);
                prop_assert_eq!(part.of as usize, wanted);
            }
        }
    }
}
