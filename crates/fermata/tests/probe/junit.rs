//! A report as JUnit XML, its whole text.

use std::time::Duration;

use fermata::probe::{Hop, Name, Report};
use fermata::report::{Advice, Detail, Junit, Outcome, Step, Verdict};

fn hop(name: Name, verdict: Verdict, says: &str) -> Hop {
    let took = (verdict != Verdict::Skipped).then_some(Duration::from_micros(1500));
    Hop { name, verdict, took, says: says.to_owned(), details: Vec::new(), advice: Vec::new() }
}

#[test]
fn a_broken_hop_is_a_failure_with_its_code_and_what_was_not_tried_is_skipped() {
    let advice = Advice {
        code: "upgrade-status",
        says: "The proxy does not pass the upgrade on.".to_owned(),
        fix: vec![Step::Do("In nginx:".to_owned()), Step::Write("location / {\n}".to_owned())],
    };
    let remark = Advice { code: "dns-v6", says: "Only v4.".to_owned(), fix: Vec::new() };
    let seen = Detail { says: "server: nginx".to_owned(), took: None };
    let hops = vec![
        Hop { advice: vec![remark], ..hop(Name::Dns, Verdict::Remark, "1 address") },
        Hop { details: vec![seen], advice: vec![advice], ..hop(Name::Upgrade, Verdict::Broken, "status 400") },
        hop(Name::Ping, Verdict::Skipped, "not tried"),
    ];
    let report = Report { subject: "ws://localhost/?a=1&b=2".to_owned(), outcome: Outcome::Broken, findings: hops };
    assert_eq!(
        Junit(&[report]).to_string(),
        "\
<?xml version=\"1.0\" encoding=\"UTF-8\"?>
<testsuites>
  <testsuite name=\"fermata probe ws://localhost/?a=1&amp;b=2\" tests=\"3\" failures=\"1\" errors=\"0\" skipped=\"1\" \
         time=\"0.003000\">
    <testcase classname=\"ws://localhost/?a=1&amp;b=2\" name=\"DNS\" time=\"0.001500\">
      <system-out>1 address
Only v4.</system-out>
    </testcase>
    <testcase classname=\"ws://localhost/?a=1&amp;b=2\" name=\"Upgrade\" time=\"0.001500\">
      <failure type=\"upgrade-status\" message=\"status 400\">The proxy does not pass the upgrade on.
In nginx:
    location / {
    }</failure>
      <system-out>server: nginx</system-out>
    </testcase>
    <testcase classname=\"ws://localhost/?a=1&amp;b=2\" name=\"Ping\" time=\"0.000000\">
      <skipped message=\"not tried\"/>
    </testcase>
  </testsuite>
</testsuites>
"
    );
}

#[test]
fn what_a_server_says_cannot_make_the_xml_unreadable() {
    let hops = vec![hop(Name::Http, Verdict::Works, "\"<\u{0}>&\u{1b}[31m\u{ffff}]]>")];
    let report = Report { subject: "ws://localhost/".to_owned(), outcome: Outcome::Works, findings: hops };
    let text = Junit(&[report]).to_string();
    let seen = text.lines().find(|line| line.contains("system-out")).expect("what was seen");
    assert_eq!(seen, "      <system-out>&quot;&lt;\u{fffd}&gt;&amp;\u{fffd}[31m\u{fffd}]]&gt;</system-out>");
}
