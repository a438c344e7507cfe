//! The classic mistakes, and that no rendered file makes them.
//!
//! Each mistake stands in one table, as a sentence, with the targets that could make it and how their files show that they
//! do not. Every service.yml that a target carries is tried.

mod clusters;
mod made;
mod manner;
mod proxies;
mod reach;
mod targets;
mod times;

use std::collections::BTreeMap;

use fermata::render::target;

use self::made::Made;
use crate::support::golden::inputs;

/// How a file shows that it does not make a mistake.
type Shown = fn(&Made) -> bool;

/// A mistake, and the targets that could make it.
struct Mistake {
    sentence: &'static str,
    shown: &'static [(&'static [&'static str], Shown)],
}

fn mistakes() -> impl Iterator<Item = &'static Mistake> {
    [times::MISTAKES, reach::MISTAKES, manner::MISTAKES, clusters::MISTAKES, proxies::MISTAKES].into_iter().flatten()
}

#[test]
fn no_rendered_file_makes_a_classic_mistake() {
    let (mut wrong, mut known) = (Vec::new(), BTreeMap::new());
    for Mistake { sentence, shown } in mistakes() {
        for (targets, shown) in *shown {
            for name in *targets {
                let made = known.entry(*name).or_insert_with(|| all(name));
                assert!(made.len() >= 5, "{name} carries {} files", made.len());
                let bad = made
                    .iter()
                    .filter(|(_, made)| !shown(made))
                    .map(|(input, _)| format!("{name} {input}: {sentence}"));
                wrong.extend(bad);
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_target_of_a_balancer_or_a_cluster_is_in_the_table() {
    let known: Vec<&str> =
        mistakes().flat_map(|mistake| mistake.shown).flat_map(|(targets, _)| *targets).copied().collect();
    for name in crate::cloud::targets().into_iter().chain(crate::kubernetes::targets()) {
        let count = known.iter().filter(|known| **known == name).count();
        assert!(count >= 5 || name.starts_with("servers-"), "{name}: {count} mistakes");
    }
}

/// Everything that a target makes of the files of its family.
fn all(name: &'static str) -> Vec<(String, Made)> {
    let made = inputs(&format!("render/{}", crate::goldens::family(name))).into_iter().filter_map(|(input, yml)| {
        let spec = fermata_spec::read(&yml).spec.expect("it is a service.yml");
        let files = target(name).expect("a target").render(&spec).files;
        (!files.is_empty()).then(|| (input, Made::new(name, spec, &files)))
    });
    made.collect()
}
