//! Any text is answered, with places inside it, and every way of showing the answer works.
#![no_main]

use fermata_spec::diagnostic::render::{Checked, github, json, sarif};
use fermata_spec::{Severity, SourceText, read};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let outcome = read(text);
    let refused = outcome.diagnostics.iter().any(|said| said.severity == Severity::Error);
    assert_eq!(outcome.spec.is_none(), refused);
    let source = SourceText::new("service.yml", text);
    for said in &outcome.diagnostics {
        for place in &said.places {
            assert!(text.get(place.span.clone()).is_some(), "{} at {:?}", said.code, place.span);
        }
        assert!(source.render(said, false).contains(said.code));
    }
    let checked = [Checked { source: &source, diagnostics: &outcome.diagnostics }];
    assert_eq!(github(&checked).lines().count(), outcome.diagnostics.len());
    assert!(json(&checked).is_object() && sarif(&checked, "0").is_object());
});
