//! Rules that look at more than one value: two ports, two services, a value and its bound.
//!
//! They run on what could be read. A rule that would blame the absence of something keeps quiet where that something is
//! there but was already blamed itself.

mod elsewhere;
mod names;
mod passed;
mod ports;
mod proxies;
mod services;

use crate::format::file::Sections;
use crate::reader::{Reading, join, segment};

/// Checks everything. Nothing is checked of a text that could only be read in part: what seems to be missing may stand in
/// the other part.
pub(crate) fn check(sections: &Sections, reading: &Reading) {
    elsewhere::check(reading);
    if reading.partial {
        return;
    }
    for service in &sections.services {
        services::check(service, reading);
    }
    names::check(&sections.services, reading);
    ports::check(sections, reading);
    passed::check(sections, reading);
    proxies::check(sections, reading);
}

/// The path of a service's key.
fn path(service: &str, key: &str) -> String {
    join(&join("services", &segment(service)), key)
}
