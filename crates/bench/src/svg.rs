//! A chart for the README: for each of the main figures, one bar for each proxy.

use std::fmt::Write;

use crate::report::{Figure, Report, number};

/// What is shown, and under which words.
const SHOWN: [(&str, &str, &str); 8] = [
    ("echo-100", "CPU", "CPU of an echo, 64 B, µs"),
    ("bulk", "CPU", "CPU of an echo, 64 KiB, µs"),
    ("tls-echo-100", "CPU", "CPU of an echo over TLS, 128 B, µs"),
    ("handshake", "CPU", "CPU of a handshake, µs"),
    ("tls-handshake", "CPU", "CPU of a TLS handshake, µs"),
    ("paced", "p99", "99th percentile of latency, 10,000 messages/s, µs"),
    ("memory", "resident", "memory of an idle tunnel, bytes"),
    ("tls-memory", "resident", "memory of an idle TLS tunnel, bytes"),
];

const WIDTH: u32 = 720;
const LEFT: u32 = 90;
const BAR: u32 = 16;
const GAP: u32 = 4;

/// The chart. It stands on a light and on a dark page.
pub(crate) fn chart(report: &Report) -> String {
    let (mut body, mut y) = (String::new(), 8);
    for (workload, name, words) in SHOWN {
        let figure = report.figures.iter().find(|figure| (figure.workload, figure.name) == (workload, name));
        if let Some(figure) = figure {
            bars(&mut body, figure, words, &mut y);
        }
    }
    let machine = &report.machine;
    let about = format!("{}, {}, {}; less is better", machine.date, machine.processor, machine.kernel);
    let _ = writeln!(body, "<text x=\"0\" y=\"{}\" class=\"small\">{}</text>", y + 12, escaped(&about));
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {}\" font-family=\"sans-serif\" font-size=\"12\">\n\
         <style>text {{ fill: #444; }} .small {{ font-size: 10px; }} .head {{ font-weight: bold; }} \
         rect {{ fill: #9aa5b1; }} .own {{ fill: #d9480f; }} .floor {{ fill: #ced4da; }}\n\
         @media (prefers-color-scheme: dark) {{ text {{ fill: #ccc; }} .floor {{ fill: #495057; }} }}</style>\n{body}</svg>\n",
        y + 20
    )
}

fn bars(body: &mut String, figure: &Figure, words: &str, y: &mut u32) {
    let _ = writeln!(body, "<text x=\"0\" y=\"{}\" class=\"head\">{}</text>", *y + 12, escaped(words));
    *y += 20;
    let most = figure.proxies.iter().map(|values| values.median).fold(f64::MIN_POSITIVE, f64::max);
    let mut sorted: Vec<_> = figure.proxies.iter().collect();
    sorted.sort_by(|a, b| a.median.total_cmp(&b.median));
    for values in sorted {
        let width = (values.median.max(0.0) / most * f64::from(WIDTH - LEFT - 70)).round();
        let class = match values.proxy {
            "fermata" => "own",
            "floor" => "floor",
            _ => "peer",
        };
        let _ = writeln!(
            body,
            "<text x=\"0\" y=\"{0}\">{1}</text><rect x=\"{LEFT}\" y=\"{2}\" width=\"{width}\" height=\"{BAR}\" class=\"{class}\"/>\
             <text x=\"{3}\" y=\"{0}\">{4}</text>",
            *y + 12,
            values.proxy,
            *y,
            f64::from(LEFT) + width + 6.0,
            number(values.median),
        );
        *y += BAR + GAP;
    }
    *y += 10;
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;")
}
