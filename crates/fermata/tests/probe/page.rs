//! A report as a page, its whole text: nothing that a server says can become a part of the page.

use std::time::Duration;

use fermata::probe::{Hop, Name, Report};
use fermata::report::{Advice, Detail, Html, Outcome, Step, Verdict};

#[test]
fn a_report_is_one_page_that_runs_and_loads_nothing() {
    let hop = |name, verdict, says: &str| {
        let took = (verdict != Verdict::Skipped).then_some(Duration::from_micros(1500));
        Hop { name, verdict, took, says: says.to_owned(), details: Vec::new(), advice: Vec::new() }
    };
    let advice = Advice {
        code: "upgrade-lost",
        says: "The proxy \"takes\" it out.".to_owned(),
        fix: vec![Step::Do("In nginx:".to_owned()), Step::Write("location / {\n}".to_owned())],
    };
    let seen = Detail { says: "it says: <script>alert(1)</script>".to_owned(), took: None };
    let findings = vec![
        hop(Name::Dns, Verdict::Works, "an address, nothing to look up"),
        Hop { details: vec![seen], advice: vec![advice], ..hop(Name::Upgrade, Verdict::Broken, "426 <b>&") },
        hop(Name::Ping, Verdict::Skipped, "not tried"),
    ];
    let report = Report { subject: "ws://localhost/?a=1&b=2".to_owned(), outcome: Outcome::Broken, findings };
    let page = Html { lead: &["Together.".to_owned()], reports: &[report] }.to_string();
    let (head, body) = page.split_once("</style>\n").expect("a style");
    assert!(head.starts_with("<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n"), "{head}");
    assert!(head.contains("content=\"default-src 'none'; style-src 'unsafe-inline'\""), "{head}");
    assert!(head.contains("<title>fermata probe: ws://localhost/?a=1&amp;b=2</title>"), "{head}");
    let expected = "\
<p>Together.</p>
<article>
<h1>ws://localhost/?a=1&amp;b=2</h1>
<p class=\"outcome broken\">426 &lt;b&gt;&amp;</p>
<table>
<tr class=\"works\"><td class=\"sign\">✓<th>DNS<td class=\"took\">1.5 ms<td>an address, nothing to look up
<tr class=\"broken\"><td class=\"sign\">✗<th>Upgrade<td class=\"took\">1.5 ms<td>426 &lt;b&gt;&amp;\
<small>it says: &lt;script&gt;alert(1)&lt;/script&gt;</small>
<tr class=\"skipped\"><td class=\"sign\">·<th>Ping<td class=\"took\"><td>not tried
</table>
<section class=\"broken\">
<h2>Upgrade breaks</h2>
<p>The proxy &quot;takes&quot; it out.</p>
<p>In nginx:</p>
<pre>location / {
}</pre>
</section>
</article>
";
    assert_eq!(body.split("<footer>").next(), Some(expected));
}
