//! Every target and every service.yml of its family: whole texts.

use fermata::render::TARGETS;

use crate::support::golden::{Golden, folder, inputs, rendered, transcript};

/// The folder with a target's service.yml files.
pub(crate) fn family(target: &str) -> &str {
    match target {
        "compose" | "haproxy" | "keepalived" => target,
        _ if target.starts_with("kubernetes") => "kubernetes",
        _ => "cloud",
    }
}

#[test]
fn every_file_becomes_exactly_what_is_written_for_each_target() {
    let mut golden = Golden::default();
    for target in TARGETS {
        let family = format!("render/{}", family(target.name));
        golden.expect(&folder(&family).join(format!("{}.txt", target.name)), &transcript(target.name, &family));
    }
    golden.done();
}

#[test]
fn every_target_is_tried_with_at_least_five_files_that_it_carries() {
    for target in TARGETS {
        let inputs = inputs(&format!("render/{}", family(target.name)));
        let carried = inputs.iter().filter(|(_, yml)| !rendered(target.name, yml).files.is_empty()).count();
        assert!(carried >= 5, "{}: {carried}", target.name);
    }
}
