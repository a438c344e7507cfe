//! Keys that Fermata accepts and does not act on: said once for a file, not once for each key.

use crate::diagnostic::codes::Code;
use crate::diagnostic::{Diagnostic, codes};
use crate::grammar::Actor;
use crate::reader::{Reading, list};

pub(super) fn check(reading: &Reading) {
    let render = "fermata render writes them for a target that knows them";
    say(
        reading,
        Actor::Render,
        &codes::KEY_RENDER,
        "only matter in rendered files",
        "only matters in rendered files",
        render,
    );
    let original = "nothing has to be changed; fermata check --explain N-KEY-ELSEWHERE tells more";
    say(
        reading,
        Actor::Original,
        &codes::KEY_ELSEWHERE,
        "belong to the original platform and have no effect here",
        "belongs to the original platform and has no effect here",
        original,
    );
}

fn say(reading: &Reading, actor: Actor, code: &Code, several: &str, one: &str, help: &str) {
    let elsewhere = reading.elsewhere.borrow();
    let met: Vec<_> = elsewhere.iter().filter(|(key, _)| key.actor == actor).collect();
    let Some((_, place)) = met.first() else { return };
    let verb = if met.len() == 1 { one } else { several };
    let message = format!("{} {verb}", list(met.iter().map(|(key, _)| key.name)));
    reading.said.add(Diagnostic::new(code, "", place.clone(), message).help(help));
}
