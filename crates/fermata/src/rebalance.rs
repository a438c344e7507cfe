//! What instances have more than their share of, when others were added. Pure: counts in, surplus out.

use std::sync::Arc;

/// An instance, and how many tunnels it has, or has too many.
pub type Count = (Arc<str>, u32);

/// Which instances have more than an even share, rounded up, and by how much.
pub fn surplus(instances: &[Count]) -> Vec<Count> {
    let all: u64 = instances.iter().map(|(_, count)| u64::from(*count)).sum();
    let share = all.div_ceil(instances.len().max(1) as u64) as u32;
    let over = |(name, count): &Count| (*count > share).then(|| (name.clone(), *count - share));
    instances.iter().filter_map(over).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn of(counts: &[u32]) -> Vec<u32> {
        let named: Vec<Count> =
            (1..).zip(counts).map(|(number, count)| (format!("web.{number}").into(), *count)).collect();
        let over = surplus(&named);
        let of = |name: &Arc<str>| over.iter().find(|(one, _)| one == name).map_or(0, |(_, count)| *count);
        named.iter().map(|(name, _)| of(name)).collect()
    }

    #[test]
    fn only_what_is_above_an_even_share_moves() {
        assert_eq!(of(&[40, 0]), [20, 0]);
        assert_eq!(of(&[40, 40, 0]), [13, 13, 0]);
        assert_eq!(of(&[5, 0, 1]), [3, 0, 0]);
        assert_eq!(of(&[1, 0, 0]), [0, 0, 0]);
        assert_eq!(of(&[7]), [0]);
        assert_eq!(of(&[]), Vec::<u32>::new());
    }

    proptest! {
        #[test]
        fn afterwards_nobody_has_more_than_an_even_share_and_nothing_moved_for_nothing(
            counts in prop::collection::vec(0_u32..100_000, 1..20),
        ) {
            let over = of(&counts);
            let share = counts.iter().sum::<u32>().div_ceil(counts.len() as u32);
            for (count, over) in counts.iter().zip(over) {
                prop_assert_eq!(count - over, (*count).min(share));
            }
        }
    }
}
